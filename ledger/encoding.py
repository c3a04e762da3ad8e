"""One byte form for each value that is signed, hashed or sent.

Canonical JSON is RFC 8785; we allow no floating-point numbers in it, so that
every reader sees the same integer. Base64 is RFC 4648, padded, and decoders
refuse every non-canonical spelling.
"""

import base64
import binascii
import json
from typing import NoReturn

import rfc8785
from typing_extensions import TypeAliasType

from ledger.errors import EncodingError
from ledger.limits import JSON_DEPTH_MAX

Json = TypeAliasType("Json", "bool | int | str | list[Json] | dict[str, Json] | None")
"""What our documents are made of: JSON without floating-point numbers."""


def canonical_json(value: object) -> bytes:
    """Encode a value in its one canonical form.

    Args:
        value: Strings, integers within ±(2**53 - 1), booleans, None, and lists
            and string-keyed dicts of them. No floats.

    Raises:
        EncodingError: Something else is inside, or it nests too deep.

    Source: RFC 8785.
    """
    _check_json(value, depth=0)
    try:
        # Without floats, and with keys below the surrogates, the two orders of keys
        # and the two ways to escape are the same, and this one is five times faster.
        text = _encode(value)
        if text.isascii():
            return text.encode("ascii")
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise EncodingError(f"No canonical form: {error}") from error


def parse_json(data: bytes, *, size_max: int) -> Json:
    """Parse JSON from outside, strictly.

    Args:
        data: UTF-8 bytes, at most `size_max`.
        size_max: Bound in bytes, checked before anything is parsed.

    Raises:
        EncodingError: Too large, not UTF-8, not JSON, a repeated key, a float,
            an integer beyond ±(2**53 - 1), or nested deeper than 16 levels.
    """
    if len(data) > size_max:
        raise EncodingError(f"{len(data)} bytes of JSON, at most {size_max} allowed.")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_keys,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except (ValueError, RecursionError) as error:
        raise EncodingError(f"Not strict JSON: {error}") from error
    _check_json(value, depth=0)
    return value  # type: ignore[no-any-return]


_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
).encode


def encode_base64(data: bytes) -> str:
    """Encode bytes as padded base64 (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str, *, size: int | None = None) -> bytes:
    """Decode padded base64 and refuse every non-canonical spelling.

    Args:
        text: The base64 text.
        size: The exact number of bytes expected, if known.

    Raises:
        EncodingError: Not canonical base64, or not `size` bytes.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EncodingError("Not base64.") from error
    if encode_base64(data) != text:
        raise EncodingError("Base64 that is not canonical.")
    if size is not None and len(data) != size:
        raise EncodingError(f"{len(data)} bytes where {size} are due.")
    return data


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise EncodingError("A key appears twice in one JSON object.")
    return result


def _refuse_number(text: str) -> NoReturn:
    raise EncodingError(f"The number {text[:20]} is not an integer.")


def _check_json(value: object, *, depth: int) -> None:
    if depth > JSON_DEPTH_MAX:
        raise EncodingError(f"JSON nested deeper than {JSON_DEPTH_MAX} levels.")
    if value is None or isinstance(value, str | bool):
        return
    if isinstance(value, int):
        if abs(value) > 2**53 - 1:
            raise EncodingError("An integer beyond 2**53 - 1 in JSON.")
        return
    if isinstance(value, list | tuple):
        for item in value:
            _check_json(item, depth=depth + 1)
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise EncodingError("A JSON object key that is not a string.")
            _check_json(item, depth=depth + 1)
        return
    raise EncodingError(f"{type(value).__name__} has no place in our JSON.")
