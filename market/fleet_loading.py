"""Reads the fleet's view from the database, which is the truth."""

from collections import Counter

from sqlmodel import Session, col, func, select

from ledger.statements.kinds import OfferStatement
from ledger.statements.statement import parse_statement
from market.catalog.models import Offer
from market.jobs.models import ACTIVE_STATES, Job
from market.placement.fleet import Fleet

OFFERS_READ_AT_ONCE = 1000


def load_fleet(session: Session, fleet: Fleet) -> None:
    """Make the view what the database says: live offers, nodes, jobs they hold."""
    # What a digest stands for never changes, so most need not be read again.
    bodies = {digest: body for body, digest in fleet.offers()}
    live = session.exec(
        select(Offer.offer_id, Offer.node, Offer.digest).where(col(Offer.live))
    ).all()
    unknown = [offer_id for offer_id, _, digest in live if digest not in bodies]
    for start in range(0, len(unknown), OFFERS_READ_AT_ONCE):
        some = unknown[start : start + OFFERS_READ_AT_ONCE]
        query = select(Offer.digest, Offer.entry).where(col(Offer.offer_id).in_(some))
        for digest, entry in session.exec(query):
            body = parse_statement(entry).body
            assert isinstance(body, OfferStatement)
            bodies[digest] = body
    held = session.exec(
        select(Job.node, func.count())
        .where(col(Job.state).in_(ACTIVE_STATES))
        .group_by(col(Job.node))
    )
    fleet.replace(
        offers={node: (bodies[digest], digest) for _, node, digest in live},
        nodes=set(session.exec(select(Offer.node).distinct())),
        jobs=Counter({node: jobs for node, jobs in held if node is not None}),
    )


def is_offered(session: Session, node: str) -> bool:
    """Whether a node was ever offered."""
    query = select(Offer.offer_id).where(Offer.node == node).limit(1)
    return session.exec(query).first() is not None
