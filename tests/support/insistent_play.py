"""Two parties who insist on an answer, and what must hold once they have them all."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from checkers import check_books, read_statements
from market_process import MarketProcess
from parties import Consumer, Order, Provider

from ledger.audit.receipt import verify_receipt
from ledger.identifiers import new_identifier
from ledger.log.log_keys import LogKeys, open_checkpoint
from ledger.log.merkle import Frontier, leaf_hash, verify_consistency
from ledger.log.tiles import FolderTiles
from ledger.log.tree import TileTree
from ledger.statements.statement import Statement
from market.database import Database
from sdk.errors import MarketUnavailableError

COST_MICROCREDITS = 17
TOP_UP_MICROCREDITS = 10**6


@dataclass
class Play:
    """Two parties that go on whatever happens, and what they were promised."""

    consumer: Consumer
    provider: Provider
    over: threading.Event = field(default_factory=threading.Event)
    orders: dict[str, tuple[Order, Any]] = field(default_factory=dict)
    accepted: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    top_ups: dict[str, Any] = field(default_factory=dict)
    faults: list[BaseException] = field(default_factory=list)
    refusals: int = 0
    """How often a call had to be made again."""

    def begin(self) -> None:
        self.insist(self.consumer.register)
        self.top_up()
        self.insist(self.provider.register)
        offer = self.provider.make_offer()
        self.insist(lambda: self.provider.publish(offer))

    def insist(self, call: Callable[[], Any]) -> Any:
        """Make the same call, with the same ids, until there is an answer."""
        while True:
            try:
                return call()
            except MarketUnavailableError:
                self.refusals += 1
                assert not self.over.wait(0.02), "the market did not come back"

    def top_up(self) -> None:
        top_up_id = new_identifier("top")
        self.top_ups[top_up_id] = self.insist(
            lambda: self.consumer.top_up(TOP_UP_MICROCREDITS, top_up_id)
        )

    def buy(self) -> None:
        """Order a few jobs, see them through, and top up."""
        orders = [self.consumer.make_order() for _ in range(3)]
        answers = self.insist(lambda: self.consumer.place(*orders))
        for order, answer in zip(orders, answers, strict=True):
            self.orders[order.job_id] = (order, answer)
            if answer["state"] == "placed":
                self.see_through(order.job_id)
        self.top_up()

    def see_through(self, job_id: str) -> None:
        while not (jobs := self.insist(lambda: self.consumer.wait(job_id, 500))):
            pass
        signed = self.consumer.countersign(jobs[0])
        (answer,) = self.insist(lambda: self.consumer.accept(signed))
        self.accepted[job_id] = (signed, answer)

    def work(self) -> None:
        """Take leases and report them; an idle call is the sign of life."""
        command_id = new_identifier("lease")
        leases = self.insist(
            lambda: self.provider.take(wait_ms=100, command_id=command_id)
        )
        if leases:
            slices = [self.provider.make_slice(lease) for lease in leases]
            self.insist(lambda: self.provider.report(*slices))

    def run(self, step: Callable[[], None], ends: threading.Event) -> None:
        try:
            while not ends.is_set():
                step()
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            self.faults.append(error)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Buy and work in threads until the block ends, and finish what has begun."""
        enough, idle = threading.Event(), threading.Event()
        buying = threading.Thread(target=self.run, args=(self.buy, enough))
        working = threading.Thread(target=self.run, args=(self.work, idle))
        buying.start()
        working.start()
        try:
            yield
        except BaseException:
            # Nobody will bring the market back.
            self.over.set()
            raise
        finally:
            enough.set()
            buying.join(timeout=60)
            idle.set()
            working.join(timeout=60)
            self.over.set()
        assert not self.faults, self.faults

    def close(self) -> None:
        self.consumer.transport.close()
        self.provider.close()


def check_promises(play: Play) -> None:
    """All commands again, with the same ids: the same answers, and no effect."""
    before = play.consumer.balance()
    for order, answer in play.orders.values():
        assert play.consumer.place(order) == [answer]
    for signed, answer in play.accepted.values():
        assert play.consumer.accept(signed) == [answer]
    for top_up_id, answer in play.top_ups.items():
        assert play.consumer.top_up(TOP_UP_MICROCREDITS, top_up_id) == answer
    assert play.consumer.balance() == before
    paid = COST_MICROCREDITS * len(play.accepted)
    topped_up = TOP_UP_MICROCREDITS * len(play.top_ups)
    assert before["postedMicrocredits"] == topped_up - paid
    assert before["heldMicrocredits"] == 0


def check_statements(play: Play, statements: list[Statement]) -> None:
    """The log has every promised effect once, and nothing else."""
    kinds = Counter(statement.kind for statement in statements)
    placed = [name for name, (_, a) in play.orders.items() if a["state"] == "placed"]
    assert sorted(placed) == sorted(play.accepted)
    of_jobs = ("order", "agreement", "slice", "charge")
    assert kinds == Counter(
        {"market": 1, "account": 2, "offer": 1, "top_up": len(play.top_ups)}
        | dict.fromkeys(of_jobs, len(placed))
    )
    by_job = Counter(
        (statement.kind, statement.body.job_id)
        for statement in statements
        if statement.kind in of_jobs
    )
    assert by_job == {(kind, job_id): 1 for kind in of_jobs for job_id in placed}


def check_log(folder: Path, seen: list[bytes], statements: list[Statement]) -> None:
    """The log extends everything it ever showed, and holds what the database does."""
    verifier = LogKeys.parse((folder / "log.vkey").read_text())
    tiles = FolderTiles(folder / "log")
    last = open_checkpoint(tiles.read("checkpoint"), verifier)
    tree = TileTree(tiles, last.size)
    committed = Frontier()
    committed.extend(leaf_hash(statement.entry) for statement in statements)
    assert tree.root() == last.root == committed.root()
    for note in filter(None, seen):
        old = open_checkpoint(note, verifier)
        verify_consistency(
            old_size=old.size,
            new_size=last.size,
            path=tree.consistency_path(old.size),
            old_root=old.root,
            new_root=last.root,
        )


def check_play(process: MarketProcess, play: Play, seen: list[bytes]) -> None:
    """End the market, and check that all that it ever promised holds, once.

    Args:
        process: Runs, and is stopped here.
        play: Over.
        seen: Checkpoints that were served meanwhile; empty ones are passed over.
    """
    check_promises(play)
    receipts = {job_id: play.consumer.receipt(job_id) for job_id in play.accepted}
    vkey = play.consumer.transport.get_bytes("/log/log.vkey", size_max=10_000)
    (process.folder / "log.vkey").write_bytes(vkey)
    process.stop()
    database = Database(process.folder / "market.sqlite")
    check_books(database)
    statements = read_statements(database)
    database.close()
    check_statements(play, statements)
    check_log(process.folder, seen, statements)
    verifier = LogKeys.parse(vkey.decode())
    for job_id, receipt in receipts.items():
        verified = verify_receipt(receipt, verifier)
        assert (verified.job_id, verified.total_microcredits) == (
            job_id,
            COST_MICROCREDITS,
        )
