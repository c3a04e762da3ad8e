"""`sixfold audit`: copy a log, check it, check a receipt. Nothing else is needed.

Each command has its file. What they all take is in `options`.
"""

import typer

from ledger.audit.cli import fetch, follow, log, receipt

app = typer.Typer(help="Check bills and logs offline.", no_args_is_help=True)
app.command()(fetch.fetch)
app.command()(follow.follow)
app.command()(log.log)
app.command()(receipt.receipt)
