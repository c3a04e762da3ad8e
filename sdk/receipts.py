"""Receipts: what a consumer keeps of a paid job, and checks without asking anybody."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ledger.audit.errors import ReceiptError as LedgerReceiptError
from ledger.audit.log_copy import RECEIPT_SUFFIX
from ledger.audit.receipt import (
    RECEIPT_BYTES_MAX,
    VerifiedReceipt,
    verify_receipt,
)
from ledger.log.log_keys import LogKeys
from sdk.credits import format_credits
from sdk.errors import ReceiptError
from sdk.session import Session


@dataclass(frozen=True)
class Receipt:
    """One job's receipt, a `.tlog-proof` file, with the keys that it is checked with.

    The log's keys are those that were pinned when the market was first met.
    """

    data: bytes
    job_id: str
    consumer: str
    market: str
    log_keys: LogKeys

    def verify(self) -> VerifiedReceipt:
        """Check the receipt offline: proof, signatures, agreement, usage, amounts.

        Raises:
            ReceiptError: Something does not hold, or it is of another job.
        """
        try:
            verified = verify_receipt(self.data, self.log_keys)
        except LedgerReceiptError as error:
            raise ReceiptError(f"The receipt does not hold: {error}") from error
        due = (self.job_id, self.consumer, self.market)
        if (verified.job_id, verified.account, verified.market) != due:
            raise ReceiptError("The receipt is of another job.")
        return verified

    def save(self, path: Path | str) -> Path:
        """Keep the receipt in a file, which `sixfold audit receipt` checks.

        Args:
            path: Of the file, or an existing folder for a file named after the job.

        Raises:
            ReceiptError: The file cannot be written.
        """
        target = Path(path)
        if target.is_dir():
            target /= self.job_id + RECEIPT_SUFFIX
        try:
            descriptor, temporary = tempfile.mkstemp(dir=target.parent)
            with os.fdopen(descriptor, "wb") as file:
                file.write(self.data)
            Path(temporary).replace(target)
        except OSError as error:
            message = f"{target} cannot be written: {error.strerror}."
            raise ReceiptError(message) from error
        return target

    def summary(self) -> str:
        """Say in one sentence what was paid for and where that is recorded.

        Raises:
            ReceiptError: The receipt does not hold.
        """
        facts = self.verify()
        return (
            f"{facts.job_id} {facts.outcome} on {facts.node} for "
            f"{format_credits(facts.total_microcredits)} credits; entry {facts.index} "
            f"of {facts.origin}, {facts.acceptance}."
        )


def fetch_receipt(session: Session, job_id: str) -> Receipt:
    """Get the receipt of a paid job; it is not checked yet.

    Raises:
        SdkError: The job is not paid, is not the caller's, or the market is away.
    """
    data = session.transport.get_bytes(
        f"/compute-jobs/v0.1/jobs/{job_id}/receipt", size_max=RECEIPT_BYTES_MAX
    )
    return Receipt(
        data=data,
        job_id=job_id,
        consumer=session.consumer,
        market=session.market,
        log_keys=session.log_keys,
    )
