"""`python -m sdk.cli` is the command `sixfold`."""

from sdk.cli import main

main()
