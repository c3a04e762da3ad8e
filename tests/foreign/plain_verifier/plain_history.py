"""The order of entries: what may follow what, and what a charge must be like."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plain_group import Point, combine, parse_commitment
from plain_log import demand
from plain_statements import Statement

Line = tuple[str, str, str, int]
"""Of a tariff: group, role, payee, price."""


@dataclass
class Job:
    """How far a job has come."""

    order: Statement
    attempt: int = 0
    agreement: Statement | None = None
    usage: Statement | None = None


@dataclass
class History:
    """What a log has said so far."""

    origin: str
    market: str = ""
    market_lines: set[Line] = field(default_factory=set)
    accounts: set[str] = field(default_factory=set)
    royalties: set[tuple[str, int]] = field(default_factory=set)
    offers: dict[str, Statement] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    used: set[tuple[str, str]] = field(default_factory=set)
    keys: list[str] | None = None
    key_changes: list[tuple[int, list[str]]] = field(default_factory=list)
    count: int = 0

    def take(self, index: int, statement: Statement) -> None:
        """Check a statement against all before it."""
        body, kind = statement.body, statement.kind
        demand((index == 0) == (kind == "market"), "the market is the first entry")
        if "market" in body:
            self.market = self.market or body["market"]
            demand(body["market"] == self.market, "signed by another market")
        getattr(self, f"take_{kind}")(statement, body)
        self.count += 1

    def use(self, what: str, name: str) -> None:
        """An id that names one thing is used once."""
        demand((what, name) not in self.used, f"{name} was used before")
        self.used.add((what, name))

    def know(self, account: str) -> None:
        """Refuse a party that has not made itself known."""
        demand(account in self.accounts, f"{account} is not known yet")

    def take_market(self, _: Statement, body: Mapping[str, Any]) -> None:
        demand(body["origin"] == self.origin, "the market of another log")
        self.market_lines = lines_of(body["tariff"], "market")
        self.accounts.add(self.market)

    def take_account(self, _: Statement, body: Mapping[str, Any]) -> None:
        demand(body["account"] not in self.accounts, "known already")
        self.accounts.add(body["account"])

    def take_offer(self, statement: Statement, body: Mapping[str, Any]) -> None:
        self.know(body["provider"])
        self.use("offer", body["offerId"])
        self.offers[statement.digest] = statement

    def take_workload(self, _: Statement, body: Mapping[str, Any]) -> None:
        self.know(body["owner"])
        self.use("workload", body["workloadId"])
        self.royalties.add((body["owner"], body["royaltyMicrocredits"]))

    def take_top_up(self, _: Statement, body: Mapping[str, Any]) -> None:
        owner, _, purpose = body["credit"].partition("/")
        self.know(owner)
        demand(body["debit"] == f"{self.market}/development_credit", "other money")
        demand(purpose == "wallet", "money for no wallet")
        demand(body["source"] == "development_credit", "money from nowhere")
        self.use("transfer", body["transferId"])

    def take_log_key(self, _: Statement, body: Mapping[str, Any]) -> None:
        demand(body["origin"] == self.origin, "keys of another log")
        demand(body["generation"] == len(self.key_changes) + 2, "not the next keys")
        demand(self.keys in (None, body["before"]), "other keys than the log had")
        self.keys = body["after"]
        self.key_changes.append((self.count, body["before"]))

    def take_order(self, statement: Statement, body: Mapping[str, Any]) -> None:
        is_new = body["jobId"] not in self.jobs and body["jobId"] not in self.closed
        demand(is_new, "a job that was ordered before")
        self.jobs[body["jobId"]] = Job(statement)

    def take_agreement(self, statement: Statement, body: Mapping[str, Any]) -> None:
        job, offer = self.jobs.get(body["jobId"]), self.offers.get(body["offer"])
        demand(job is not None and offer is not None, "no such order or offer")
        assert job is not None
        assert offer is not None
        demand(body["order"] == job.order.digest, "another order")
        demand(body["consumer"] == job.order.body["consumer"], "another consumer")
        same = all(body[name] == offer.body[name] for name in ("provider", "node"))
        demand(same, "an offer of another node")
        demand(body["agreedAtMs"] < offer.body["validUntilMs"], "an expired offer")
        demand(body["debit"] == f"{body['consumer']}/wallet", "somebody else's money")
        demand(body["credit"] == f"{self.market}/clearing", "money for somebody else")
        demand(job.agreement is None, "agreed on already")
        demand(body["attempt"] == job.attempt + 1, "not the next attempt")
        self.check_tariff(body, offer.body)
        self.use("transfer", body["holdTransfer"])
        job.agreement, job.attempt, job.usage = statement, body["attempt"], None

    def check_tariff(self, body: Mapping[str, Any], offer: Mapping[str, Any]) -> None:
        """Check that all prices are those that were published."""
        tariff = body["tariff"]
        offered = {
            (group, "provider", offer["provider"], price)
            for group, price in offer["prices"].items()
        }
        demand(lines_of(tariff, "provider") == offered, "prices that nobody offered")
        demand(lines_of(tariff, "market") == self.market_lines, "other prices")
        owned = lines_of(tariff, "owner")
        demand(
            all(
                group == "royalty" and (payee, price) in self.royalties
                for group, _, payee, price in owned
            ),
            "a royalty that nobody asked for",
        )
        count = len(offered) + len(self.market_lines) + len(owned)
        demand(len(tariff["lines"]) == count <= 64, "other lines in the tariff")

    def job_of(self, body: Mapping[str, Any]) -> tuple[Job, Mapping[str, Any]]:
        """The job that a slice, charge or release belongs to, and its agreement."""
        job = self.jobs.get(body["jobId"])
        demand(job is not None and job.agreement is not None, "nothing is agreed")
        assert job is not None
        assert job.agreement is not None
        demand(job.agreement.digest == body["agreement"], "another agreement")
        return job, job.agreement.body

    def take_slice(self, statement: Statement, body: Mapping[str, Any]) -> None:
        job, agreed = self.job_of(body)
        same = all(body[name] == agreed[name] for name in ("node", "consumer"))
        demand(same, "a slice of another node or consumer")
        groups = {line["group"] for line in agreed["tariff"]["lines"]}
        due = {f"quantity.{group}" for group in groups}
        demand(set(statement.commitments) == due, "other quantities than are priced")
        demand(job.usage is None, "a slice was there already")
        job.usage = statement

    def take_charge(self, _: Statement, body: Mapping[str, Any]) -> None:
        job, agreed = self.job_of(body)
        demand(job.usage is not None, "a charge without a slice")
        assert job.usage is not None
        demand(body["slice"] == job.usage.digest, "a charge of another slice")
        demand(body["holdTransfer"] == agreed["holdTransfer"], "another hold")
        moves = [(it["action"], it["debit"], it["credit"]) for it in body["postings"]]
        demand(moves == due_postings(agreed), "other postings than are due")
        check_acceptance(agreed, job.usage, body)
        for posting in body["postings"]:
            self.use("transfer", posting["transferId"])
        del self.jobs[body["jobId"]]
        self.closed.add(body["jobId"])

    def take_release(self, _: Statement, body: Mapping[str, Any]) -> None:
        job, agreed = self.job_of(body)
        demand(body["holdTransfer"] == agreed["holdTransfer"], "another hold")
        self.use("release", body["transferId"])
        job.agreement = job.usage = None


def lines_of(tariff: Mapping[str, Any], role: str) -> set[Line]:
    """The lines of a role in a tariff."""
    return {
        (line["group"], role, line["payee"], line["priceMicrocredits"])
        for line in tariff["lines"]
        if line["role"] == role
    }


def shares_of(tariff: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """What each payee gets for one unit of each group, in the order of payees."""
    shares: dict[str, dict[str, int]] = {}
    for line in tariff["lines"]:
        if line["priceMicrocredits"] > 0:
            share = shares.setdefault(line["payee"], {})
            price = share.get(line["group"], 0) + line["priceMicrocredits"]
            share[line["group"]] = price
    return shares


def amounts_of(tariff: Mapping[str, Any]) -> list[dict[str, int]]:
    """For each posting, how often each group goes into its amount."""
    shares = list(shares_of(tariff).values())
    total: dict[str, int] = {}
    for share in shares:
        for group, price in share.items():
            total[group] = total.get(group, 0) + price
    return [total, *shares] if shares else []


def commitments_of(tariff: Mapping[str, Any], usage: Statement) -> list[Point]:
    """The commitment of each amount, from those of the slice."""
    points = {
        name.removeprefix("quantity."): parse_commitment(text)
        for name, text in usage.commitments.items()
    }
    return [
        combine([(multiple, points[group]) for group, multiple in amount.items()])
        for amount in amounts_of(tariff)
    ]


def due_postings(agreed: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Action, debit and credit of each posting of a charge."""
    payees = list(shares_of(agreed["tariff"]))
    if not payees:
        return []
    paid = [("transfer", agreed["credit"], f"{payee}/wallet") for payee in payees]
    return [("post", agreed["debit"], agreed["credit"]), *paid]


def check_acceptance(
    agreed: Mapping[str, Any], usage: Statement, charge: Mapping[str, Any]
) -> None:
    """Check that the consumer has signed, or has let the agreed time run out."""
    if "consumer" in usage.signed_by:
        demand(charge["acceptance"] == "countersigned", "the consumer did sign")
        return
    demand(charge["acceptance"] == "timeout", "the consumer did not sign")
    since = max(usage.body["finishedAtMs"], agreed["agreedAtMs"])
    until = since + agreed["acceptanceTimeoutMs"]
    demand(charge["chargedAtMs"] >= until, "a charge before its time")
