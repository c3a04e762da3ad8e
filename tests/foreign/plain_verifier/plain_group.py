"""The group of Ed25519 and commitments in it, with whole numbers alone.

Slow, and it shows its secrets to a stopwatch: good for checking, not for hiding.
"""

import base64
import hashlib
from functools import cache
from typing import NamedTuple

from plain_log import WrongError, decode64, demand

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, PRIME) % PRIME
VALUE_MAX = 2**53 - 1


class Point(NamedTuple):
    """A point in extended coordinates: x = X / Z, y = Y / Z, x * y = T / Z."""

    X: int
    Y: int
    Z: int
    T: int


IDENTITY = Point(0, 1, 1, 0)


def add(left: Point, right: Point) -> Point:
    """The sum of two points (RFC 8032, section 5.1.4)."""
    a = (left.Y - left.X) * (right.Y - right.X)
    b = (left.Y + left.X) * (right.Y + right.X)
    c = 2 * D * left.T * right.T
    d = 2 * left.Z * right.Z
    e, f, g, h = b - a, d - c, d + c, b + a
    return Point(e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME)


def multiply(scalar: int, point: Point) -> Point:
    """A point added to itself so many times."""
    total = IDENTITY
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def encode_point(point: Point) -> bytes:
    """The 32 bytes of a point."""
    inverse = pow(point.Z, -1, PRIME)
    x, y = point.X * inverse % PRIME, point.Y * inverse % PRIME
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode_point(data: bytes) -> Point:
    """The point of 32 bytes; it may be of small order."""
    demand(len(data) == 32, "no point")
    number = int.from_bytes(data, "little")
    y, sign = number % 2**255, number >> 255
    demand(y < PRIME, "a point that is not canonical")
    root = square_root((y * y - 1) * pow(D * y * y + 1, -1, PRIME))
    demand(root is not None and (root or not sign), "no point of the curve")
    x = root if root % 2 == sign else PRIME - root
    return Point(x, y, 1, x * y % PRIME)


def square_root(number: int) -> int | None:
    """A square root, if there is one (RFC 8032, section 5.1.3)."""
    root = pow(number, (PRIME + 3) // 8, PRIME)
    for candidate in (root, root * pow(2, (PRIME - 1) // 4, PRIME) % PRIME):
        if (candidate * candidate - number) % PRIME == 0:
            return candidate
    return None


def second_base() -> Point:
    """The point H, from its label."""
    number = int.from_bytes(hashlib.sha256(b"ledger/pedersen/H/v1").digest(), "little")
    r, sign = number % 2**255, number >> 255
    a = 486662
    x = -a * pow(1 + 2 * r * r, -1, PRIME) % PRIME
    if square_root(x**3 + a * x**2 + x) is None:
        x = (-x - a) % PRIME
    y = (x - 1) * pow(x + 1, -1, PRIME) % PRIME
    return multiply(8, decode_point((y | sign << 255).to_bytes(32, "little")))


def doubled(point: Point) -> list[Point]:
    """A point, twice, four times, ...: makes multiplying it three times as fast."""
    points = [point]
    while len(points) < ORDER.bit_length():
        points.append(add(points[-1], points[-1]))
    return points


def multiply_known(scalar: int, points: list[Point]) -> Point:
    """A point so many times, from what `doubled` has made of it."""
    total = IDENTITY
    for place, point in enumerate(points):
        if scalar >> place & 1:
            total = add(total, point)
    return total


G = decode_point(bytes.fromhex("58" + "66" * 31))
H = second_base()
G_DOUBLED, H_DOUBLED = doubled(G), doubled(H)


@cache
def parse_commitment(text: str) -> Point:
    """A commitment out of a statement: a point that generates the whole group."""
    point = decode_point(decode64(text, 32))
    demand(encode_point(point) != encode_point(IDENTITY), "the identity")
    whole = encode_point(multiply(ORDER, point)) == encode_point(IDENTITY)
    demand(whole, "a point outside of the group of prime order")
    return point


class Opening(NamedTuple):
    """What opens a commitment, or a sum of them."""

    value: int
    blinding: int


def parse_opening(opening: object) -> Opening:
    """An opening of a commitment, as it stands in a file."""
    match opening:
        case {"blinding": str() as blinding, "value": int() as value, **rest}:
            demand(not rest and value is not True and value is not False, "no opening")
            number = int.from_bytes(decode64(blinding, 32), "little")
            demand(number < ORDER and 0 <= value <= VALUE_MAX, "out of bounds")
            return Opening(value, number)
    raise WrongError("no opening of a commitment")


@cache
def commit(opening: Opening) -> str:
    """The commitment that an opening gives, as it stands in a statement."""
    value = multiply_known(opening.value, G_DOUBLED)
    point = add(value, multiply_known(opening.blinding, H_DOUBLED))
    return base64.b64encode(encode_point(point)).decode()


def combine(terms: list[tuple[int, Point]]) -> Point:
    """A sum of points, each so many times."""
    total = IDENTITY
    for multiple, point in terms:
        total = add(total, multiply(multiple, point))
    return total
