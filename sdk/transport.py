"""Signed HTTP to one market: retries, bounds, and nothing that is silently odd.

Each attempt is signed anew with a fresh nonce. A request that may have been lost
is sent again, a POST too: every POST of ours is a command with an id of its own,
which the market executes once however often it arrives.

Redirects, compressed answers and answers beyond the stated size are refused. Proxy
settings and passwords in the environment are not used.
"""

import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import httpx

from ledger.encoding import Json, canonical_json, parse_json
from ledger.errors import EncodingError, RequestError
from ledger.request_signing import sign_request
from ledger.signing import PrivateKey
from sdk.errors import (
    AddressError,
    MarketAnswerError,
    MarketRefusedError,
    MarketUnavailableError,
    SdkError,
)

Progress = Callable[[int, int | None], None]
"""Called with the bytes done so far, and the bytes in all if known."""

ANSWER_BYTES_MAX = 8 * 2**20
"""A page of a hundred statements of 64 KiB, the largest answer, stays below it."""

ERROR_BYTES_MAX = 65_536
"""An error is three short fields."""

MESSAGE_CHARACTERS_MAX = 2_048
"""More than a few sentences is not an error message."""

ATTEMPTS_MAX = 5
"""With the waits between, about four seconds: a restart of the market passes."""

WAIT_FIRST_S = 0.25
"""Longest wait before the second attempt; it doubles from one to the next."""

RETRY_AFTER_MAX_S = 30
"""If the market asks for a longer wait, the caller shall know and decide."""

CHUNK_BYTES = 65_536
"""Progress is told after each chunk of an upload."""

_BASE_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?")
_RETRIED_STATUSES = frozenset({429, 502, 503, 504})
_RETRIED_ERRORS = (
    httpx.NetworkError,
    httpx.TimeoutException,
    httpx.RemoteProtocolError,
)


class Transport:
    """Sends signed requests to one market; safe for several threads at once.

    All methods raise `MarketRefusedError` if the market says no,
    `MarketUnavailableError` if it cannot be reached after all retries, and
    `MarketAnswerError` if its answer is not in form.

    Args:
        base_url: Where the market is, such as `https://market.example`. A path in
            it comes before the path of each request.
        key: Signs each request.
        now_ms: The clock, in Unix milliseconds.
        timeout_s: Bounds each step (connect, send, receive), not the whole.
        random_bytes: Makes nonces and correlators; must be secure.
        pause: Waits for that many seconds between two attempts.
        http: Carries the requests in place of the network.

    Raises:
        AddressError: `base_url` is not an http or https URL.
    """

    def __init__(
        self,
        base_url: str,
        key: PrivateKey,
        *,
        now_ms: Callable[[], int],
        timeout_s: float = 30.0,
        random_bytes: Callable[[int], bytes] = os.urandom,
        pause: Callable[[float], None] = time.sleep,
        http: httpx.BaseTransport | None = None,
    ) -> None:
        self._base_url = _check_base_url(base_url)
        self._key = key
        self._now_ms = now_ms
        self._random_bytes = random_bytes
        self._pause = pause
        # Compressed answers could be small on the wire and huge in memory.
        self._http = httpx.Client(
            headers={"accept-encoding": "identity", "user-agent": "sixfold-sdk"},
            timeout=timeout_s,
            transport=http,
            trust_env=False,
        )

    def close(self) -> None:
        """Close all connections. The transport cannot be used afterwards."""
        self._http.close()

    def get_json(
        self, path: str, *, query: Mapping[str, str | int] | None = None
    ) -> Json:
        """Get a document of at most `ANSWER_BYTES_MAX` bytes."""
        return _parse_answer(self._exchange(self._call("GET", path, query=query)))

    def post_json(self, path: str, document: Json) -> Json:
        """Post a command; returns the answer, None if it is empty.

        Args:
            path: From the base URL, with a leading slash.
            document: Holds the command's own id, for it may arrive more than once.
        """
        body = canonical_json(document)
        call = self._call("POST", path, body=body, content_type="application/json")
        return _parse_answer(self._exchange(call))

    def delete(self, path: str) -> Json:
        """Delete something; doing it again is harmless."""
        return _parse_answer(self._exchange(self._call("DELETE", path)))

    def put_bytes(
        self,
        path: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        progress: Progress | None = None,
    ) -> Json:
        """Put bytes; returns the answer, None if it is empty.

        Args:
            path: From the base URL, with a leading slash.
            data: All of them: their digest is signed before the first is sent.
            content_type: Their media type.
            progress: Starts again from 0 if the upload is tried again.
        """
        call = self._call(
            "PUT", path, body=data, content_type=content_type, sent=progress
        )
        return _parse_answer(self._exchange(call))

    def get_bytes(
        self, path: str, *, size_max: int, progress: Progress | None = None
    ) -> bytes:
        """Get bytes, at most `size_max`.

        Args:
            path: From the base URL, with a leading slash.
            size_max: More is refused as soon as it is announced or arrives.
            progress: Starts again from 0 if the download is tried again.
        """
        call = self._call("GET", path, size_max=size_max, received=progress)
        return self._exchange(call)

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: bytes = b"",
        content_type: str | None = None,
        size_max: int = ANSWER_BYTES_MAX,
        sent: Progress | None = None,
        received: Progress | None = None,
    ) -> "_Call":
        assert path.startswith("/")
        try:
            url = httpx.URL(self._base_url + path)
            url = url.copy_merge_params(dict(query)) if query else url
        except httpx.InvalidURL as error:
            raise AddressError(f"Not a path of a market: {error}.") from error
        correlator = str(uuid.UUID(bytes=self._random_bytes(16), version=4))
        headers = {"x-correlator": correlator}
        if content_type is not None:
            headers["content-type"] = content_type
        return _Call(method, url, headers, body, size_max, sent, received)

    def _exchange(self, call: "_Call") -> bytes:
        try:
            return self._persist(call)
        except SdkError as error:
            error.add_note(f"x-correlator: {call.headers['x-correlator']}")
            raise

    def _persist(self, call: "_Call") -> bytes:
        attempts = 0
        while True:
            try:
                return self._attempt(call)
            except _RetryableError as failure:
                attempts += 1
                if attempts == ATTEMPTS_MAX:
                    raise failure.error from failure.__cause__
                self._pause(failure.wait_s or self._wait_s(attempts))

    def _attempt(self, call: "_Call") -> bytes:
        request = self._http.build_request(
            call.method,
            call.url,
            content=_chunks(call.body, call.sent) if call.body else b"",
            headers=call.headers | self._sign(call) | _length(call.body),
        )
        try:
            response = self._http.send(request, stream=True)
            try:
                return _read_answer(response, call)
            finally:
                response.close()
        except _RETRIED_ERRORS as error:
            raise _RetryableError(
                MarketUnavailableError(f"The market cannot be reached: {error}.")
            ) from error
        except httpx.HTTPError as error:
            message = f"The market cannot be spoken to: {error}."
            raise MarketUnavailableError(message) from error

    def _sign(self, call: "_Call") -> dict[str, str]:
        try:
            return sign_request(
                call.method,
                str(call.url),
                call.headers,
                call.body,
                key=self._key,
                now_ms=self._now_ms(),
                nonce=self._random_bytes(16).hex(),
            )
        except RequestError as error:
            raise AddressError(f"The request cannot be signed: {error}") from error

    def _wait_s(self, attempts: int) -> float:
        # Half of the wait is random, so that clients that failed together part.
        share = int.from_bytes(self._random_bytes(2)) / 2**16
        return WAIT_FIRST_S * 2.0 ** (attempts - 1) * (1 + share) / 2


