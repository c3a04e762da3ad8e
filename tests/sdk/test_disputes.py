"""What does not hold is disputed: nothing is countersigned, nothing paid.

Goal: a node or a market that changes one thing gets no signature out of the SDK.
Method: everything is real and true but for that one thing.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from no_points import NO_POINTS
from scripted_node import Cheats

from enclave_sim.channel import ChannelKey
from ledger.encoding import canonical_json, decode_base64, encode_base64, sha256_text
from ledger.key_files import load_key
from ledger.signing import PrivateKey
from sdk import JobDisputedError, Market, UntrustedEvidenceError
from sdk.market import _system_now_ms
from sdk.pins import PinStore
from sdk.session import open_session
from sdk.transport import Transport


def double(x: int) -> int:
    return 2 * x


def flip(text: str) -> str:
    """Another digest, signature or key of the same form."""
    data = bytearray(decode_base64(text))
    data[-1] ^= 1
    return encode_base64(bytes(data))


def assert_nothing_was_paid(market: Market, job_id: str | None, reason: str) -> None:
    job = market.job(str(job_id))
    assert (job["state"], job["reason"]) == ("released", reason)
    assert market.balance()["heldMicrocredits"] == 0
    assert market.invoice()["jobs"] == 0


SLICE_CHEATS = {
    "fuel": Cheats(numbers=lambda numbers: numbers | {"quantity.fuel": 3}),
    "bytes": Cheats(numbers=lambda numbers: numbers | {"quantity.bytes_down": 2}),
    "memory": Cheats(numbers=lambda numbers: numbers | {"quantity.memory": 0}),
    "outcome": Cheats(fields=lambda fields: fields | {"outcome": "failed"}),
}
"""What the market cannot see to be false, and the consumer can."""


@pytest.mark.parametrize("cheat", SLICE_CHEATS)
def test_wrong_slice_is_disputed(alice, node, cheat) -> None:
    node.cheats = SLICE_CHEATS[cheat]
    with pytest.raises(JobDisputedError) as dispute:
        alice.offload(sensitivity="public")(double)(1)
    assert dispute.value.reason == "usage_wrong"
    assert_nothing_was_paid(alice, dispute.value.job_id, "usage_wrong")


@pytest.mark.parametrize("garbage", [b"", b"\0\0\0\2{}", b"no outcome", b"\xff" * 64])
def test_garbage_result_is_disputed(alice, node, garbage) -> None:
    node.cheats = Cheats(result=lambda _: garbage)
    with pytest.raises(JobDisputedError) as dispute:
        alice.offload(sensitivity="public")(double)(1)
    assert_nothing_was_paid(alice, dispute.value.job_id, "result_invalid")


@pytest.mark.parametrize("place", [0, 40, -100, -1])
def test_enclave_result_with_one_byte_changed_is_disputed(alice, node, place) -> None:
    def change(result: bytes) -> bytes:
        data = bytearray(result)
        data[place] ^= 1
        return bytes(data)

    node.cheats = Cheats(result=change)
    with pytest.raises(JobDisputedError) as dispute:
        alice.offload(sensitivity="confidential")(double)(1)
    assert_nothing_was_paid(alice, dispute.value.job_id, "result_invalid")


EVIDENCE_CHEATS: dict[str, tuple[Cheats, str]] = {
    "other source": (Cheats(source=lambda s: s + "\n"), "snp.measurement"),
    "other nonce": (
        Cheats(challenge=lambda c: replace(c, nonce=bytes(32))),
        "snp.report_data",
    ),
    "other job": (
        Cheats(challenge=lambda c: replace(c, job_id="job_aaaaaaaaaaaaaaaaaaaa")),
        "snp.report_data",
    ),
    "other consumer": (
        Cheats(challenge=lambda c: replace(c, consumer="acc_other")),
        "snp.report_data",
    ),
    "other market": (
        Cheats(challenge=lambda c: replace(c, audience="acc_other")),
        "snp.report_data",
    ),
    "own recipient": (
        Cheats(challenge=lambda c: replace(c, recipient=ChannelKey.generate().public)),
        "snp.report_data",
    ),
    "own channel key": (
        Cheats(
            evidence=lambda a: replace(
                a, keys=replace(a.keys, channel=ChannelKey.generate().public)
            )
        ),
        "snp.report_data",
    ),
    "own result key": (
        Cheats(
            evidence=lambda a: replace(
                a, keys=replace(a.keys, result=PrivateKey.generate().public.data)
            )
        ),
        "snp.report_data",
    ),
    "debug": (Cheats(chip_options={"is_debug_allowed": True}), "snp.debug"),
    "migration": (Cheats(chip_options={"is_migration_allowed": True}), "snp.migration"),
    "privilege level": (Cheats(chip_options={"vmpl": 1}), "snp.vmpl"),
    "host data": (Cheats(chip_options={"host_data": b"\1" * 32}), "snp.host_data"),
}


@pytest.mark.parametrize("cheat", EVIDENCE_CHEATS)
def test_wrong_evidence_gets_no_input(alice, node, cheat) -> None:
    node.cheats, rule = EVIDENCE_CHEATS[cheat]
    with pytest.raises(UntrustedEvidenceError) as refusal:
        alice.offload(sensitivity="confidential")(double)(1)
    assert f"[{rule}]" in str(refusal.value)
    assert_nothing_was_paid(alice, refusal.value.job_id, "evidence_invalid")


class LyingMarket(httpx.HTTPTransport):
    """Passes everything on, and changes outcomes on their way back."""

    def __init__(self, change: Callable[[dict[str, Any]], None]) -> None:
        super().__init__()
        self._change = change

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if not request.url.path.endswith("/retrieve-outcomes"):
            return response
        response.read()
        document = json.loads(response.content)
        for job in document["jobs"]:
            self._change(job)
        return httpx.Response(200, content=canonical_json(document))


def open_lied_to(url: str, key_path, change) -> Market:
    key = load_key(key_path)
    transport = Transport(url, key, now_ms=_system_now_ms, http=LyingMarket(change))
    session = open_session(
        url,
        transport=transport,
        key=key,
        pins=PinStore(None),
        now_ms=_system_now_ms,
    )
    return Market(session, cache=key_path.parent)


def change_agreement(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(job: dict[str, Any]) -> None:
        if "agreement" in job:
            job["agreement"]["body"] |= changes

    return change


def resign_agreement(job: dict[str, Any]) -> None:
    """Another market's word, signed by its own key."""
    if "agreement" in job:
        key = PrivateKey.generate()
        job["agreement"]["body"]["market"] = key.account_id
        job["agreement"]["signatures"][0]["key"] = key.public.text


