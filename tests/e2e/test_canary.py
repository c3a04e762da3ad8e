"""No input or result of a protected job is found anywhere outside SDK and enclave.

Goal: whoever reads the market's database, its write-ahead log, the blobs, the log,
all logs, every byte on the wire or the agents' files learns neither rows nor results.
Method: inputs and results carry markers that occur nowhere else; a sandbox job, which
is not protected, carries one too and proves that the search would find it.

Of all jobs alike the public log shows neither quantities nor amounts, nor whose they
are; so a copy of it is searched for these as well.
"""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from recording_proxy import RecordingProxy

from ledger.signing import PrivateKey
from sdk import Market
from sdk.demo.cast import NodeRole
from sdk.demo.privacy import PublicView
from sdk.demo.stage import Stage

pytestmark = pytest.mark.slow

NODE = NodeRole(
    "canary-node",
    "edge_site",
    "fr",
    "test",
    ("sandbox", "enclave", "homomorphic"),
    # Dear, so that no amount has few digits.
    54_321,
)
PRICE_MAX_MICROCREDITS = 2_000_000_011
VISIBLE = "canary-visible-4c1f9a70e2b85d36"
INPUT = "canary-input-9b62e07d41fa83c5"
RESULT = "canary-result-e83b5f19c0d74a26"
ROW_VALUES = (0.7351846290417263, -1.2849561730258194)
WEIGHTS = (0.5318264091735281, 0.2947105836142907)

LEAST_TELLING = 10_000
"""Amounts of fewer digits stand in base64 by chance."""
PUBLIC_NUMBERS = {
    # Times and counts.
    "acceptanceTimeoutMs",
    "agreedAtMs",
    "attempt",
    "chargedAtMs",
    "finishedAtMs",
    "openedAtMs",
    "orderedAtMs",
    "publishedAtMs",
    "registeredAtMs",
    "sequence",
    "toppedUpAtMs",
    "validUntilMs",
    # Prices, by rating group in an offer.
    "priceMicrocredits",
    "royaltyMicrocredits",
    "bytes_down",
    "bytes_up",
    "fuel",
    "homomorphic",
    "memory",
    # What a node measured of itself.
    "fuelPerS",
    "homomorphicOperationsPerS",
    "linkBytesPerS",
    "memoryBytes",
    "roundTripMs",
    "workers",
}
"""All numbers that the log shows, by the names of their fields."""


def text_forms(marker: str) -> list[bytes]:
    """A marker as it would look plain, in UTF-16, in hexadecimal and in base64."""
    raw = marker.encode()
    forms = [raw, marker.encode("utf-16-le"), raw.hex().encode()]
    for shift in range(3):
        # Base64 of the marker at each alignment, without the unsettled ends.
        encoded = base64.b64encode(b"\0" * shift + raw)
        forms.append(encoded[4:-4])
        forms.append(base64.urlsafe_b64encode(b"\0" * shift + raw)[4:-4])
    return forms


def number_forms(value: float) -> list[bytes]:
    """A number as text with most of its digits, and as the bytes of a double."""
    return [
        repr(abs(value))[:12].encode(),
        struct.pack("<d", value),
        struct.pack(">d", value),
    ]


