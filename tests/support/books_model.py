"""The books, slowly: a list of what happened, and everything worked out from it.

Nothing is kept that could be computed, nothing is undone that could be copied before,
and every reason to refuse is looked at before the first is told. It shares with the
books the form of a request, and no rule.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ledger.books.transfer import Hold, Movement, Post, Request

AMOUNT_MAX = 9_007_199_254_740_991
SUM_MAX = 9_223_372_036_854_775_807
YEAR_MS = 365 * 24 * 60 * 60 * 1000
CHAIN_MAX = 1024

DEBITS, CREDITS = "debits_must_not_exceed_credits", "credits_must_not_exceed_debits"


@dataclass
class Event:
    """One transfer that was made."""

    name: str
    kind: str
    debit: str
    credit: str
    amount: int
    at_ms: int
    balancing: tuple[bool, bool] = (False, False)
    timeout_ms: int | None = None
    hold: str | None = None


@dataclass
class AccountFacts:
    """What an account is, without what happened to it."""

    bound: str
    closed: bool = False
    brought_forward: int = 0
    """Debits and credits, of as much each, that it came with."""


@dataclass(frozen=True)
class Sums:
    """The four sums of an account."""

    debits_pending: int
    debits_posted: int
    credits_pending: int
    credits_posted: int

    @property
    def free(self) -> int:
        return self.credits_posted - self.debits_posted - self.debits_pending

    @property
    def room(self) -> int:
        return self.debits_posted - self.credits_posted - self.credits_pending


@dataclass
class BooksModel:
    """Answers as the books have to: with codes, or with amounts."""

    accounts: dict[str, AccountFacts] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def copy(self) -> "BooksModel":
        return copy.deepcopy(self)

    def find(self, name: str) -> Event | None:
        return next((event for event in self.events if event.name == name), None)

    def resolutions(self, hold: str) -> list[str]:
        return [event.kind for event in self.events if event.hold == hold]

    def open_holds(self) -> list[Event]:
        return [
            event
            for event in self.events
            if event.kind == "hold" and not self.resolutions(event.name)
        ]

    def sums(self, account: str) -> Sums:
        start = self.accounts[account].brought_forward
        posted = [event for event in self.events if event.kind in {"transfer", "post"}]
        pending = self.open_holds()
        return Sums(
            sum(event.amount for event in pending if event.debit == account),
            sum(event.amount for event in posted if event.debit == account) + start,
            sum(event.amount for event in pending if event.credit == account),
            sum(event.amount for event in posted if event.credit == account) + start,
        )

    def open_account(self, name: str, bound: str) -> str | None:
        if not 1 <= len(name) <= 128 or not all(" " <= each <= "~" for each in name):
            return "BOOKS.IDENTIFIER"
        if name in self.accounts:
            differs = self.accounts[name].bound != bound
            return "BOOKS.ACCOUNT_DIFFERS" if differs else None
        self.accounts[name] = AccountFacts(bound)
        return None

    def close_account(self, name: str, *, closed: bool) -> str | None:
        if name not in self.accounts:
            return "BOOKS.ACCOUNT_UNKNOWN"
        self.accounts[name].closed = closed
        return None

    def apply(self, request: Request, now_ms: int) -> str | int:
        """The code of the first reason to refuse, or the amount."""
        for code in self.refusals(request, now_ms):
            return code
        event = self.event_of(request, now_ms)
        self.events.append(event)
        return event.amount

    def apply_linked(
        self, chain: Sequence[Request], now_ms: int
    ) -> str | list[str] | list[int]:
        if not 1 <= len(chain) <= CHAIN_MAX:
            return "BOOKS.CHAIN_LENGTH"
        before = len(self.events)
        answers = []
        for place, request in enumerate(chain):
            answer = self.apply(request, now_ms)
            if isinstance(answer, str):
                del self.events[before:]
                codes = ["BOOKS.LINKED_FAILED"] * len(chain)
                codes[place] = answer
                return codes
            answers.append(answer)
        return answers

    def overdue(self, now_ms: int) -> list[Event]:
        """Holds that the next pass has to give back, in that order."""
        due = [
            (event.at_ms + event.timeout_ms, event.name, event)
            for event in self.open_holds()
            if event.timeout_ms is not None
        ]
        return [event for end_ms, _, event in sorted(due) if end_ms <= now_ms]

    def expire(self, name: str, hold: Event, now_ms: int) -> None:
        self.events.append(
            Event(
                name,
                "expire",
                hold.debit,
                hold.credit,
                hold.amount,
                now_ms,
                hold=hold.name,
            )
        )

    def event_of(self, request: Request, now_ms: int) -> Event:
        if isinstance(request, Movement):
            return Event(
                request.transfer_id,
                request.kind.value,
                request.debit,
                request.credit,
                self.amount_of(request),
                now_ms,
                (request.balancing_debit, request.balancing_credit),
                timeout_of(request),
            )
        hold = self.find(request.hold_id)
        assert hold is not None
        wanted = request.amount_microcredits if isinstance(request, Post) else None
        amount = hold.amount if wanted is None else wanted
        kind = request.kind.value
        return Event(
            request.transfer_id,
            kind,
            hold.debit,
            hold.credit,
            amount,
            now_ms,
            hold=hold.name,
        )

    def amount_of(self, request: Movement) -> int:
        limits = [request.amount_microcredits]
        if request.balancing_debit:
            limits.append(max(0, self.sums(request.debit).free))
        if request.balancing_credit:
            limits.append(max(0, self.sums(request.credit).room))
        return min(limits)

    def refusals(self, request: Request, now_ms: int) -> Iterator[str]:
        """All reasons that apply, in order."""
        yield from self.form(request)
        yield from self.repetition(request)
        if isinstance(request, Movement):
            yield from self.movement(request)
        else:
            yield from self.resolution(request, now_ms)

    def form(self, request: Request) -> Iterator[str]:
        names = [request.transfer_id]
        amounts = []
        if isinstance(request, Movement):
            names += [request.debit, request.credit]
            amounts = [request.amount_microcredits]
        else:
            names += [request.hold_id]
        if isinstance(request, Post) and request.amount_microcredits is not None:
            amounts = [request.amount_microcredits]
        for name in names:
            if not 1 <= len(name) <= 128 or not all(" " <= it <= "~" for it in name):
                yield "BOOKS.IDENTIFIER"
        for amount in amounts:
            if type(amount) is not int or not 1 <= amount <= AMOUNT_MAX:
                yield "BOOKS.AMOUNT"
        timeout_ms = timeout_of(request)
        if timeout_ms is not None and not 1 <= timeout_ms <= YEAR_MS:
            yield "BOOKS.TIMEOUT"
        if isinstance(request, Movement) and request.debit == request.credit:
            yield "BOOKS.SAME_ACCOUNT"

    def repetition(self, request: Request) -> Iterator[str]:
        known = self.find(request.transfer_id)
        if known is None:
            return
        if request.kind.value != known.kind:
            yield "BOOKS.KIND_DIFFERS"
        if isinstance(request, Movement):
            yield from self.movement_repetition(request, known)
        else:
            yield from self.resolution_repetition(request, known)
        yield "BOOKS.TRANSFER_EXISTS"

    def movement_repetition(self, request: Movement, known: Event) -> Iterator[str]:
        balancing = (request.balancing_debit, request.balancing_credit)
        if balancing != known.balancing:
            yield "BOOKS.KIND_DIFFERS"
        if timeout_of(request) != known.timeout_ms:
            yield "BOOKS.TIMEOUT_DIFFERS"
        if request.debit != known.debit:
            yield "BOOKS.DEBIT_DIFFERS"
        if request.credit != known.credit:
            yield "BOOKS.CREDIT_DIFFERS"
        wanted = request.amount_microcredits
        if known.amount > wanted or (known.amount < wanted and not any(balancing)):
            yield "BOOKS.AMOUNT_DIFFERS"

    def resolution_repetition(self, request: Request, known: Event) -> Iterator[str]:
        assert not isinstance(request, Movement)
        if request.hold_id != known.hold:
            yield "BOOKS.HOLD_DIFFERS"
        hold = self.find(request.hold_id)
        if isinstance(request, Post) and hold is not None:
            wanted = request.amount_microcredits
            if known.amount != (hold.amount if wanted is None else wanted):
                yield "BOOKS.AMOUNT_DIFFERS"

    def movement(self, request: Movement) -> Iterator[str]:
        if request.debit not in self.accounts:
            yield "BOOKS.DEBIT_UNKNOWN"
        if request.credit not in self.accounts:
            yield "BOOKS.CREDIT_UNKNOWN"
        yield from self.closed(request.debit, request.credit)
        debit, credit = self.sums(request.debit), self.sums(request.credit)
        amount = self.amount_of(request)
        if debit.debits_posted + debit.debits_pending + amount > SUM_MAX:
            yield "BOOKS.DEBITS_OVERFLOW"
        if credit.credits_posted + credit.credits_pending + amount > SUM_MAX:
            yield "BOOKS.CREDITS_OVERFLOW"
        if self.accounts[request.debit].bound == DEBITS and amount > debit.free:
            yield "BOOKS.FUNDS"
        if request.balancing_debit and debit.free <= 0:
            yield "BOOKS.FUNDS"
        if self.accounts[request.credit].bound == CREDITS and amount > credit.room:
            yield "BOOKS.ROOM"
        if request.balancing_credit and credit.room <= 0:
            yield "BOOKS.ROOM"

    def resolution(self, request: Request, now_ms: int) -> Iterator[str]:
        assert not isinstance(request, Movement)
        hold = self.find(request.hold_id)
        if hold is None:
            yield "BOOKS.PENDING_UNKNOWN"
            return
        if hold.kind != "hold":
            yield "BOOKS.NOT_PENDING"
        if (
            isinstance(request, Post)
            and (request.amount_microcredits or 0) > hold.amount
        ):
            yield "BOOKS.PENDING_EXCEEDED"
        resolutions = self.resolutions(hold.name)
        if "post" in resolutions:
            yield "BOOKS.PENDING_POSTED"
        if "void" in resolutions:
            yield "BOOKS.PENDING_VOIDED"
        is_late = hold.timeout_ms is not None and hold.at_ms + hold.timeout_ms <= now_ms
        if "expire" in resolutions or is_late:
            yield "BOOKS.PENDING_EXPIRED"
        if isinstance(request, Post):
            yield from self.closed(hold.debit, hold.credit)

    def closed(self, debit: str, credit: str) -> Iterator[str]:
        if self.accounts[debit].closed:
            yield "BOOKS.DEBIT_CLOSED"
        if self.accounts[credit].closed:
            yield "BOOKS.CREDIT_CLOSED"


def timeout_of(request: Request | Movement) -> int | None:
    return request.timeout_ms if isinstance(request, Hold) else None
