"""Every route of the market stands in the reference, and nothing else does."""

import re

from document_tables import REFERENCE

from market.app import Runner, create_app
from market.clock import SystemClock
from market.settings import Settings

HEADING = re.compile(r"^### `([A-Z]+) (/[^`]+)`$", re.MULTILINE)


def test_all_routes_are_listed(tmp_path) -> None:
    app = create_app(
        Settings(folder=tmp_path),
        runner=Runner(sha384="0" * 96, path=str(tmp_path / "runner.wasm")),
        public_url="http://market.example",
        clock=SystemClock(),
    )
    routes = [
        (method.upper(), path)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    ]
    listed = HEADING.findall((REFERENCE / "http-api.md").read_text())
    assert sorted(listed) == sorted(routes)
