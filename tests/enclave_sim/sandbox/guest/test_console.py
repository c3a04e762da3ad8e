import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave_sim.sandbox.guest.console import CUT_MARK, LOG_BYTES_MAX, Console


def test_console_keeps_what_is_printed() -> None:
    console = Console()
    print("one", "é", file=console, flush=True)
    print("two", end="", file=console)
    assert console.read_log() == "one é\ntwo"


def test_console_keeps_surrogates_as_escapes() -> None:
    console = Console()
    console.write("a\ud800b")
    assert console.read_log() == "a\\ud800b"


@pytest.mark.parametrize("sizes", [[LOG_BYTES_MAX + 1], [LOG_BYTES_MAX, 1], [10**6]])
def test_console_is_cut_at_its_bound(sizes: list[int]) -> None:
    console = Console()
    for size in sizes:
        assert console.write("x" * size) == size
    assert console.read_log() == "x" * LOG_BYTES_MAX + CUT_MARK


def test_full_console_is_not_cut() -> None:
    console = Console()
    console.write("x" * LOG_BYTES_MAX)
    console.write("")
    assert console.read_log() == "x" * LOG_BYTES_MAX


@given(st.lists(st.text(st.characters()), max_size=5), st.integers(0, 6))
def test_log_is_always_bounded_text(texts: list[str], free: int) -> None:
    console = Console()
    console.write("x" * (LOG_BYTES_MAX - free))
    for text in texts:
        console.write(text)
    log = console.read_log()
    assert len(log.encode()) <= LOG_BYTES_MAX + len(CUT_MARK)
    whole = "".join(texts).encode("utf-8", "backslashreplace")
    assert log.endswith(CUT_MARK) == (len(whole) > free)
