"""Random ids for jobs, offers, workloads and transfers."""

import base64
import hashlib
import secrets

from ledger.encoding import canonical_json


def new_identifier(prefix: str) -> str:
    """Make an id such as `job_...` with 100 random bits.

    Args:
        prefix: 2 to 8 lower-case letters that say what is named.
    """
    return (
        f"{prefix}_" + base64.b32encode(secrets.token_bytes(13)).decode().lower()[:20]
    )


def derived_identifier(prefix: str, *parts: str | int) -> str:
    """Make the id of something that there is once for given things.

    Args:
        prefix: As of `new_identifier`.
        parts: What tells it from all others of its kind.
    """
    digest = hashlib.sha256(canonical_json([prefix, *parts])).digest()
    return f"{prefix}_" + base64.b32encode(digest).decode("ascii").lower()[:26]
