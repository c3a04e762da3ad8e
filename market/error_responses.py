"""Turns errors into answers in the CAMARA form: status, code, message.

Whatever goes wrong, the answer has this form, repeats nothing of the payload, and
carries the caller's `x-correlator`.
"""

import logging
import re
import uuid

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
    app.add_middleware(_Correlator)
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


class _Correlator:
    """Echoes `x-correlator` and turns faults into answers; plain ASGI, for speed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlator = Headers(scope=scope).get(CORRELATOR)
        if correlator is not None and not _CORRELATOR_FORM.fullmatch(correlator):
            answer = _answer(400, "INVALID_ARGUMENT", "The x-correlator is malformed.")
            await answer(scope, receive, send)
            return
        started = False

        async def send_correlated(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if correlator is not None:
                    MutableHeaders(scope=message)[CORRELATOR] = correlator
            await send(message)

        try:
            await self._app(scope, receive, send_correlated)
        except Exception:
            fault = uuid.uuid4()
            logger.exception("Fault %s in %s", fault, scope["path"])
            if started:
                raise
            message = f"A fault of the market, noted as {fault}."
            await _answer(500, "INTERNAL", message)(scope, receive, send_correlated)


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
