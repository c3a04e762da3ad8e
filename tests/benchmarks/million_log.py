"""Writes a long and true log of a market, a million statements in half a minute.

Every statement is signed by whom it binds and follows from those before it, as an
audit demands. Two things are cheaper than in a market: the statements of a job are
made by filling in those of one real job, and slices take their commitments from a
supply, as making each anew would take longer than to audit them.
"""

import hashlib
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from json import JSONEncoder
from pathlib import Path
from typing import Any

from ledger.audit.log_copy import LogCopy
from ledger.audit.right_edge import RightEdge, hash_leaves
from ledger.charging.tariff import RatingGroup, Tariff, TariffLine
from ledger.commitments import commit
from ledger.encoding import encode_base64, parse_json
from ledger.limits import STATEMENT_BYTES_MAX
from ledger.log.checkpoint import Checkpoint
from ledger.log.note import Signer, sign_note
from ledger.log.tiles import TILE_WIDTH, TilePath, encode_bundle
from ledger.signing import PrivateKey
from ledger.statements.book_accounts import (
    clearing_of,
    development_credit_of,
    wallet_of,
)
from ledger.statements.disclosure import conceal, conceal_numbers
from ledger.statements.kinds import (
    AccountStatement,
    AgreementStatement,
    ChargeStatement,
    MarketStatement,
    NodeCapacity,
    OfferPolicy,
    OfferStatement,
    OrderStatement,
    Posting,
    SliceStatement,
    StatementBody,
    TopUpStatement,
)
from ledger.statements.statement import SIGNING_LABEL, Statement, make_statement

ORIGIN = "bench.example/log"
START_MS = 1_800_000_000_000
TOGETHER = 64
"""Jobs whose statements stand among each other's."""

GROUPS = tuple(group for group in RatingGroup if group is not RatingGroup.ROYALTY)
STATEMENTS_OF_JOB = 4
COMMITMENTS = 1000

_encode = JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


@dataclass(frozen=True)
class Parties:
    """Everybody who signs, always the same."""

    market: PrivateKey
    consumer: PrivateKey
    provider: PrivateKey
    node: PrivateKey
    log: PrivateKey

    @classmethod
    def fixed(cls) -> "Parties":
        names = ("market", "consumer", "provider", "node", "log")
        return cls(*(PrivateKey(name.encode().ljust(32, b".")) for name in names))


