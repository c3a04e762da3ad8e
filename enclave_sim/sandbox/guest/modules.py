"""The standard library that a function may import: what computes, and no more.

Modules are imported when the component is built and are then part of its memory;
there is no file system to import others from at run time. Left out is what needs a
clock, randomness, files, sockets, threads or processes.
"""

import importlib
import importlib.machinery
import linecache
import sys

AVAILABLE = (
    "abc",
    "array",
    "ast",
    "base64",
    "binascii",
    "bisect",
    "builtins",
    "calendar",
    "cmath",
    "codecs",
    "collections",
    "colorsys",
    "contextlib",
    "copy",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",
    "enum",
    "fractions",
    "functools",
    "graphlib",
    "hashlib",
    "heapq",
    "hmac",
    "html",
    "io",
    "ipaddress",
    "itertools",
    "json",
    "keyword",
    "math",
    "numbers",
    "operator",
    "pprint",
    "random",
    "re",
    "statistics",
    "string",
    "struct",
    "sys",
    "textwrap",
    "traceback",
    "types",
    "typing",
    "unicodedata",
    "urllib",
    "warnings",
    "weakref",
    "zlib",
)
"""What a function is told that it may import; what these import works as well."""

SUPPORTING = (
    "_strptime",  # datetime.strptime
    "collections.abc",
    "encodings.ascii",
    "encodings.cp1252",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.utf_16",
    "encodings.utf_32",
    "encodings.utf_8_sig",
    "html.entities",
    "html.parser",
    "urllib.parse",
)
"""Parts of the above that would otherwise be loaded when they are first used."""

_FILE_EVENTS = frozenset({"open", "os.listdir", "os.scandir"})


def load_and_seal() -> None:
    """Load all modules, then forget that there was a file system; at build time.

    Otherwise an import of something absent, or a warning that wants to show its
    line, would ask for a file, and the component has no answer to that but to stop.
    The module `random` starts from the same state in every run.
    """
    for name in AVAILABLE + SUPPORTING:
        importlib.import_module(name)
    sys.modules["random"].seed(0)
    sys.meta_path.remove(importlib.machinery.PathFinder)
    for name in ("checkcache", "updatecache"):
        setattr(linecache, name, _find_nothing)
    sys.stdin = None
    # The compiler too looks for the file of a source that has an error.
    sys.addaudithook(_refuse_files)


def describe_missing(name: str | None) -> str:
    """What to tell of an import that found nothing."""
    names = ", ".join(AVAILABLE)
    return f"There is no module {name} in the sandbox, which has {names}."


def _refuse_files(event: str, _arguments: tuple[object, ...]) -> None:
    if event in _FILE_EVENTS:
        raise OSError("There are no files in the sandbox.")


def _find_nothing(*_arguments: object, **_options: object) -> list[str]:
    return []
