"""Answers that browsers, proxies and auditors may keep: what for how long, and 304.

Source: RFC 9110, section 13.1.2 (If-None-Match); RFC 9111, section 5.2.2; RFC 8246.
"""

import hashlib

from fastapi import Request
from fastapi.responses import Response

IMMUTABLE = "public, max-age=31536000, immutable"
"""Of tiles and bundles: what is at such a path never changes."""
FOR_SECONDS = "public, max-age=5"
"""Of checkpoints: a crowd of readers costs one request in so many seconds."""


def cached_answer(
    request: Request, data: bytes, *, media_type: str, cache_control: str
) -> Response:
    """Answer with a file, or with 304 if the caller has this very one."""
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"Cache-Control": cache_control, "ETag": tag}
    if _has(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=media_type, headers=headers)


def _has(request: Request, tag: str) -> bool:
    """Whether the caller names this tag, or any, as what it has."""
    known = [
        item.strip().removeprefix("W/")
        for value in request.headers.getlist("if-none-match")
        for item in value.split(",")
    ]
    return tag in known or known == ["*"]
