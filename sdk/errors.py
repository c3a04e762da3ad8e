"""Errors of the SDK.

SdkError
    AddressError            what was given as a market's address is none
    MarketRefusedError      the market said no, and why: status, code, message
    MarketUnavailableError  the market cannot be reached; a later try may succeed
    MarketAnswerError       the market's answer is not in form
    JobError                a job that came to nothing
        JobRefusedError     no node may or can run it
        JobFailedError      it ran, and failed
        JobTimeoutError     it did not end in time
    UntrustedEvidenceError  an enclave that does not prove what it runs
    ReceiptError            a receipt that does not verify
    SourceError             a function whose source cannot be sent
"""


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


class JobRefusedError(JobError):
    """No node may or can run the job under its data policy and limits."""

    code = "SDK.JOB_REFUSED"


class JobFailedError(JobError):
    """The job ran and failed: the workload raised, or met a limit."""

    code = "SDK.JOB_FAILED"


class JobTimeoutError(JobError):
    """The job did not end within the time that the caller gave it."""

    code = "SDK.JOB_TIMEOUT"

    def __init__(self, message: str) -> None:
        super().__init__(type(self).code, message)


class UntrustedEvidenceError(SdkError):
    """An enclave's evidence fails the caller's policy; nothing was sent to it."""

    code = "SDK.UNTRUSTED_EVIDENCE"


class ReceiptError(SdkError):
    """A receipt does not verify, or is not about the job it came with."""

    code = "SDK.RECEIPT"


class SourceError(SdkError):
    """A function cannot be sent: its source is not found or not self-contained."""

    code = "SDK.SOURCE"
