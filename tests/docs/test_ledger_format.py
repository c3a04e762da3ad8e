"""The worked example of the ledger's format, checked as a stranger would check it.

Goal: the document alone is enough to write a verifier. Method: the example is
verified with hashes, JSON and a foreign Ed25519, and with no line of the ledger's code.
"""

import base64
import hashlib
import json
import re

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from document_tables import REFERENCE, read_rows, read_section

from ledger.charging.tariff import RatingGroup
from ledger.statements.kinds import KINDS, SliceStatement

TEXT = (REFERENCE / "ledger-format.md").read_text()
EXAMPLE = TEXT.partition("## Worked example")[2]
BLOCKS = [
    block.rstrip("\n") for block in re.findall(r"```\w*\n(.*?)```", EXAMPLE, re.DOTALL)
]
MARKET, OPENING, ENTRY, VERIFIER_KEY, PROOF = BLOCKS


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def text64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def canonical(value: object) -> bytes:
    """Enough of RFC 8785 for ASCII keys and integers."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def verify(key: bytes, signature: bytes, message: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(key).verify(signature, message)


P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int]


def add(left: Point, right: Point) -> Point:
    """Addition on edwards25519 (RFC 8032, section 5.1), slow and plain."""
    (a, b), (c, d) = left, right
    product = D * a * b * c * d % P
    x = (a * d + b * c) * pow(1 + product, P - 2, P)
    y = (b * d + a * c) * pow(1 - product, P - 2, P)
    return x % P, y % P


def multiply(scalar: int, point: Point) -> Point:
    total = (0, 1)
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point, scalar = add(point, point), scalar >> 1
    return total


def decompress(data: bytes) -> Point:
    number = int.from_bytes(data, "little")
    y, sign = number % 2**255, number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (x if x % 2 == sign else P - x), y


def compress(point: Point) -> bytes:
    x, y = point
    return (y | (x % 2) << 255).to_bytes(32, "little")


BASE = decompress(bytes.fromhex("58" + "66" * 31))


def test_market_id_follows_from_its_key() -> None:
    key, account = MARKET.split()
    digest = sha256(b"sixfold/acc/v1\n", base64.b64decode(key))
    assert account == "acc_" + base64.b32encode(digest).decode().lower()[:26]


def test_opening_fits_its_commitment() -> None:
    opening = json.loads(OPENING)
    blinding = int.from_bytes(base64.b64decode(opening["blinding"]), "little")
    (second,) = re.findall(r"H  =  ([0-9a-f]{64})", TEXT)
    point = add(
        multiply(opening["value"], BASE),
        multiply(blinding, decompress(bytes.fromhex(second))),
    )
    commitment = text64(compress(point))
    assert json.loads(ENTRY)["commitments"] == {"amount": commitment}
    assert f"`{commitment}`" in EXAMPLE


def test_entry_is_signed_and_canonical() -> None:
    entry = json.loads(ENTRY)
    assert canonical(entry).decode() == ENTRY
    assert len(ENTRY) == int(re.search(r"one line of ([0-9]+) bytes", EXAMPLE)[1])
    (signature,) = entry.pop("signatures")
    message = b"sixfold/statement/v1\n" + canonical(entry)
    key = base64.b64decode(signature["key"])
    verify(key, base64.b64decode(signature["signature"]), message)


def test_digest_and_leaf_hash_are_told() -> None:
    assert f"`{text64(sha256(ENTRY.encode()))}`" in EXAMPLE
    leaf = sha256(b"\x00", ENTRY.encode())
    assert f"`{leaf.hex()}`" in EXAMPLE


def test_proof_leads_to_signed_root() -> None:
    head, _, note = PROOF.partition("\n\n")
    _, index, sibling = head.split("\n")
    text, _, signature_line = note.rpartition("\n\n")
    origin, size, root = text.split("\n")
    assert (index, size) == ("index 2", "3")
    leaf = sha256(b"\x00", ENTRY.encode())
    assert text64(sha256(b"\x01", base64.b64decode(sibling), leaf)) == root
    name, key_id, key_text = VERIFIER_KEY.split("+", 2)
    key = base64.b64decode(key_text)
    assert sha256(name.encode(), b"\n", key)[:4].hex() == key_id
    dash, signer, payload = signature_line.split(" ")
    assert (dash, signer, origin) == ("—", name, name)
    signed = base64.b64decode(payload)
    assert signed[:4].hex() == key_id
    # The text ends in a newline, which is signed as well.
    verify(key[1:], signed[4:], f"{text}\n".encode())


def test_kinds_are_those_of_the_code() -> None:
    table = read_rows(read_section("ledger-format.md", "Kinds"))
    rows = {words(kind)[0]: cells for kind, *cells in table}
    assert list(rows) == list(KINDS)
    for name, (roles, public, private) in rows.items():
        body = KINDS[name]
        assert words(roles) == list(body.roles)
        assert words(public) == [field.alias for field in body.model_fields.values()]
        committed = body.committed_fields
        if body is SliceStatement:
            assert committed == {f"quantity.{group}" for group in RatingGroup}
            committed = {"quantity.<group>"}
        assert set(words(private)) == body.private_fields | committed


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)