def find(forms: list[bytes], folder: Path) -> list[str]:
    """The files below a folder that hold any of the forms."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(form in path.read_bytes() for form in forms)
    ]


def test_protected_data_is_found_nowhere(tmp_path, monkeypatch) -> None:
    consumer_folder = tmp_path / "consumer"
    watched = tmp_path / "watched"
    watched.mkdir()
    with RecordingProxy(watched / "wire.bin") as proxy, Stage(watched) as stage:
        monkeypatch.setenv("SIXFOLD_MARKET_PUBLIC_URL", proxy.url)
        stage.start_market()
        proxy.forward_to(stage.port)
        stage.start_nodes([NODE])
        with (
            Market.open(
                proxy.url, key=consumer_folder / "alice.key", create_key=True
            ) as market,
            Market.open(proxy.url, key=PrivateKey.generate()) as owner,
        ):
            market.top_up(5_000)
            run_visible_job(market)
            run_enclave_job(market)
            scores = run_homomorphic_job(market, owner)
            assert_log_shows_no_business(market, watched)
        # With the write-ahead log still a file of its own, and once more at the end.
        assert_only_visible_is_found(watched, scores)
    assert_only_visible_is_found(watched, scores)


def assert_only_visible_is_found(watched: Path, scores: list[float]) -> None:
    assert find(text_forms(VISIBLE), watched), "the search itself does not work"
    assert find(text_forms(INPUT), watched) == []
    assert find(text_forms(RESULT), watched) == []
    for value in (*ROW_VALUES, *scores):
        assert find(number_forms(value), watched) == []


def assert_log_shows_no_business(market: Market, watched: Path) -> None:
    jobs = [line["jobId"] for line in market.invoice()["lines"]]
    # There is a receipt once the charge is in the log that is served.
    assert all(market.receipt(job_id).verify() for job_id in jobs)
    view = PublicView.read(watched / "market")
    for statement in view.statements:
        body = json.loads(statement.entry)["body"]
        assert number_names(body) <= PUBLIC_NUMBERS, statement
    amounts = {
        opening["value"]
        for item in market.disclosures()
        for name, opening in item["openings"].items()
        if name.partition(".")[0] in {"amount", "hold", "price_max"}
    }
    told = [str(amount).encode() for amount in amounts if amount >= LEAST_TELLING]
    # Of two jobs hold, total, and the provider's share; and of the top-up.
    assert len(told) >= 7
    assert find(told, view.copy.log) == []
    # It registered and topped up in its own name, and did all else under others.
    assert view.kinds_naming(market.account_id) == ["account", "top_up"]
    assert len(view.pseudonyms()) == len(jobs)
    found = find(text_forms(market.account_id), watched)
    assert found, "the search itself does not work"
    assert not [name for name in found if NODE.name in name], "a node knows its name"


def number_names(value: Any, name: str = "") -> set[str]:
    """The names of all fields of a document that hold a number."""
    if isinstance(value, dict):
        return {n for key, item in value.items() for n in number_names(item, key)}
    if isinstance(value, list):
        return {found for item in value for found in number_names(item, name)}
    return {name} if isinstance(value, int) else set()


def run_visible_job(market: Market) -> None:
    @market.offload(sensitivity="public", price_max_microcredits=PRICE_MAX_MICROCREDITS)
    def echo(text: str) -> str:
        return text

    assert echo(VISIBLE) == VISIBLE


def run_enclave_job(market: Market) -> None:
    @market.offload(
        sensitivity="confidential",
        categories=["health"],
        price_max_microcredits=PRICE_MAX_MICROCREDITS,
    )
    def answer(text: str) -> str:
        print("seen:", text)
        number = int(text.rpartition("-")[2], 16) ^ 0x7359BF64812DC9E3
        return f"canary-result-{number:016x}"

    assert answer(INPUT) == RESULT


def run_homomorphic_job(market: Market, owner: Market) -> list[float]:
    workload_id = owner.publish_circuit(
        "canary circuit", weights=[list(WEIGHTS)], bias=[0.125], royalty_microcredits=5
    )
    scorer = market.scorer(workload_id, sensitivity="restricted", categories=["health"])
    (scores,) = scorer([list(ROW_VALUES)])
    expected = sum(w * x for w, x in zip(WEIGHTS, ROW_VALUES, strict=True)) + 0.125
    value = scores[0] if isinstance(scores, list) else scores
    assert value == pytest.approx(expected, abs=1e-4)
    return [expected]


def test_search_sees_every_form(tmp_path) -> None:
    for place, form in enumerate(text_forms(VISIBLE)):
        (tmp_path / str(place)).write_bytes(b"around " + form + b" it")
    assert len(find(text_forms(VISIBLE), tmp_path)) == len(text_forms(VISIBLE))
    (tmp_path / "json").write_text(json.dumps({"rows": [list(ROW_VALUES)]}))
    assert "json" in find(number_forms(ROW_VALUES[0]), tmp_path)
