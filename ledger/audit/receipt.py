"""Receipts: one file that proves one bill, offline, with nothing but the log's key.

A receipt is a `.tlog-proof` file. The entry it proves is the job's charge; its extra
data holds the four statements of the job with the openings of their private fields.
No signature covers extra data, so nothing in it counts before it is checked: the
charge by the proof, each other statement by the digest that the next one signs for.

Source: C2SP tlog-proof; the layout of the extra data is ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ledger.audit.bill import (
    Bill,
    check_agreement,
    check_bill,
    check_charge,
    check_hold,
    check_slice,
    read_amount,
)
from ledger.audit.checked_statement import (
    check_openings,
    check_signatures,
    read_account,
    read_statement,
)
from ledger.audit.errors import ReceiptError, RuleError
from ledger.audit.rules import Rule
from ledger.charging.tariff import RatingGroup
from ledger.document import Document
from ledger.encoding import Json, canonical_json, parse_json
from ledger.errors import EncodingError, NoteError, ProofError, QuorumError
from ledger.limits import STATEMENT_BYTES_MAX
from ledger.log.log_keys import LogKeys
from ledger.log.note import Verifier
from ledger.log.proof import (
    EXTRA_BYTES_MAX,
    PROOF_BYTES_MAX,
    TlogProof,
    parse_proof,
    verify_proof,
)
from ledger.log.witness_policy import NO_WITNESSES, WitnessPolicy
from ledger.statements.disclosure import (
    Openings,
    opened_numbers,
    opened_values,
    openings_json,
)
from ledger.statements.kinds import (
    AgreementStatement,
    ChargeStatement,
    OrderStatement,
    SliceStatement,
    StatementBody,
)
from ledger.statements.statement import Statement

RECEIPT_BYTES_MAX = PROOF_BYTES_MAX
"""A receipt is a proof with extra data, and bounded as such."""

VERSION = 1

MEANING = (
    "This proves that the log recorded the charge, that {signers} signed what it rests "
    "on, and that it is what the agreed prices make of the usage{witnessed}; it does "
    "not prove that the node computed rightly or measured honestly, {unproved}."
)
WITNESSED = ", and that {witnesses} had seen the same history of the log"
UNPROVED = "or that nobody else saw the data"
UNPROVED_UNWITNESSED = (
    "that nobody else saw the data, or that the log shows everybody the same history"
)
SIGNERS = {
    "countersigned": "consumer, node and market",
    "timeout": "node and market (the consumer let the agreed time run out)",
}
"""Who stands behind a charge, by how its slice was accepted."""

_Body = TypeVar("_Body", bound=StatementBody)


class _Item(Document):
    statement: dict[str, Json]
    openings: dict[str, Json]


class _Extra(Document):
    version: int
    statements: tuple[_Item, _Item, _Item, _Item]


@dataclass(frozen=True)
class VerifiedReceipt:
    """What a receipt proves. Amounts are micro-credits, by account id of the payee."""

    job_id: str
    consumer: str
    """The pseudonym of this job."""
    account: str | None
    """The account behind it, if the receipt shows that."""
    provider: str
    node: str
    market: str
    outcome: str
    quantities: Mapping[RatingGroup, int]
    hold_microcredits: int
    total_microcredits: int
    by_payee_microcredits: Mapping[str, int]
    acceptance: str
    charged_at_ms: int
    origin: str
    index: int
    """Place of the charge in the log."""
    charge_entry: bytes
    """The log's entry at that place."""
    checkpoint_size: int
    checkpoint_root: bytes
    witnesses: tuple[str, ...] = ()
    """Names, in the policy that was asked for, of those who cosigned."""

    @property
    def meaning(self) -> str:
        """What the receipt proves and what it does not, in one sentence."""
        names = " and ".join(self.witnesses)
        return MEANING.format(
            signers=SIGNERS[self.acceptance],
            witnessed=WITNESSED.format(witnesses=names) if names else "",
            unproved=UNPROVED if names else UNPROVED_UNWITNESSED,
        )

    def to_json(self) -> dict[str, Json]:
        """The receipt's facts as plain JSON."""
        return {
            "jobId": self.job_id,
            "consumer": self.consumer,
            "account": self.account,
            "provider": self.provider,
            "node": self.node,
            "market": self.market,
            "outcome": self.outcome,
            "quantities": {str(group): n for group, n in self.quantities.items()},
            "holdMicrocredits": self.hold_microcredits,
            "totalMicrocredits": self.total_microcredits,
            "byPayeeMicrocredits": dict(self.by_payee_microcredits),
            "acceptance": self.acceptance,
            "chargedAtMs": self.charged_at_ms,
            "origin": self.origin,
            "index": self.index,
            "checkpointSize": self.checkpoint_size,
            "witnesses": list(self.witnesses),
            "meaning": self.meaning,
        }


def make_receipt(
    proof: TlogProof, statements: Sequence[tuple[Statement, Openings]]
) -> bytes:
    """Put the receipt of a charge together.

    Args:
        proof: That the charge is in the log.
        statements: Order, agreement, slice and charge, each with the openings to
            show. Those of the order may be left out.

    Raises:
        ReceiptError: The statements are too large for one receipt.
    """
    items: list[Json] = [
        {
            "statement": parse_json(statement.entry, size_max=STATEMENT_BYTES_MAX),
            "openings": openings_json(openings),
        }
        for statement, openings in statements
    ]
    extra = canonical_json({"version": VERSION, "statements": items})
    if len(extra) > EXTRA_BYTES_MAX:
        raise ReceiptError(
            Rule.RECEIPT_FORM, f"A receipt carries at most {EXTRA_BYTES_MAX} bytes."
        )
    return TlogProof(proof.index, proof.path, proof.checkpoint_note, extra).encode()


