"""What a function can do wrong, and what its author is told."""

from collections.abc import Callable

import pytest

from enclave_sim.sandbox import FailureCode, Outcome

Run = Callable[..., Outcome]
Case = tuple[str, int | None, str]

SOURCE_INVALID: list[Case] = [
    ("def f(:\n  pass", 1, "SyntaxError: invalid syntax"),
    ("x = 1\ndef f():\npass", 3, "IndentationError: expected an indented block"),
    ("return 1", 1, "'return' outside function"),
    ("x = \0", None, "null bytes"),
    ("x = " + "(" * 100_000, None, "too complex"),
    ("x = 1" + "+1" * 100_000, None, "Stack overflow"),
]
NOT_CALLED: list[tuple[FailureCode, str, str]] = [
    (FailureCode.ENTRY_MISSING, "g = 1", "The source defines no f."),
    (FailureCode.ENTRY_NOT_CALLABLE, "f = 1", "f is not a function."),
    (FailureCode.ARGUMENTS_WRONG, "def f(a, b): pass", "f() missing 2 required"),
    (FailureCode.ARGUMENTS_WRONG, "def f(*, a): pass", "keyword-only argument"),
    (
        FailureCode.ARGUMENTS_WRONG,
        "class f:\n  def __init__(self, a): pass",
        "missing 1 required",
    ),
]
IMPORT_MISSING: list[Case] = [
    ("import numpy", 1, "no module numpy in the sandbox, which has abc, array,"),
    ("def f():\n  import socket", 2, "no module socket"),
    ("import urllib.request", 1, "no module urllib.request"),
    ("from math import nothing", 1, "cannot import name 'nothing'"),
]
RAISED: list[Case] = [
    ("def f():\n  return 1 / 0", 2, "ZeroDivisionError: division by zero"),
    ("def f():\n  return g()", 2, "NameError: name 'g' is not defined"),
    ("def f():\n\n  len(1)", 3, "TypeError: object of type 'int' has no len()"),
    ("x = 1\nraise KeyboardInterrupt", 2, "KeyboardInterrupt"),
    ("def f(): open('/etc/passwd')", 1, "There are no files in the sandbox."),
    ("import os\ndef f(): os.listdir('/')", 2, "There are no files"),
    ("def f(): input()", 1, "RuntimeError: lost sys.stdin"),
    ("def f(): raise ValueError('\\ud800')", 1, "ValueError: \\ud800"),
    ("def f(): 'x'.encode('koi8-r')", 1, "unknown encoding"),
    (
        "class E(Exception):\n  def __str__(self): exit()\ndef f(): raise E",
        3,
        "str() failed",
    ),
]
RESULT_NOT_JSON: list[tuple[str, str]] = [
    ("def f(): return {1, 2}", "type set is not JSON serializable"),
    ("def f(): return float('nan')", "nan"),
    ("def f(): return [1e999]", "inf"),
    ("def f(): return 10**5000", "4300 digits"),
    ("def f(): return '\\ud800'", "surrogates"),
    ("def f():\n  a = []\n  a.append(a)\n  return a", "Circular reference"),
    ("async def f(): return 1", "coroutine"),
    ("def f():\n  a = []\n  for _ in range(10**5): a = [a]\n  return a", "overflow"),
]
NOT_OFFERED: list[tuple[str, str]] = [
    ("import time\ndef f(): return time.time()", "a clock"),
    ("import time\ndef f(): return time.monotonic()", "a clock"),
    ("import time\ndef f(): time.sleep(1)", "a clock"),
    ("import datetime\ndef f(): return datetime.datetime.now()", "a clock"),
    ("import random\ndef f(): return random.Random().random()", "randomness"),
    ("import os\ndef f(): return os.urandom(8)", "randomness"),
    ("import os\ndef f(): os.stat('/')", "files"),
]


def check(
    outcome: Outcome, code: FailureCode, line: int | None = None, message: str = ""
) -> None:
    assert outcome.status == "failed"
    assert (outcome.error_code, outcome.error_line) == (code, line)
    assert outcome.error_message is not None
    assert message in outcome.error_message
    assert outcome.result == b""


@pytest.mark.parametrize(("source", "line", "message"), SOURCE_INVALID)
def test_source_that_does_not_compile(
    run: Run, source: str, line: int | None, message: str
) -> None:
    check(run(source), FailureCode.SOURCE_INVALID, line, message)


@pytest.mark.parametrize(("code", "source", "message"), NOT_CALLED)
def test_entry_that_cannot_be_called(
    run: Run, code: FailureCode, source: str, message: str
) -> None:
    check(run(source), code, message=message)


@pytest.mark.parametrize(("source", "line", "message"), IMPORT_MISSING)
def test_import_of_what_is_not_there(
    run: Run, source: str, line: int, message: str
) -> None:
    check(run(source), FailureCode.IMPORT_MISSING, line, message)


@pytest.mark.parametrize(("source", "line", "message"), RAISED)
def test_error_is_told_with_its_line(
    run: Run, source: str, line: int, message: str
) -> None:
    check(run(source), FailureCode.RAISED, line, message)


