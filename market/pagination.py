"""Pages of a list: CAMARA's `page` and `perPage`, bounded."""

from typing import Annotated

from fastapi import Query

from ledger.encoding import Json

PER_PAGE_MAX = 100
"""A hundred of the largest items, signed offers, are about a megabyte."""

Page = Annotated[int, Query(ge=1, le=10**6)]
"""For a route's signature; the first page is 1."""
PerPage = Annotated[int, Query(alias="perPage", ge=1, le=PER_PAGE_MAX)]
"""For a route's signature."""


def pagination_json(*, page: int, per_page: int, total: int) -> dict[str, Json]:
    """How an answer says which page it is, of how many."""
    return {
        "page": page,
        "perPage": per_page,
        "totalCount": total,
        "totalPages": -(-total // per_page),
    }
