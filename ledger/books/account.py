"""An account: four running sums, and what bounds them."""

from dataclasses import dataclass
from enum import StrEnum

SUM_MICROCREDITS_MAX = 2**63 - 1
"""All debits of an account, or all its credits, fit a signed 64-bit column."""


class Bound(StrEnum):
    """Which side of an account may never outgrow the other.

    Pending amounts count on the side that is bounded, and not on the other: what is
    reserved cannot be spent twice, and what is promised cannot be spent at all.
    """

    NONE = "none"
    """It may stand on either side of zero."""
    DEBITS_MUST_NOT_EXCEED_CREDITS = "debits_must_not_exceed_credits"
    """It spends what it has, as a wallet does."""
    CREDITS_MUST_NOT_EXCEED_DEBITS = "credits_must_not_exceed_debits"
    """It takes back what it gave out, as a source of money does."""


@dataclass(frozen=True)
class Balance:
    """An account in micro-credits: what it has, what of it is held, what is free."""

    posted_microcredits: int
    held_microcredits: int

    @property
    def free_microcredits(self) -> int:
        """What may still be spent."""
        return self.posted_microcredits - self.held_microcredits


@dataclass(slots=True)
class Account:
    """An account in memory. All sums in micro-credits, and never negative."""

    bound: Bound
    closed: bool = False
    debits_pending: int = 0
    debits_posted: int = 0
    credits_pending: int = 0
    credits_posted: int = 0

    @property
    def free(self) -> int:
        """How much its debits can grow until they reach its credits."""
        return self.credits_posted - self.debits_posted - self.debits_pending

    @property
    def room(self) -> int:
        """How much its credits can grow until they reach its debits."""
        return self.debits_posted - self.credits_posted - self.credits_pending

    @property
    def balance(self) -> Balance:
        """What its owner is told."""
        return Balance(
            posted_microcredits=self.credits_posted - self.debits_posted,
            held_microcredits=self.debits_pending,
        )
