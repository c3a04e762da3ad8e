"""Where the function's prints and warnings go: a bounded log."""

LOG_BYTES_MAX = 65_536
"""A long page of traces; whoever wants to return more has the result for it."""

CUT_MARK = "\n[the log is cut here]\n"


class Console:
    """Standard output and error of one run; keeps the first bytes and drops the rest.

    Text is counted as UTF-8. What has no UTF-8 form is kept as escapes.
    """

    def __init__(self) -> None:
        self._kept = bytearray()
        self._is_cut = False

    def write(self, text: str) -> int:
        """Keep what fits of the text and drop the rest without complaint."""
        free = LOG_BYTES_MAX - len(self._kept)
        # No more characters than fit: a huge text is not encoded to be dropped.
        data = text[: free + 1].encode("utf-8", "backslashreplace")
        self._kept += data[:free]
        self._is_cut = self._is_cut or len(data) > free or len(text) > free
        return len(text)

    def flush(self) -> None:
        """Do nothing, as `print(flush=True)` may ask."""

    def read_log(self) -> str:
        """All that was kept, with a mark at the end if something was dropped."""
        # A character cut in half at the bound is dropped too.
        text = self._kept.decode("utf-8", "ignore")
        return text + CUT_MARK if self._is_cut else text
