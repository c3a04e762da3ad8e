"""Decides whether to cosign: the protocol of a witness, apart from HTTP.

A witness states that each checkpoint of a log that it has cosigned extends all those
before. It sees no entry and believes no claim but proofs, so anybody can run one.

Source: C2SP tlog-witness, tlog-cosignature.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from ledger.errors import NoteError, ProofError
from ledger.log.checkpoint import Checkpoint, parse_checkpoint
from ledger.log.cosignature import Cosigner, encode_signature_lines
from ledger.log.errors import WitnessProtocolError
from ledger.log.evidence import ForkEvidence, list_evidence
from ledger.log.merkle import EMPTY_ROOT, verify_consistency
from ledger.log.note import Note, Verifier, open_note, read_text
from ledger.log.signature_types import SignatureType
from ledger.log.witness_protocol import (
    SIZE_MEDIA_TYPE,
    AddCheckpoint,
    encode_size,
    parse_add_checkpoint,
)
from ledger.witness.errors import WitnessConfigError
from ledger.witness.store import Head, WitnessStore

WITNESSED_LOGS_MAX = 256
"""A witness of our kind is run for a few markets; their keys are held in memory."""

EVIDENCE_MAX = 64
"""Forks that are kept: each is proof by itself, and a broken log may sign many."""

_TEXT = "text/plain; charset=utf-8"


class Status(IntEnum):
    """What a witness answers, as HTTP statuses."""

    COSIGNED = 200
    MALFORMED = 400
    NOT_SIGNED = 403
    UNKNOWN_LOG = 404
    OTHER_SIZE = 409
    NOT_CONSISTENT = 422


@dataclass(frozen=True)
class Answer:
    """What a witness answers, and what it notes down of it."""

    status: Status
    body: bytes
    account: str
    """One line for the witness's own records. May hold text from outside."""
    media_type: str = _TEXT