def build_log(folder: Path, count: int) -> LogCopy:
    """Write a copied log of at least `count` statements, with its key."""
    head = _head(Parties.fixed())
    jobs = -(-(count - len(head)) // (TOGETHER * STATEMENTS_OF_JOB))
    copy = LogCopy.at(folder)
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        parts = pool.imap(_entries_of_jobs, range(jobs), chunksize=8)
        checkpoint = _write_tree(copy, _chain(head, parts))
    signer = Signer(ORIGIN, Parties.fixed().log)
    _write(copy, "checkpoint", sign_note(checkpoint.text, [signer]))
    copy.key.write_text(f"{signer.verifier.vkey}\n")
    return copy


def _chain(head: Sequence[bytes], parts: Iterable[Sequence[bytes]]) -> Iterator[bytes]:
    yield from head
    for part in parts:
        yield from part


def _write_tree(copy: LogCopy, entries: Iterator[bytes]) -> Checkpoint:
    edge = RightEdge()
    size = 0
    while bundle := list(islice(entries, TILE_WIDTH)):
        number, width = size // TILE_WIDTH, len(bundle)
        hashes = hash_leaves(bundle)
        _write(copy, str(TilePath(None, number, width)), encode_bundle(bundle))
        _write(copy, str(TilePath(0, number, width)), b"".join(hashes))
        for path, full in edge.append(hashes):
            _write(copy, str(path), b"".join(full))
        size += width
    for path, rest in edge.unfinished():
        _write(copy, str(path), b"".join(rest))
    return Checkpoint(ORIGIN, size, edge.root())


def _write(copy: LogCopy, path: str, data: bytes) -> None:
    target = copy.log / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def _head(parties: Parties) -> list[bytes]:
    """Market, parties, offer, and money for the consumer."""
    market = parties.market
    opened = MarketStatement(
        market=market.account_id,
        origin=ORIGIN,
        tariff=Tariff(lines=_lines("market", market)),
        opened_at_ms=START_MS,
    )
    head = [make_statement(opened).signed_by("market", market)]
    for key in (parties.consumer, parties.provider):
        body = AccountStatement(
            account=key.account_id,
            public_key=key.public.text,
            registered_at_ms=START_MS,
        )
        head.append(make_statement(body).signed_by("account", key))
    top_up = TopUpStatement(
        market=market.account_id,
        transfer_id=_id("topup", 0),
        source="development_credit",
        debit=development_credit_of(market.account_id),
        credit=wallet_of(parties.consumer.account_id),
        topped_up_at_ms=START_MS,
    )
    openings = conceal_numbers({"amount": 10**12}, b"b" * 32, "topup")
    head.append(make_statement(top_up, openings).signed_by("market", market))
    return [*(statement.entry for statement in head), _offer(parties).entry]


def _offer(parties: Parties) -> Statement:
    body = OfferStatement(
        offer_id=_id("offer", 0),
        provider=parties.provider.account_id,
        node=parties.node.node_id,
        node_key=parties.node.public.text,
        name="bench",
        tier="data_center",
        jurisdiction="se",
        ownership_domain="alice",
        protections=("sandbox",),
        assurance="none",
        runner="ab" * 48,
        engine="wasmtime",
        capacity=NodeCapacity(
            workers=16,
            memory_bytes=2**31,
            fuel_per_s=10**9,
            homomorphic_operations_per_s=1000,
            link_bytes_per_s=10**8,
            round_trip_ms=5,
        ),
        prices=dict.fromkeys(GROUPS, 2),
        policy=OfferPolicy(
            sensitivity_classes=("public", "internal"),
            categories_refused=(),
            consumers_refused=(),
        ),
        published_at_ms=START_MS,
        valid_until_ms=START_MS + 10**12,
    )
    statement = make_statement(body).signed_by("provider", parties.provider)
    return statement.signed_by("node", parties.node)


def _entries_of_jobs(number: int) -> list[bytes]:
    """The statements of some jobs: all orders, all agreements, and so on."""
    writer = _writer()
    jobs = [writer.job(number * TOGETHER + place) for place in range(TOGETHER)]
    return [job[kind] for kind in range(STATEMENTS_OF_JOB) for job in jobs]


def _writer() -> "_JobWriter":
    global _kept  # noqa: PLW0603 - one for each process
    if _kept is None:
        _kept = _JobWriter(Parties.fixed())
    return _kept


_kept: "_JobWriter | None" = None


class _JobWriter:
    """Fills in the statements of jobs."""

    def __init__(self, parties: Parties) -> None:
        self._parties = parties
        market, node = parties.market.account_id, parties.node.node_id
        provider = parties.provider.account_id
        anybody = parties.consumer.public.pseudonym_id
        digest = encode_base64(bytes(32))
        wallet, clearing = wallet_of(anybody), clearing_of(market)
        order = OrderStatement(job_id=_id("job", 0), consumer=anybody, ordered_at_ms=0)
        agreement = AgreementStatement(
            job_id=_id("job", 0),
            market=market,
            consumer=anybody,
            provider=provider,
            node=node,
            order=digest,
            offer=_offer(parties).digest,
            attempt=1,
            tariff=Tariff(
                lines=(
                    *_lines("provider", parties.provider),
                    *_lines("market", parties.market),
                )
            ),
            hold_transfer=_id("hold", 0),
            debit=wallet,
            credit=clearing,
            agreed_at_ms=0,
            acceptance_timeout_ms=60_000,
        )
        usage = SliceStatement(
            job_id=_id("job", 0),
            agreement=digest,
            node=node,
            consumer=anybody,
            sequence=0,
            finished_at_ms=0,
        )
        moves: list[tuple[Any, str, str]] = [
            ("post", wallet, clearing),
            ("transfer", clearing, wallet_of(provider)),
            ("transfer", clearing, wallet_of(market)),
        ]
        charge = ChargeStatement(
            job_id=_id("job", 0),
            market=market,
            agreement=digest,
            slice=digest,
            acceptance="countersigned",
            hold_transfer=_id("hold", 0),
            postings=tuple(
                Posting(
                    transfer_id=_id("pay", place),
                    action=action,
                    debit=debit,
                    credit=credit,
                )
                for place, (action, debit, credit) in enumerate(moves)
            ),
            charged_at_ms=0,
        )
        self._order, self._agreement, self._usage, self._charge = (
            _core(body) for body in (order, agreement, usage, charge)
        )
        self._points = [
            commit(1000 + place, 2**200 + place).text for place in range(COMMITMENTS)
        ]

    def job(self, number: int) -> tuple[bytes, bytes, bytes, bytes]:
        """Order, agreement, slice and charge of one job."""
        market, node = self._parties.market, self._parties.node
        key = PrivateKey(hashlib.sha256(b"job %d" % number).digest())
        pseudonym = key.public.pseudonym_id
        job = {"jobId": _id("job", number), "consumer": pseudonym}
        at_ms = START_MS + number * 10
        debit = wallet_of(pseudonym)
        hold = {"holdTransfer": _id("hold", number)}

        order = _fill(self._order, {**job, "orderedAtMs": at_ms}, number)
        order_entry = _sign(order, ("consumer", key))
        changes = {**job, **hold, "order": _digest(order_entry), "debit": debit}
        agreement = _fill(self._agreement, {**changes, "agreedAtMs": at_ms + 1}, number)
        agreement_entry = _sign(agreement, ("market", market))
        agreed = {"agreement": _digest(agreement_entry)}
        usage = _fill(self._usage, {**job, **agreed, "finishedAtMs": at_ms + 2}, number)
        usage["commitments"] = {
            f"quantity.{group}": self._points[(number * 7 + place) % COMMITMENTS]
            for place, group in enumerate(GROUPS)
        }
        usage_entry = _sign(usage, ("node", node), ("consumer", key))
        postings = deepcopy(self._charge["body"]["postings"])
        for place, posting in enumerate(postings):
            posting["transferId"] = _id("pay", number * 3 + place + 1)
        postings[0]["debit"] = debit
        changes = {"jobId": job["jobId"], **hold, **agreed, "postings": postings}
        changes |= {"slice": _digest(usage_entry), "chargedAtMs": at_ms + 3}
        charge_entry = _sign(_fill(self._charge, changes, number), ("market", market))
        return order_entry, agreement_entry, usage_entry, charge_entry


def _core(body: StatementBody) -> dict[str, Any]:
    """What is signed of a statement, as plain JSON, with digests of nothing."""
    numbers = {name: 0 for name in body.committed_fields if body.kind != "slice"}
    openings = {
        **conceal(dict.fromkeys(body.private_fields)),
        **conceal_numbers(numbers, b"b" * 32, "nothing"),
    }
    entry = make_statement(body, openings).entry
    core = parse_json(entry, size_max=STATEMENT_BYTES_MAX)
    assert isinstance(core, dict)
    del core["signatures"]
    return core


def _fill(core: dict[str, Any], changes: dict[str, Any], number: int) -> dict[str, Any]:
    private = {
        name: _digest(b"%d %s" % (number, name.encode())) for name in core["private"]
    }
    return {**core, "body": {**core["body"], **changes}, "private": private}


def _sign(core: dict[str, Any], *signers: tuple[str, PrivateKey]) -> bytes:
    text = _encode(core).encode()
    signatures = _encode(
        [
            {
                "role": role,
                "key": key.public.text,
                "signature": encode_base64(key.sign(SIGNING_LABEL + text)),
            }
            for role, key in signers
        ]
    ).encode()
    end = b',"version":1}'
    assert text.endswith(end)
    return b"".join((text.removesuffix(end), b',"signatures":', signatures, end))


def _digest(data: bytes) -> str:
    return encode_base64(hashlib.sha256(data).digest())


def _lines(role: str, key: PrivateKey) -> tuple[TariffLine, ...]:
    groups = GROUPS if role == "provider" else (RatingGroup.FUEL,)
    return tuple(
        TariffLine(group=group, role=role, payee=key.account_id, price_microcredits=2)
        for group in groups
    )


def _id(prefix: str, number: int) -> str:
    return f"{prefix}_{number:020}"
