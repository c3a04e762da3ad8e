"""Large payloads: uploaded first, owned by their key, bounded, checked when read."""

import json
from pathlib import Path

import pytest
from parties import LIMITS, Cast, Consumer, Party, Provider, digest

from ledger.encoding import decode_base64, sha256_text
from ledger.metering.usage import Usage
from market.blob_store import BlobStore
from market.blobs import uploads
from market.errors import NotFoundError
from sdk.errors import MarketRefusedError

DATA = json.dumps(["x" * 100_000]).encode()
BLOBS = "/blobs/v0.1/blobs"
LARGE = LIMITS.model_copy(update={"input_bytes": 10**6, "output_bytes": 10**6})


def upload(party: Party, data: bytes = DATA) -> dict:
    return {"inline": None, "blob": party.transport.put_bytes(BLOBS, data)["digest"]}


def order_blob(consumer: Consumer, payload: dict) -> tuple[str, dict]:
    order = consumer.make_order(data=DATA, limits=LARGE)
    item = order.item() | {"input": payload}
    (answer,) = consumer.post("/compute-jobs/v0.1/jobs", {"orders": [item]})["jobs"]
    return order.job_id, answer


def read(party: Party, job_id: str, name: str) -> bytes:
    path = f"/compute-jobs/v0.1/jobs/{job_id}/payloads/{name}"
    return party.transport.get_bytes(path, size_max=2**20)


def report_blob(provider: Provider, lease: dict, payload: dict) -> dict:
    usage = Usage(fuel=5_000_000, memory_limit_bytes=2**26)
    report = provider.make_slice(lease, usage=usage, result=DATA)
    (answer,) = provider.report(report | {"result": payload})
    return answer


def test_large_payloads_travel_as_blobs(consumer, provider) -> None:
    job_id, answer = order_blob(consumer, upload(consumer))
    assert answer["state"] == "placed"
    (lease,) = provider.take()
    assert lease["input"] == {"digest": digest(DATA), "sizeBytes": len(DATA)}
    assert read(provider.node, job_id, "input") == DATA
    reported = report_blob(provider, lease, upload(provider.node))
    assert reported["state"] == "reported"
    job = consumer.settle(job_id)
    assert "inline" not in job["result"]
    assert read(consumer, job_id, "result") == DATA
    with pytest.raises(MarketRefusedError) as refusal:
        read(provider.node, job_id, "input")
    assert refusal.value.status == 404


def test_upload_counts_once(consumer) -> None:
    assert (
        upload(consumer) == upload(consumer) == {"inline": None, "blob": digest(DATA)}
    )


def test_payload_of_somebody_else_cannot_be_referred_to(
    cast, consumer, provider
) -> None:
    payload = upload(cast.consumer())
    job_id, answer = order_blob(consumer, payload)
    assert (answer["status"], answer["code"]) == (404, "NOT_FOUND")
    job_id, answer = order_blob(consumer, upload(consumer))
    (lease,) = provider.take()
    assert lease["jobId"] == job_id
    refused = report_blob(provider, lease, payload)
    assert (refused["status"], refused["code"]) == (404, "NOT_FOUND")


def test_one_key_may_be_consumer_and_node(cast, provider) -> None:
    both = cast.consumer(provider.node.key, funds=10**9)
    job_id, answer = order_blob(both, upload(both))
    assert answer["state"] == "placed"
    (lease,) = provider.take()
    assert report_blob(provider, lease, upload(provider.node))["state"] == "reported"
    both.settle(job_id)


def test_node_of_a_withdrawn_offer_may_still_upload(provider, consumer) -> None:
    job_id, _ = order_blob(consumer, upload(consumer))
    (lease,) = provider.take()
    transport = provider.party.transport
    offer_id = provider.offer.body.offer_id
    transport._exchange(transport._call("DELETE", f"/catalog/v0.1/offers/{offer_id}"))
    assert report_blob(provider, lease, upload(provider.node))["state"] == "reported"
    consumer.settle(job_id)


def refusal(party: Party, data: bytes) -> tuple[int, str]:
    with pytest.raises(MarketRefusedError) as refused:
        upload(party, data)
    return refused.value.status, refused.value.code


