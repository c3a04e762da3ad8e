"""Routes whose answers are sent as they are.

Services make their answers of plain JSON. To have each walked through once more, to
see whether it is JSON, took a twentieth of the market's time.
"""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from fastapi.responses import Response
from fastapi.routing import APIRoute

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class JsonRoute(APIRoute):
    """A route with an asynchronous endpoint that returns JSON, or a response."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401 - as of its base
        super().__init__(path, _sends_json(endpoint), **options)


def _sends_json(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Take an endpoint's answer to its bytes at once."""

    @wraps(endpoint)
    async def answer(*values: Any, **named: Any) -> Response:  # noqa: ANN401 - as of the endpoint
        result = await endpoint(*values, **named)
        if isinstance(result, Response):
            return result
        return Response(_encode(result), media_type="application/json")

    return answer