def verify_receipt(
    data: bytes,
    verifier: LogKeys | Verifier,
    policy: WitnessPolicy = NO_WITNESSES,
) -> VerifiedReceipt:
    """Check everything that a receipt claims.

    Args:
        data: The `.tlog-proof` file, at most `RECEIPT_BYTES_MAX` bytes.
        verifier: The log's keys. The receipt is worth as much as the trust in it.
        policy: Whose cosignatures count, and how many are asked for.

    Raises:
        ReceiptError: Something does not hold; says what. No other error leaves this
            function.
    """
    try:
        return _verify(data, verifier, policy)
    except RuleError as error:
        raise ReceiptError(error.rule, str(error)) from error
    except QuorumError as error:
        raise ReceiptError(Rule.WITNESS, str(error)) from error
    except NoteError as error:
        raise ReceiptError(Rule.CHECKPOINT, str(error)) from error
    except ProofError as error:
        raise ReceiptError(Rule.RECEIPT_PROOF, str(error)) from error
    except EncodingError as error:
        raise ReceiptError(
            Rule.RECEIPT_FORM, f"The extra data is malformed: {error}"
        ) from error


def _verify(
    data: bytes, verifier: LogKeys | Verifier, policy: WitnessPolicy
) -> VerifiedReceipt:
    proof = parse_proof(data)
    items = _parse_extra(proof.extra)
    order, order_body = _typed(items[0], OrderStatement)
    agreement, agreement_body = _typed(items[1], AgreementStatement)
    usage, usage_body = _typed(items[2], SliceStatement)
    charge, charge_body = _typed(items[3], ChargeStatement)
    opened_note = verify_proof(proof, charge.entry, verifier, policy)
    checkpoint = opened_note.checkpoint
    for statement, _ in items:
        check_signatures(statement)
    _check_links(
        (charge_body.slice, usage, "charge", "slice"),
        (charge_body.agreement, agreement, "charge", "agreement"),
        (usage_body.agreement, agreement, "slice", "agreement"),
        (agreement_body.order, order, "agreement", "order"),
    )
    check_agreement(order_body, agreement_body)
    check_slice(agreement_body, usage_body, usage.commitments)
    check_charge(
        agreement_body,
        usage_body,
        charge_body,
        is_countersigned=usage.key_of("consumer") is not None,
    )
    opened = [openings for _, openings in items]
    hold, bill = _check_amounts(agreement_body, usage, opened)
    return VerifiedReceipt(
        job_id=charge_body.job_id,
        consumer=agreement_body.consumer,
        account=read_account(order_body, opened[0]) if "account" in opened[0] else None,
        provider=agreement_body.provider,
        node=agreement_body.node,
        market=agreement_body.market,
        outcome=str(opened_values(opened[2]).get("outcome", "not shown")),
        quantities=bill.quantities,
        hold_microcredits=hold,
        total_microcredits=bill.total_microcredits,
        by_payee_microcredits=bill.by_payee_microcredits,
        acceptance=charge_body.acceptance,
        charged_at_ms=charge_body.charged_at_ms,
        origin=checkpoint.origin,
        index=proof.index,
        charge_entry=charge.entry,
        checkpoint_size=checkpoint.size,
        checkpoint_root=checkpoint.root,
        witnesses=tuple(opened_note.witnessing.times_s),
    )


def _parse_extra(extra: bytes | None) -> list[tuple[Statement, Openings]]:
    if extra is None:
        raise ReceiptError(
            Rule.RECEIPT_FORM, "The proof carries no statements, so it is no receipt."
        )
    value = parse_json(extra, size_max=EXTRA_BYTES_MAX)
    parsed = _Extra.from_json(value)
    if parsed.version != VERSION or canonical_json(value) != extra:
        raise ReceiptError(
            Rule.RECEIPT_FORM, "The extra data is not that of a receipt, version 1."
        )
    statements = [
        read_statement(canonical_json(item.statement)) for item in parsed.statements
    ]
    return [
        (statement, check_openings(statement, item.openings))
        for statement, item in zip(statements, parsed.statements, strict=True)
    ]


def _typed(
    item: tuple[Statement, Openings], kind: type[_Body]
) -> tuple[Statement, _Body]:
    statement, _ = item
    if not isinstance(statement.body, kind):
        raise ReceiptError(
            Rule.RECEIPT_FORM,
            f"A receipt holds order, agreement, slice and charge; a {statement.kind} "
            f"statement stands where the {kind.kind} is due.",
        )
    return statement, statement.body


def _check_links(*links: tuple[str, Statement, str, str]) -> None:
    for digest, target, source_name, target_name in links:
        if target.digest != digest:
            raise ReceiptError(
                Rule.REFERENCE, f"The {source_name} refers to another {target_name}."
            )


def _check_amounts(
    agreement: AgreementStatement, usage: Statement, opened: Sequence[Openings]
) -> tuple[int, Bill]:
    order, agreed, used, charged = opened
    hold = read_amount(opened_values(agreed), "hold")
    check_hold(hold, opened_values(order))
    numbers = opened_numbers(used)
    if numbers.keys() != usage.commitments.keys():
        raise ReceiptError(Rule.RATING, "A receipt opens all quantities of its slice.")
    bill = check_bill(
        agreement,
        usage=numbers,
        amounts=opened_numbers(charged),
        hold_microcredits=hold,
    )
    return hold, bill
