"""What statements conceal: digests and commitments in the log, openings with parties.

Numbers that are added up stand in the log as Pedersen commitments, everything else as
salted digests. Neither shows anything as long as salt or blinding is secret; whoever
holds the opening of a field can show that one field, and only that one, to anybody.

Source: for digests the construction of SD-JWT disclosures (RFC 9901, section 4.2),
over canonical JSON; for commitments :mod:`ledger.commitments.pedersen`.
"""

import secrets
from collections.abc import Iterable, Mapping

from ledger.commitments.pedersen import (
    Commitment,
    CommitmentOpening,
    commit,
    derive_blinding,
)
from ledger.document import Base64, Document
from ledger.encoding import (
    Json,
    canonical_json,
    decode_base64,
    encode_base64,
    sha256_text,
)
from ledger.errors import CommitmentError, DisclosureError, EncodingError

SALT_BYTES = 16
"""128 bits, as RFC 9901 recommends: values of few bits stay hidden."""


class Opening(Document):
    """What opens one digest: its salt and its value."""

    salt: Base64
    value: Json

    def digest(self, name: str) -> str:
        """The digest in padded base64 that stands in the log for this field."""
        message = canonical_json([self.salt, name, self.value])
        return sha256_text(b"sixfold/opening/v1\n" + message)


Openings = Mapping[str, Opening | CommitmentOpening]
"""Openings of one statement, by field name."""


def conceal(values: Mapping[str, Json]) -> dict[str, Opening | CommitmentOpening]:
    """Give each private value a fresh salt."""
    return {
        name: Opening(salt=encode_base64(secrets.token_bytes(SALT_BYTES)), value=value)
        for name, value in values.items()
    }


def conceal_numbers(
    numbers: Mapping[str, int], record_key: bytes, *record: str | int
) -> dict[str, Opening | CommitmentOpening]:
    """Give each number its blinding, which holders of the record key know as well.

    Args:
        numbers: By field name, each at least 0.
        record_key: 32 bytes that the record's parties share.
        record: What tells this record from all others under the same key.
    """
    return {
        name: CommitmentOpening(number, derive_blinding(record_key, *record, name))
        for name, number in numbers.items()
    }


def digest_openings(openings: Openings) -> dict[str, str]:
    """The digests that a statement carries for these openings."""
    return {
        name: opening.digest(name)
        for name, opening in openings.items()
        if isinstance(opening, Opening)
    }


def commit_openings(openings: Openings) -> dict[str, str]:
    """The commitments that a statement carries for these openings."""
    return {
        name: commit(opening.value, opening.blinding).text
        for name, opening in opened_numbers(openings).items()
    }


def parse_commitments(commitments: Mapping[str, str]) -> dict[str, Commitment]:
    """Check the commitments of a statement from outside.

    Raises:
        CommitmentError: One is no point of the prime-order group.
    """
    return {name: Commitment.parse(text) for name, text in commitments.items()}


def verify_openings(
    digests: Mapping[str, str],
    commitments: Mapping[str, str],
    openings: Openings,
    *,
    required: Iterable[str] = (),
) -> None:
    """Check that openings fit what a statement conceals.

    Args:
        digests: The statement's private fields.
        commitments: Its committed numbers.
        openings: Some or all of them, opened.
        required: Names that must be among the openings.

    Raises:
        DisclosureError: One is missing, unknown, or opens to something else.
    """
    for name in required:
        if name not in openings:
            raise DisclosureError(f"The field {name} is not opened.")
    for name, opening in openings.items():
        is_digest = isinstance(opening, Opening)
        concealed = (digests if is_digest else commitments).get(name)
        if concealed is None:
            raise DisclosureError(f"The statement conceals no such field {name}.")
        if _conceals(opening, name) != concealed:
            raise DisclosureError(f"The opening of {name} does not fit.")


def verify_blindings(openings: Openings, record_key: bytes, *record: str | int) -> None:
    """Check that whoever has a record key can open the numbers of a record.

    Args:
        openings: All of the record, checked against its commitments.
        record_key: 32 bytes that the record's parties share.
        record: As for `conceal_numbers`.

    Raises:
        DisclosureError: A number was blinded in another way.
    """
    for name, opening in opened_numbers(openings).items():
        if opening.blinding != derive_blinding(record_key, *record, name):
            raise DisclosureError(
                f"The blinding of {name} is not that of the job's record key."
            )


def opened_values(openings: Openings) -> dict[str, Json]:
    """The values alone, once their openings are checked."""
    return {name: opening.value for name, opening in openings.items()}


def opened_numbers(openings: Openings) -> dict[str, CommitmentOpening]:
    """Those openings that are of commitments."""
    return {
        name: opening
        for name, opening in openings.items()
        if isinstance(opening, CommitmentOpening)
    }


def openings_json(openings: Openings) -> dict[str, Json]:
    """Openings as plain JSON, as `parse_openings` reads them."""
    return {name: opening.to_json() for name, opening in openings.items()}


def parse_openings(value: object) -> dict[str, Opening | CommitmentOpening]:
    """Check plain JSON of the form `{name: {"salt" or "blinding", "value"}}`.

    Raises:
        DisclosureError: It has another form.
    """
    if not isinstance(value, dict) or len(value) > 64:
        raise DisclosureError("Openings are an object of at most 64 fields.")
    try:
        return {str(name): _parse_opening(item) for name, item in value.items()}
    except (EncodingError, CommitmentError) as error:
        raise DisclosureError(f"Malformed opening: {error}") from error


def _conceals(opening: Opening | CommitmentOpening, name: str) -> str:
    if isinstance(opening, Opening):
        return opening.digest(name)
    try:
        return commit(opening.value, opening.blinding).text
    except CommitmentError as error:
        raise DisclosureError(f"The opening of {name}: {error}") from error


def _parse_opening(value: object) -> Opening | CommitmentOpening:
    match value:
        case {"blinding": _}:
            return CommitmentOpening.parse(value)
        case {"salt": str() as salt, "value": item, **rest} if not rest:
            decode_base64(salt)
            canonical_json(item)
            return Opening.model_construct(salt=salt, value=item)
    raise EncodingError("an opening has a salt and a value")
