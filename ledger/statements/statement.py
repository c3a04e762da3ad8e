"""One entry of the log: a typed, signed statement in canonical JSON.

The bytes that parties sign are the canonical JSON of kind, version, public body,
private digests and commitments, after a label that keeps these signatures apart from
all others. The entry itself adds the signatures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property

from pydantic import Field, create_model

from ledger.document import (
    Base64,
    CommitmentText,
    Digest,
    Document,
    PublicKeyText,
    Word,
)
from ledger.encoding import (
    Json,
    canonical_json,
    decode_base64,
    encode_base64,
    parse_canonical_json,
    sha256_text,
)
from ledger.errors import EncodingError, StatementError
from ledger.limits import STATEMENT_BYTES_MAX
from ledger.signing import PrivateKey, PublicKey
from ledger.statements.disclosure import Openings, commit_openings, digest_openings
from ledger.statements.kinds import KINDS, StatementBody, has_concealed_fields

VERSION = 1
SIGNING_LABEL = b"sixfold/statement/v1\n"
_VERSION_END = b',"version":%d}' % VERSION


class StatementSignature(Document):
    """One party's signature, with the key that made it."""

    role: Word
    key: PublicKeyText
    signature: Base64

    @property
    def public_key(self) -> PublicKey:
        """The key, parsed."""
        return PublicKey.from_text(self.key)


class _Envelope(Document):
    """An entry as JSON. Each kind has its own, in which `body` is of that kind."""

    kind: Word
    version: int = Field(ge=VERSION, le=VERSION)
    body: StatementBody
    private: dict[str, Digest]
    commitments: dict[str, CommitmentText]
    signatures: tuple[StatementSignature, ...]


