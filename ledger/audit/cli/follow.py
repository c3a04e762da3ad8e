"""`sixfold audit follow`: looks at a log again and again, and never forgets."""

import json
import signal
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from types import MappingProxyType
from typing import Annotated, NoReturn

import typer

from ledger.audit.cli.options import JsonOption, KeyOption, fail, read_key
from ledger.audit.follow import AlarmError, LogFollower, Sighting, Step
from ledger.audit.follow_state import FollowState
from ledger.audit.remote_log import RemoteLog
from ledger.clock import system_now_ms
from ledger.console import ExitCode, print_line, print_notice
from ledger.encoding import Json, encode_base64
from ledger.errors import (
    AuditError,
    LedgerError,
    LockedError,
    NoteError,
    PolicyError,
    QuorumError,
    TileError,
)
from ledger.log.log_keys import LogKeys
from ledger.log.witness_policy import NO_WITNESSES, POLICY_BYTES_MAX, WitnessPolicy
from ledger.regular_file import read_regular_file

FOLDER = Path("sixfold-follow")


def follow(
    url: Annotated[str, typer.Argument(help="Address of the market.")],
    folder: Annotated[
        Path, typer.Option("--dir", file_okay=False, help="What is kept of the log.")
    ] = FOLDER,
    interval: Annotated[
        float, typer.Option(min=0.1, help="Seconds between two looks.")
    ] = 60.0,
    key: KeyOption = None,
    policy: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Witnesses, and how many."),
    ] = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Keep a log's last checkpoint, check that it only grows, keep proof of a fork."""
    keys = read_key(key, as_json=as_json) if key else None
    try:
        witnesses = _read_policy(policy)
        with RemoteLog(url):
            pass
    except (AuditError, PolicyError) as error:
        step = "Give an http or https URL, and a file as C2SP tlog-policy has it."
        fail(error, ExitCode.MISUSE, step, as_json=as_json)
    narrator = _Narrator(has_policy=policy is not None, once=once, as_json=as_json)
    try:
        with closing(FollowState(folder)) as state:
            follower = LogFollower(
                state,
                lambda: RemoteLog(url),
                keys=keys or _sole_log(witnesses),
                policy=witnesses,
            )
            for path in state.evidence:
                print_notice(f"This log was caught before: the evidence is in {path}.")
            _look_on(follower, narrator, interval_s=None if once else interval)
    except LedgerError as error:
        step = "Choose another --dir, or let the one that is at work there go on."
        is_taken = isinstance(error, LockedError)
        code = ExitCode.FAILED if is_taken else ExitCode.MISUSE
        fail(error, code, step, as_json=as_json)


def _look_on(
    follower: LogFollower, narrator: "_Narrator", *, interval_s: float | None
) -> None:
    if interval_s is None:
        narrator.look(follower)
        return
    stopping = Event()
    _stop_on_signal(stopping)
    while True:
        narrator.look(follower)
        if stopping.wait(interval_s):
            return