def flip_agreement_signature(job: dict[str, Any]) -> None:
    if "agreement" in job:
        (signature,) = job["agreement"]["signatures"]
        signature["signature"] = flip(signature["signature"])


def raise_price(job: dict[str, Any]) -> None:
    if "agreement" in job:
        job["agreement"]["body"]["tariff"]["lines"][0]["priceMicrocredits"] += 1


def flip_slice_signature(job: dict[str, Any]) -> None:
    if "slice" in job:
        (signature,) = job["slice"]["signatures"]
        signature["signature"] = flip(signature["signature"])


def drop_opening(job: dict[str, Any]) -> None:
    if "sliceOpenings" in job:
        del job["sliceOpenings"]["quantity.fuel"]


def change_opening(job: dict[str, Any]) -> None:
    if "sliceOpenings" in job:
        job["sliceOpenings"]["quantity.fuel"]["value"] += 1


def exchange(job: dict[str, Any], field: str) -> None:
    concealed = job[field]
    first, second = concealed["quantity.fuel"], concealed["quantity.memory"]
    concealed |= {"quantity.fuel": second, "quantity.memory": first}


def exchange_commitments(job: dict[str, Any]) -> None:
    if "slice" in job:
        exchange(job["slice"], "commitments")


def exchange_openings(job: dict[str, Any]) -> None:
    if "sliceOpenings" in job:
        exchange(job, "sliceOpenings")


