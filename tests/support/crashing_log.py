"""Crashes a log at chosen steps of its disk, and checks each time what is left.

A program of its own, because it forks: each life of the server is a process that may
be killed, and so is each check. It prints one line when all is well, and else the
case that failed with its trace.
"""

import argparse
import json
import os
import shutil
import signal
import sqlite3
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random  # noqa: TID251 - seeded, so that a failure can be repeated
from typing import Any

from failing_disk import FailingDisk, Fault
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, select

from ledger.errors import CommitError, LedgerError
from ledger.log import Frontier, Signer, TileTree, leaf_hash
from ledger.log.checkpoint import parse_checkpoint
from ledger.log.log import Log
from ledger.log.models import LogEntry, LogHead
from ledger.log.note import open_note
from ledger.signing import PrivateKey
from ledger.writing import Append, Appender, CommandKey
from ledger.writing.models import CommandRecord
from market.database import Database

ENTRIES_PER_REQUEST = 100
REQUESTS = 3
"""In one life of the server: together more entries than a full tile has."""
TRIES = 40
"""More than the steps that a full disk refuses."""
BUSY_S = (0.03, 0.2)
"""When a busy life is killed: while it starts, or in the midst of things."""
BUSY_LIVES = 10
"""Busy lives of one log, before there are too many entries to check them often."""
RIVAL_REQUESTS = 30
"""Of each process that shares the log with others."""
CLIENTS = ("client", "second", "third", "fourth")
"""Only the first is there in a life that is not busy."""
SIGNER = Signer("crash.example/log", PrivateKey(b"c" * 32))


class Server:
    """The public append and a publisher, as one process has them."""

    def __init__(
        self, folder: Path, *, is_careless: bool = False, is_unlocked: bool = False
    ) -> None:
        self.database = Database(folder / "log.sqlite")
        if is_careless:
            event.listen(self.database._writer, "connect", forget_to_sync)
        self.log = Log(folder / "log", SIGNER)
        writing = self.write_unlocked if is_unlocked else self.database.writing
        self.appender = Appender(self.log, writing)

    @contextmanager
    def write_unlocked(self) -> Iterator[Session]:
        """Write where nobody keeps other writers out, until the head has moved."""
        with Session(self.database._reader) as session, session.begin():
            yield session

    def start(self) -> None:
        with self.database.writing() as session:
            self.log.recover(session)
        self.appender.start()

    def publish(self) -> bytes:
        with self.database.reading() as session:
            self.log.publish(session)
        return self.log.tiles.read("checkpoint")