@dataclass(frozen=True)
class _Call:
    """One request, however often it is sent."""

    method: str
    url: httpx.URL
    headers: dict[str, str]
    body: bytes
    size_max: int
    sent: Progress | None
    received: Progress | None


class _RetryableError(Exception):
    """An attempt failed, and another may not; `error` is for when none is left."""

    def __init__(self, error: SdkError, *, wait_s: int | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait_s = wait_s


def _check_base_url(text: str) -> str:
    try:
        if _BASE_URL.fullmatch(text) and (httpx.URL(text).port or 1) < 2**16:
            return str(httpx.URL(text)).rstrip("/")
    except httpx.InvalidURL as error:
        raise AddressError(f"Not a market's address: {error}.") from error
    raise AddressError(
        "A market's address is http:// or https://, a host, and perhaps a port and a "
        "path."
    )


def _chunks(body: bytes, progress: Progress | None) -> Iterator[bytes]:
    for start in range(0, len(body), CHUNK_BYTES):
        yield body[start : start + CHUNK_BYTES]
        if progress is not None:
            progress(min(start + CHUNK_BYTES, len(body)), len(body))


def _length(body: bytes) -> dict[str, str]:
    return {"content-length": str(len(body))} if body else {}


def _read_answer(response: httpx.Response, call: _Call) -> bytes:
    if response.is_success:
        return _read(response, size_max=call.size_max, progress=call.received)
    if response.status_code < 400:
        raise MarketAnswerError(f"Status {response.status_code} is not due here.")
    error = _parse_error(response)
    if response.status_code in _RETRIED_STATUSES:
        _ask_for_retry(response, error)
    raise error


def _ask_for_retry(response: httpx.Response, error: SdkError) -> None:
    wait_s = _parse_number(response.headers.get("retry-after", ""))
    if wait_s is None and response.status_code == 429:
        return
    if wait_s is None or wait_s <= RETRY_AFTER_MAX_S:
        raise _RetryableError(error, wait_s=wait_s)


def _read(
    response: httpx.Response, *, size_max: int, progress: Progress | None = None
) -> bytes:
    if "content-encoding" in response.headers:
        raise MarketAnswerError("The market's answer is compressed.")
    size = _parse_number(response.headers.get("content-length", ""))
    data = bytearray()
    if size is None or size <= size_max:
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > size_max:
                break
            if progress is not None:
                progress(len(data), size)
        else:
            return bytes(data)
    raise MarketAnswerError(f"The market's answer has more than {size_max} bytes.")


def _parse_answer(data: bytes) -> Json:
    if not data:
        return None
    try:
        return parse_json(data, size_max=ANSWER_BYTES_MAX)
    except EncodingError as error:
        raise MarketAnswerError(f"The market's answer is not JSON: {error}") from error


def _parse_error(response: httpx.Response) -> SdkError:
    """Read an error as CAMARA shapes it: `status`, `code` and `message`."""
    status = response.status_code
    try:
        document = parse_json(
            _read(response, size_max=ERROR_BYTES_MAX), size_max=ERROR_BYTES_MAX
        )
    except (EncodingError, MarketAnswerError):
        document = None
    match document:
        case {"status": int(stated), "code": str(code), "message": str(message)} if (
            stated == status and _is_printable(code) and _is_printable(message)
        ):
            if status in {502, 503, 504}:
                return MarketUnavailableError(f"The market is unavailable: {message}")
            return MarketRefusedError(status, code, message)
        case _ if status in {502, 503, 504}:
            return MarketUnavailableError(f"The market is unavailable: {status}.")
        case _:
            return MarketAnswerError(f"Status {status} came without a proper error.")


def _parse_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _is_printable(text: str) -> bool:
    """Whether a text can be shown: no control codes that a terminal would obey."""
    return len(text) <= MESSAGE_CHARACTERS_MAX and text.isprintable()
