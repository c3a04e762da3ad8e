"""Runs one function on JSON arguments and turns whatever happens into a report.

A run ends in a result or in a :class:`Failure` with a code; no error of the
function's leaves :func:`execute`. Lines are those of the function's own source, and
a trace, which goes to the log, shows no frame but the function's own.
"""

import json
import linecache
import sys
import traceback
import types
from collections.abc import Callable
from typing import Any, NoReturn

from enclave_sim.sandbox.guest.console import Console
from enclave_sim.sandbox.guest.modules import describe_missing

FILE_NAME = "job.py"
MODULE_NAME = "job"

MESSAGE_LENGTH_MAX = 2000
"""An error's text, in characters; the log holds the whole trace."""

TRACE_FRAMES_MAX = 20
"""The innermost calls; describing a thousand costs more than most functions."""

_RESERVE_BYTES = 2**18
_reserve = [bytearray(_RESERVE_BYTES)]


class Failure(Exception):  # noqa: N818 - an outcome, not a mistake of ours
    """The function's own fault: a code, a sentence, and its line or 0."""

    def __init__(self, code: str, message: str, line: int = 0) -> None:
        printable = message.encode("utf-8", "backslashreplace").decode("utf-8")
        self.code = code
        self.message = printable[:MESSAGE_LENGTH_MAX]
        self.line = line
        super().__init__(self.message)


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")


_decode = json.JSONDecoder(parse_constant=_refuse_number).decode
_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode


def execute(
    source: str, entry: str, input_json: str, *, result_bytes_max: int
) -> tuple[str | Failure, str]:
    """Call a function with JSON arguments.

    Args:
        source: Python source that defines the function at its top level.
        entry: The function's name.
        input_json: A JSON array: the positional arguments.
        result_bytes_max: Most bytes of UTF-8 that the result may have.

    Returns:
        The result as compact JSON, or the failure; and the log.
    """
    console = Console()
    streams = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = console
    try:
        outcome: str | Failure = _run(source, entry, input_json, result_bytes_max)
    except Failure as failure:
        outcome = failure
    except MemoryError as error:
        outcome = _run_out_of_memory(error)
    except BaseException as error:  # noqa: BLE001 - SystemExit is the function's too
        outcome = _describe(error)
    finally:
        sys.stdout, sys.stderr = streams
    return outcome, console.read_log()


def _run(source: str, entry: str, input_json: str, result_bytes_max: int) -> str:
    arguments = _read_arguments(input_json)
    function = _load(source, entry)
    return _write_result(_call(function, arguments), result_bytes_max)


def _read_arguments(input_json: str) -> list[Any]:
    try:
        arguments = _decode(input_json)
    except (ValueError, RecursionError) as error:
        raise Failure("INPUT_INVALID", f"The input is not JSON: {error}.") from None
    if not isinstance(arguments, list):
        raise Failure("INPUT_INVALID", "The input must be a JSON array of arguments.")
    return arguments


def _load(source: str, entry: str) -> Callable[..., object]:
    # A registered module, because dataclasses and pickles look theirs up by name.
    module = sys.modules[MODULE_NAME] = types.ModuleType(MODULE_NAME)
    lines = source.splitlines(keepends=True)
    linecache.cache[FILE_NAME] = (len(source), None, lines, FILE_NAME)
    try:
        code = compile(source, FILE_NAME, "exec", dont_inherit=True)
    except SyntaxError as error:
        message = f"{type(error).__name__}: {error.msg}"
        raise Failure("SOURCE_INVALID", message, error.lineno or 0) from None
    except (ValueError, OverflowError, RecursionError, MemoryError) as error:
        message = f"The source does not compile: {error}."
        raise Failure("SOURCE_INVALID", message) from None
    exec(code, module.__dict__)  # noqa: S102 - what the sandbox is for
    if entry not in module.__dict__:
        raise Failure("ENTRY_MISSING", f"The source defines no {entry}.")
    function = module.__dict__[entry]
    if not callable(function):
        raise Failure("ENTRY_NOT_CALLABLE", f"{entry} is not a function.")
    return function  # type: ignore[no-any-return]


def _call(function: Callable[..., object], arguments: list[Any]) -> object:
    try:
        return function(*arguments)
    except TypeError as error:
        # Raised by the call itself, before the function's first line.
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:
            raise Failure("ARGUMENTS_WRONG", f"{error}.") from None
        raise


def _write_result(value: object, result_bytes_max: int) -> str:
    try:
        text = _encode(value)
        size = len(text.encode("utf-8"))
    except (TypeError, ValueError, RecursionError) as error:
        message = f"The result has no JSON form: {error}."
        raise Failure("RESULT_NOT_JSON", message) from None
    if size > result_bytes_max:
        message = f"The result has {size} bytes, at most {result_bytes_max} allowed."
        raise Failure("RESULT_TOO_LARGE", message)
    return text


def _run_out_of_memory(error: MemoryError) -> Failure:
    line = _last_line(error)
    # The trace holds the frames, and those the data: let go of it before going on.
    error.__traceback__ = None
    _reserve.clear()
    if MODULE_NAME in sys.modules:
        sys.modules.pop(MODULE_NAME).__dict__.clear()
    message = "The function needs more memory than its limit."
    return Failure("OUT_OF_MEMORY", message, line)


def _describe(error: BaseException) -> Failure:
    """Tell what the function raised; the trace goes to the log."""
    line = _last_line(error)
    try:
        described = traceback.TracebackException.from_exception(
            error, limit=-TRACE_FRAMES_MAX
        )
        _keep_own_frames(described)
        summary = "".join(described.format_exception_only()).strip()
        if isinstance(error, ModuleNotFoundError):
            summary = describe_missing(error.name)
        sys.stderr.write("".join(described.format()))
    except BaseException:  # noqa: BLE001 - describing it runs the function's code
        summary = type(error).__name__
    return Failure(_code_of(error), summary, line)


def _code_of(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "RECURSION"
    if isinstance(error, ImportError):
        return "IMPORT_MISSING"
    if isinstance(error, SystemExit):
        return "EXITED"
    return "RAISED"


def _last_line(error: BaseException) -> int:
    line = 0
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename == FILE_NAME:
            line = number
    return line


def _keep_own_frames(described: traceback.TracebackException) -> None:
    pending: list[traceback.TracebackException | None] = [described]
    while pending:
        one = pending.pop()
        if one is not None:
            own = [frame for frame in one.stack if frame.filename == FILE_NAME]
            one.stack = traceback.StackSummary.from_list(own)
            pending += [one.__cause__, one.__context__, *(one.exceptions or ())]
