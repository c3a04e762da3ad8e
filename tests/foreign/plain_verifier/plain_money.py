"""What openings show: quantities, amounts and balances."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plain_group import (
    ORDER,
    Opening,
    combine,
    commit,
    encode_point,
    parse_opening,
)
from plain_history import amounts_of, commitments_of, shares_of
from plain_log import decode64, demand
from plain_statements import (
    INTEGER_MAX,
    Statement,
    encode64,
    read_quantities,
    verify_account,
    verify_openings,
)

QUANTITY_MAX = 2**48


@dataclass
class Job:
    """What was opened of a job."""

    wallet: str | None = None
    price_max: int | None = None
    agreed: Statement | None = None
    hold: int | None = None
    usage: Statement | None = None
    quantities: dict[str, Opening] = field(default_factory=dict)


@dataclass
class Money:
    """Replays all amounts that are opened; what is not is skipped, and counted."""

    posted: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    hidden: int = 0
    charges: int = 0
    paid: dict[str, tuple[Statement, Statement]] = field(default_factory=dict)
    """Agreement and slice of each charge, by the digest of its entry."""

    def take(self, statement: Statement, openings: Mapping[str, Any]) -> None:
        """Check what was opened of a statement that the history has accepted."""
        is_charge = statement.kind == "charge"
        verify_openings(statement, {} if is_charge else openings)
        take = getattr(self, f"take_{statement.kind}", None)
        if take is not None:
            take(statement, openings)

    def finish(self) -> None:
        """Check the balances at the end, if nothing was hidden."""
        demand(sum(self.posted.values()) == 0, "money came from nowhere")
        for account, balance in self.posted.items():
            if account.endswith("/clearing") and not self.hidden:
                demand(balance == 0, "money stays with the market")

    def move(self, debit: str, credit: str, amount: int) -> None:
        """Move money, which must be there."""
        self.posted[debit] = self.posted.get(debit, 0) - amount
        self.posted[credit] = self.posted.get(credit, 0) + amount
        self.check_funds(debit)

    def check_funds(self, account: str) -> None:
        """Refuse an account that spends or reserves more than it has."""
        free = self.posted.get(account, 0) - self.held.get(account, 0)
        is_bounded = not account.endswith("/development_credit") and not self.hidden
        demand(free >= 0 or not is_bounded, f"{account} is overdrawn")

    def take_top_up(self, statement: Statement, openings: Mapping[str, Any]) -> None:
        if "amount" not in openings:
            self.hidden += 1
            return
        amount = parse_opening(openings["amount"]).value
        self.move(statement.body["debit"], statement.body["credit"], amount)

    def take_order(self, statement: Statement, openings: Mapping[str, Any]) -> None:
        job = self.jobs[statement.body["jobId"]] = Job()
        if "account" in openings:
            job.wallet = f"{verify_account(statement, openings['account'])}/wallet"
        if "price_max" in openings:
            job.price_max = openings["price_max"]["value"]

    def take_agreement(self, statement: Statement, openings: Mapping[str, Any]) -> None:
        job = self.jobs[statement.body["jobId"]]
        job.agreed, job.hold, job.usage, job.quantities = statement, None, None, {}
        if "hold" not in openings or job.wallet is None:
            self.hidden += 1
            return
        job.hold = openings["hold"]["value"]
        assert job.hold is not None
        demand(job.price_max is None or job.hold <= job.price_max, "too much is held")
        self.held[job.wallet] = self.held.get(job.wallet, 0) + job.hold
        self.check_funds(job.wallet)

    def take_slice(self, statement: Statement, openings: Mapping[str, Any]) -> None:
        job = self.jobs[statement.body["jobId"]]
        job.usage, job.quantities = statement, read_quantities(openings)
        in_bounds = all(it.value <= QUANTITY_MAX for it in job.quantities.values())
        demand(in_bounds, "a quantity without end")

    def take_release(self, statement: Statement, _: Mapping[str, Any]) -> None:
        self.free(self.jobs[statement.body["jobId"]])

    def free(self, job: Job) -> None:
        """Give back what is held for a job."""
        if job.hold is not None and job.wallet is not None:
            self.held[job.wallet] -= job.hold
        job.hold = None

    def take_charge(self, statement: Statement, openings: Mapping[str, Any]) -> None:
        job = self.jobs.pop(statement.body["jobId"])
        assert job.agreed is not None
        assert job.usage is not None
        opened = {name: parse_opening(item) for name, item in openings.items()}
        verify_amounts(job.agreed, job.usage, opened)
        if len(job.quantities) == len(job.usage.commitments):
            due = due_amounts(job.agreed, job.quantities)
            demand(all(due[name] == it for name, it in opened.items()), "other amounts")
            opened = due
            self.charges += 1
        total = opened.get("amount.0")
        if total is not None and job.hold is not None:
            demand(total.value <= job.hold, "more is charged than was held")
        self.free(job)
        self.paid[statement.digest] = (job.agreed, job.usage)
        for place, posting in enumerate(statement.body["postings"]):
            amount = opened.get(f"amount.{place}")
            debit = job.wallet if posting["action"] == "post" else posting["debit"]
            if amount is None or debit is None:
                self.hidden += 1
            else:
                self.move(debit, posting["credit"], amount.value)

    def verify_total(self, total: Mapping[str, Any]) -> None:
        """Check a sum over charges, of which no single amount is opened."""
        demand(set(total) == {"charges", "opening", "payee"}, "no total")
        charges = total["charges"]
        demand(0 < len(set(charges)) == len(charges) <= 65_536, "no charges to add up")
        points = []
        for digest in charges:
            demand(digest in self.paid, "a total of charges that are not in the log")
            agreed, usage = self.paid[digest]
            payees = list(shares_of(agreed.body["tariff"]))
            is_paid = total["payee"] in payees or (payees and total["payee"] is None)
            demand(is_paid, "a charge that pays nothing")
            place = 1 + payees.index(total["payee"]) if total["payee"] else 0
            points.append((1, commitments_of(agreed.body["tariff"], usage)[place]))
        committed = encode64(encode_point(combine(points)))
        fits = commit(parse_opening(total["opening"])) == committed
        demand(fits, "an opening of a total that does not fit")


def due_amounts(
    agreed: Statement, quantities: Mapping[str, Opening]
) -> dict[str, Opening]:
    """The openings of all amounts, from those of the quantities."""
    amounts = {}
    for place, multiples in enumerate(amounts_of(agreed.body["tariff"])):
        terms = [(often, quantities[group]) for group, often in multiples.items()]
        value = sum(often * item.value for often, item in terms)
        blinding = sum(often * item.blinding for often, item in terms) % ORDER
        demand(value <= INTEGER_MAX, "an amount without end")
        amounts[f"amount.{place}"] = Opening(value, blinding)
    return amounts


def verify_amounts(
    agreed: Statement, usage: Statement, opened: Mapping[str, Opening]
) -> None:
    """Check opened amounts against the commitments that follow from the slice."""
    if not opened:
        return
    points = commitments_of(agreed.body["tariff"], usage)
    names = {f"amount.{place}": point for place, point in enumerate(points)}
    for name, opening in opened.items():
        demand(name in names, f"there is no {name}")
        fits = decode64(commit(opening), 32) == encode_point(names[name])
        demand(fits, f"an opening of {name} that does not fit")
