"""A log behind a URL: reads its files, bounded, and believes none of them.

Redirects are refused, proxy settings of the environment are not used, and a request
that may succeed later is repeated a few times.

Source: C2SP tlog-tiles.
"""

import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Self

import httpx

from ledger.audit.bounded_transport import BoundedTransport
from ledger.errors import AuditError, TileError
from ledger.limits import NOTE_BYTES_MAX
from ledger.log.log_keys import LOG_KEYS_CHARACTERS_MAX
from ledger.log.proof import PROOF_BYTES_MAX
from ledger.log.tiles import (
    CHECKPOINT_PATH,
    KEY_CHANGE_PATH,
    TILE_WIDTH,
    WITNESSED_PATH,
    TilePath,
    parse_path,
    truncate_tile,
)

ATTEMPTS_MAX = 4
"""With the pauses between, about two seconds: a restart of the server passes."""

PAUSE_FIRST_S = 0.25
"""Before the second attempt; it doubles from one to the next."""

TIMEOUT_S = 30.0
"""For each step: connect, send, receive. All of them together have a limit too."""

TILES_CACHED = 64
"""The tiles of the right edge are needed twice, and are at most 16 KB each."""

_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?")
_RETRIED_STATUSES = frozenset({429, 502, 503, 504})
_RETRIED_ERRORS = (
    httpx.NetworkError,
    httpx.TimeoutException,
    httpx.RemoteProtocolError,
)


class RemoteLog:
    """The files under `<url>/log/`. For one thread; close it when done."""

    def __init__(
        self,
        url: str,
        *,
        http: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Name the log; nothing is read yet.

        Args:
            url: Of the market, http or https, without query and password.
            http: Carries the requests in place of the network.
            pause: Waits for that many seconds between two attempts.

        Raises:
            AuditError: `url` is not such a URL.
        """
        if _URL.fullmatch(url) is None:
            raise AuditError(f"{url} is not the address of a market.")
        self._prefix = url.rstrip("/") + "/log/"
        self._pause = pause
        self._http = httpx.Client(
            headers={"accept-encoding": "identity", "user-agent": "sixfold-audit"},
            timeout=TIMEOUT_S,
            transport=http or BoundedTransport(),
            trust_env=False,
        )
        self._tiles = lru_cache(TILES_CACHED)(self._read_tile)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def read_key(self) -> str:
        """The log's verifier key as the server tells it, as text.

        Raises:
            AuditError: It cannot be had.
        """
        data = self._get("log.vkey", bytes_max=LOG_KEYS_CHARACTERS_MAX)
        return data.decode("utf-8", errors="replace").removesuffix("\n")

    def read_key_change(self, generation: int) -> bytes | None:
        """The proof of the change to a set of keys, counted from 2, if there is one.

        Raises:
            AuditError: The server cannot be reached or does not answer properly.
        """
        path = KEY_CHANGE_PATH.format(generation)
        return self._get_if_there(path, bytes_max=PROOF_BYTES_MAX)

    def read_witnessed(self) -> bytes | None:
        """The newest checkpoint that enough witnesses have cosigned, if there is one.

        Raises:
            AuditError: The server cannot be reached or does not answer properly.
        """
        return self._get_if_there(WITNESSED_PATH, bytes_max=NOTE_BYTES_MAX)

    def read(self, path: str) -> bytes:
        """Return a file of the log, as a `TileSource`.

        Raises:
            TileError: The log has no such file, or it is too large.
            AuditError: The server cannot be reached or does not answer properly.
        """
        if path == CHECKPOINT_PATH:
            return self._get(path, bytes_max=NOTE_BYTES_MAX)
        tile = parse_path(path)
        return self._read_tile(tile) if tile.level is None else self._tiles(tile)

    def _read_tile(self, tile: TilePath) -> bytes:
        try:
            return self._get(str(tile), bytes_max=tile.bytes_max)
        except TileError:
            if tile.width == TILE_WIDTH:
                raise
        # A log may drop a partial tile once it has the full one.
        full = TilePath(tile.level, tile.index)
        return truncate_tile(self._get(str(full), bytes_max=full.bytes_max), tile)

    def _get_if_there(self, path: str, *, bytes_max: int) -> bytes | None:
        try:
            return self._get(path, bytes_max=bytes_max)
        except TileError:
            return None

    def _get(self, path: str, *, bytes_max: int) -> bytes:
        url = self._prefix + path
        failure = ""
        for attempt in range(ATTEMPTS_MAX):
            if attempt:
                self._pause(PAUSE_FIRST_S * 2 ** (attempt - 1))
            try:
                with self._http.stream("GET", url) as response:
                    if response.status_code not in _RETRIED_STATUSES:
                        return _read_body(response, url, bytes_max)
                    failure = f"it answers {response.status_code}"
            except _RETRIED_ERRORS as error:
                failure = str(error) or type(error).__name__
            except httpx.HTTPError as error:
                raise AuditError(f"{url} cannot be read: {error}.") from error
        raise AuditError(f"{url} cannot be reached: {failure}.")


def _read_body(response: httpx.Response, url: str, bytes_max: int) -> bytes:
    if response.status_code == httpx.codes.NOT_FOUND:
        raise TileError(f"There is no {url}.")
    if response.status_code != httpx.codes.OK:
        raise AuditError(f"{url} answers {response.status_code}, not 200.")
    data = bytearray()
    for chunk in response.iter_bytes():
        data += chunk
        if len(data) > bytes_max:
            raise TileError(f"{url} is larger than the {bytes_max} bytes it may have.")
    return bytes(data)
