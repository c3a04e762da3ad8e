"""Which witnesses are trusted, and how many of them must have cosigned.

A policy is a text file that operator, consumer and auditor can each choose for
themselves. What has too few cosignatures may still be true; nobody independent has
stated yet that everybody is shown the same.

Source: C2SP tlog-policy. We also take keys of type 0x06 (ML-DSA-44), of witnesses
and, beside the Ed25519 key and under the same name, of logs.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ledger.errors import NoteError, PolicyError, QuorumError
from ledger.log.checkpoint import Checkpoint
from ledger.log.cosignature import cosignature_time_s
from ledger.log.log_keys import LogKeys, open_signed_checkpoint
from ledger.log.note import Note, Verifier
from ledger.log.signature_types import SignatureType

POLICY_BYTES_MAX = 262_144
"""All logs, witnesses and groups at their most, each with the longest key."""

POLICY_LOGS_MAX = 32
"""What C2SP tlog-policy asks for at least; so for the two that follow."""

POLICY_WITNESSES_MAX = 32
"""With the log's own, as many signatures fit a note if most are not ML-DSA."""

POLICY_GROUPS_MAX = 32
"""Organisations, and groups of them."""

_NO_QUORUM = "none"
_SEPARATOR = re.compile(r"[ \t]+")
_THRESHOLD = re.compile(r"[1-9][0-9]{0,2}")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Witness:
    """A witness as a policy has it; `name` has a meaning inside the policy only."""

    name: str
    verifier: Verifier
    url: str | None
    """The prefix under which it takes checkpoints, if the file says it."""