@dataclass(frozen=True)
class Statement:
    """A statement with the signatures collected so far."""

    body: StatementBody
    private: Mapping[str, str] = field(default_factory=dict)
    """Salted digests, by field name."""
    commitments: Mapping[str, str] = field(default_factory=dict)
    """Committed numbers, by field name: points in base64, in form but not checked."""
    signatures: tuple[StatementSignature, ...] = ()

    @property
    def kind(self) -> str:
        """The name of the kind."""
        return self.body.kind

    @cached_property
    def signed_bytes(self) -> bytes:
        """What every party signs."""
        return SIGNING_LABEL + canonical_json(self._core())

    @cached_property
    def entry(self) -> bytes:
        """The bytes that go into the log."""
        signatures = canonical_json([item.to_json() for item in self.signatures])
        # Of the names, only `version` comes after `signatures`.
        core = self.signed_bytes.removeprefix(SIGNING_LABEL).removesuffix(_VERSION_END)
        return core + b',"signatures":' + signatures + _VERSION_END

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the entry in base64: how other statements refer to it."""
        return sha256_text(self.entry)

    def signed_by(self, role: str, key: PrivateKey) -> "Statement":
        """Add one party's signature; roles stay in the kind's order."""
        signature = StatementSignature(
            role=role,
            key=key.public.text,
            signature=encode_base64(key.sign(self.signed_bytes)),
        )
        return self.with_signature(signature)

    def with_signature(self, signature: StatementSignature) -> "Statement":
        """Add a signature made elsewhere; it is checked by `verify_signatures`."""
        order = self.body.roles
        merged = [item for item in self.signatures if item.role != signature.role]
        merged.append(signature)
        merged.sort(
            key=lambda item: order.index(item.role) if item.role in order else 0
        )
        signed = replace(self, signatures=tuple(merged))
        vars(signed)["signed_bytes"] = self.signed_bytes
        return signed

    def key_of(self, role: str) -> PublicKey | None:
        """The key that signed in a role, or None."""
        for item in self.signatures:
            if item.role == role:
                return item.public_key
        return None

    def _core(self) -> dict[str, Json]:
        return {
            "kind": self.kind,
            "version": VERSION,
            "body": self.body.to_json(),
            "private": dict(self.private),
            "commitments": dict(self.commitments),
        }


def make_statement(body: StatementBody, openings: Openings | None = None) -> Statement:
    """Put a public body together with the digests and commitments of what it conceals.

    Raises:
        StatementError: The fields are not those of the kind.
    """
    openings = openings or {}
    statement = Statement(body, digest_openings(openings), commit_openings(openings))
    _check_concealed_names(statement)
    return statement


def parse_statement(entry: bytes) -> Statement:
    """Parse an entry of the log; signatures are not yet checked.

    Args:
        entry: At most 65,535 bytes.

    Raises:
        StatementError: Not canonical, of unknown kind or version, or its fields
            break the kind's schema.
    """
    try:
        value = parse_canonical_json(entry, size_max=STATEMENT_BYTES_MAX)
        kind = value.get("kind") if isinstance(value, dict) else None
        if not isinstance(kind, str) or kind not in KINDS:
            raise StatementError("An entry of unknown kind.")
        statement = reopen_statement(entry, kind)
    except EncodingError as error:
        raise StatementError(str(error)) from error
    # Values are words and base64, so the last such place is where signatures begin.
    core = entry[: entry.rindex(b',"signatures":[')] + _VERSION_END
    vars(statement)["signed_bytes"] = SIGNING_LABEL + core
    _check_concealed_names(statement)
    return statement


def reopen_statement(entry: bytes, kind: str) -> Statement:
    """Parse an entry of which it is known that `parse_statement` accepts it.

    Args:
        entry: As it was accepted.
        kind: The kind that it was found to be.

    Raises:
        EncodingError: Its fields break the kind's schema.
    """
    envelope = _envelope_of(kind).from_checked_bytes(entry)
    statement = Statement(
        envelope.body, envelope.private, envelope.commitments, envelope.signatures
    )
    # No field has a default, so encoding would give the same bytes again.
    vars(statement)["entry"] = entry
    return statement


@cache
def _envelope_of(kind: str) -> type[_Envelope]:
    body = KINDS[kind]
    return create_model(
        f"_{body.__name__}Envelope", __base__=_Envelope, body=(body, ...)
    )


def verify_signatures(
    statement: Statement, *, verified: frozenset[str] = frozenset()
) -> None:
    """Check that exactly the parties bound by a statement have signed it.

    A signer's id is the digest of its key, so no key store is needed.

    Args:
        statement: As parsed.
        verified: Roles whose signatures over the same bytes were checked before.

    Raises:
        StatementError: A role is missing, doubled or unknown, or its key is not
            that of the party named in the body.
        SignatureError: A signature does not verify.
    """
    roles = tuple(item.role for item in statement.signatures)
    if roles != statement.body.roles:
        _refuse_missing(statement, roles)
    for item in statement.signatures:
        if item.role in verified:
            continue
        signer = statement.body.signer(item.role)
        key = item.public_key
        if not _is_key_of(key, signer):
            raise StatementError(f"The {item.role}'s key is not that of {signer}.")
        try:
            signature = decode_base64(item.signature)
        except EncodingError as error:
            raise StatementError("A signature that is not base64.") from error
        key.verify(statement.signed_bytes, signature)


def _refuse_missing(statement: Statement, roles: tuple[str, ...]) -> None:
    """Let optional roles be missing, and nothing else."""
    body = statement.body
    wanted = tuple(
        role for role in body.roles if role in roles or role not in body.optional_roles
    )
    if roles != wanted:
        raise StatementError(
            f"A {statement.kind} statement is signed by {list(wanted)}, "
            f"not by {list(roles)}."
        )


def _is_key_of(key: PublicKey, party_id: str) -> bool:
    match party_id.split("_", 1)[0]:
        case "acc":
            return key.account_id == party_id
        case "node":
            return key.node_id == party_id
        case "psn":
            return key.pseudonym_id == party_id
    return False


def _check_concealed_names(statement: Statement) -> None:
    body, private, committed = statement.body, statement.private, statement.commitments
    if not has_concealed_fields(body, private, committed):
        raise StatementError(
            f"A {statement.kind} statement conceals other fields than "
            f"{sorted(private)} and {sorted(committed)}."
        )
