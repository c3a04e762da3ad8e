"""Errors of the ledger.

LedgerError
    EncodingError       bytes or JSON that are not in the one allowed form
    SignatureError      a signature that does not verify, or a key that is none
    KeyFileError        a key file is missing, open to others, or damaged
    RequestError        a request whose signature or digest does not hold; the
                        reasons are in ledger.request_signing
    NoteError           a signed note or checkpoint that does not parse or verify
        KeyTypeError    a verifier key of a type that is not known here
        PolicyError     a file of trusted witnesses that is out of form
        QuorumError     too few trusted witnesses have cosigned
    ProofError          a Merkle proof that does not lead where it claims
    TileError           a tile, entry bundle or tile path out of form
    LogError            the log's own store contradicts itself
    CommandError        an id that was used before for something else
    BusyError           too many requests wait to be written
    CommitError         what was to be written could not be stored
    LockedError         another process has what only one may have
    StatementError      a statement that breaks its schema
    DisclosureError     an opening that does not fit its digest
    CommitmentError     a commitment, scalar or opening that is none, or does not fit
    TariffError         a tariff or a quantity that cannot be rated
    TransferError       the books refuse a transfer; see ledger.books
    AuditError          a copy of a log that cannot be read at all
"""

from typing import ClassVar


class LedgerError(Exception):
    """Root of all errors that leave this package.

    The message is a sentence for a person and holds no secret; `code` is for
    machines and never changes once released.
    """

    code: ClassVar[str] = "LEDGER.FAILED"


class EncodingError(LedgerError):
    """Bytes or JSON from outside are not in the one allowed form."""

    code = "LEDGER.ENCODING"


class SignatureError(LedgerError):
    """A signature does not verify, or a key or signature is malformed."""

    code = "LEDGER.SIGNATURE"


class KeyFileError(LedgerError):
    """A key file is missing, exists already, is open to others, or is damaged."""

    code = "LEDGER.KEY_FILE"


class RequestError(LedgerError):
    """An HTTP request's signature or body digest does not hold."""

    code = "LEDGER.REQUEST_SIGNATURE"


class NoteError(LedgerError):
    """A signed note or checkpoint does not parse, or no known key signed it."""

    code = "LEDGER.NOTE"


class KeyTypeError(NoteError):
    """A verifier key is of a type that this version does not know."""

    code = "LEDGER.KEY_TYPE"


class PolicyError(NoteError):
    """A witness policy is not in the one allowed form."""

    code = "LEDGER.POLICY"


class QuorumError(NoteError):
    """A checkpoint that its log has signed lacks the cosignatures that are asked."""

    code = "LEDGER.QUORUM"


class ProofError(LedgerError):
    """A Merkle proof does not lead to the claimed root."""

    code = "LEDGER.PROOF"


class TileError(LedgerError):
    """A tile, an entry bundle or a tile path is malformed or missing."""

    code = "LEDGER.TILE"


class LogError(LedgerError):
    """The stored log contradicts itself, or another writer moved its head."""

    code = "LEDGER.LOG"


class CommandError(LedgerError):
    """A command's id was used before with another payload."""

    code = "LEDGER.COMMAND"


class BusyError(LedgerError):
    """Too many requests wait to be written; this one was not taken."""

    code = "LEDGER.BUSY"


class CommitError(LedgerError):
    """A commit failed. The same request, with the same id, may be made again."""

    code = "LEDGER.COMMIT"


class LockedError(LedgerError):
    """Another process that is still running has what only one may have."""

    code = "LEDGER.LOCKED"


class StatementError(LedgerError):
    """A statement is too large, of unknown kind, or breaks its schema."""

    code = "LEDGER.STATEMENT"


class DisclosureError(LedgerError):
    """An opening is malformed, or does not fit the digest it claims to open."""

    code = "LEDGER.DISCLOSURE"


class CommitmentError(LedgerError):
    """A commitment, scalar or opening is malformed, out of range, or does not fit."""

    code = "LEDGER.COMMITMENT"


class TariffError(LedgerError):
    """A tariff is incomplete, or a quantity is out of bounds."""

    code = "LEDGER.TARIFF"


class AuditError(LedgerError):
    """A copy of a log cannot be read at all, or a URL cannot be fetched."""

    code = "LEDGER.AUDIT"