class _Narrator:
    """Tells what each look has shown, and ends the command where it must end."""

    def __init__(self, *, has_policy: bool, once: bool, as_json: bool) -> None:
        self._has_policy = has_policy
        self._once = once
        self._as_json = as_json
        self._failure = ""
        self._told: tuple[object, ...] = ()

    def look(self, follower: LogFollower) -> None:
        now_s = system_now_ms() // 1000
        try:
            sighting = follower.look(now_s=now_s)
        except AlarmError as alarm:
            self._end_with_alarm(alarm)
        except (AuditError, TileError) as error:
            self._tell_failure(error, now_s, ExitCode.FAILED)
        except NoteError as error:
            # Nobody has signed it, so it says nothing about the log.
            self._tell_failure(error, now_s, ExitCode.VERIFICATION_FAILED)
        else:
            self._failure = ""
            self._tell(sighting, now_s)

    def _tell(self, sighting: Sighting, now_s: int) -> None:
        if sighting.is_first_use:
            print_notice(
                "The log's keys came from the market itself and are trusted on first "
                f"use. Compare log.vkey, which was kept, with others', or pass --key: "
                f"{sighting.keys.vkeys[0]}"
            )
        for name in sighting.ahead:
            print_notice(f"The cosignature of {name} is from the future; not counted.")
        new = (sighting.checkpoint, sighting.is_witnessed, len(sighting.ahead))
        if self._once or new != self._told:
            self._told = new
            if self._as_json:
                typer.echo(json.dumps(self._to_json(sighting, now_s)))
            else:
                print_line(self._to_line(sighting, now_s))
        if self._once and not sighting.is_witnessed:
            if self._as_json:
                # It was said in the one line there is to be.
                raise typer.Exit(ExitCode.VERIFICATION_FAILED)
            error = QuorumError("Too few witnesses have cosigned, now or shortly ago.")
            step = "Look again later; ask the log's operator if it stays so."
            self._end(error, step, ExitCode.VERIFICATION_FAILED)

    def _to_line(self, sighting: Sighting, now_s: int) -> str:
        checkpoint = sighting.checkpoint
        parts = [f"{_time(now_s)} {checkpoint.origin}: {checkpoint.size} entries"]
        if sighting.step is Step.OLDER and sighting.previous is not None:
            parts.append(f"older than the {sighting.previous.size} known")
        elif sighting.previous is not None:
            parts.append(f"+{checkpoint.size - sighting.previous.size}")
        if self._has_policy:
            parts.append(f"{len(sighting.witnessing.times_s)} witnesses")
            if not sighting.is_witnessed:
                parts.append("BELOW QUORUM")
            elif not sighting.witnessing.is_quorum_met:
                parts.append("quorum met shortly before")
        return ", ".join(parts)

    def _to_json(self, sighting: Sighting, now_s: int) -> dict[str, Json]:
        previous = sighting.previous
        return {
            "event": "checkpoint",
            "time": _time(now_s),
            "origin": sighting.checkpoint.origin,
            "size": sighting.checkpoint.size,
            "root": encode_base64(sighting.checkpoint.root),
            "step": str(sighting.step),
            "previousSize": previous.size if previous else None,
            "witnesses": dict(sighting.witnessing.times_s),
            "ahead": list(sighting.ahead),
            "isWitnessed": sighting.is_witnessed if self._has_policy else None,
        }

    def _tell_failure(self, error: LedgerError, now_s: int, code: ExitCode) -> None:
        if self._once:
            self._end(error, "Check the address; run the command again.", code)
        # Told once, not at each look until it is over.
        if str(error) == self._failure:
            return
        self._failure = str(error)
        if self._as_json:
            said = {"code": error.code, "message": str(error)}
            typer.echo(json.dumps({"event": "failure", "time": _time(now_s), **said}))
        else:
            print_notice(f"{_time(now_s)} {error} [{error.code}]")

    def _end_with_alarm(self, alarm: AlarmError) -> NoReturn:
        if alarm.evidence is None:
            step = "The evidence COULD NOT BE WRITTEN. Make room and look again, soon."
        else:
            step = (
                f"Trust this log no more. Both checkpoints, and the tiles that came "
                f"with them, are in {alarm.evidence}; its README says how to check "
                "them. Send a copy to others who rely on this log."
            )
        where = {"evidence": str(alarm.evidence) if alarm.evidence else None}
        if not self._as_json:
            print_line(f"ALARM: {alarm}", style="bold red")
        self._end(alarm.error, step, ExitCode.VERIFICATION_FAILED, "alarm", where)

    def _end(
        self,
        error: LedgerError,
        next_step: str,
        code: ExitCode,
        event: str = "failure",
        fields: Mapping[str, Json] = MappingProxyType({}),
    ) -> NoReturn:
        """End as other commands do, in one line if it is for a machine."""
        if not self._as_json:
            fail(error, code, next_step, as_json=False)
        said = {"code": error.code, "message": str(error), "nextStep": next_step}
        typer.echo(json.dumps({"event": event, **said, **fields}))
        raise typer.Exit(code)


def _read_policy(path: Path | None) -> WitnessPolicy:
    if path is None:
        return NO_WITNESSES
    try:
        data = read_regular_file(path, bytes_max=POLICY_BYTES_MAX + 1)
    except OSError as error:
        raise PolicyError(f"{path} cannot be read: {error.strerror}.") from error
    return WitnessPolicy.parse(data)


def _sole_log(policy: WitnessPolicy) -> LogKeys | None:
    """The keys of the log that a policy is about, if it is about one."""
    keys = list(policy.logs.values())
    return keys[0] if len(keys) == 1 else None


def _stop_on_signal(stopping: Event) -> None:
    """Stop after the look under way at the first signal, and at once at the second."""
    signals = (signal.SIGTERM, signal.SIGINT)

    def stop(_number: int, _frame: object) -> None:
        for number in signals:
            signal.signal(number, signal.SIG_DFL)
        stopping.set()

    for number in signals:
        signal.signal(number, stop)


def _time(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
