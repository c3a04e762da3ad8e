import functools
import math
import runpy
import textwrap
from pathlib import Path

import pytest

from enclave_sim.sandbox.limits import SOURCE_BYTES_MAX
from sdk import SourceError
from sdk.source import (
    FILE_BYTES_MAX,
    FunctionSource,
    read_file_source,
    read_source,
)

LIMIT = 3


def keep(function):
    return function


def run(source: FunctionSource, *arguments: object) -> object:
    """Run the text alone, as the sandbox does."""
    names: dict[str, object] = {}
    exec(compile(source.text, "job.py", "exec", dont_inherit=True), names)  # noqa: S102
    return names[source.entry](*arguments)  # type: ignore[operator]


@keep
@functools.lru_cache
def risk(rows: "list[Unknown]", scale: "AlsoUnknown" = 2) -> "list[float]":  # noqa: F821
    """Of each row."""
    import math  # noqa: PLC0415 - as a function that is sent must

    class Weight:
        value: int = 3

    def weigh(row: "Row") -> float:  # noqa: F821
        total: float = math.fsum(row)
        return total * Weight.value * scale

    return [weigh(row) for row in rows]


def test_function_arrives_alone() -> None:
    source = read_source(risk.__wrapped__)
    assert source.entry == "risk"
    assert "keep" not in source.text
    assert "lru_cache" not in source.text
    assert run(source, [[1, 2], [3]]) == [18.0, 18.0]


def test_unquoted_annotations_are_never_evaluated(tmp_path: Path) -> None:
    file = tmp_path / "job.py"
    file.write_text("def f(rows: List[Row], *, y: Z = 1) -> Scores:\n    return rows\n")
    assert run(read_file_source(file, "f"), [1]) == [1]


def test_lines_lead_back_to_file() -> None:
    def fails(x):
        y = x + 1
        raise ValueError(y)

    source = read_source(fails)
    line = source.text.splitlines().index("    raise ValueError(y)") + 1
    own = Path(__file__).read_text().splitlines()
    assert own[source.line_in_file(line) - 1].strip() == "raise ValueError(y)"
    assert source.file_name == __file__
    assert source.line_in_file(0) == source.line_in_file(1) == 0


def test_recursion_finds_itself() -> None:
    def factorial(n: int) -> int:
        return 1 if n < 2 else n * factorial(n - 1)

    with pytest.raises(SourceError, match="of the function around it"):
        read_source(factorial)
    assert run(read_source(module_factorial), 5) == 120


def module_factorial(n: int) -> int:
    return 1 if n < 2 else n * module_factorial(n - 1)


def uses_global(x):
    return x + LIMIT


def uses_module(x):
    return math.sqrt(x) + math.pi


def uses_default(x=LIMIT):
    return x


def uses_in_nested(x):
    def inner():
        return [LIMIT for _ in range(x)]

    return inner()


def sets_global(x):
    global LIMIT  # noqa: PLW0603
    LIMIT = x


async def waits(x):
    return x


def generates(x):
    yield x


def make_closure():
    hidden = 3

    def closure(x):
        return x + hidden

    return closure


def make_text():
    def nested():
        return """first
        second"""

    return nested


class Method:
    def __call__(self, x):
        return x


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (uses_global, "uses LIMIT from outside"),
        (uses_module, "uses math from outside"),
        (uses_default, "uses LIMIT from outside"),
        (uses_in_nested, "uses LIMIT from outside"),
        (sets_global, "uses LIMIT from outside"),
        (lambda x: x, "lambda"),
        (waits, "async"),
        (generates, "generator"),
        (make_closure(), "uses hidden of the function around it"),
        (make_text(), "top level"),
        (functools.partial(uses_global), "no plain function"),
        (Method(), "no plain function"),
        (len, "no plain function"),
        (int, "no plain function"),
    ],
)
def test_what_cannot_be_sent_is_refused(function, message) -> None:
    with pytest.raises(SourceError, match=message):
        read_source(function)


def test_function_without_source_is_refused() -> None:
    names: dict[str, object] = {}
    exec("def made(x):\n    return x\n", names)  # noqa: S102
    with pytest.raises(SourceError, match="cannot be found"):
        read_source(names["made"])  # type: ignore[arg-type]


def test_docstring_of_several_lines_is_no_obstacle() -> None:
    def nested(x):
        """First line.

        And another.
        """
        return x

    assert run(read_source(nested), 7) == 7


def test_comment_at_the_margin_is_refused_with_advice(tmp_path: Path) -> None:
    file = tmp_path / "outer.py"
    file.write_text(
        "def outer():\n    def nested(x):\n# at the margin\n        return x\n"
        "    return nested\n"
    )
    names = runpy.run_path(str(file))
    with pytest.raises(SourceError, match="top level"):
        read_source(names["outer"]())


def test_file_is_read_not_executed(tmp_path: Path) -> None:
    file = tmp_path / "job.py"
    text = """\
        raise SystemExit("executed")

        @decorator
        def first(x: Row):
            return '\x0c' + x

        def second(x):
            return x * 2
        """
    file.write_text(textwrap.dedent(text))
    source = read_file_source(file, "second")
    assert run(source, 4) == 8
    assert source.line_in_file(2) == 7
    assert run(read_file_source(file, "first"), "x") == "\x0cx"


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("def f(: pass", "f", "no readable Python"),
        ("x = 1", "x", "defines no function x"),
        ("class A:\n    def f(self): pass", "f", "defines no function f"),
        ("async def f(): pass", "f", "async or a generator"),
        ("def f(): yield", "f", "async or a generator"),
        ("def f(): return y", "f", "uses y from outside"),
        (f"def f(): return {'x' * SOURCE_BYTES_MAX!r}", "f", "bytes; at most"),
    ],
)
def test_file_without_such_function_is_refused(tmp_path, text, name, message) -> None:
    file = tmp_path / "job.py"
    file.write_text(text)
    with pytest.raises(SourceError, match=message):
        read_file_source(file, name)


def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no readable"):
        read_file_source(tmp_path / "missing.py", "f")
    binary = tmp_path / "binary.py"
    binary.write_bytes(b"\xff\xfe\0" + b"x" * 10)
    with pytest.raises(SourceError, match="no readable"):
        read_file_source(binary, "f")
    assert FILE_BYTES_MAX > SOURCE_BYTES_MAX
