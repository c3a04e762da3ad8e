"""HTTP: accounts."""

from fastapi import APIRouter

from ledger.document import Document
from ledger.encoding import Json, canonical_json
from ledger.statements.statement import parse_statement
from market.auth import SignedCaller
from market.context import Market
from market.errors import InvalidError
from market.identity.service import register_account
from market.json_route import JsonRoute
from market.writer import Command

router = APIRouter(prefix="/accounts/v0.1", tags=["accounts"], route_class=JsonRoute)


class Registration(Document):
    """A signed `account` statement."""

    statement: dict[str, Json]


@router.post("/accounts", operation_id="createAccount")
async def create_account(caller: SignedCaller, market: Market) -> Json:
    """Register the calling key as an account; repeating it changes nothing."""
    registration = caller.parse(Registration)
    statement = parse_statement(canonical_json(registration.statement))
    if getattr(statement.body, "account", None) != caller.account_id:
        raise InvalidError("A key registers itself, nobody else.")
    command = Command(
        party=caller.account_id,
        command_id="register",
        payload=caller.account_id,
        apply=lambda transaction: register_account(transaction, statement),
    )
    return await market.writer.submit_one(command)
