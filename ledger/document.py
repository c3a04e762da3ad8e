"""The common form of every typed JSON document: strict, closed, camelCase outside.

A document is refused when a field is missing, unknown, of another type, or out of
bounds. Field names are snake_case in Python and lowerCamelCase in JSON.
"""

import json
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from ledger.encoding import Json, canonical_json, parse_json
from ledger.errors import EncodingError
from ledger.limits import AMOUNT_MICROCREDITS_MAX, PRICE_MICROCREDITS_MAX, QUANTITY_MAX
from ledger.signing import (
    ACCOUNT_ID_PATTERN,
    NODE_ID_PATTERN,
    PSEUDONYM_ID_PATTERN,
)

AccountId = Annotated[str, StringConstraints(pattern=ACCOUNT_ID_PATTERN)]
NodeId = Annotated[str, StringConstraints(pattern=NODE_ID_PATTERN)]
PseudonymId = Annotated[str, StringConstraints(pattern=PSEUDONYM_ID_PATTERN)]
"""Under which a consumer appears in the records of one job."""
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,8}_[a-z0-9]{16,40}$")]
"""An id that its maker chose at random, such as `job_...`."""
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]
VerifierKeyText = Annotated[
    str, StringConstraints(pattern=r"^[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*$")
]
"""A verifier key of a log, as C2SP signed-note writes it."""
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$")]
"""SHA-256 in padded base64."""
Digest384 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{96}$")]
"""SHA-384 in lower-case hexadecimal, as artefacts and measurements are named."""
Base64 = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]*={0,2}$")]
CommitmentText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$")]
"""A point of 32 bytes in padded base64."""
RecordKeyText = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$")
]
"""32 secret bytes in padded base64, which has no other spelling."""
PublicKeyText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$")]
Microcredits = Annotated[int, Field(ge=0, le=AMOUNT_MICROCREDITS_MAX)]
PriceMicrocredits = Annotated[int, Field(ge=0, le=PRICE_MICROCREDITS_MAX)]
Quantity = Annotated[int, Field(ge=0, le=QUANTITY_MAX)]
TimeMs = Annotated[int, Field(ge=0, le=2**52)]
"""Milliseconds since 1970-01-01 UTC."""
BookAccountId = Annotated[
    str, StringConstraints(pattern=r"^(acc|psn)_[a-z2-7]{26}/[a-z][a-z_]{0,31}$")
]
"""A party's account in the books: `<account or pseudonym id>/<purpose>`."""


class Document(BaseModel):
    """Base of all documents; immutable once made."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )

    def to_json(self) -> dict[str, Json]:
        """The document as plain JSON values with lowerCamelCase names."""
        return self.model_dump(mode="json", by_alias=True)

    def to_bytes(self) -> bytes:
        """The document in canonical JSON."""
        return canonical_json(self.to_json())

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Check plain JSON values against this document's form.

        Raises:
            EncodingError: The value does not have the form; names each place.
        """
        # Strict validation of JSON text knows arrays as tuples, which that of Python
        # values does not.
        try:
            text = json.dumps(value)
        except (TypeError, ValueError) as error:
            raise EncodingError("Not JSON.") from error
        return cls._validate(text)

    @classmethod
    def _validate(cls, text: str | bytes) -> Self:
        try:
            return cls.model_validate_json(text, by_alias=True, by_name=False)
        except ValidationError as error:
            raise EncodingError(describe_validation(error)) from error

    @classmethod
    def from_bytes(cls, data: bytes, *, size_max: int) -> Self:
        """Parse strict JSON and check its form.

        Raises:
            EncodingError: As :func:`ledger.encoding.parse_json`, or not the form.
        """
        # The first is stricter about JSON itself, the second checks the form.
        parse_json(data, size_max=size_max)
        return cls._validate(data)

    @classmethod
    def from_checked_bytes(cls, data: bytes) -> Self:
        """Check the form of what is known to be strict JSON, such as canonical JSON.

        Raises:
            EncodingError: It has not the form.
        """
        return cls._validate(data)


def describe_validation(error: ValidationError) -> str:
    """Say where and why a document is refused, without repeating its values."""
    places = [
        f"{'.'.join(str(part) for part in item['loc']) or 'document'}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False)[:5]
    ]
    more = error.error_count() - len(places)
    return "; ".join(places) + (f"; and {more} more" if more > 0 else "")
