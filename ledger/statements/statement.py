"""One entry of the log: a typed, signed statement in canonical JSON.

The bytes that parties sign are the canonical JSON of kind, version, public body and
private digests, after a label that keeps these signatures apart from all others.
The entry itself adds the signatures.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from ledger.document import Base64, Digest, Document, PublicKeyText, Word
from ledger.encoding import (
    Json,
    canonical_json,
    decode_base64,
    encode_base64,
)
from ledger.errors import EncodingError, StatementError
from ledger.limits import STATEMENT_BYTES_MAX
from ledger.signing import PrivateKey, PublicKey
from ledger.statements.disclosure import Opening, digest_openings
from ledger.statements.kinds import KINDS, StatementBody, required_private_fields

VERSION = 1
SIGNING_LABEL = b"sixfold/statement/v1\n"


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
    kind: Word
    version: int
    body: dict[str, Json]
    private: dict[str, Digest]
    signatures: tuple[StatementSignature, ...]


@dataclass(frozen=True)
class Statement:
    """A statement with the signatures collected so far."""

    body: StatementBody
    private: Mapping[str, str] = field(default_factory=dict)
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
        signatures: list[Json] = [item.to_json() for item in self.signatures]
        return canonical_json({**self._core(), "signatures": signatures})

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the entry in base64: how other statements refer to it."""
        return entry_digest(self.entry)

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
        return replace(self, signatures=tuple(merged))

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
        }


def entry_digest(entry: bytes) -> str:
    """SHA-256 of an entry's bytes in padded base64."""
    return encode_base64(hashlib.sha256(entry).digest())


def make_statement(
    body: StatementBody, openings: Mapping[str, Opening] | None = None
) -> Statement:
    """Put a public body and the digests of its private fields together.

    Raises:
        StatementError: The private fields are not those of the kind.
    """
    statement = Statement(body, digest_openings(openings or {}))
    _check_private_names(statement)
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
        envelope = _Envelope.from_bytes(entry, size_max=STATEMENT_BYTES_MAX)
        kind = KINDS.get(envelope.kind)
        if kind is None or envelope.version != VERSION:
            raise StatementError(f"Unknown kind {envelope.kind} {envelope.version}.")
        body = kind.from_json(envelope.body)
    except EncodingError as error:
        raise StatementError(str(error)) from error
    statement = Statement(body, envelope.private, envelope.signatures)
    if statement.entry != entry:
        raise StatementError("The entry is not in canonical form.")
    _check_private_names(statement)
    return statement


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
    roles = [item.role for item in statement.signatures]
    optional = statement.body.optional_roles
    wanted = [
        role for role in statement.body.roles if role in roles or role not in optional
    ]
    if roles != wanted:
        raise StatementError(
            f"A {statement.kind} statement is signed by {wanted}, not by {roles}."
        )
    for item in statement.signatures:
        if item.role in verified:
            continue
        signer = statement.body.signer(item.role)
        if not _is_key_of(item.public_key, signer):
            raise StatementError(f"The {item.role}'s key is not that of {signer}.")
        try:
            signature = decode_base64(item.signature)
        except EncodingError as error:
            raise StatementError("A signature that is not base64.") from error
        item.public_key.verify(statement.signed_bytes, signature)


def _is_key_of(key: PublicKey, party_id: str) -> bool:
    known: dict[str, Callable[[], str]] = {
        "acc": lambda: key.account_id,
        "node": lambda: key.node_id,
    }
    derive = known.get(party_id.split("_", 1)[0])
    return derive is not None and derive() == party_id


def _check_private_names(statement: Statement) -> None:
    wanted = required_private_fields(statement.body)
    if frozenset(statement.private) != wanted:
        raise StatementError(
            f"A {statement.kind} statement keeps private {sorted(wanted)}, "
            f"not {sorted(statement.private)}."
        )