class _RefusalError(Exception):
    """Ends a decision with an answer that is not 200."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class _Submission:
    """A request whose note was opened."""

    request: AddCheckpoint
    note: Note
    checkpoint: Checkpoint

    @property
    def log_note(self) -> bytes:
        """The note with those signatures of the log that were checked, no others."""
        return f"{self.note.text}\n".encode() + encode_signature_lines(
            self.note.signatures
        )


def group_by_origin(verifiers: Sequence[Verifier]) -> dict[str, tuple[Verifier, ...]]:
    """Put the keys of each log together, under the log's origin.

    A log with several keys of one type may sign with any of them, as while it
    changes its key; of each type that is given one must have signed.

    Raises:
        WitnessConfigError: No key, one twice, a witness's key, or too many logs.
    """
    logs: dict[str, tuple[Verifier, ...]] = {}
    for verifier in verifiers:
        known = logs.get(verifier.name, ())
        if verifier in known:
            raise WitnessConfigError(f"A key of {verifier.name} is named twice.")
        if verifier.signature_type is SignatureType.COSIGNATURE_ED25519:
            raise WitnessConfigError(f"The key of {verifier.name} is a witness's.")
        logs[verifier.name] = (*known, verifier)
    if not 0 < len(logs) <= WITNESSED_LOGS_MAX:
        raise WitnessConfigError(f"A witness has 1 to {WITNESSED_LOGS_MAX} logs.")
    return logs


class Witness:
    """One witness. May be used from several threads and processes at once."""

    def __init__(
        self,
        store: WitnessStore,
        cosigners: Sequence[Cosigner],
        logs: Mapping[str, tuple[Verifier, ...]],
        *,
        evidence: Path,
        now_s: Callable[[], int],
    ) -> None:
        """Make a witness of its parts.

        Args:
            store: What it remembers.
            cosigners: Its keys; each adds a line to every answer.
            logs: From `group_by_origin`.
            evidence: The folder in which forks are kept.
            now_s: The clock, in seconds since 1970.
        """
        self._store = store
        self._cosigners = tuple(cosigners)
        self._logs = logs
        self._evidence = evidence
        self._now_s = now_s

    @property
    def vkeys(self) -> tuple[str, ...]:
        """The verifier keys of the witness as text."""
        return tuple(cosigner.verifier.vkey for cosigner in self._cosigners)

    def shown(self, path: str) -> bytes | None:
        """Return what is shown at `<hex SHA-256 of an origin>/checkpoint`, if any.

        Raises:
            WitnessStoreError: What it remembers cannot be read.
        """
        return self._store.find_note(path)

    def add_checkpoint(self, body: bytes) -> Answer:
        """Decide about a request to cosign.

        Args:
            body: As it was received, from anybody.

        Returns:
            The answer. If it is 200, the decision is on the disk.

        Raises:
            WitnessStoreError: What it remembers cannot be read or written.
            OSError: Evidence of a fork cannot be kept.
        """
        try:
            submission = self._open(body)
            origin = submission.checkpoint.origin
            return self._store.advance(
                origin, lambda head: self._decide(submission, head)
            )
        except _RefusalError as refusal:
            reason = str(refusal)
            return Answer(refusal.status, f"{reason}\n".encode(), reason)

    def _open(self, body: bytes) -> _Submission:
        """Check all that can be checked without remembering anything."""
        try:
            request = parse_add_checkpoint(body)
            origin = request.origin
            # A line that is there and wrong is another answer than no line.
            read_text(request.note)
        except (WitnessProtocolError, NoteError) as error:
            raise _RefusalError(Status.MALFORMED, str(error)) from error
        verifiers = self._logs.get(origin)
        if verifiers is None:
            reason = f"{origin[:80]} is not a log of this witness."
            raise _RefusalError(Status.UNKNOWN_LOG, reason)
        note = _open_note(request.note, verifiers)
        checkpoint = _parse_text(note.text)
        if request.old_size > checkpoint.size:
            raise _RefusalError(
                Status.MALFORMED,
                f"The old size {request.old_size} is above {checkpoint.size}.",
            )
        return _Submission(request, note, checkpoint)

    def _decide(
        self, submission: _Submission, head: Head | None
    ) -> tuple[Head | None, Answer]:
        new, old_size = submission.checkpoint, submission.request.old_size
        old = head.checkpoint if head else Checkpoint(new.origin, 0, EMPTY_ROOT)
        step = f"{new.origin} {old.size} -> {new.size}"
        if old_size != old.size:
            account = f"{step}: the request begins at {old_size}"
            body = encode_size(old.size)
            return None, Answer(Status.OTHER_SIZE, body, account, SIZE_MEDIA_TYPE)
        if head and old.size == new.size and old.root != new.root:
            where = self._keep_evidence(head, submission)
            raise _RefusalError(
                Status.NOT_CONSISTENT, f"{step}: FORK, another root{where}."
            )
        try:
            verify_consistency(
                old_size=old.size,
                new_size=new.size,
                path=submission.request.proof,
                old_root=old.root,
                new_root=new.root,
            )
        except ProofError as error:
            # No evidence: whoever has an honest note can send it with a wrong proof.
            raise _RefusalError(
                Status.NOT_CONSISTENT, f"{step}: not consistent: {error}"
            ) from error
        now_s = self._now_s()
        text = submission.note.text
        lines = encode_signature_lines(
            [cosigner.cosign(text, time_s=now_s) for cosigner in self._cosigners]
        )
        cosigned = Head(new, submission.log_note + lines, now_s)
        return cosigned, Answer(Status.COSIGNED, lines, f"{step}: cosigned")

    def _keep_evidence(self, head: Head, submission: _Submission) -> str:
        if len(list_evidence(self._evidence)) >= EVIDENCE_MAX:
            return ""
        new = submission.checkpoint
        evidence = ForkEvidence(
            keys="".join(f"{key.vkey}\n" for key in self._logs[new.origin]),
            first=head.note,
            second=submission.log_note,
            account=(
                f"The log {new.origin} has signed two checkpoints of {new.size} "
                "entries with different roots. A witness had cosigned the first, at "
                f"{head.cosigned_at_s} seconds since 1970, and was then sent the "
                "second."
            ),
        )
        return f", kept in {evidence.write(self._evidence).name}"


def _open_note(data: bytes, verifiers: Sequence[Verifier]) -> Note:
    try:
        note = open_note(data, verifiers)
    except NoteError as error:
        raise _RefusalError(Status.NOT_SIGNED, str(error)) from error
    signed_by = {(item.name, item.key_id) for item in note.signatures}
    types = {
        verifier.signature_type
        for verifier in verifiers
        if (verifier.name, verifier.key_id) in signed_by
    }
    if types != {verifier.signature_type for verifier in verifiers}:
        reason = "The log has not signed with a key of each type."
        raise _RefusalError(Status.NOT_SIGNED, reason)
    return note


def _parse_text(text: str) -> Checkpoint:
    try:
        return parse_checkpoint(text)
    except NoteError as error:
        is_empty = text.split("\n")[1:2] == ["0"]
        status = Status.NOT_CONSISTENT if is_empty else Status.MALFORMED
        raise _RefusalError(status, str(error)) from error
