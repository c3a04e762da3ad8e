"""Random ids for jobs, offers, workloads and transfers."""

import base64
import secrets


def new_identifier(prefix: str) -> str:
    """Make an id such as `job_...` with 100 random bits.

    Args:
        prefix: 2 to 8 lower-case letters that say what is named.
    """
    return (
        f"{prefix}_" + base64.b32encode(secrets.token_bytes(13)).decode().lower()[:20]
    )
