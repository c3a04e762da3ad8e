"""The guest's code on the host's interpreter; inside it runs in `test_failures`."""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave_sim.sandbox import FailureCode
from enclave_sim.sandbox.guest.execution import (
    MESSAGE_LENGTH_MAX,
    MODULE_NAME,
    Failure,
    execute,
)


@pytest.fixture(autouse=True)
def no_module_left() -> Iterator[None]:
    yield
    sys.modules.pop(MODULE_NAME, None)


def fail(source: str, arguments: str = "[]") -> Failure:
    outcome, _ = execute(source, "f", arguments, result_bytes_max=100)
    assert isinstance(outcome, Failure)
    assert f"SANDBOX.{outcome.code}" in set(FailureCode)
    return outcome


def test_result_is_compact_json() -> None:
    source = "def f(x, y):\n  print(x)\n  return {'é': [x, y]}"
    outcome = execute(source, "f", '[1, "z"]', result_bytes_max=100)
    assert outcome == ('{"é":[1,"z"]}', "1\n")


def test_streams_are_given_back() -> None:
    streams = sys.stdout, sys.stderr
    execute("print(1)", "f", "[]", result_bytes_max=100)
    assert (sys.stdout, sys.stderr) == streams


@pytest.mark.parametrize(
    ("source", "code", "line"),
    [
        ("def f(", "SOURCE_INVALID", 1),
        ("x = \0", "SOURCE_INVALID", 0),
        ("g = 1", "ENTRY_MISSING", 0),
        ("f = 1", "ENTRY_NOT_CALLABLE", 0),
        ("def f(x): pass", "ARGUMENTS_WRONG", 0),
        ("def f():\n  len(1)", "RAISED", 2),
        ("import sys\nsys.exit()", "EXITED", 2),
        ("def f():\n  import no_such_module", "IMPORT_MISSING", 2),
        ("def f():\n  return f()", "RECURSION", 2),
        ("def f():\n  raise MemoryError", "OUT_OF_MEMORY", 2),
        ("def f(): return {1}", "RESULT_NOT_JSON", 0),
        ("def f(): return 'x' * 99", "RESULT_TOO_LARGE", 0),
    ],
)
def test_failure_has_code_and_line(source: str, code: str, line: int) -> None:
    failure = fail(source)
    assert (failure.code, failure.line) == (code, line)


@pytest.mark.parametrize("arguments", ["", "[", "{}", "1", "[NaN]", "[Infinity]"])
def test_input_that_is_no_array(arguments: str) -> None:
    assert fail("def f(x): return x", arguments).code == "INPUT_INVALID"


def test_missing_module_is_told_what_there_is() -> None:
    failure = fail("import no_such_module")
    assert "no module no_such_module in the sandbox, which has abc" in failure.message


def test_message_is_bounded_and_printable() -> None:
    failure = fail("def f(): raise ValueError('\\ud800' * 10**4)")
    assert len(failure.message) == MESSAGE_LENGTH_MAX
    failure.message.encode()


def test_error_that_breaks_its_description() -> None:
    source = (
        "class E(Exception):\n"
        "  @property\n"
        "  def __cause__(self): raise KeyboardInterrupt\n"
        "def f(): raise E\n"
    )
    assert fail(source).message.endswith("E")


def test_memory_error_while_loading() -> None:
    assert fail("raise MemoryError").code == "OUT_OF_MEMORY"
    assert MODULE_NAME not in sys.modules


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=10,
)


@given(JSON)
def test_json_passes_through_unchanged(value: object) -> None:
    source = f"def f(): return {value!r}"
    text, _ = execute(source, "f", "[]", result_bytes_max=10**6)
    assert isinstance(text, str)
    again, _ = execute("def f(x): return x", "f", f"[{text}]", result_bytes_max=10**6)
    assert again == text


# Only what can do no harm here, outside of the sandbox.
@given(st.text("f()[]=:+-1.\n\0 ", max_size=40), st.text(), st.text(max_size=20))
def test_execution_never_raises(source: str, entry: str, arguments: str) -> None:
    execute(source, entry, arguments, result_bytes_max=100)
