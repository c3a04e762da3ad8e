"""Errors of the SDK.

SdkError
    AddressError            what was given as a market's address is none
    MarketRefusedError      the market said no, and why: status, code, message
    MarketUnavailableError  the market cannot be reached; a later try may succeed
    MarketAnswerError       the market's answer is not in form
    PinError                the market shows other keys than when it was first met
    SourceError             a function whose source cannot be sent
    InputError              arguments, rows or options that cannot be sent
    ExtraMissingError       an optional part of Sixfold is not installed
    JobError                a job that came to nothing
        JobRefusedError     no node may or can run it
        JobFailedError      it ran, and failed
        JobTimeoutError     it did not end in time
        JobDisputedError    what came back does not hold; it is not paid
    UntrustedEvidenceError  an enclave that does not prove what it runs
    ReceiptError            a receipt that does not verify
"""

from collections.abc import Mapping
from typing import Any, Literal


class SdkError(Exception):
    """Root of all errors that leave this package.

    The message is a sentence for a person and holds no secret; `code` is for
    machines and never changes once released. Where the market or a job gave a
    code of its own, `code` is that one.
    """

    code: str = "SDK.FAILED"


class AddressError(SdkError):
    """What was given as a market's address is not an http or https URL."""

    code = "SDK.ADDRESS"


class MarketRefusedError(SdkError):
    """The market understood the request and said no. Asking again at once is no use.

    Args:
        status: HTTP status, 400 to 599.
        code: The market's code, such as `PERMISSION_DENIED`.
        message: The market's sentence.
    """

    code = "SDK.MARKET_REFUSED"

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class MarketUnavailableError(SdkError):
    """The market cannot be reached or asks to wait; all retries are used up."""

    code = "SDK.MARKET_UNAVAILABLE"


class MarketAnswerError(SdkError):
    """The market's answer is too large, or not in the form that is due."""

    code = "SDK.MARKET_ANSWER"


class PinError(SdkError):
    """The market shows other keys than when it was first met, or pins are unreadable.

    Either somebody stands in for the market, or it has begun anew with other keys.
    """

    code = "SDK.PIN"


class SourceError(SdkError):
    """A function cannot be sent: its source is not found or not self-contained."""

    code = "SDK.SOURCE"


class InputError(SdkError):
    """Arguments, rows or options of a job have no form in which they can be sent."""

    code = "SDK.INPUT"


class ExtraMissingError(SdkError):
    """An optional part of Sixfold is not installed; the message says how to get it."""

    code = "SDK.EXTRA_MISSING"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs more: pip install 'sixfold[{extra}]'")
        self.extra = extra


class JobError(SdkError):
    """A job came to nothing.

    Args:
        code: What the market or the sandbox calls it, such as
            `SANDBOX.OUT_OF_FUEL`.
        message: A sentence for a person.
    """

    code = "SDK.JOB"

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.job_id: str | None = None
        """The job, where it is known."""


class JobRefusedError(JobError):
    """No node may or can run the job under its data policy and limits.

    Nothing was charged. `decision` is the market's record of why: every offer with
    every rule that refused it; empty if the job was given up later.
    """

    code = "SDK.JOB_REFUSED"

    def __init__(
        self, code: str, message: str, decision: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(code, message)
        self.decision = decision or {}


class JobFailedError(JobError):
    """The job ran and failed: the workload raised, or met a limit. It is charged.

    `line` is the line in the consumer's own file (0 where there is none) and `log`
    what the function printed before.
    """

    code = "SDK.JOB_FAILED"

    def __init__(
        self, code: str, message: str, *, line: int = 0, log: str = ""
    ) -> None:
        super().__init__(code, message)
        self.line = line
        self.log = log


class JobTimeoutError(JobError):
    """The job did not end within the time that the caller gave it."""

    code = "SDK.JOB_TIMEOUT"

    def __init__(self, message: str) -> None:
        super().__init__(type(self).code, message)


class JobDisputedError(JobError):
    """What came back does not hold: it was disputed, not countersigned, not paid.

    `reason` is what the market was told; it is one of few words, so that a dispute
    tells nobody anything about the result.
    """

    code = "SDK.JOB_DISPUTED"

    def __init__(
        self, reason: Literal["result_invalid", "usage_wrong"], message: str
    ) -> None:
        super().__init__(type(self).code, message)
        self.reason = reason


class UntrustedEvidenceError(SdkError):
    """An enclave's evidence fails the caller's policy; nothing was sent to it."""

    code = "SDK.UNTRUSTED_EVIDENCE"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.job_id: str | None = None
        """The job, where it is known."""


class ReceiptError(SdkError):
    """A receipt does not verify, or is not about the job it came with."""

    code = "SDK.RECEIPT"