def change_commitment(job: dict[str, Any]) -> None:
    if "slice" in job:
        job["slice"]["commitments"]["quantity.fuel"] = NO_POINTS["identity"]


def drop_commitment(job: dict[str, Any]) -> None:
    if "slice" in job:
        del job["slice"]["commitments"]["quantity.fuel"]
        del job["sliceOpenings"]["quantity.fuel"]


def drop_slice(job: dict[str, Any]) -> None:
    job.pop("slice", None)


def other_attempt(job: dict[str, Any]) -> None:
    # The node's own attempt stays in the agreement that the market signed.
    job["agreement"]["body"]["attempt"] += 1


MARKET_LIES = {
    "unsigned change": change_agreement(acceptanceTimeoutMs=1_000),
    "other consumer": change_agreement(consumer="psn_" + "a" * 26),
    "other order": change_agreement(order=encode_base64(bytes(32))),
    "other market": resign_agreement,
    "agreement signature": flip_agreement_signature,
    "price": raise_price,
    "attempt": other_attempt,
    "slice signature": flip_slice_signature,
    "missing opening": drop_opening,
    "wrong opening": change_opening,
    "exchanged openings": exchange_openings,
    "exchanged commitments": exchange_commitments,
    "other commitment": change_commitment,
    "missing commitment": drop_commitment,
    "missing slice": drop_slice,
}


@pytest.mark.parametrize("lie", MARKET_LIES)
@pytest.mark.parametrize("sensitivity", ["public", "confidential"])
def test_altered_outcome_is_disputed(
    running, alice, key_path, node, lie, sensitivity
) -> None:
    with open_lied_to(running.url, key_path, MARKET_LIES[lie]) as market:
        with pytest.raises(JobDisputedError) as dispute:
            market.offload(sensitivity=sensitivity)(double)(1)
        assert_nothing_was_paid(market, dispute.value.job_id, "usage_wrong")


def test_evidence_that_is_not_what_was_announced_gets_no_input(
    running, alice, key_path, node
) -> None:
    def change(job: dict[str, Any]) -> None:
        if "evidence" in job:
            job["evidence"]["digest"] = flip(job["evidence"]["digest"])

    with open_lied_to(running.url, key_path, change) as market:
        with pytest.raises(UntrustedEvidenceError, match="announced") as refusal:
            market.offload(sensitivity="confidential")(double)(1)
        assert_nothing_was_paid(market, refusal.value.job_id, "evidence_invalid")


def test_altered_result_is_disputed(running, alice, key_path, node) -> None:
    def change(job: dict[str, Any]) -> None:
        if "result" in job:
            data = decode_base64(job["result"]["inline"])
            job["result"]["inline"] = encode_base64(data[:-1] + b"3")

    with open_lied_to(running.url, key_path, change) as market:
        with pytest.raises(JobDisputedError, match="not what was announced") as dispute:
            market.offload(sensitivity="public")(double)(1)
        assert_nothing_was_paid(market, dispute.value.job_id, "result_invalid")


def test_exchanged_result_is_disputed(running, alice, key_path, node) -> None:
    """A result with its own right digest, but not the one that the node signed."""

    def change(job: dict[str, Any]) -> None:
        if "result" in job:
            data = b"something else"
            job["result"] = {
                "digest": sha256_text(data),
                "sizeBytes": len(data),
                "inline": encode_base64(data),
            }

    with open_lied_to(running.url, key_path, change) as market:
        with pytest.raises(JobDisputedError, match="that the slice names") as dispute:
            market.offload(sensitivity="public")(double)(1)
        assert_nothing_was_paid(market, dispute.value.job_id, "result_invalid")
