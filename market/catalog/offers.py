"""Offers of nodes: published, replaced, withdrawn, listed."""

from sqlalchemy import update
from sqlmodel import Session, col, func, select

from ledger.charging.tariff import RatingGroup
from ledger.encoding import Json
from ledger.signing import PublicKey
from ledger.statements.kinds import OfferStatement
from ledger.statements.statement import Statement, parse_statement, verify_signatures
from market.broker import Broker
from market.catalog.models import Offer
from market.errors import InvalidError, NotFoundError
from market.identity.service import require_account
from market.transaction import Transaction

TIERS = frozenset(
    {
        "device",
        "cell_site",
        "semi_private_site",
        "edge_site",
        "core_site",
        "data_center",
    }
)
PROTECTIONS = frozenset({"sandbox", "enclave", "homomorphic"})
PRICED_GROUPS = frozenset(RatingGroup) - {RatingGroup.ROYALTY}
"""What a provider must price; royalties belong to workload owners."""
OFFER_LIFE_MS_MAX = 366 * 24 * 3600 * 1000


def publish_offer(
    transaction: Transaction, broker: Broker, statement: Statement
) -> Json:
    """Publish an offer; it replaces the node's earlier one.

    Raises:
        InvalidError: Not an offer, or one of its values has no meaning here.
        ForbiddenError: The provider is not registered.
        LedgerError: The provider's or the node's signature does not hold.
    """
    body = statement.body
    if not isinstance(body, OfferStatement):
        raise InvalidError("An offer statement is due here.")
    verify_signatures(statement)
    require_account(transaction.session, body.provider)
    _check_values(body, transaction.now_ms)
    session = transaction.session
    if session.get(Offer, body.offer_id) is not None:
        raise InvalidError("This offer id is taken.")
    earlier = session.exec(
        select(Offer).where(
            Offer.node == body.node,
            Offer.live,
            col(Offer.valid_until_ms) > transaction.now_ms,
        )
    ).first()
    if earlier is not None and earlier.provider != body.provider:
        raise InvalidError("The node belongs to another provider.")
    _retire(session, body.node)
    session.add(
        Offer(
            offer_id=body.offer_id,
            provider=body.provider,
            node=body.node,
            digest=statement.digest,
            entry=statement.entry,
            live=True,
            valid_until_ms=body.valid_until_ms,
        )
    )
    transaction.record(statement, parties=[body.provider, body.node])
    transaction.after_commit(lambda: broker.fleet.put(body, statement.digest))
    return {"offerId": body.offer_id}


def withdraw_offer(
    transaction: Transaction, broker: Broker, provider: str, offer_id: str
) -> Json:
    """Take an offer off the market; jobs that it holds are not touched.

    Raises:
        NotFoundError: The provider has no live offer of this id.
    """
    offer = transaction.session.get(Offer, offer_id)
    if offer is None or offer.provider != provider or not offer.live:
        raise NotFoundError("There is no such offer.")
    node = offer.node
    _retire(transaction.session, node)
    transaction.after_commit(lambda: broker.fleet.withdraw(node))
    return {"offerId": offer_id}


def list_offers(
    session: Session,
    broker: Broker,
    *,
    provider: str | None,
    now_ms: int,
    page: int,
    per_page: int,
) -> tuple[list[Json], int]:
    """A page of live offers with what the market sees of their nodes; and the count."""
    valid = [col(Offer.live), col(Offer.valid_until_ms) > now_ms]
    if provider is not None:
        valid.append(col(Offer.provider) == provider)
    total = session.exec(select(func.count()).select_from(Offer).where(*valid)).one()
    query = select(Offer).where(*valid).order_by(col(Offer.offer_id))
    result: list[Json] = []
    for offer in session.exec(query.offset((page - 1) * per_page).limit(per_page)):
        body = parse_statement(offer.entry).body
        silent_ms = broker.fleet.silent_ms(offer.node, now_ms)
        result.append(
            {
                **body.to_json(),
                "digest": offer.digest,
                "silentMs": min(silent_ms, 2**40),
                "jobs": broker.fleet.jobs_of(offer.node),
            }
        )
    return result, total


def _check_values(body: OfferStatement, now_ms: int) -> None:
    if body.tier not in TIERS:
        raise InvalidError(f"The tier is one of {', '.join(sorted(TIERS))}.")
    if not set(body.protections) <= PROTECTIONS:
        raise InvalidError(f"Protections are {', '.join(sorted(PROTECTIONS))}.")
    if body.assurance not in {"none", "simulated"}:
        # Hardware assurance follows from evidence that a root of AMD has signed;
        # nobody gets it by claiming it.
        raise InvalidError("The assurance of an offer is none or simulated.")
    if set(body.prices) != PRICED_GROUPS:
        raise InvalidError(f"An offer prices {', '.join(sorted(PRICED_GROUPS))}.")
    if not now_ms < body.valid_until_ms <= now_ms + OFFER_LIFE_MS_MAX:
        raise InvalidError("An offer is valid from now for at most 366 days.")
    if PublicKey.from_text(body.node_key).node_id != body.node:
        raise InvalidError("The node's id is not that of its key.")


def _retire(session: Session, node: str) -> None:
    session.execute(
        update(Offer).where(col(Offer.node) == node, col(Offer.live)).values(live=False)
    )
