"""Private fields of statements: salted digests in the log, openings with the parties.

A digest shows nothing of its value as long as the salt is secret; whoever holds the
opening can show that one field, and only that one, to anybody.

Source: the construction of SD-JWT disclosures (RFC 9901, section 4.2), over
canonical JSON.
"""

import hashlib
import secrets
from collections.abc import Iterable, Mapping

from ledger.document import Base64, Document
from ledger.encoding import Json, canonical_json, decode_base64, encode_base64
from ledger.errors import DisclosureError, EncodingError

SALT_BYTES = 16
"""128 bits, as RFC 9901 recommends: values of few bits stay hidden."""


class Opening(Document):
    """What opens one private field: its salt and its value."""

    salt: Base64
    value: Json

    def digest(self, name: str) -> str:
        """The digest in padded base64 that stands in the log for this field."""
        message = canonical_json([self.salt, name, self.value])
        digest = hashlib.sha256(b"sixfold/opening/v1\n" + message).digest()
        return encode_base64(digest)


Openings = dict[str, Opening]
"""Openings of one statement, by field name."""


def conceal(values: Mapping[str, Json]) -> Openings:
    """Give each private value a fresh salt."""
    return {
        name: Opening(salt=encode_base64(secrets.token_bytes(SALT_BYTES)), value=value)
        for name, value in values.items()
    }


def digest_openings(openings: Mapping[str, Opening]) -> dict[str, str]:
    """The digests that a statement carries for these openings."""
    return {name: opening.digest(name) for name, opening in openings.items()}


def verify_openings(
    digests: Mapping[str, str],
    openings: Mapping[str, Opening],
    *,
    required: Iterable[str] = (),
) -> None:
    """Check that openings fit the digests of a statement.

    Args:
        digests: The statement's private fields.
        openings: Some or all of them, opened.
        required: Names that must be among the openings.

    Raises:
        DisclosureError: One is missing, unknown, or opens to another digest.
    """
    for name in required:
        if name not in openings:
            raise DisclosureError(f"The field {name} is not opened.")
    for name, opening in openings.items():
        if name not in digests:
            raise DisclosureError(f"The statement has no private field {name}.")
        if opening.digest(name) != digests[name]:
            raise DisclosureError(f"The opening of {name} does not fit its digest.")


def parse_openings(value: object) -> Openings:
    """Check plain JSON of the form `{name: {"salt", "value"}}`.

    Raises:
        DisclosureError: It has another form.
    """
    if not isinstance(value, dict) or len(value) > 64:
        raise DisclosureError("Openings are an object of at most 64 fields.")
    try:
        return {str(name): _parse_opening(item) for name, item in value.items()}
    except EncodingError as error:
        raise DisclosureError(f"Malformed opening: {error}") from error


def _parse_opening(value: object) -> Opening:
    match value:
        case {"salt": str() as salt, "value": item, **rest} if not rest:
            decode_base64(salt)
            canonical_json(item)
            return Opening.model_construct(salt=salt, value=item)
    raise EncodingError("an opening has a salt and a value")
