"""Asks witnesses to cosign a checkpoint, all of a policy at once.

A witness is chosen, not trusted: what it answers is bounded in size and time, and
counts only if it verifies. Redirects are refused, and proxies of the environment
are not used. A witness that does not answer is left alone for a while, so that it
costs the log little; one that fails never keeps the others from cosigning.

Source: C2SP tlog-witness.
"""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import httpx

from ledger.errors import LedgerError
from ledger.limits import NOTE_BYTES_MAX
from ledger.log.checkpoint import Checkpoint, parse_checkpoint
from ledger.log.errors import (
    WitnessAheadError,
    WitnessAlarmError,
    WitnessError,
    WitnessProtocolError,
    WitnessRefusedError,
    WitnessUnavailableError,
)
from ledger.log.note import NoteSignature, Verifier, read_text
from ledger.log.witness_protocol import (
    ADD_CHECKPOINT_PATH,
    SIZE_MEDIA_TYPE,
    AddCheckpoint,
    checkpoint_path,
    parse_cosignatures,
    parse_size,
)

SUBMISSION_S_MAX = 10.0
"""For all that one submission takes: two requests, and their answers to the end."""

PAUSE_FIRST_S = 1.0
"""After a failure a witness is not asked for so long; it doubles with each."""

PAUSE_S_MAX = 60.0
"""A witness that comes back is asked again within a minute."""

ANSWER_BYTES_MAX = NOTE_BYTES_MAX
"""Signature lines, or a note: as many bytes as a note has at most."""

REASON_CHARACTERS_MAX = 200
"""Of what a witness says when it refuses; a sentence is shorter."""

Consistency = Callable[[int], Sequence[bytes]]
"""Gives the proof that the log extends its first so many entries, lowest hash first.

Called with sizes above 0 and below that of the checkpoint. May raise `LedgerError`.
"""

_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?")


class _Answer(NamedTuple):
    """What a witness answers, bounded and not believed."""

    status: int
    media_type: str
    body: bytes

    @property
    def reason(self) -> str:
        """The first line of the body, made safe to show."""
        line = self.body.partition(b"\n")[0].decode("utf-8", errors="replace")
        return ascii(line[:REASON_CHARACTERS_MAX])


def check_witness_url(url: str) -> None:
    """Check that a text can be the submission prefix of a witness.

    Raises:
        WitnessError: It is not http or https, or has a query or a password.
    """
    if _URL.fullmatch(url) is None:
        raise WitnessError(f"{url} is not the address of a witness.")


