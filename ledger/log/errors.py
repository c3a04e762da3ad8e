"""Errors of talking with witnesses, beside those of :mod:`ledger.errors`.

LedgerError
    WitnessError                  no cosignature was had from a witness
        WitnessProtocolError      bytes that are not of the witness protocol
        WitnessUnavailableError   it cannot be reached, or does not answer in time
        WitnessRefusedError       it answers, and does not cosign
        WitnessAheadError         it has cosigned a larger log than it was shown now
        WitnessAlarmError         it holds a checkpoint that contradicts ours
"""

from ledger.errors import LedgerError


class WitnessError(LedgerError):
    """A witness did not cosign; the subclass says why."""

    code = "LEDGER.WITNESS"


class WitnessProtocolError(WitnessError):
    """A request to a witness, or its answer, is malformed or not cosigned by it."""

    code = "LEDGER.WITNESS_PROTOCOL"


class WitnessUnavailableError(WitnessError):
    """A witness cannot be reached, is too slow, or fails; later it may cosign."""

    code = "LEDGER.WITNESS_UNAVAILABLE"


class WitnessRefusedError(WitnessError):
    """A witness does not cosign: it knows neither the log nor its key, say."""

    code = "LEDGER.WITNESS_REFUSED"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status of its answer."""


class WitnessAheadError(WitnessError):
    """A witness has cosigned a larger log than the one it is shown.

    Harmless if another process has published in between. Else the log has lost
    entries that were published, and what it signs next would be a fork.
    """

    code = "LEDGER.WITNESS_AHEAD"

    def __init__(self, message: str, size: int, cosigned: bytes | None) -> None:
        super().__init__(message)
        self.size = size
        """How many entries the log had that it has cosigned."""
        self.cosigned = cosigned
        """The note that it has cosigned, if it or our memory shows one."""


class WitnessAlarmError(WitnessError):
    """A witness says that a checkpoint contradicts the one that it has cosigned.

    Stop publishing and find out why. Both notes are evidence.
    """

    code = "LEDGER.WITNESS_ALARM"

    def __init__(self, message: str, submitted: bytes, cosigned: bytes | None) -> None:
        super().__init__(message)
        self.submitted = submitted
        """The note that it was sent."""
        self.cosigned = cosigned
        """The note that it has cosigned before, if it or our memory shows one."""
