"""The kinds of statement: what each says in public, keeps private, and who signs.

The life of a job in statements: an `order` (step 3), an `agreement` that binds it to
an offer and holds money (4, 5), a `slice` of usage (9, 10), and a `charge` that pays
(11), or a `release` that gives the held money back.
"""

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field

from ledger.charging.tariff import RatingGroup, Tariff
from ledger.document import (
    AccountId,
    BookAccountId,
    Digest,
    Digest384,
    Document,
    Identifier,
    Name,
    NodeId,
    PriceMicrocredits,
    PseudonymId,
    PublicKeyText,
    TimeMs,
    VerifierKeyText,
    Word,
)


class StatementBody(Document):
    """Base of the public part of a statement."""

    kind: ClassVar[str]
    private_fields: ClassVar[frozenset[str]] = frozenset()
    """Exactly these names must stand among the private digests."""
    roles: ClassVar[tuple[str, ...]]
    """Who signs, each with the key named by :meth:`signer`."""
    committed_fields: ClassVar[frozenset[str]] = frozenset()
    """Numbers that stand in the log as commitments, by the name of the field."""
    optional_roles: ClassVar[frozenset[str]] = frozenset()
    """Roles whose signature may be missing; another rule says when."""

    def signer(self, role: str) -> str:
        """The account or node id that must have signed in this role."""
        return str(getattr(self, role))


class MarketStatement(StatementBody):
    """The first entry: who runs this market, and under which log origin."""

    kind = "market"
    roles = ("market",)

    market: AccountId
    origin: str = Field(min_length=1, max_length=128)
    tariff: Tariff
    """What the market itself charges in every job."""
    opened_at_ms: TimeMs


class AccountStatement(StatementBody):
    """A party makes itself known; its key is its identity."""

    kind = "account"
    roles = ("account",)

    account: AccountId
    public_key: PublicKeyText
    registered_at_ms: TimeMs


class NodeCapacity(Document):
    """What a node measured of itself. Rates are per second."""

    workers: int = Field(ge=1, le=1024)
    memory_bytes: int = Field(ge=0, le=2**48)
    fuel_per_s: int = Field(ge=0, le=2**48)
    homomorphic_operations_per_s: int = Field(ge=0, le=2**48)
    link_bytes_per_s: int = Field(ge=0, le=2**48)
    round_trip_ms: int = Field(ge=0, le=60_000)


class OfferPolicy(Document):
    """Whom and what a provider will run."""

    sensitivity_classes: tuple[Word, ...] = Field(max_length=16)
    categories_refused: tuple[Word, ...] = Field(max_length=64)
    consumers_refused: tuple[AccountId, ...] = Field(max_length=256)


class OfferStatement(StatementBody):
    """A provider's signed price and policy for one node."""

    kind = "offer"
    roles = ("provider", "node")

    offer_id: Identifier
    provider: AccountId
    node: NodeId
    node_key: PublicKeyText
    name: Name
    tier: Word
    jurisdiction: Word
    ownership_domain: Word
    protections: tuple[Word, ...] = Field(min_length=1, max_length=4)
    assurance: Word
    """What the node's enclave evidence can show: `none`, `simulated`, `hardware`."""
    runner: Digest384
    engine: str = Field(min_length=1, max_length=1024)
    """Version and settings of the sandbox engine, which evidence measures."""
    capacity: NodeCapacity
    prices: dict[RatingGroup, PriceMicrocredits]
    policy: OfferPolicy
    published_at_ms: TimeMs
    valid_until_ms: TimeMs


class WorkloadStatement(StatementBody):
    """An owner publishes code and names the price of each run."""

    kind = "workload"
    roles = ("owner",)

    workload_id: Identifier
    owner: AccountId
    name: Name
    workload_kind: Word
    content: Digest
    royalty_microcredits: PriceMicrocredits
    published_at_ms: TimeMs


class OrderStatement(StatementBody):
    """A consumer orders one run. Who, what, and under which policy, is private."""

    kind = "order"
    roles = ("consumer",)
    private_fields = frozenset(
        {
            "account",
            "workload",
            "data_policy",
            "limits",
            "input",
            "price_max",
            "recipient",
        }
    )

    job_id: Identifier
    consumer: PseudonymId
    ordered_at_ms: TimeMs


