"""Errors of the ledger.

LedgerError
    EncodingError       bytes or JSON that are not in the one allowed form
    SignatureError      a signature that does not verify, or a key that is none
    KeyFileError        a key file is missing, open to others, or damaged
    RequestError        a request whose signature or digest does not hold; the
                        reasons are in ledger.request_signing
    NoteError           a signed note or checkpoint that does not parse or verify
    ProofError          a Merkle proof that does not lead where it claims
    TileError           a tile, entry bundle or tile path out of form
    LogError            the log's own store contradicts itself
    StatementError      a statement that breaks its schema
    DisclosureError     an opening that does not fit its digest
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


class ProofError(LedgerError):
    """A Merkle proof does not lead to the claimed root."""

    code = "LEDGER.PROOF"


class TileError(LedgerError):
    """A tile, an entry bundle or a tile path is malformed or missing."""

    code = "LEDGER.TILE"


class LogError(LedgerError):
    """The stored log contradicts itself, or another writer moved its head."""

    code = "LEDGER.LOG"


class StatementError(LedgerError):
    """A statement is too large, of unknown kind, or breaks its schema."""

    code = "LEDGER.STATEMENT"


class DisclosureError(LedgerError):
    """An opening is malformed, or does not fit the digest it claims to open."""

    code = "LEDGER.DISCLOSURE"


class TariffError(LedgerError):
    """A tariff is incomplete, or a quantity is out of bounds."""

    code = "LEDGER.TARIFF"


class AuditError(LedgerError):
    """A copy of a log cannot be read at all, or a URL cannot be fetched."""

    code = "LEDGER.AUDIT"
