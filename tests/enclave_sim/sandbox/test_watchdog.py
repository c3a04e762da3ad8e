import threading
import time

import pytest
import wasmtime

from enclave_sim.sandbox.engine import create_engine
from enclave_sim.sandbox.watchdog import TICK_S, Watchdog


class CountingEngine(wasmtime.Engine):
    """An engine that notes each tick of its epoch instead of passing it on."""

    def __init__(self) -> None:
        super().__init__()
        self.ticked = threading.Event()
        self.ticks = 0

    def increment_epoch(self) -> None:
        self.ticks += 1
        self.ticked.set()


@pytest.fixture
def engine() -> CountingEngine:
    return CountingEngine()


def test_overdue_run_is_ticked_once(engine: CountingEngine) -> None:
    with Watchdog(engine).watching(1):
        assert engine.ticked.wait(10)
        engine.ticked.clear()
        assert not engine.ticked.wait(5 * TICK_S)
    assert engine.ticks == 1


def test_run_in_time_is_not_ticked(engine: CountingEngine) -> None:
    watchdog = Watchdog(engine)
    for _ in range(100):
        with watchdog.watching(20_000):
            pass
    assert not engine.ticked.wait(3 * TICK_S)


def test_finished_run_is_not_ticked_late(engine: CountingEngine) -> None:
    watchdog = Watchdog(engine)
    with watchdog.watching(int(2000 * TICK_S)):
        pass
    assert not engine.ticked.wait(4 * TICK_S)


def test_watchdog_wakes_again_after_rest(engine: CountingEngine) -> None:
    watchdog = Watchdog(engine)
    for _ in range(3):
        with watchdog.watching(1):
            assert engine.ticked.wait(10)
        engine.ticked.clear()
        assert not engine.ticked.wait(3 * TICK_S)
    assert engine.ticks == 3


def test_endless_loop_is_interrupted() -> None:
    engine = create_engine()
    module = wasmtime.Module(engine, '(module (func (export "f") (loop br 0)))')
    store = wasmtime.Store(engine)
    store.set_fuel(10**15)
    store.set_epoch_deadline(1)
    function = wasmtime.Instance(store, module, []).exports(store)["f"]
    assert isinstance(function, wasmtime.Func)
    started_s = time.monotonic()
    with Watchdog(engine).watching(50), pytest.raises(wasmtime.Trap, match="interrupt"):
        function(store)
    assert 0.05 <= time.monotonic() - started_s < 5
