"""What parsers meet outside: any bytes, nearly right ones, and endless ones.

A parser here takes bytes. It may return, or raise its own errors, and nothing else.
"""

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

SECONDS_MAX = 1.0
"""Time of the processor that any one input may take; most take a thousandth."""

ENDLESS_BYTES = 300_000
"""More than the bound of any of these formats."""

MARKS = (
    b"\n",
    b"\n\n",
    b"\r\n",
    b"\0",
    b" ",
    b"+",
    b"=",
    b"/",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    "\N{EM DASH} ".encode(),
    "\N{LINE SEPARATOR}".encode(),
    "\N{ARABIC-INDIC DIGIT THREE}".encode(),
    b"-1",
    b"00",
    b"9" * 25,
    b"1e9",
    b"null",
    b"{}",
    b'"',
    b"\\ud800",
)
"""Pieces at which parsers go wrong."""

ENDLESS = (
    b"\n",
    b"[",
    b'{"a":',
    b'{"a":1},',
    b"9",
    b"A",
    b"AAAA\n",
    b" ",
    b"+",
    b"\0",
    b"\xff",
    b"\\u0000",
    b"x000/",
    b"#\n",
    "\N{EM DASH} a AAAAAAAA\n".encode(),
)
"""What may come again and again."""

INTEGERS = st.integers(-(2**70), 2**70) | st.sampled_from([0, 2**53 - 1, 2**53, -1])
TEXTS = st.text(max_size=12) | st.sampled_from(["", "AAAA", "\0", "acc_", "1"])
LEAVES = st.none() | st.booleans() | INTEGERS | st.floats() | TEXTS
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4)
    ),
    max_leaves=8,
)


@dataclass(frozen=True)
class Parser:
    """One parser, its errors, and what it accepts.

    `encode` turns what it returns into bytes again, if there is one way to spell it.
    """

    name: str
    parse: Callable[[bytes], object]
    errors: type[Exception] | tuple[type[Exception], ...]
    samples: tuple[bytes, ...]
    encode: Callable[[Any], bytes] | None = None

    def __str__(self) -> str:
        return self.name

    def take(self, data: bytes) -> None:
        """Parse something that need not be right."""
        with contextlib.suppress(self.errors):
            parsed = self.parse(data)
            assert self.encode is None or self.encode(parsed) == data

    def take_endless(self) -> None:
        """Parse what has no end, alone and after the beginning of what is right."""
        for piece in ENDLESS:
            endless = piece * (ENDLESS_BYTES // len(piece))
            for data in (b"", *self.samples):
                for head in (data, data[: len(data) // 2]):
                    self._take_in_time(head + endless)

    def _take_in_time(self, data: bytes) -> None:
        start = time.process_time()
        self.take(data)
        spent = time.process_time() - start
        assert spent < SECONDS_MAX, f"{spent:.1f} s for {data[:100]!r}"


@st.composite
def nearly(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes after one to four changes, of bytes or of lines."""
    for _ in range(draw(st.integers(1, 4))):
        change = draw(st.sampled_from([_changed_span, _changed_lines, _cut]))
        data = change(draw, data)
    return data


def _changed_span(draw: st.DrawFn, data: bytes) -> bytes:
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 8)))
    middle = draw(st.sampled_from(MARKS) | st.binary(max_size=4))
    return data[:start] + middle + data[end:]


def _changed_lines(draw: st.DrawFn, data: bytes) -> bytes:
    lines = data.split(b"\n")
    first = draw(st.integers(0, len(lines) - 1))
    second = draw(st.integers(0, len(lines) - 1))
    match draw(st.sampled_from(["swap", "repeat", "drop"])):
        case "swap":
            lines[first], lines[second] = lines[second], lines[first]
        case "repeat":
            lines[second:second] = [lines[first]] * draw(st.sampled_from([1, 2, 70]))
        case _:
            del lines[first]
    return b"\n".join(lines)


def _cut(draw: st.DrawFn, data: bytes) -> bytes:
    end = draw(st.integers(0, len(data)))
    return data[:end] if draw(st.booleans()) else data[end:]


@st.composite
def nearly_json(draw: st.DrawFn, data: bytes) -> bytes:
    """A JSON document with one value in it another one, gone, or there twice."""
    document = json.loads(data)
    places = list(_places(document))
    place = draw(st.sampled_from(places))
    if not place:
        return _encode(draw(VALUES))
    inner: Any = document
    for step in place[:-1]:
        inner = inner[step]
    match draw(st.sampled_from(["replace", "drop", "add"])):
        case "replace":
            inner[place[-1]] = draw(VALUES)
        case "drop":
            del inner[place[-1]]
        case _ if isinstance(inner, dict):
            inner[draw(TEXTS)] = draw(VALUES)
        case _:
            inner.append(draw(VALUES))
    return _encode(document)


def _places(value: Any, place: tuple[Any, ...] = ()) -> Any:
    """The way to each value in a document, the document itself included."""
    yield place
    steps: Any = ()
    if isinstance(value, dict):
        steps = value.items()
    elif isinstance(value, list):
        steps = enumerate(value)
    for step, inner in steps:
        yield from _places(inner, (*place, step))


def _encode(value: Any) -> bytes:
    """In our form, but for what our form does not have."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True)
    return text.encode()
