"""Durable appends to the log, as the market's writer makes them."""

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from ledger.log.log import Log
from ledger.log.note import Signer
from ledger.signing import PrivateKey
from market.database import Database

BATCH = 256
BATCHES = 120
ENTRY_BYTES = 500


def ledger_append_per_s(stack: ExitStack) -> float:
    """Entries per second in batches of 256, each batch one synced commit."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    database = Database(folder / "ledger.sqlite")
    stack.callback(database.close)
    database.create_tables()
    log = Log(folder / "log", Signer("bench.example/log", PrivateKey(b"b" * 32)))
    with database.writing() as session:
        log.recover(session)
    entries = [index.to_bytes(ENTRY_BYTES, "big") for index in range(BATCH)]
    started = time.perf_counter()
    for _ in range(BATCHES):
        with database.writing() as session:
            batch = log.begin(session)
            for entry in entries:
                batch.add(entry)
            batch.finish(session)
    return BATCH * BATCHES / (time.perf_counter() - started)
