"""The runner on this machine: same bytes, same fuel, fetched when it is missing."""

import pytest

from enclave_sim.sandbox.runner import load_runner_artefact
from ledger.log.log_keys import LogKeys
from ledger.log.note import Signer
from ledger.signing import PrivateKey
from sdk import InputError, JobFailedError, MarketAnswerError
from sdk.function_orders import FunctionOrders
from sdk.local import LocalRunner
from sdk.offload import RemoteFunction
from sdk.session import Session
from sdk.source import read_source

pytestmark = pytest.mark.slow


def mean(values: list[float]) -> float:
    import math  # noqa: PLC0415 - as a function that is sent must

    print("values:", len(values))
    return math.fsum(values) / len(values)


class Shelf:
    """A transport that has one file to give."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.paths: list[str] = []

    def get_bytes(self, path: str, *, size_max: int) -> bytes:
        assert len(self.data) <= size_max
        self.paths.append(path)
        return self.data


def make_session(transport: Shelf, runner: bytes) -> Session:
    key = PrivateKey.generate()
    return Session(
        url="http://market.test",
        transport=transport,  # type: ignore[arg-type]
        key=key,
        now_ms=lambda: 0,
        market=key.account_id,
        log_keys=LogKeys((Signer("log.test", key).verifier,)),
        runner=runner.hex(),
        tariff=None,  # type: ignore[arg-type]
        lease_ms=1_000,
    )


@pytest.fixture
def remote(runner_sha384, runner_cache):
    session = make_session(Shelf(b""), runner_sha384)
    runner = LocalRunner(session, runner_cache)
    orders = FunctionOrders.of(read_source(mean), {"sensitivity": "public"})
    yield RemoteFunction(mean, orders, session, lambda: runner)
    runner.close()


def test_local_run_is_repeated_exactly(remote) -> None:
    assert remote.local([1, 2, 4.5]) == 2.5
    first = remote.last_local
    assert (first.result_bytes, first.log) == (b"2.5", b"values: 3\n")
    assert remote.local([1, 2, 4.5]) == 2.5
    assert remote.last_local == first
    with pytest.raises(InputError, match="yet"):
        _ = remote.last


def test_local_failure_names_own_line(remote) -> None:
    with pytest.raises(JobFailedError, match="ZeroDivisionError") as failure:
        remote.local([])
    assert failure.value.line == mean.__code__.co_firstlineno + 4
    assert "values: 0" in failure.value.log


def test_runner_is_fetched_once_and_known_by_its_digest(
    runner_sha384, runner_cache, tmp_path
) -> None:
    artefact = load_runner_artefact(runner_cache, runner_sha384)
    shelf = Shelf(artefact)
    runner = LocalRunner(make_session(shelf, runner_sha384), tmp_path)
    runner._fetch_runner()
    runner._fetch_runner()
    assert shelf.paths == [f"/catalog/v0.1/runners/{runner_sha384.hex()}"]
    assert load_runner_artefact(tmp_path, runner_sha384) == artefact


def test_other_runner_than_described_is_refused(
    runner_sha384, runner_cache, tmp_path
) -> None:
    artefact = load_runner_artefact(runner_cache, runner_sha384)
    shelf = Shelf(artefact + b"\0")
    runner = LocalRunner(make_session(shelf, runner_sha384), tmp_path)
    with pytest.raises(MarketAnswerError, match="not the one"):
        runner._fetch_runner()
