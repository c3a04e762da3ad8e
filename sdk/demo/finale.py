"""Scene 8: the invoice, the balances, the audit, and a copy with one byte changed."""

from pathlib import Path

from sdk.demo.audit import (
    audit_copy,
    fetch_copy,
    flip_one_byte,
    keep_openings,
    keep_receipts,
)
from sdk.demo.scenes import Play
from sdk.demo.stage import POLICY_FILE, WITNESS_NAME
from sdk.market import Market


def settle_up(play: Play, folder: Path) -> None:
    """Show the invoice and where the money went."""
    tell = play.narrator
    tell.scene("The bill, and the proof of it")
    invoice = play.hospital.invoice()
    tell.table(
        ("rating group", "micro-credits"),
        [(group, f"{amount:,}") for group, amount in invoice["byGroup"].items()],
    )
    total = invoice["totalMicrocredits"]
    tell.fact("invoice_jobs", invoice["jobs"])
    tell.fact(
        "invoice_microcredits",
        total,
        f"The hospital owes {total:,} micro-credits for {invoice['jobs']} jobs.",
    )
    names = _payees(play)
    tell.table(
        ("payee", "micro-credits"),
        [(names[payee], f"{amount:,}") for payee, amount in invoice["byPayee"].items()],
    )
    with Market.open(play.stage.url, key=folder / "market" / "market.key") as operator:
        keep_openings(operator, folder)
        keep_receipts([play.hospital], folder)
        # Last, so that the copy holds all that receipts and openings are about.
        fetch_copy(play.stage.url, folder)


def audit(play: Play, folder: Path) -> bool:
    """Audit the copy offline, then a damaged one, and say the verdict last.

    Returns:
        Whether the copy is in order and the damage was found.
    """
    tell = play.narrator
    policy = folder / POLICY_FILE
    report = audit_copy(folder, policy)
    tell.fact("audit", report.to_json())
    tell.say(
        f"Copied over HTTP and checked offline: {report.statements} statements, all "
        f"signatures, {report.charges_computed} charges computed again, balances "
        "replayed from the openings, and that the log only grew since the first copy."
    )
    tell.fact("witnesses", [*sorted(report.witnesses)])
    tell.say(
        f"{WITNESS_NAME}, a separate process, cosigned the checkpoint with Ed25519 and "
        "ML-DSA-44: it saw the same history."
    )
    tell.say(report.summary)
    damaged = folder / "damaged"
    place = flip_one_byte(folder, damaged)
    damage = audit_copy(damaged, policy)
    first = damage.problems[0] if damage.problems else None
    tell.say(f"One byte of a copy flipped, in {place}:")
    tell.fact("damage_found", not damage.is_ok)
    if first is not None:
        tell.fact("damage", first.to_json(), f"{first.place}: {first.message}")
    tell.say(damage.summary)
    tell.last_line(report.summary)
    return report.is_ok and not damage.is_ok


def _payees(play: Play) -> dict[str, str]:
    return {
        play.owner.account_id: "the model's owner",
        play.hospital.market_id: "the market",
        **play.providers,
    }
