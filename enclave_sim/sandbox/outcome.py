"""How a run ended: with a result, or with a failure that is the function's own.

A failure is no exception: it took fuel, is billed, and its code is the same on every
host. Result, log and message are the consumer's data; a host that is not meant to
read them must not keep them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self

from enclave_sim.errors import SandboxError
from enclave_sim.sandbox.limits import FUEL_MAX, OUTPUT_BYTES_MAX
from ledger.encoding import Json

LOG_BYTES_MAX = 66_000
"""What the runner keeps of the prints, 64 KiB, and its mark that the rest is cut."""

MESSAGE_LENGTH_MAX = 2000
"""Characters of an error's text."""

LINE_MAX = 2**20
"""More lines than the largest source has bytes."""


class FailureCode(StrEnum):
    """Why a function gave no result. The codes never change once released."""

    SOURCE_INVALID = "SANDBOX.SOURCE_INVALID"
    """The source does not compile."""
    ENTRY_MISSING = "SANDBOX.ENTRY_MISSING"
    """The source defines no such name."""
    ENTRY_NOT_CALLABLE = "SANDBOX.ENTRY_NOT_CALLABLE"
    """The name is not that of a function."""
    INPUT_INVALID = "SANDBOX.INPUT_INVALID"
    """The input is not a JSON array."""
    ARGUMENTS_WRONG = "SANDBOX.ARGUMENTS_WRONG"
    """The function takes other arguments than the input has."""
    IMPORT_MISSING = "SANDBOX.IMPORT_MISSING"
    """A module was imported that is not in the sandbox."""
    RAISED = "SANDBOX.RAISED"
    """The function raised an error."""
    EXITED = "SANDBOX.EXITED"
    """The function called sys.exit."""
    RECURSION = "SANDBOX.RECURSION"
    """Calls or data were nested too deep; if it was not Python that noticed but the
    engine, all of the limit of fuel is billed."""
    OUT_OF_FUEL = "SANDBOX.OUT_OF_FUEL"
    """The limit of fuel was reached; all of it is billed."""
    OUT_OF_MEMORY = "SANDBOX.OUT_OF_MEMORY"
    """The limit of memory was reached."""
    OUT_OF_TIME = "SANDBOX.OUT_OF_TIME"
    """The limit of time was reached; the one failure that depends on the host."""
    RESULT_NOT_JSON = "SANDBOX.RESULT_NOT_JSON"
    """The result has no JSON form, as NaN and objects have none."""
    RESULT_TOO_LARGE = "SANDBOX.RESULT_TOO_LARGE"
    """The result has more bytes than the limit of output."""
    NOT_OFFERED = "SANDBOX.NOT_OFFERED"
    """The function asked for a clock, for randomness or for a file."""
    TRAPPED = "SANDBOX.TRAPPED"
    """The interpreter inside the sandbox broke and was stopped."""
    WORKER_DIED = "SANDBOX.WORKER_DIED"
    """The process that ran the job ended; what it had used is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of one run.

    Attributes:
        status: Whether there is a result.
        result: The result as compact JSON in UTF-8; empty after a failure.
        log: What the function printed, and the trace of its error; UTF-8.
        fuel: Units of work that were used and are billed.
        error_code: Why there is no result; None if there is one.
        error_message: A sentence for the person who wrote the function.
        error_line: The line of its source where it went wrong; None if unknown.
    """

    status: Literal["succeeded", "failed"]
    result: bytes = b""
    log: bytes = b""
    fuel: int
    error_code: FailureCode | None = None
    error_message: str | None = None
    error_line: int | None = None

    @classmethod
    def failed(
        cls,
        code: FailureCode,
        message: str,
        *,
        fuel: int,
        line: int | None = None,
        log: bytes = b"",
    ) -> Self:
        """A run without a result."""
        return cls(
            status="failed",
            log=log,
            fuel=fuel,
            error_code=code,
            error_message=message,
            error_line=line,
        )

    def to_json(self) -> dict[str, Json]:
        """All but result and log, which are bytes and travel beside it."""
        return {
            "status": self.status,
            "fuel": self.fuel,
            "error_code": self.error_code and str(self.error_code),
            "error_message": self.error_message,
            "error_line": self.error_line,
        }

    @classmethod
    def parse(cls, value: Json, *, result: bytes, log: bytes) -> Self:
        """Read what :meth:`to_json` wrote, from a process that is not trusted.

        Raises:
            SandboxError: It is not an outcome, or one that contradicts itself.
        """
        if len(result) > OUTPUT_BYTES_MAX or len(log) > LOG_BYTES_MAX:
            raise SandboxError("An outcome with too large a result or log.")
        match value:
            case {
                "status": "succeeded",
                "fuel": int() as fuel,
                "error_code": None,
                "error_message": None,
                "error_line": None,
            } if 0 <= fuel <= FUEL_MAX and result:
                return cls(status="succeeded", result=result, log=log, fuel=fuel)
            case {
                "status": "failed",
                "fuel": int() as fuel,
                "error_code": str() as code,
                "error_message": str() as message,
                "error_line": int() | None as line,
            } if (
                0 <= fuel <= FUEL_MAX
                and code in set(FailureCode)
                and len(message) <= MESSAGE_LENGTH_MAX
                and (line is None or 1 <= line <= LINE_MAX)
                and not result
            ):
                failure = FailureCode(code)
                return cls.failed(failure, message, fuel=fuel, line=line, log=log)
        raise SandboxError("What the worker answered is no outcome.")
