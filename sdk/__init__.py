"""The SDK: run functions on sensitive data elsewhere, and keep proof of the bill.

    from sdk import Market

    market = Market.open("http://127.0.0.1:8600", key="alice.key")

    @market.offload(sensitivity="confidential", categories=["health"])
    def risk(rows: list[list[float]]) -> list[float]: ...

    scores = risk(rows)              # appraises, seals, runs elsewhere, countersigns
    risk.last.receipt.verify()       # offline

Encrypted scoring is `market.scorer(workload_id, ...)`. All errors are `SdkError`s,
but for those of key files, which are the ledger's.
"""

from sdk.encrypted import Scorer
from sdk.errors import (
    AddressError,
    ExtraMissingError,
    InputError,
    JobDisputedError,
    JobError,
    JobFailedError,
    JobRefusedError,
    JobTimeoutError,
    MarketAnswerError,
    MarketRefusedError,
    MarketUnavailableError,
    PinError,
    ReceiptError,
    SdkError,
    SourceError,
    UntrustedEvidenceError,
)
from sdk.market import Market
from sdk.offload import RemoteFunction
from sdk.options import JobOptions, OffloadOptions, PolicyOptions
from sdk.receipts import Receipt
from sdk.results import JobResult, LocalResult

__all__ = [
    "AddressError",
    "ExtraMissingError",
    "InputError",
    "JobDisputedError",
    "JobError",
    "JobFailedError",
    "JobOptions",
    "JobRefusedError",
    "JobResult",
    "JobTimeoutError",
    "LocalResult",
    "Market",
    "MarketAnswerError",
    "MarketRefusedError",
    "MarketUnavailableError",
    "OffloadOptions",
    "PinError",
    "PolicyOptions",
    "Receipt",
    "ReceiptError",
    "RemoteFunction",
    "Scorer",
    "SdkError",
    "SourceError",
    "UntrustedEvidenceError",
]
