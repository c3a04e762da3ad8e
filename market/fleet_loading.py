"""Reads the fleet's view from the database, which is the truth."""

from collections import Counter

from sqlmodel import Session, col, select

from ledger.statements.kinds import OfferStatement
from ledger.statements.statement import parse_statement
from market.catalog.models import Offer
from market.jobs.models import ACTIVE_STATES, Job
from market.placement.fleet import Fleet


def load_fleet(session: Session, fleet: Fleet) -> None:
    """Make the view what the database says: live offers, nodes, jobs they hold."""
    offers: dict[str, tuple[OfferStatement, str]] = {}
    for offer in session.exec(select(Offer).where(Offer.live)):
        body = parse_statement(offer.entry).body
        assert isinstance(body, OfferStatement)
        offers[offer.node] = (body, offer.digest)
    nodes = session.exec(select(Job.node).where(col(Job.state).in_(ACTIVE_STATES)))
    fleet.replace(
        offers=offers,
        nodes=set(session.exec(select(Offer.node).distinct())),
        jobs=Counter(node for node in nodes if node is not None),
    )
