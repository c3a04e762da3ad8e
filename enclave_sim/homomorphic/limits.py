"""Sizes and counts that bound circuits and encrypted messages."""

FEATURES_MAX = 256
"""Columns of a patient row; a whole laboratory panel has fewer than 100."""

OUTPUTS_MAX = 16
"""Scores for each row; 16 results of 32 blocks stay below `CIPHERTEXTS_MAX`."""

BLOCKS_MAX = 32
"""130,304 rows in one message; more are sent as several jobs."""

CIPHERTEXTS_MAX = 512
"""In one message; at about 117 KB each, 60 MB and under a second of work."""

MESSAGE_BYTES_MAX = 68_000_000
"""`CIPHERTEXTS_MAX` of the largest kind (131 KB) with their frames."""

CIRCUIT_BYTES_MAX = 131_072
"""The canonical JSON of 16 outputs over 256 features, with 12 decimals, fits."""

WEIGHT_DECIMALS_MAX = 12
"""A smaller weight would be rounded to nothing at the scale of 2**40."""
