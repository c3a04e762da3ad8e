"""Sizes and counts that bound every input of the ledger."""

STATEMENT_BYTES_MAX = 65_535
"""An entry bundle frames each entry with 16 bits (C2SP tlog-tiles)."""

JSON_DEPTH_MAX = 16
"""Our deepest document nests six levels; more only serves to exhaust a parser."""

AMOUNT_MICROCREDITS_MAX = 2**53 - 1
"""The largest integer that every JSON reader keeps exact (RFC 8785, 3.2.2.3)."""

QUANTITY_MAX = 2**48
"""Units of one rating group in one slice: 10**14 megafuel is a century of work."""

PRICE_MICROCREDITS_MAX = 10**9
"""A thousand credits for one unit; above it a price is a mistake."""

NOTE_BYTES_MAX = 65_536
"""A note with 16 post-quantum signatures stays below this."""

NOTE_SIGNATURES_MAX = 64
"""C2SP asks for at least 16."""

PROOF_HASHES_MAX = 63
"""A path is never longer than the bits of a tree size below 2**63."""