class WitnessClient:
    """One witness, as a log sees it. Remembers what it has cosigned last."""

    def __init__(
        self,
        url: str,
        verifiers: Sequence[Verifier],
        *,
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Name a witness; it is not asked anything yet.

        Args:
            url: Its submission prefix, http or https, without query and password.
            verifiers: Its keys that are trusted, one or more.
            http: Carries the requests in place of the network.

        Raises:
            WitnessError: `url` is not such a URL.
        """
        check_witness_url(url)
        self.url = url.rstrip("/")
        self.verifiers = tuple(verifiers)
        self._size = 0
        self._cosigned: bytes | None = None
        self._http = httpx.AsyncClient(
            headers={
                "accept-encoding": "identity",
                "content-type": "text/plain; charset=utf-8",
                "user-agent": "sixfold-log",
            },
            timeout=SUBMISSION_S_MAX,
            transport=http,
            trust_env=False,
        )

    async def submit_checkpoint(
        self, note: bytes, *, consistency: Consistency
    ) -> tuple[NoteSignature, ...]:
        """Have a checkpoint cosigned.

        Args:
            note: The checkpoint, signed by its log.
            consistency: Proves that the log extends what the witness knows.

        Returns:
            The lines to append to the note: at least one, each verified.

        Raises:
            WitnessAlarmError: It holds a checkpoint that contradicts this one.
            WitnessAheadError: It has cosigned a larger log than this one.
            WitnessRefusedError: It does not know the log or its key, say.
            WitnessUnavailableError: It does not answer in time, or is broken.
            WitnessProtocolError: Its answer is malformed or does not verify.
            NoteError: `note` is not a checkpoint.
            LedgerError: What `consistency` raises.
        """
        checkpoint = parse_checkpoint(read_text(note))
        try:
            async with asyncio.timeout(SUBMISSION_S_MAX):
                return await self._submit(note, checkpoint, consistency)
        except TimeoutError as error:
            raise WitnessUnavailableError(
                f"{self.url} does not answer within {SUBMISSION_S_MAX:.0f} s."
            ) from error
        except httpx.HTTPError as error:
            raise WitnessUnavailableError(
                f"{self.url} cannot be reached: {str(error) or type(error).__name__}."
            ) from error

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def _submit(
        self, note: bytes, checkpoint: Checkpoint, consistency: Consistency
    ) -> tuple[NoteSignature, ...]:
        # What it may not have forgotten, we may: then it tells the size anew.
        old_size = self._size if self._size <= checkpoint.size else 0
        answer = await self._post(note, checkpoint, old_size, consistency)
        if answer.status == httpx.codes.CONFLICT:
            old_size = await self._read_size(answer, note, checkpoint, old_size)
            answer = await self._post(note, checkpoint, old_size, consistency)
        match answer.status:
            case httpx.codes.OK:
                lines = parse_cosignatures(answer.body, note, self.verifiers)
            case httpx.codes.UNPROCESSABLE_ENTITY:
                raise await self._alarm(answer, note, checkpoint)
            case status if status >= 500 or status == httpx.codes.TOO_MANY_REQUESTS:
                raise WitnessUnavailableError(f"{self.url} answers {status}.")
            case status:
                raise WitnessRefusedError(
                    f"{self.url} refuses with {status}: {answer.reason}.", status
                )
        self._size = checkpoint.size
        self._cosigned = note
        return lines

    async def _post(
        self,
        note: bytes,
        checkpoint: Checkpoint,
        old_size: int,
        consistency: Consistency,
    ) -> _Answer:
        has_proof = 0 < old_size < checkpoint.size
        proof = tuple(consistency(old_size)) if has_proof else ()
        body = AddCheckpoint(old_size, proof, note).encode()
        return await self._ask("POST", ADD_CHECKPOINT_PATH, body)

    async def _read_size(
        self, answer: _Answer, note: bytes, checkpoint: Checkpoint, old_size: int
    ) -> int:
        if answer.media_type != SIZE_MEDIA_TYPE:
            if old_size == checkpoint.size:
                # The first version of the protocol told another root in this way.
                raise await self._alarm(answer, note, checkpoint)
            raise WitnessProtocolError(f"{self.url} answers 409 without a size.")
        size = parse_size(answer.body)
        if size > checkpoint.size:
            raise WitnessAheadError(
                f"{self.url} has cosigned {size} entries; this log has "
                f"{checkpoint.size}.",
                size,
                await self._cosigned_note(checkpoint),
            )
        self._size = size
        return size

    async def _alarm(
        self, answer: _Answer, note: bytes, checkpoint: Checkpoint
    ) -> WitnessAlarmError:
        return WitnessAlarmError(
            f"{self.url} says that the checkpoint of {checkpoint.size} entries "
            f"contradicts what it has cosigned: {answer.reason}.",
            note,
            await self._cosigned_note(checkpoint),
        )

    async def _cosigned_note(self, checkpoint: Checkpoint) -> bytes | None:
        """Ask for the note that ours contradicts; both together are the evidence."""
        try:
            shown = await self._ask("GET", checkpoint_path(checkpoint.origin))
        except (httpx.HTTPError, WitnessProtocolError):
            return self._cosigned
        return shown.body if shown.status == httpx.codes.OK else self._cosigned

    async def _ask(self, method: str, path: str, body: bytes = b"") -> _Answer:
        url = f"{self.url}/{path}"
        async with self._http.stream(method, url, content=body) as response:
            data = bytearray()
            # Raw, so that what is packed small does not unpack to be large.
            async for chunk in response.aiter_raw():
                data += chunk
                if len(data) > ANSWER_BYTES_MAX:
                    raise WitnessProtocolError(
                        f"{url} answers with more than {ANSWER_BYTES_MAX} bytes."
                    )
            media_type = response.headers.get("content-type", "")
            return _Answer(response.status_code, media_type, bytes(data))


@dataclass(frozen=True)
class WitnessOutcome:
    """What came of one witness: lines that verify, or the reason why there are none."""

    url: str
    signatures: tuple[NoteSignature, ...]
    error: LedgerError | None
    """A `WitnessError`, or what the log's own tiles raised."""


@dataclass
class _Pause:
    """How long a witness is left alone."""

    length_s: float = 0.0
    until_s: float = 0.0


class WitnessPool:
    """The witnesses that a log asks. Its connections stay open between checkpoints."""

    def __init__(
        self,
        clients: Sequence[WitnessClient],
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take over the clients; `close` closes them.

        Args:
            clients: One for each witness.
            monotonic_s: A clock that only grows, in seconds.
        """
        self._clients = tuple(clients)
        self._pauses = [_Pause() for _ in clients]
        self._monotonic_s = monotonic_s
        self._runner = asyncio.Runner()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            self._runner.run(self._close_all())
            self._runner.close()

    def submit_to_all(
        self, note: bytes, *, consistency: Consistency
    ) -> tuple[WitnessOutcome, ...]:
        """Have a checkpoint cosigned by all witnesses at once.

        Waits for the slowest, `SUBMISSION_S_MAX` seconds at most. Call it from a
        thread that runs no event loop; a second caller waits for the first.

        Args:
            note: The checkpoint, signed by its log.
            consistency: Proves that the log extends what a witness knows.

        Returns:
            What came of each, in the order of the clients. No `LedgerError` leaves
            this function.
        """
        with self._lock:
            return self._runner.run(self._submit_to_all(note, consistency))

    async def _submit_to_all(
        self, note: bytes, consistency: Consistency
    ) -> tuple[WitnessOutcome, ...]:
        witnesses = zip(self._clients, self._pauses, strict=True)
        return tuple(
            await asyncio.gather(
                *(
                    self._outcome(client, pause, note, consistency)
                    for client, pause in witnesses
                )
            )
        )

    async def _outcome(
        self,
        client: WitnessClient,
        pause: _Pause,
        note: bytes,
        consistency: Consistency,
    ) -> WitnessOutcome:
        try:
            left_s = pause.until_s - self._monotonic_s()
            if left_s > 0:
                raise _left_alone(client, left_s)
            lines = await client.submit_checkpoint(note, consistency=consistency)
        except WitnessUnavailableError as error:
            if pause.until_s <= self._monotonic_s():
                pause.length_s = min(PAUSE_S_MAX, pause.length_s * 2 or PAUSE_FIRST_S)
                pause.until_s = self._monotonic_s() + pause.length_s
            return WitnessOutcome(client.url, (), error)
        except LedgerError as error:
            return WitnessOutcome(client.url, (), error)
        pause.length_s = 0.0
        return WitnessOutcome(client.url, lines, None)

    async def _close_all(self) -> None:
        for client in self._clients:
            await client.close()


def _left_alone(client: WitnessClient, left_s: float) -> WitnessUnavailableError:
    return WitnessUnavailableError(
        f"{client.url} did not answer, and is left alone for {left_s:.0f} s more."
    )
