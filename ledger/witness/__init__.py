"""A witness of our own, for auditors and rivals to run: `sixfold witness serve`.

It cosigns checkpoints of the logs that it is told of, and never two that contradict.
Start with `witness` (what it decides), then `store` (what its promise rests on);
`site` serves it over HTTP, `keys` holds its keys, `cli` has the commands.

Nothing that verifies imports this package.
"""
