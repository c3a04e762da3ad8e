"""Books that keep every kind of transfer; private amounts; several processes."""

import json
from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    column,
    table,
    text,
)

from market.errors import SchemaError

revision = "0002"
down_revision = "0001"

_HOLD_IS_OPEN = text("resolution IS NULL AND expires_at_ms IS NOT NULL")


def upgrade() -> None:
    """Move from the tables of 0.1.0.

    Raises:
        SchemaError: Jobs are under way, whose records have another form by now.
    """
    _require_no_open_jobs()
    _move_books()
    _move_jobs()
    # Offers have another form by now; each node publishes its own when it starts.
    op.execute("UPDATE offer SET live = false")
    op.add_column("statement_party", Column("fields", String))
    _name_peers().create_all(op.get_bind(), checkfirst=False)


def _require_no_open_jobs() -> None:
    count = op.get_bind().scalar(
        text(
            "SELECT count(*) FROM job "
            "WHERE state NOT IN ('REFUSED', 'CHARGED', 'RELEASED')"
        )
    )
    if count:
        raise SchemaError(
            f"{count} jobs have not ended. Let the version that they began with run "
            f"until they have, and take no new ones."
        )


def _move_books() -> None:
    """Give the books new tables of the old names, with what the old ones hold."""
    voids = _voids()
    for name in ("book_transfer", "book_account"):
        op.execute(f"CREATE TABLE {name}_0001 AS SELECT * FROM {name}")  # noqa: S608
        op.drop_table(name)
    _name_books().create_all(op.get_bind(), checkfirst=False)
    op.execute(
        "INSERT INTO book_account (account_id, bound, closed, debits_pending, "
        "debits_posted, credits_pending, credits_posted) "
        "SELECT account_id, CASE WHEN may_overdraw "
        "THEN 'credits_must_not_exceed_debits' "
        "ELSE 'debits_must_not_exceed_credits' END, false, debits_pending, "
        "debits_posted, credits_pending, credits_posted FROM book_account_0001"
    )
    op.execute(
        "INSERT INTO book_transfer (transfer_id, kind, debit, credit, "
        "amount_microcredits, created_at_ms, balancing_debit, balancing_credit, "
        "resolution, resolves, held_microcredits) "
        "SELECT moved.transfer_id, "
        "CASE WHEN moved.state <> 'POSTED' THEN 'hold' "
        "WHEN moved.resolves IS NULL THEN 'transfer' ELSE 'post' END, "
        "moved.debit, moved.credit, moved.amount_microcredits, moved.created_at_ms, "
        "false, false, CASE moved.state WHEN 'PENDING_POSTED' THEN 'post' "
        "WHEN 'PENDING_VOIDED' THEN 'void' END, "
        "moved.resolves, held.amount_microcredits "
        "FROM book_transfer_0001 AS moved LEFT JOIN book_transfer_0001 AS held "
        "ON held.transfer_id = moved.resolves"
    )
    if voids:
        op.bulk_insert(_books_table("book_transfer", voids[0]), voids)
    for name in ("book_transfer", "book_account"):
        op.drop_table(f"{name}_0001")


def _voids() -> list[dict[str, Any]]:
    """What gave holds back was no transfer of its own before, but in the log."""
    connection = op.get_bind()
    released: dict[str, tuple[str, int]] = {}
    entries = connection.execute(
        text(
            'SELECT log_entry.data FROM log_entry JOIN statement_record USING ("index")'
            " WHERE statement_record.kind = 'release'"
        )
    )
    for (entry,) in entries:
        body = json.loads(entry)["body"]
        hold_id = body["holdTransfer"]
        released[hold_id] = body["transferId"], body["releasedAtMs"]
    holds = connection.execute(
        text(
            "SELECT transfer_id, debit, credit, amount_microcredits, created_at_ms "
            "FROM book_transfer WHERE state = 'PENDING_VOIDED'"
        )
    )
    voids = []
    for hold_id, debit, credit, amount, created_at_ms in holds:
        # A job that cost nothing was charged, and its hold given back without a word.
        unsaid = f"void/{hold_id}", created_at_ms
        transfer_id, at_ms = released.get(hold_id, unsaid)
        voids.append(
            {
                "transfer_id": transfer_id,
                "kind": "void",
                "debit": debit,
                "credit": credit,
                "amount_microcredits": amount,
                "created_at_ms": at_ms,
                "balancing_debit": False,
                "balancing_credit": False,
                "resolves": hold_id,
                "held_microcredits": amount,
            }
        )
    return voids


def _books_table(name: str, row: dict[str, Any]) -> Any:  # noqa: ANN401 - SQLAlchemy's
    return table(name, *(column(field) for field in row))