@dataclass(frozen=True)
class Group:
    """Has cosigned if at least `threshold` of its members have."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Witnessing:
    """Who has cosigned one checkpoint, and whether that is enough."""

    times_s: Mapping[str, int]
    """When each witness cosigned, in seconds since 1970, by its name in the policy."""
    is_quorum_met: bool


@dataclass(frozen=True)
class WitnessedCheckpoint:
    """A checkpoint that its log signed, and what the policy says of its witnesses."""

    checkpoint: Checkpoint
    note: Note
    witnessing: Witnessing


@dataclass(frozen=True)
class WitnessPolicy:
    """Logs, witnesses, groups of them, and the quorum."""

    logs: Mapping[str, LogKeys]
    """Keys of the logs that it accepts, by origin; none if it does not say."""
    witnesses: Mapping[str, Witness]
    groups: Mapping[str, Group]
    quorum: str | None
    """A witness or a group; None if no cosignature is needed."""

    @classmethod
    def parse(cls, data: bytes) -> "WitnessPolicy":
        """Parse a policy file.

        Args:
            data: UTF-8, at most `POLICY_BYTES_MAX` bytes, each line with its newline.

        Raises:
            PolicyError: Something else; says at which line.
        """
        if len(data) > POLICY_BYTES_MAX:
            raise PolicyError(f"A policy has at most {POLICY_BYTES_MAX} bytes.")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise PolicyError("A policy is UTF-8.") from error
        *lines, rest = text.split("\n")
        if rest:
            raise PolicyError("The last line of a policy has no newline.")
        reading = _Reading()
        for number, line in enumerate(lines, start=1):
            try:
                reading.take(line)
            except NoteError as error:
                raise PolicyError(f"Line {number} of the policy: {error}") from error
        return reading.finish()

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """The keys of all witnesses."""
        return tuple(witness.verifier for witness in self.witnesses.values())

    def evaluate(self, note: Note) -> Witnessing:
        """Say who has cosigned and whether the quorum is met.

        Args:
            note: Opened with `verifiers`, so that their lines in it are checked.
        """
        signed_by = {(item.name, item.key_id): item for item in note.signatures}
        times_s = {}
        for name, witness in self.witnesses.items():
            verifier = witness.verifier
            signature = signed_by.get((verifier.name, verifier.key_id))
            if signature is not None:
                times_s[name] = cosignature_time_s(signature)
        return Witnessing(times_s, self._is_met(times_s))

    def open(self, data: bytes, keys: LogKeys | Verifier) -> WitnessedCheckpoint:
        """Open a signed checkpoint and say who has cosigned it.

        Args:
            data: The note, as served at `checkpoint`.
            keys: Of the log. Each must have signed.

        Raises:
            NoteError: As for `open_signed_checkpoint`, or the policy accepts other
                logs only. No error if the quorum is not met.
        """
        opened = open_signed_checkpoint(data, keys, self.verifiers)
        first = keys.verifiers[0] if isinstance(keys, LogKeys) else keys
        accepted = [known.verifiers[0] for known in self.logs.values()]
        if accepted and first not in accepted:
            raise NoteError(f"The policy does not accept this key of {first.name}.")
        witnessing = self.evaluate(opened.note)
        return WitnessedCheckpoint(opened.checkpoint, opened.note, witnessing)

    def verify(self, data: bytes, keys: LogKeys | Verifier) -> WitnessedCheckpoint:
        """Open a signed checkpoint and demand the quorum.

        Raises:
            NoteError: As for `open`.
            QuorumError: The log signed it, and too few witnesses have cosigned.
        """
        opened = self.open(data, keys)
        if not opened.witnessing.is_quorum_met:
            count = len(opened.witnessing.times_s)
            raise QuorumError(
                f"{count} of {len(self.witnesses)} witnesses have cosigned; the quorum "
                f"{self.quorum} is not met."
            )
        return opened

    def _is_met(self, cosigned: Iterable[str]) -> bool:
        met = set(cosigned)
        # Members stand above their groups, so one pass settles all of them.
        for name, group in self.groups.items():
            if len(met.intersection(group.members)) >= group.threshold:
                met.add(name)
        return self.quorum is None or self.quorum in met


NO_WITNESSES = WitnessPolicy(logs={}, witnesses={}, groups={}, quorum=None)
"""The policy of who asks for no cosignatures: `quorum none`, and no witness known."""


@dataclass
class _Reading:
    """What the lines so far have defined."""

    logs: list[Verifier] = field(default_factory=list)
    witnesses: dict[str, Witness] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    quorums: list[str] = field(default_factory=list)
    keys: set[bytes] = field(default_factory=set)
    members: set[str] = field(default_factory=set)

    def take(self, line: str) -> None:
        if _FORBIDDEN.search(line):
            raise PolicyError("A control character.")
        line = line.strip(" \t")
        if not line or line.startswith("#"):
            return
        match _SEPARATOR.split(line):
            case ["log", vkey, *url] if len(url) <= 1:
                self._take_log(vkey)
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self._take_witness(name, vkey, url[0] if url else None)
            case ["group", name, threshold, *members] if members:
                self._take_group(name, threshold, members)
            case ["quorum", name]:
                self._take_quorum(name)
            case _:
                raise PolicyError("Not a log, witness, group, quorum or comment.")

    def finish(self) -> WitnessPolicy:
        if len(self.quorums) != 1:
            raise PolicyError("A policy has exactly one quorum line.")
        quorum = self.quorums[0]
        return WitnessPolicy(
            logs=_grouped(self.logs),
            witnesses=self.witnesses,
            groups=self.groups,
            quorum=None if quorum == _NO_QUORUM else quorum,
        )

    def _take_log(self, vkey: str) -> None:
        if len(self.logs) == POLICY_LOGS_MAX:
            raise PolicyError(f"A policy has at most {POLICY_LOGS_MAX} logs.")
        self.logs.append(self._new_key(vkey, witness=False))

    def _take_witness(self, name: str, vkey: str, url: str | None) -> None:
        if len(self.witnesses) == POLICY_WITNESSES_MAX:
            raise PolicyError(f"A policy has at most {POLICY_WITNESSES_MAX} witnesses.")
        self._check_new(name)
        self.witnesses[name] = Witness(name, self._new_key(vkey, witness=True), url)

    def _take_group(self, name: str, threshold: str, members: list[str]) -> None:
        if len(self.groups) == POLICY_GROUPS_MAX:
            raise PolicyError(f"A policy has at most {POLICY_GROUPS_MAX} groups.")
        self._check_new(name)
        for member in members:
            self._check_known(member)
            if member in self.members:
                raise PolicyError(f"{member} is a member of a group already.")
            self.members.add(member)
        counts = {"any": "1", "all": str(len(members))}
        count = counts.get(threshold, threshold)
        if _THRESHOLD.fullmatch(count) is None or int(count) > len(members):
            raise PolicyError(f"{len(members)} members and a threshold {threshold}.")
        self.groups[name] = Group(int(count), tuple(members))

    def _take_quorum(self, name: str) -> None:
        if name != _NO_QUORUM:
            self._check_known(name)
        self.quorums.append(name)

    def _check_new(self, name: str) -> None:
        if name == _NO_QUORUM or name in self.witnesses or name in self.groups:
            raise PolicyError(f"The name {name} is taken.")

    def _check_known(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise PolicyError(f"{name} is not defined above.")

    def _new_key(self, vkey: str, *, witness: bool) -> Verifier:
        verifier = Verifier.parse(vkey)
        wrong = SignatureType.ED25519 if witness else SignatureType.COSIGNATURE_ED25519
        if verifier.signature_type is wrong:
            raise PolicyError("A log's key where a witness's is due, or the reverse.")
        # One key under two names would count twice.
        if verifier.key in self.keys:
            raise PolicyError("A key that stands in the policy already.")
        self.keys.add(verifier.key)
        return verifier


def _grouped(verifiers: Iterable[Verifier]) -> dict[str, LogKeys]:
    by_origin: dict[str, list[Verifier]] = {}
    for verifier in verifiers:
        by_origin.setdefault(verifier.name, []).append(verifier)
    try:
        return {name: LogKeys(tuple(keys)) for name, keys in by_origin.items()}
    except NoteError as error:
        raise PolicyError(f"The logs of the policy: {error}") from error