class AgreementStatement(StatementBody):
    """Binds order, offer, tariff and decision, and holds the money."""

    kind = "agreement"
    roles = ("market",)
    private_fields = frozenset({"hold", "decision"})

    job_id: Identifier
    market: AccountId
    consumer: PseudonymId
    provider: AccountId
    node: NodeId
    order: Digest
    offer: Digest
    attempt: int = Field(ge=1, le=1000)
    """Counts placements of one job; also the fencing token of its lease."""
    tariff: Tariff
    hold_transfer: Identifier
    debit: BookAccountId
    credit: BookAccountId
    agreed_at_ms: TimeMs
    acceptance_timeout_ms: int = Field(ge=1000, le=30 * 24 * 3600 * 1000)


class SliceStatement(StatementBody):
    """A signed piece of metering. Quantities are commitments.

    There is one for each rating group that the agreed tariff has a line for, also if
    nothing of it was used.

    The consumer's signature may be missing only if the charge says that the agreed
    time for it has run out.
    """

    kind = "slice"
    roles = ("node", "consumer")
    optional_roles = frozenset({"consumer"})
    private_fields = frozenset({"outcome", "input_digest", "result_digest"})
    committed_fields = frozenset(f"quantity.{group}" for group in RatingGroup)

    job_id: Identifier
    agreement: Digest
    node: NodeId
    consumer: PseudonymId
    sequence: int = Field(ge=0, le=2**32)
    finished_at_ms: TimeMs


class Posting(Document):
    """One movement in the books. Its amount follows from slice and tariff."""

    transfer_id: Identifier
    action: Literal["post", "transfer"]
    debit: BookAccountId
    credit: BookAccountId


class ChargeStatement(StatementBody):
    """A rated slice: the transfers that pay for it. The rest of the hold is freed.

    No amount stands here, not even hidden: the first posting is of the sum of prices
    times quantities, each other one of its payee's part, so that the commitments of
    the slice and the tariff of the agreement give the commitment of every amount.
    """

    kind = "charge"
    roles = ("market",)

    job_id: Identifier
    market: AccountId
    agreement: Digest
    slice: Digest
    acceptance: Literal["countersigned", "timeout"]
    hold_transfer: Identifier
    postings: tuple[Posting, ...] = Field(max_length=16)
    """The first pays from the hold, the others share it out: one for each payee of the
    tariff, in its order, also if the amount is zero. None if nobody has a price."""
    charged_at_ms: TimeMs


class ReleaseStatement(StatementBody):
    """Held money goes back, with the reason."""

    kind = "release"
    roles = ("market",)

    job_id: Identifier
    market: AccountId
    agreement: Digest
    transfer_id: Identifier
    hold_transfer: Identifier
    reason: Word
    released_at_ms: TimeMs


class TopUpStatement(StatementBody):
    """Money enters the books."""

    kind = "top_up"
    roles = ("market",)
    committed_fields = frozenset({"amount"})

    market: AccountId
    transfer_id: Identifier
    source: Literal["development_credit"]
    debit: BookAccountId
    credit: BookAccountId
    topped_up_at_ms: TimeMs


class LogKeyStatement(StatementBody):
    """The log changes its keys. Every checkpoint that counts this entry is new.

    Those are signed with the keys named in `after`. To let readers who know only the
    keys in `before` check this very entry, those sign too, for a while.
    """

    kind = "log_key"
    roles = ("market",)

    market: AccountId
    origin: str = Field(min_length=1, max_length=128)
    generation: int = Field(ge=2, le=2**32)
    """Counts the sets of keys of this log, the first included."""
    before: tuple[VerifierKeyText, ...] = Field(min_length=1, max_length=4)
    after: tuple[VerifierKeyText, ...] = Field(min_length=1, max_length=4)
    """Verifier keys, the Ed25519 key first; each of them signs."""
    changed_at_ms: TimeMs
    before_until_ms: TimeMs
    """From this time on the keys before do not sign any more."""


KINDS: dict[str, type[StatementBody]] = {
    body.kind: body
    for body in (
        MarketStatement,
        AccountStatement,
        OfferStatement,
        WorkloadStatement,
        OrderStatement,
        AgreementStatement,
        SliceStatement,
        ChargeStatement,
        ReleaseStatement,
        TopUpStatement,
        LogKeyStatement,
    )
}
"""All kinds that a log may hold, by name."""


def has_concealed_fields(
    body: StatementBody, private: Iterable[str], committed: Iterable[str]
) -> bool:
    """Whether these are the names of what a statement with this body conceals."""
    names = frozenset(committed)
    if isinstance(body, SliceStatement):
        # Which of them depends on the agreement's tariff, and is checked with it.
        return frozenset(private) == body.private_fields and (
            names <= body.committed_fields
        )
    return frozenset(private) == body.private_fields and names == body.committed_fields
