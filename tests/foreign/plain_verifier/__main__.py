"""Checks a copy of a market's log with no line of Sixfold's code.

    python plain_verifier DIR

Written from docs/reference/ledger-format.md alone, with Python's standard library and
the `cryptography` package: to show that the page is enough, and to be read. It trusts
nothing but the keys in DIR/log.vkey.
"""

import json
import sys
from pathlib import Path

from plain_copy import verify_copy
from plain_log import WrongError

if __name__ == "__main__":
    try:
        result = verify_copy(Path(sys.argv[1]))
    except (WrongError, OSError) as error:
        sys.exit(f"wrong: {error}")
    print("ok:", json.dumps(result._asdict()))