def test_stranger_may_not_upload(market, cast) -> None:
    assert refusal(cast.stranger(), DATA) == (403, "PERMISSION_DENIED")
    assert list((market.folder / "blobs").iterdir()) == []


def test_empty_upload_is_refused(consumer) -> None:
    assert refusal(consumer, b"") == (400, "INVALID_ARGUMENT")


def test_uploads_must_be_used_before_there_may_be_more(
    market, cast, consumer, provider, monkeypatch
) -> None:
    monkeypatch.setattr(uploads, "UNUSED_BYTES_MAX", len(DATA) + 1)
    payload = upload(consumer)
    assert refusal(consumer, b"ab") == (429, "TOO_MANY_REQUESTS")
    assert upload(consumer) == payload
    assert upload(cast.consumer())
    _, answer = order_blob(consumer, payload)
    assert answer["state"] == "placed"
    upload(consumer, b"ab")
    assert len(list((market.folder / "blobs").iterdir())) == 2


@pytest.mark.parametrize("size", [64 * 2**10, 64 * 2**10 + 1])
def test_inline_payload_has_an_end(cast, provider, size) -> None:
    consumer = cast.consumer(funds=10**9)
    (answer,) = consumer.place(consumer.make_order(data=b"1" * size, limits=LARGE))
    if size > 64 * 2**10:
        assert (answer["status"], answer["code"]) == (400, "INVALID_ARGUMENT")
    else:
        assert answer["state"] == "placed"


def test_input_beyond_its_limit_is_refused(consumer, provider) -> None:
    limits = LIMITS.model_copy(update={"input_bytes": 3})
    (answer,) = consumer.place(consumer.make_order(limits=limits))
    assert (answer["status"], answer["code"]) == (400, "INVALID_ARGUMENT")


def test_payload_must_be_the_ordered_one(consumer, provider) -> None:
    order = consumer.make_order()
    order.input = b"[22]"
    (answer,) = consumer.place(order)
    assert (answer["status"], answer["code"]) == (400, "INVALID_ARGUMENT")
    assert consumer.get("/compute-jobs/v0.1/jobs")["jobs"] == []


def test_store_reads_back_what_it_keeps(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    name = store.put(DATA)
    assert name == store.put(DATA) == sha256_text(DATA)
    assert store.get(name) == DATA
    assert len(list(tmp_path.iterdir())) == 1


def test_store_tells_damage_from_data(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    name = store.put(DATA)
    (tmp_path / decode_base64(name).hex()).write_bytes(DATA[:-1])
    with pytest.raises(NotFoundError):
        store.get(name)
    with pytest.raises(NotFoundError):
        store.get(sha256_text(b"never kept"))


def test_store_forgets_what_a_crash_left_unfinished(tmp_path: Path) -> None:
    name = BlobStore(tmp_path).put(DATA)
    (tmp_path / "unfinished-1").write_bytes(b"half")
    assert BlobStore(tmp_path).get(name) == DATA
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
def test_large_answers_are_cut_into_calls(market) -> None:
    with Cast(market) as cast:
        consumer, provider = cast.consumer(funds=10**9), cast.provider()
        source = "# " + "x" * 200_000
        orders = [consumer.make_order(source=source) for _ in range(30)]
        for order in orders:
            consumer.place(order)
        first = provider.take(limit=256)
        second = provider.take(limit=256)
        assert 0 < len(first) < 30
        assert {lease["jobId"] for lease in first + second} == {
            order.job_id for order in orders
        }


@pytest.mark.slow
def test_large_outcomes_are_cut_into_calls(cast, consumer, provider) -> None:
    result = b"1" * 64 * 2**10
    limits = LIMITS.model_copy(update={"output_bytes": 10**5})
    orders = [consumer.make_order(limits=limits) for _ in range(60)]
    consumer.place(*orders)
    leases = provider.take(limit=256)
    for lease in leases:
        provider.report(provider.make_slice(lease, result=result))
    waiting = [order.job_id for order in orders]
    calls = 0
    while waiting:
        query = {"jobIds": waiting, "waitMs": 0, "limit": 256}
        found = consumer.post("/compute-jobs/v0.1/retrieve-outcomes", query)["jobs"]
        waiting = [name for name in waiting if name not in {x["jobId"] for x in found}]
        calls += 1
        assert found
    assert calls == 2