def _name_books() -> MetaData:
    tables = MetaData()
    Table(
        "book_account",
        tables,
        Column("account_id", String, primary_key=True),
        Column("bound", String(32), nullable=False),
        Column("closed", Boolean, nullable=False),
        Column("debits_pending", BigInteger, nullable=False),
        Column("debits_posted", BigInteger, nullable=False),
        Column("credits_pending", BigInteger, nullable=False),
        Column("credits_posted", BigInteger, nullable=False),
        *_account_checks(),
    )
    Table(
        "book_transfer",
        tables,
        Column("transfer_id", String, primary_key=True),
        Column("kind", String(32), nullable=False),
        Column("debit", ForeignKey("book_account.account_id"), nullable=False),
        Column("credit", ForeignKey("book_account.account_id"), nullable=False),
        Column("amount_microcredits", BigInteger, nullable=False),
        Column("created_at_ms", BigInteger, nullable=False),
        Column("balancing_debit", Boolean, nullable=False),
        Column("balancing_credit", Boolean, nullable=False),
        Column("expires_at_ms", BigInteger),
        Column("resolution", String(32)),
        Column("resolves", String),
        Column("held_microcredits", BigInteger),
        *_transfer_checks(),
        *_resolution_keys(),
        Index(
            "book_transfer_open_until",
            "expires_at_ms",
            "transfer_id",
            sqlite_where=_HOLD_IS_OPEN,
            postgresql_where=_HOLD_IS_OPEN,
        ),
    )
    return tables


def _account_checks() -> list[CheckConstraint]:
    checks = {
        "nothing_negative": "debits_pending >= 0 AND debits_posted >= 0"
        " AND credits_pending >= 0 AND credits_posted >= 0",
        "sums_fit": "debits_pending <= 9223372036854775807 - debits_posted"
        " AND credits_pending <= 9223372036854775807 - credits_posted",
        "debits_bound": "bound <> 'debits_must_not_exceed_credits'"
        " OR debits_pending <= credits_posted - debits_posted",
        "credits_bound": "bound <> 'credits_must_not_exceed_debits'"
        " OR credits_pending <= debits_posted - credits_posted",
        "bound": "bound IN ('none', 'debits_must_not_exceed_credits',"
        " 'credits_must_not_exceed_debits')",
    }
    return [
        CheckConstraint(rule, name=f"book_account_{name}")
        for name, rule in checks.items()
    ]


def _transfer_checks() -> list[CheckConstraint]:
    checks = {
        "amount": "amount_microcredits BETWEEN 1 AND 9007199254740991",
        "two_accounts": "debit <> credit",
        "balancing": "kind IN ('transfer', 'hold')"
        " OR NOT (balancing_debit OR balancing_credit)",
        "timeout": "expires_at_ms IS NULL"
        " OR (kind = 'hold' AND expires_at_ms > created_at_ms)",
        "holds_are_resolved": "resolution IS NULL"
        " OR (kind = 'hold' AND resolution IN ('post', 'void', 'expire'))",
        "resolves": "(kind IN ('transfer', 'hold')"
        " AND resolves IS NULL AND held_microcredits IS NULL)"
        " OR (kind IN ('post', 'void', 'expire')"
        " AND resolves IS NOT NULL AND held_microcredits IS NOT NULL)",
        "no_more_than_held": "held_microcredits IS NULL"
        " OR held_microcredits = amount_microcredits"
        " OR (kind = 'post' AND held_microcredits > amount_microcredits)",
        "kind": "kind IN ('transfer', 'hold', 'post', 'void', 'expire')",
        "resolution": "resolution IN ('transfer', 'hold', 'post', 'void', 'expire')",
    }
    return [
        CheckConstraint(rule, name=f"book_transfer_{name}")
        for name, rule in checks.items()
    ]


def _resolution_keys() -> list[UniqueConstraint | ForeignKeyConstraint]:
    held = ("transfer_id", "debit", "credit", "amount_microcredits", "resolution")
    return [
        UniqueConstraint("resolves", name="book_transfer_resolved_once"),
        UniqueConstraint(*held, name="book_transfer_what_was_held"),
        ForeignKeyConstraint(
            ["resolves", "debit", "credit", "held_microcredits", "kind"],
            [f"book_transfer.{name}" for name in held],
            name="book_transfer_resolves_what_was_held",
        ),
    ]


def _move_jobs() -> None:
    op.add_column("job", Column("pseudonym", String))
    op.add_column("job", Column("record_key", LargeBinary))
    # They were known to everybody by their account, and nothing was blinded.
    moved = text("UPDATE job SET pseudonym = consumer, record_key = :none")
    op.get_bind().execute(moved, {"none": b""})
    with op.batch_alter_table("job") as job:
        job.alter_column("pseudonym", existing_type=String(), nullable=False)
        job.alter_column("record_key", existing_type=LargeBinary(), nullable=False)
        job.alter_column("state", existing_type=String(8), type_=String(32))
        job.drop_index("ix_job_node")
        job.create_index("ix_job_node_state", ["node", "state"])


def _name_peers() -> MetaData:
    tables = MetaData()
    Table(
        "writer_turn",
        tables,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("writer", String, nullable=False),
        CheckConstraint("id = 1"),
    )
    Table(
        "node_sign",
        tables,
        Column("node", String, primary_key=True),
        Column("seen_ms", BigInteger, nullable=False),
    )
    Table(
        "request_nonce",
        tables,
        Column("request", LargeBinary, primary_key=True),
        Column("over_after_ms", BigInteger, nullable=False, index=True),
    )
    return tables
