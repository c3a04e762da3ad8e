"""Turns errors into answers in the CAMARA form: status, code, message.

Whatever goes wrong, the answer has this form, repeats nothing of the payload, and
carries the caller's `x-correlator`.
"""

import logging
import re
import uuid
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from enclave_sim.errors import EnclaveError
from ledger.errors import LedgerError
from market.errors import MarketError
from market.refusals import refusal_of

CORRELATOR = "x-correlator"
_CORRELATOR_FORM = re.compile(r"[a-zA-Z0-9-_:;.\/<>{}]{0,256}")
_CODES = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 415: "UNSUPPORTED_MEDIA_TYPE"}

logger = logging.getLogger(__name__)


def install_error_responses(app: FastAPI) -> None:
    """Give all of an application's errors the one form."""
    app.middleware("http")(_correlate)
    app.exception_handler(MarketError)(_refuse)
    app.exception_handler(LedgerError)(_refuse)
    app.exception_handler(EnclaveError)(_refuse)
    app.exception_handler(RequestValidationError)(_refuse_validation)
    app.exception_handler(HTTPException)(_refuse_http)
    # A path that is almost right is unknown: a redirect could not be followed with
    # the same signature.
    app.router.redirect_slashes = False


def error_body(error: MarketError) -> dict[str, object]:
    """The body of an error answer."""
    return {"status": error.status, "code": error.code, "message": error.message}


async def _correlate(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    correlator = request.headers.get(CORRELATOR)
    if correlator is not None and not _CORRELATOR_FORM.fullmatch(correlator):
        return _answer(400, "INVALID_ARGUMENT", "The x-correlator is malformed.")
    try:
        response = await call_next(request)
    except Exception:
        fault = uuid.uuid4()
        logger.exception("Fault %s in %s", fault, request.url.path)
        response = _answer(500, "INTERNAL", f"A fault of the market, noted as {fault}.")
    if correlator is not None:
        response.headers[CORRELATOR] = correlator
    return response


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, MarketError | LedgerError | EnclaveError)
    refusal = refusal_of(error)
    return JSONResponse(error_body(refusal), refusal.status)


async def _refuse_validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # FastAPI's own answer would repeat the input, which may be somebody's data.
    places = {".".join(str(part) for part in item["loc"]) for item in error.errors()}
    message = f"Out of form: {', '.join(sorted(places))}."
    return _answer(400, "INVALID_ARGUMENT", message)


async def _refuse_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "INVALID_ARGUMENT")
    answer = _answer(error.status_code, code, str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


def _answer(status: int, code: str, message: str) -> Response:
    return JSONResponse({"status": status, "code": code, "message": message}, status)
