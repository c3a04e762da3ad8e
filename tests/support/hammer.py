"""One of several processes that hammer one PostgreSQL database, and what they do."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random  # noqa: TID251 - seeded, so that a failure can be repeated

from sqlalchemy import URL

from ledger.books.account import Bound
from ledger.encoding import Json
from ledger.log.log import Log
from ledger.log.note import Signer
from ledger.signing import PrivateKey
from ledger.statements.kinds import AccountStatement
from ledger.statements.statement import make_statement
from market.clock import SystemClock
from market.cluster.cluster import Cluster
from market.database import Database, parse_database_url
from market.errors import UnavailableError
from market.placement.fleet import Fleet
from market.transaction import Transaction
from market.writer import Command, Writer, WriterHooks

KEY = PrivateKey(b"h" * 32)
SIGNER = Signer("sixfold.example/hammer", KEY)
SOURCE = "source/money"
ACCOUNTS = tuple(f"party{number}/wallet" for number in range(8))
CALLERS = 16
STARTS_MAX = 5
PUBLISHED_EVERY_S = 0.1


class Hammer:
    """A writer with all that a market's process has around it, but no HTTP."""

    def __init__(self, url: URL, folder: Path) -> None:
        self.database = Database(url)
        self.log = Log(folder / "log", SIGNER)
        self.cluster = Cluster(
            self.database,
            Fleet(),
            SystemClock(),
            heard=lambda _keys: None,
            missed=lambda: None,
        )
        hooks = WriterHooks(
            committed=lambda: None,
            failed=self.cluster.doubt,
            begun=self.cluster.begin,
            changed=self.cluster.tell,
        )
        self.writer = Writer(self.database, self.log, SystemClock(), hooks)
        self._stopping = threading.Event()
        self._publishing = threading.Thread(target=self._publish_often)

    def start(self) -> None:
        """As a market starts: make what is missing, and begin."""
        self.cluster.start()
        self.database.prepare()
        with self.database.writing() as session:
            self.log.recover(session)
        self.writer.start()
        opening = Command("hammer", "open", None, _open_accounts)
        self.writer.submit_and_wait([opening])
        self._publishing.start()

    def stop(self) -> None:
        """Finish, and publish what is left if nobody else does."""
        self.writer.stop()
        self._stopping.set()
        self._publishing.join()
        self.cluster.stop()
        self.database.close()

    def insist(self, command: Command) -> Json:
        """The answer of a command, however often the database goes away."""
        while True:
            try:
                (answer,) = self.writer.submit_and_wait([command])
            except UnavailableError:
                continue
            assert not isinstance(answer, Exception), answer
            return answer

    def _publish_often(self) -> None:
        while not self._stopping.wait(PUBLISHED_EVERY_S):
            if self.cluster.role.is_ours():
                try:
                    with self.database.reading() as session:
                        self.log.publish(session)
                except UnavailableError:
                    continue


def strike(command_id: str) -> Command:
    """Move some money and record a statement: always the same for the same id."""
    dice = Random(command_id)  # noqa: S311

    def apply(transaction: Transaction) -> Json:
        debit, credit = dice.sample(ACCOUNTS, 2)
        transfer_id = transaction.books.new_transfer_id("move")
        transaction.books.transfer(
            transfer_id,
            debit=SOURCE if dice.random() < 0.3 else debit,
            credit=credit,
            amount_microcredits=dice.randint(1, 5),
        )
        body = AccountStatement(
            account=KEY.account_id,
            public_key=KEY.public.text,
            registered_at_ms=dice.getrandbits(48),
        )
        statement = make_statement(body).signed_by("account", KEY)
        index = transaction.record(statement, parties=[credit])
        transaction.announce(debit, credit)
        return {"index": index, "digest": statement.digest, "moved": transfer_id}

    return Command("hammer", command_id, command_id, apply)


def _open_accounts(transaction: Transaction) -> Json:
    transaction.books.open_account(SOURCE, bound=Bound.NONE)
    for account in ACCOUNTS:
        transaction.books.open_account(account, bound=Bound.NONE)
    return None


class HammerProcess:
    """A hammer in a process of its own; its promises are lines of a file."""

    def __init__(self, url: URL, folder: Path, name: str, *, count: int) -> None:
        self.name = name
        self._arguments = [url.render_as_string(hide_password=False), folder, name]
        self._arguments.append(count)
        self._promises = folder / f"{name}.promises"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin, or begin again with the same commands."""
        command = [sys.executable, __file__, *map(str, self._arguments)]
        with self._promises.open("ab") as promises:
            self._process = subprocess.Popen(
                command,
                stdout=promises,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
            )

    def kill(self) -> None:
        """End it in the midst of whatever it does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def wait(self) -> None:
        """Wait until all its commands are answered; if it fails, start it again."""
        for _ in range(STARTS_MAX):
            assert self._process is not None
            if self._process.wait(timeout=240) == 0:
                return
            self.start()
        raise AssertionError(f"{self.name} does not get through")

    def promises(self) -> list[tuple[str, Json]]:
        """What it was answered, in all its lives; a line may be cut off by a kill."""
        lines = self._promises.read_bytes().split(b"\n")[:-1]
        return [tuple(json.loads(line)) for line in lines if line.endswith(b"]")]


def main(url: str, folder: str, name: str, count: str) -> None:
    """Strike `count` times for oneself, and as often for all processes together."""
    hammer = Hammer(parse_database_url(url), Path(folder))
    hammer.start()
    lock = threading.Lock()

    def ask(command_id: str) -> None:
        line = json.dumps([command_id, hammer.insist(strike(command_id))])
        with lock:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    names = [
        f"{whose}/{number}" for number in range(int(count)) for whose in (name, "all")
    ]
    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(ask, names))
    hammer.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
