"""The witnesses of this market's log: who has cosigned what, and whether it is enough.

What counts lies in files that survive a restart: the checkpoint with its
cosignatures, and the newest checkpoint that met the quorum. A witness that is slow
or dead stops nothing. One that shows two notes of ours which contradict each other
stops the publishing: this log has forked, and to sign more would only add to it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ledger.encoding import Json
from ledger.errors import LedgerError, LogError, NoteError, PolicyError, TileError
from ledger.log.cosignature import verify_cosignature
from ledger.log.errors import WitnessAheadError, WitnessAlarmError, WitnessError
from ledger.log.evidence import FIRST_NAME, SECOND_NAME, ForkEvidence, list_evidence
from ledger.log.log import Log
from ledger.log.note import NoteSignature, Verifier
from ledger.log.proof import TlogProof
from ledger.log.tree import TileTree
from ledger.log.witness_client import (
    WitnessClient,
    WitnessOutcome,
    WitnessPool,
    check_witness_url,
)
from ledger.log.witness_policy import (
    NO_WITNESSES,
    POLICY_BYTES_MAX,
    WitnessedCheckpoint,
    WitnessPolicy,
)
from market.clock import Clock
from market.errors import InvalidError
from market.witnessing.rounds import Contact, Round, WitnessRounds

ALARMS_KEPT_MAX = 16
"""One is enough to act upon; a witness gone mad must not fill the disk."""

FORKED = "This log has forked; nothing is published until its operator has looked."
"""Entries that were signed and lost are a fork as soon as others take their place."""

logger = logging.getLogger(__name__)


def read_policy(path: Path | None, *, is_required: bool) -> WitnessPolicy:
    """Read the policy that an operator has set, if any.

    Args:
        path: Of the file; None for a log without witnesses.
        is_required: Whether proofs below the quorum are refused.

    Raises:
        InvalidError: The file cannot be read or is out of form, or asks for no
            quorum where one is required.
    """
    policy = NO_WITNESSES
    if path is not None:
        try:
            with path.open("rb") as file:
                policy = WitnessPolicy.parse(file.read(POLICY_BYTES_MAX + 1))
            for witness in policy.witnesses.values():
                if witness.url is not None:
                    check_witness_url(witness.url)
        except OSError as error:
            message = f"The witness policy {path} cannot be read: {error.strerror}."
            raise InvalidError(message) from error
        except (PolicyError, WitnessError) as error:
            raise InvalidError(f"{path}: {error}") from error
    if is_required and policy.quorum is None:
        raise InvalidError("A quorum is required, and the witness policy has none.")
    return policy


@dataclass
class _Standing:
    """What one witness did last."""

    cosigned_size: int | None = None
    cosigned_at_ms: int | None = None
    error: LedgerError | None = None


@dataclass(frozen=True)
class _Alarm:
    url: str
    message: str
    at_ms: int


@dataclass(frozen=True)
class WitnessHooks:
    """What the witnesses need of the market around them."""

    committed_size: Callable[[], int]
    """How many entries the database has."""
    changed: Callable[[], None]
    """Called when there are more cosignatures."""
    is_ours: Callable[[], bool]
    """Whether this process is the one that publishes."""


class Witnesses:
    """The witnesses that a policy names. May be used by several threads."""

    def __init__(
        self,
        log: Log,
        policy: WitnessPolicy,
        clock: Clock,
        *,
        is_required: bool,
        evidence: Path,
        hooks: WitnessHooks,
    ) -> None:
        """Name the witnesses; they are asked from `start` on.

        Args:
            log: Whose checkpoints are cosigned.
            policy: From `read_policy`. Its logs are not looked at, as this log knows
                its own keys.
            clock: What tells the time.
            is_required: Whether proofs below the quorum are refused.
            evidence: The folder for evidence of a fork.
            hooks: What surrounds it.
        """
        self._log = log
        self._policy = replace(policy, logs={})
        self._clock = clock
        self.is_required = is_required
        self._evidence = evidence
        self._hooks = hooks
        by_url: dict[str, list[Verifier]] = {}
        for witness in policy.witnesses.values():
            if witness.url is not None:
                by_url.setdefault(witness.url, []).append(witness.verifier)
        contacts = [
            Contact(url, verifiers, WitnessPool([WitnessClient(url, verifiers)]))
            for url, verifiers in by_url.items()
        ]
        self._standings = {url: _Standing() for url in by_url}
        self._alarms: list[_Alarm] = []
        self._judged: dict[bytes, WitnessedCheckpoint] = {}
        self._rounds = WitnessRounds(
            log, contacts, begin=self._begin, take=self._take, is_ours=hooks.is_ours
        )

    @property
    def has_quorum(self) -> bool:
        """Whether the policy asks for cosignatures at all."""
        return self._policy.quorum is not None

    def start(self) -> None:
        """Halt the log if it is known to have forked; else begin to ask."""
        for folder in list_evidence(self._evidence):
            first, second = (
                (folder / name).read_bytes() for name in (FIRST_NAME, SECOND_NAME)
            )
            if self._is_fork(first, second):
                self._halt(f"{folder} proves that this log has forked.")
        self._rounds.start()

    def request(self) -> None:
        """Have the newest checkpoint cosigned."""
        self._rounds.request()

    def stop(self) -> None:
        """Ask no more. What is on its way is lost, and asked for again at start."""
        self._rounds.stop()

    def prove(self, index: int) -> TlogProof:
        """Prove an entry under the best checkpoint that counts it.

        Raises:
            LogError: The entry is not published yet.
            TileError: A tile is missing in the folder.
        """
        try:
            return self.prove_witnessed(index)
        except LogError:
            return self._log.prove(index)

    def prove_witnessed(self, index: int) -> TlogProof:
        """Prove an entry under a checkpoint that meets the quorum.

        Raises:
            LogError: There is none yet that counts the entry.
            TileError: A tile is missing in the folder.
        """
        if not self.has_quorum:
            return self._log.prove(index)
        note = self._log.witnessed_note()
        if note is None or not self._judge(note).witnessing.is_quorum_met:
            raise LogError("No checkpoint has the cosignatures that are asked for.")
        return self._log.prove_witnessed(index)

    def description(self) -> dict[str, Json]:
        """What a market says of its witnesses in its description."""
        note = self._log.witnessed_note()
        return {
            "quorum": self._policy.quorum,
            "quorumRequired": self.is_required,
            "witnessed": None if note is None else self._note_json(note),
            "alarms": len(self._alarms),
        }

    def status(self) -> dict[str, Json]:
        """Everything there is to say about the witnesses; all of it is public."""
        checkpoint, witnessed = self._log.published_note(), self._log.witnessed_note()
        return {
            **self.description(),
            "checkpoint": None if checkpoint is None else self._note_json(checkpoint),
            "witnessed": None if witnessed is None else self._note_json(witnessed),
            "witnesses": [
                {
                    "name": witness.name,
                    "vkey": witness.verifier.vkey,
                    "url": witness.url,
                    **_standing_json(self._standings.get(witness.url or "")),
                }
                for witness in self._policy.witnesses.values()
            ],
            "groups": {
                name: {"threshold": group.threshold, "members": list(group.members)}
                for name, group in self._policy.groups.items()
            },
            "alarms": [
                {"url": alarm.url, "message": alarm.message, "atMs": alarm.at_ms}
                for alarm in self._alarms
            ],
        }

    def _judge(self, note: bytes) -> WitnessedCheckpoint:
        """Open a note of this log and say who has cosigned it."""
        known = self._judged.get(note)
        if known is None:
            known = self._policy.open(note, self._log.signers.open(note).keys)
            # The newest checkpoint and the newest that was witnessed, and no more.
            self._judged = dict([*self._judged.items()][-1:]) | {note: known}
        return known

    def _note_json(self, note: bytes) -> Json:
        opened = self._judge(note)
        return {
            "size": opened.checkpoint.size,
            "isQuorumMet": opened.witnessing.is_quorum_met,
            "cosignedAtS": dict(opened.witnessing.times_s),
        }

    def _begin(self, note: bytes) -> Round:
        opened = self._judge(note)
        verifiers = _by_key(self._policy.verifiers)
        signatures = [
            item
            for item in opened.note.signatures
            if (item.name, item.key_id) in verifiers
        ]
        round_ = Round(note, opened.note.text, opened.checkpoint.size, signatures)
        self._settle(round_)
        return round_

    def _take(self, contact: Contact, round_: Round, outcome: WitnessOutcome) -> None:
        standing = self._standings[contact.url]
        self._report(contact, standing, outcome.error)
        signatures = _verified(round_.text, outcome.signatures, contact.verifiers)
        if not signatures:
            return
        round_.add(signatures)
        standing.cosigned_size = round_.size
        standing.cosigned_at_ms = self._clock.now_ms()
        self._log.add_cosignatures(round_.text, signatures)
        self._settle(round_)
        self._hooks.changed()

    def _settle(self, round_: Round) -> None:
        """Keep a checkpoint that has what is asked for."""
        if self.has_quorum and self._judge(round_.note).witnessing.is_quorum_met:
            round_.is_satisfied = True
            self._log.keep_witnessed(round_.note)

    def _report(
        self, contact: Contact, standing: _Standing, error: LedgerError | None
    ) -> None:
        """Tell of a change for the worse or the better, once."""
        before, standing.error = standing.error, error
        if error is None:
            if before is not None:
                logger.warning("%s cosigns again.", contact.url)
        elif before is None or before.code != error.code:
            if isinstance(error, WitnessAlarmError):
                self._raise_alarm(contact.url, error)
                self._examine(contact.url, error, error.submitted)
            elif isinstance(error, WitnessAheadError):
                self._look_for_loss(contact.url, error)
            else:
                logger.warning("No cosignature: %s", error)

    def _raise_alarm(self, url: str, error: LedgerError) -> None:
        logger.critical("ALARM by a witness: %s", error)
        self._alarms.append(_Alarm(url, str(error), self._clock.now_ms()))
        del self._alarms[:-ALARMS_KEPT_MAX]

    def _examine(
        self, url: str, error: WitnessAlarmError | WitnessAheadError, ours: bytes
    ) -> None:
        """Keep what a witness has shown, and halt the log if that proves a fork."""
        if error.cosigned is None:
            return
        if len(list_evidence(self._evidence)) < ALARMS_KEPT_MAX:
            evidence = ForkEvidence(
                keys=self._log.signers.keys.text,
                first=error.cosigned,
                second=ours,
                account=f"A witness refused to cosign. {error}",
            )
            logger.critical("What it shows is in %s", evidence.write(self._evidence))
        if self._is_fork(error.cosigned, ours):
            self._halt(f"{url} proves that this log has forked.")

    def _look_for_loss(self, url: str, error: WitnessAheadError) -> None:
        """Tell a database that was put back from an old copy from a late checkpoint."""
        ours = self._log.published_note()
        if ours is not None and error.size > self._hooks.committed_size():
            self._raise_alarm(url, error)
            self._examine(url, error, ours)

    def _halt(self, account: str) -> None:
        logger.critical("%s %s", account, FORKED)
        self._log.halt(FORKED)

    def _is_fork(self, first: bytes, second: bytes) -> bool:
        """Whether this log has signed both notes, and its tree is not in both."""
        try:
            heads = [
                self._log.signers.open(note).checkpoint for note in (first, second)
            ]
            return any(
                TileTree(self._log.tiles, head.size).root() != head.root
                for head in heads
            )
        except NoteError:
            return False
        except TileError:
            # Signed, and larger than what is here: entries were lost.
            return True


def _by_key(verifiers: Sequence[Verifier]) -> dict[tuple[str, bytes], Verifier]:
    return {(item.name, item.key_id): item for item in verifiers}


def _verified(
    text: str, signatures: Sequence[NoteSignature], verifiers: Sequence[Verifier]
) -> list[NoteSignature]:
    """Those that are of this witness and true; who connects us is not trusted."""
    known = _by_key(verifiers)
    result = []
    for signature in signatures:
        verifier = known.get((signature.name, signature.key_id))
        if verifier is None:
            continue
        try:
            verify_cosignature(text, signature, verifier)
        except NoteError as error:
            logger.warning("A cosignature does not verify: %s", error)
        else:
            result.append(signature)
    return result


def _standing_json(standing: _Standing | None) -> Mapping[str, Json]:
    if standing is None:
        return {"lastCosignedSize": None, "lastCosignedAtMs": None, "error": None}
    error = standing.error
    return {
        "lastCosignedSize": standing.cosigned_size,
        "lastCosignedAtMs": standing.cosigned_at_ms,
        "error": None if error is None else {"code": error.code, "message": str(error)},
    }