def test_exit_is_a_failure(run: Run) -> None:
    outcome = run("import sys\ndef f():\n  sys.exit(3)")
    check(outcome, FailureCode.EXITED, 3, "SystemExit: 3")


@pytest.mark.parametrize(("source", "message"), RESULT_NOT_JSON)
def test_result_without_json_form(run: Run, source: str, message: str) -> None:
    check(run(source), FailureCode.RESULT_NOT_JSON, message=message)


def test_result_of_too_many_bytes(run: Run) -> None:
    source = "def f(n): return 'é' * n"
    assert run(source, b"[4]", output_bytes=10).result == '"éééé"'.encode()
    outcome = run(source, b"[5]", output_bytes=10)
    check(outcome, FailureCode.RESULT_TOO_LARGE, message="12 bytes, at most 10")


@pytest.mark.parametrize(("source", "message"), NOT_OFFERED)
def test_request_for_what_no_job_has(run: Run, source: str, message: str) -> None:
    check(run(source), FailureCode.NOT_OFFERED, message=message)


@pytest.mark.parametrize(
    ("input_json", "message"),
    [
        (b"", "is not JSON"),
        (b"[1", "is not JSON"),
        (b"[NaN]", "NaN is no number"),
        (b"[" * 100_000, "Stack overflow"),
        (b"{}", "must be a JSON array"),
        (b"3", "must be a JSON array"),
        (b"[\xff]", "UTF-8"),
    ],
)
def test_input_that_is_no_json_array(run: Run, input_json: bytes, message: str) -> None:
    outcome = run("def f(x): return x", input_json)
    check(outcome, FailureCode.INPUT_INVALID, message=message)


def test_trace_shows_own_frames_only(run: Run) -> None:
    source = (
        "import statistics\n"
        "def g(x):\n"
        "  return statistics.mean(x)\n"
        "def f():\n"
        "  try:\n"
        "    g([])\n"
        "  except ValueError as error:\n"
        "    raise RuntimeError('no mean') from error\n"
    )
    log = run(source).log.decode()
    frames = [line for line in log.splitlines() if line.startswith("  File")]
    assert frames == [
        '  File "job.py", line 6, in f',
        '  File "job.py", line 3, in g',
        '  File "job.py", line 8, in f',
    ]
    assert "    return statistics.mean(x)\n" in log
    assert "direct cause" in log
    assert log.endswith("RuntimeError: no mean\n")


def test_log_comes_with_failure(run: Run) -> None:
    outcome = run("def f():\n  print('before')\n  raise ValueError('no')")
    assert outcome.log.startswith(b"before\nTraceback (most recent call last):\n")


def test_log_is_cut_and_job_goes_on(run: Run) -> None:
    outcome = run("def f():\n  for _ in range(10**4): print('x' * 99)\n  return 1")
    assert outcome.result == b"1"
    assert len(outcome.log) < 66_000
    assert outcome.log.endswith(b"x\n[the log is cut here]\n")


def test_warning_is_logged_with_its_line(run: Run) -> None:
    outcome = run("import warnings\ndef f():\n  warnings.warn('careful')")
    assert outcome.log == (
        b"job.py:3: UserWarning: careful\n  warnings.warn('careful')\n"
    )


def test_caught_memory_error_is_no_failure(run: Run) -> None:
    source = (
        "def f():\n"
        "  try:\n"
        "    return len(bytes(2**30))\n"
        "  except MemoryError:\n"
        "    return 'too much'\n"
    )
    assert run(source).result == b'"too much"'


@pytest.mark.parametrize(
    "source",
    [
        "import os\ndef f(): os._exit(0)",
        "import sys\ndef f(): sys.__stdout__.write('x' * 10**5)",
        "f = lambda: 0\nf.__code__ = f.__code__.replace(co_code=b'\\xff' * 100)",
    ],
)
def test_broken_interpreter_is_a_failure(run: Run, source: str) -> None:
    check(run(source), FailureCode.TRAPPED, message="broke")


GUEST = "import sys\nguest = sys.modules['enclave_sim.sandbox.guest.execution']\n"


@pytest.mark.parametrize(
    "tampering",
    [
        "guest._encode = lambda value: 'x' * 2000\nguest.len = lambda data: 1",
        "guest._encode = lambda value: ''",
        "guest.Console.read_log = lambda self: 'x' * 10**6",
        "guest._write_result = lambda *_: guest.Failure('WORKER_LOST', 'lie')",
        "guest._write_result = lambda *_: guest.Failure('RAISED', 'lie', 2**31)",
    ],
)
def test_tampering_with_the_guest_is_noticed(run: Run, tampering: str) -> None:
    # The guest's own module is code as any other to the job that runs beside it.
    source = f"{GUEST}def f(): return 1\n{tampering}\n"
    outcome = run(source, output_bytes=1000)
    check(outcome, FailureCode.TRAPPED, message="tampered")