def forget_to_sync(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")


class Client:
    """Asks, remembers what it was promised, and asks again what was not answered.

    Its memory is a file on a disk that does not fail.
    """

    def __init__(self, folder: Path, party: str = "client") -> None:
        self.party = party
        self._memory = folder / f"{party}.jsonl"
        self.asked: dict[str, str] = {}
        self.promised: dict[str, int] = {}
        self.seen: list[bytes] = []
        lines = self._memory.read_text().splitlines() if self._memory.exists() else []
        for line in lines:
            self._know(json.loads(line))

    def ask(self, server: Server, count: int) -> None:
        """Ask for something new."""
        first = len(self.asked)
        names = [f"{self.party}/{first + place}" for place in range(count)]
        self._note({"asked": {name: f"entry of {name}" for name in names}})
        self._ask(server, names)

    def ask_again(self, server: Server) -> None:
        """Ask for what was not answered, and for some of what was promised."""
        self._ask(server, [name for name in self.asked if name not in self.promised])
        names = list(self.promised)[::7]
        promised = [self.promised[name] for name in names]
        assert append(server, self.entries(names)) == promised

    def entries(self, names: list[str]) -> list[Append]:
        return [
            Append(CommandKey(self.party, name), self.asked[name].encode())
            for name in names
        ]

    def _ask(self, server: Server, names: list[str]) -> None:
        indexes = append(server, self.entries(names))
        self._note({"promised": dict(zip(names, indexes, strict=True))})

    def look(self, server: Server) -> None:
        """Have the log published, and remember its checkpoint."""
        note = insist(server.publish, LedgerError, SQLAlchemyError, OSError)
        self._note({"seen": note.decode()})

    def _note(self, item: dict[str, object]) -> None:
        line = json.dumps(item).encode() + b"\n"
        descriptor = os.open(self._memory, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, line)
        os.close(descriptor)
        self._know(json.loads(line))

    def _know(self, item: dict[str, object]) -> None:
        match item:
            case {"asked": dict(asked)}:
                self.asked |= asked
            case {"promised": dict(promised)}:
                self.promised |= promised
            case {"seen": str(note)}:
                self.seen.append(note.encode())


def append(server: Server, appends: list[Append]) -> list[int]:
    return insist(lambda: server.appender.append(appends), CommitError)


def insist(call: Callable[[], Any], *errors: type[Exception]) -> Any:
    """Try again what a fault of the disk has refused."""
    for _ in range(TRIES):
        try:
            return call()
        except errors as error:
            last = error
    raise last


def live(
    folder: Path, faults: Mapping[int, Fault], seed: int, *, is_careless: bool
) -> None:
    """One life of the server, with a client; it ends at a fault that kills."""
    disk = FailingDisk(faults, dice=Random(seed))  # noqa: S311
    disk.install()

    def start() -> Server:
        server = Server(folder, is_careless=is_careless)
        server.start()
        return server

    server = insist(start, LedgerError, SQLAlchemyError, OSError)
    client = Client(folder)
    client.ask_again(server)
    for _ in range(REQUESTS):
        client.ask(server, ENTRIES_PER_REQUEST)
        client.look(server)
    server.appender.stop()
    (folder / "steps").write_text(str(disk.steps))


def live_busily(folder: Path) -> None:
    """A life with many clients at once, until somebody ends it."""
    server = Server(folder)
    server.start()

    def go_on(client: Client) -> None:
        client.ask_again(server)
        while True:
            client.ask(server, 5)

    clients = [Client(folder, party) for party in CLIENTS]
    for client in clients[1:]:
        threading.Thread(target=go_on, args=(client,), daemon=True).start()
    clients[0].ask_again(server)
    while True:
        clients[0].look(server)
        clients[0].ask(server, 1)


def live_among_rivals(folder: Path, party: str, *, is_unlocked: bool) -> None:
    """A life on a log that other processes write and publish as well."""
    server = Server(folder, is_unlocked=is_unlocked)
    insist(server.start, LedgerError, SQLAlchemyError)
    client = Client(folder, party)
    for _ in range(RIVAL_REQUESTS):
        client.ask(server, 5)
        client.look(server)
    server.appender.stop()
    server.database.close()


def check(folder: Path) -> None:
    """Start on a copy of what is left: all that was promised is there, and once.

    The client is still there, too. It asks again for what was not answered.
    """
    copy = folder.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    # Its syncs cost nothing, and no power fails here.
    FailingDisk({}, dice=Random(0)).install()  # noqa: S311
    server = Server(copy)
    clients = [Client(copy, party) for party in CLIENTS]
    server.start()
    server.publish()
    check_log(server, clients)
    for client in clients:
        client.ask_again(server)
        assert client.promised.keys() == client.asked.keys()
    server.publish()
    check_log(server, clients)
    server.appender.stop()
    server.database.close()


def check_log(server: Server, clients: list[Client]) -> None:
    with server.database.reading() as session:
        entries = check_database(session)
        rows = session.exec(select(CommandRecord.command_id, CommandRecord.answer))
        commands = {name: int(answer) for name, answer in rows.all()}
    names = [entry.decode().removeprefix("entry of ") for entry in entries]
    assert commands == {name: index for index, name in enumerate(names)}
    asked = {name for client in clients for name in client.asked}
    assert asked.issuperset(names), "an entry that nobody asked for"
    for client in clients:
        assert client.promised.items() <= commands.items(), "a promise is broken"
    check_tree(
        server.log, entries, [note for client in clients for note in client.seen]
    )


def check_database(session: Session) -> list[bytes]:
    rows = session.exec(select(LogEntry).order_by(LogEntry.index)).all()
    head = session.get(LogHead, 1)
    assert head is not None
    assert [row.index for row in rows] == list(range(head.size))
    entries = [row.data for row in rows]
    assert len(set(entries)) == len(entries), "an entry is there twice"
    assert head.frontier == b"".join(frontier_of(entries).peaks)
    return entries


def check_tree(log: Log, entries: list[bytes], seen: list[bytes]) -> None:
    """Every checkpoint that was ever shown is of this log; the newest has all of it."""
    newest = log.tiles.read("checkpoint")
    for note in [*seen, newest]:
        checkpoint = parse_checkpoint(open_note(note, [SIGNER.verifier]).text)
        assert checkpoint.root == frontier_of(entries[: checkpoint.size]).root()
    assert checkpoint.size == len(entries), "not all was published"
    tree = TileTree(log.tiles, checkpoint.size)
    assert tree.root() == checkpoint.root
    assert list(tree.entries()) == entries


def frontier_of(entries: list[bytes]) -> Frontier:
    frontier = Frontier()
    frontier.extend(map(leaf_hash, entries))
    return frontier


def start_fork(work: Callable[[], None]) -> int:
    """Begin something in a process of its own."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - told by the exit status
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def end_of(child: int) -> int:
    """How a process ended: its status, or the signal, negative."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fork(work: Callable[[], None]) -> int:
    """Do something in a process of its own."""
    return end_of(start_fork(work))


class Campaign:
    """Case after case, each of which begins with an empty log."""

    def __init__(self, folder: Path, *, is_careless: bool) -> None:
        self._empty, self._work = folder / "empty", folder / "work"
        self._is_careless = is_careless
        self.lives = 0
        self._empty.mkdir(parents=True)
        database = Database(self._empty / "log.sqlite")
        database.prepare()
        database.close()

    def begin(self) -> None:
        shutil.rmtree(self._work, ignore_errors=True)
        shutil.copytree(self._empty, self._work)

    def count_steps(self) -> int:
        """How many steps a life has that no fault ends."""
        self.run_case([{}], 0)
        return int((self._work / "steps").read_text())

    def run_case(self, lives: list[dict[int, Fault]], seed: int) -> None:
        """Live some lives on one log, and check after each."""
        self.begin()
        for faults in lives:

            def work(faults: dict[int, Fault] = faults) -> None:
                live(self._work, faults, seed, is_careless=self._is_careless)

            end = fork(work)
            if end not in {0, -signal.SIGKILL}:
                raise SystemExit(f"{lives}, seed {seed}: {faults} ended with {end}")
            self.check(f"{lives}, seed {seed}: {faults}")

    def run_busily(self, wait_s: float, seed: int) -> None:
        """Kill a busy life after a while, and check."""
        child = start_fork(lambda: live_busily(self._work))
        threading.Event().wait(wait_s)
        os.kill(child, signal.SIGKILL)
        end = end_of(child)
        if end != -signal.SIGKILL:
            raise SystemExit(f"seed {seed}: a busy life ended with {end}")
        self.check(f"seed {seed}: killed after {wait_s} s")

    def run_rivals(self, *, is_unlocked: bool) -> None:
        """Let several processes have one log, and check once they are done."""
        self.begin()
        children = []
        for party in CLIENTS:

            def work(party: str = party) -> None:
                live_among_rivals(self._work, party, is_unlocked=is_unlocked)

            children.append(start_fork(work))
        ends = [end_of(child) for child in children]
        if any(ends):
            raise SystemExit(f"rivals ended with {ends}")
        self.check("rivals")

    def check(self, case: str) -> None:
        self.lives += 1
        if fork(lambda: check(self._work)) != 0:
            raise SystemExit(f"{case}: what is left is wrong")


def main() -> None:
    """Run the cases that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--first", type=Fault, help="fault at each step in turn")
    parser.add_argument("--second", type=Fault, help="fault at a random step after it")
    parser.add_argument("--every", type=int, default=1, help="take every n-th step")
    parser.add_argument("--busy", type=int, default=0, help="kills of busy lives")
    parser.add_argument("--rivals", choices=("locked", "unlocked"))
    parser.add_argument("--careless", action="store_true", help="forget to sync")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    campaign = Campaign(options.folder, is_careless=options.careless)
    dice = Random(options.seed)  # noqa: S311
    if options.first is not None:
        run_steps(campaign, options, dice)
    for number in range(options.busy):
        if number % BUSY_LIVES == 0:
            campaign.begin()
        campaign.run_busily(dice.uniform(*BUSY_S), options.seed)
    if options.rivals is not None:
        campaign.run_rivals(is_unlocked=options.rivals == "unlocked")
    print(json.dumps({"lives": campaign.lives}))


def run_steps(campaign: Campaign, options: argparse.Namespace, dice: Random) -> None:
    """Let each step fail in turn."""
    steps = campaign.count_steps()
    for step in range(1 + dice.randrange(options.every), steps + 1, options.every):
        lives = [{step: options.first}]
        if options.second is not None:
            later = {dice.randint(1, steps): options.second}
            # Who survives the first meets the second in the same life.
            survives = options.first in {Fault.ERROR, Fault.FULL}
            lives = [later | lives[0]] if survives else [*lives, later]
        campaign.run_case(lives, options.seed + step)


if __name__ == "__main__":
    main()
