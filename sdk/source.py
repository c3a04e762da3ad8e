"""The source of a function, as it is sent, measured and run elsewhere.

What runs is text: the function from its `def` on, without decorators, and nothing of
the module around it. So whatever it needs it must import or be given; a name that it
would not find there is refused here, before anything is ordered.

Annotations are never evaluated where the function runs, so they may name anything.
"""

import ast
import builtins
import inspect
import io
import symtable
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

from enclave_sim.sandbox.limits import SOURCE_BYTES_MAX
from sdk.errors import SourceError

FILE_BYTES_MAX = 16 * 2**20
"""A file that a person wrote is far smaller."""

_HEADER = "from __future__ import annotations\n"
_HEADER_LINES = 1


@dataclass(frozen=True)
class FunctionSource:
    """A function as text, and where it comes from."""

    text: str
    """What is sent; the same function gives the same text wherever it stands."""
    entry: str
    """The function's name."""
    file_name: str
    first_line: int
    """Line of the `def` in the file, from 1."""

    def line_in_file(self, line: int) -> int:
        """The line of the consumer's file that a line of the text is; 0 for none."""
        offset = line - _HEADER_LINES
        return self.first_line + offset - 1 if offset >= 1 else 0


def read_source(function: Callable[..., object]) -> FunctionSource:
    """Take a function's source and check that it can run on its own.

    Args:
        function: A plain function defined with `def` in a file or a notebook.

    Raises:
        SourceError: Its source cannot be sent; the message says what to change.
    """
    plain = _check_kind(function)
    try:
        lines, first_line = inspect.getsourcelines(plain)
    except (OSError, TypeError) as error:
        raise SourceError(
            f"The source of {plain.__name__} cannot be found. Define it with def in a "
            "file or a notebook, not in an interpreter or by exec."
        ) from error
    block = "".join(lines)
    node, dedented = _parse_block(plain.__name__, block)
    return _make(
        node,
        dedented,
        file_name=plain.__code__.co_filename,
        first_line=first_line + node.lineno - 1,
    )


def read_file_source(path: Path, name: str) -> FunctionSource:
    """Take a function's source out of a file, which is read and not executed.

    Args:
        path: A Python file of at most 16 MiB.
        name: A function at its top level.

    Raises:
        SourceError: There is no such function, or it cannot be sent.
    """
    try:
        with path.open("rb") as file:
            tree = ast.parse(data := file.read(FILE_BYTES_MAX))
        text = data.decode("utf-8")
    except (OSError, SyntaxError, ValueError, RecursionError) as error:
        raise SourceError(f"{path} is no readable Python file: {error}.") from error
    found = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name == name
    ]
    if not found:
        raise SourceError(f"{path} defines no function {name} at its top level.")
    node = found[-1]
    if isinstance(node, ast.AsyncFunctionDef) or _yields(node):
        raise SourceError(f"{name} is async or a generator. Return a value instead.")
    return _make(node, text, file_name=str(path), first_line=node.lineno)


def _make(
    node: ast.FunctionDef, text: str, *, file_name: str, first_line: int
) -> FunctionSource:
    # As Python counts lines; `splitlines` would also break at form feeds and others.
    own = list(io.StringIO(text, newline=None))[node.lineno - 1 : node.end_lineno]
    text = _HEADER + "".join(own).rstrip() + "\n"
    size_bytes = len(text.encode("utf-8", "surrogatepass"))
    if size_bytes > SOURCE_BYTES_MAX:
        raise SourceError(
            f"{node.name} has {size_bytes} bytes; at most {SOURCE_BYTES_MAX} can be "
            "sent. Pass its data as arguments."
        )
    _check_names(node)
    return FunctionSource(text, node.name, file_name, first_line)


def _yields(node: ast.FunctionDef) -> bool:
    (code,) = (
        item
        for item in compile(ast.Module([node], []), "job.py", "exec").co_consts
        if isinstance(item, CodeType) and item.co_name == node.name
    )
    return bool(code.co_flags & inspect.CO_GENERATOR)


def _check_kind(function: Callable[..., object]) -> FunctionType:
    name = getattr(function, "__name__", "This")
    if not isinstance(function, FunctionType):
        raise SourceError(f"{name} is no plain function. Define one with def.")
    if name == "<lambda>":
        raise SourceError("A lambda has no name to call. Define a function with def.")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise SourceError(f"{name} is async. Use def; the call itself may wait.")
    if inspect.isgeneratorfunction(function):
        raise SourceError(f"{name} is a generator. Return a list instead.")
    if function.__code__.co_freevars:
        names = ", ".join(function.__code__.co_freevars)
        raise SourceError(
            f"{name} uses {names} of the function around it, which stays here. Pass "
            "it as an argument."
        )
    return function


def _parse_block(name: str, block: str) -> tuple[ast.FunctionDef, str]:
    dedented = textwrap.dedent(block)
    node = _find_function(name, dedented)
    original = _find_function(name, "if True:\n" + block) or node
    if original is None:
        raise SourceError(f"The source of {name} cannot be read. Put it in a file.")
    # Taking the indentation away must not change text that spans several lines.
    if node is None or _meaning(node) != _meaning(original):
        raise SourceError(
            f"{name} is indented and would not arrive as it is, because of a text of "
            "several lines or a comment in it. Move it to the top level of its file."
        )
    return node, dedented


def _find_function(name: str, text: str) -> ast.FunctionDef | None:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    return found[0] if found else None


def _meaning(node: ast.FunctionDef) -> str:
    """A function without what does not change what it does: its docstrings."""
    copy = ast.parse(ast.unparse(node))
    for inner in ast.walk(copy):
        if isinstance(inner, ast.FunctionDef | ast.ClassDef) and (
            ast.get_docstring(inner, clean=False) is not None
        ):
            inner.body[0] = ast.Pass()
    return ast.dump(copy)


def _check_names(node: ast.FunctionDef) -> None:
    """Refuse names that mean nothing once the function stands alone."""
    bare = _Bare().visit(ast.parse(ast.unparse(node)))
    table = symtable.symtable(ast.unparse(bare), "job.py", "exec")
    defined = {node.name}
    unknown = sorted(set(_global_names(table)) - defined - set(dir(builtins)))
    if unknown:
        names = ", ".join(unknown)
        raise SourceError(
            f"{node.name} uses {names} from outside of it, which does not exist where "
            "it runs. Import it inside the function, or pass it as an argument."
        )


def _global_names(table: symtable.SymbolTable) -> Iterator[str]:
    is_module = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_global() or (is_module and symbol.is_referenced()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _global_names(child)


class _Bare(ast.NodeTransformer):
    """Takes annotations, and the function's own decorators, away."""

    def visit_Module(self, node: ast.Module) -> ast.AST:
        for function in node.body:
            assert isinstance(function, ast.FunctionDef)
            function.decorator_list = []
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        # The target stays a name of its scope, as an annotation makes it one.
        value = node.value or ast.Constant(None)
        return ast.Assign(
            targets=[self.visit(node.target)], value=self.visit(value), lineno=0
        )
