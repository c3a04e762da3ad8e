"""Errors of a witness of our own, beside those of :mod:`ledger.errors`.

LedgerError
    WitnessStoreError    what a witness remembers is missing, damaged or busy
    WitnessConfigError   it is told another name than before, or no log
"""

from ledger.errors import LedgerError


class WitnessStoreError(LedgerError):
    """What the witness remembers cannot be read or written; nothing was cosigned."""

    code = "LEDGER.WITNESS_STORE"


class WitnessConfigError(LedgerError):
    """A witness cannot be run as it is told to."""

    code = "LEDGER.WITNESS_CONFIG"
