"""The tables of Sixfold 0.1.0, which had no versions yet."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables in an empty database."""
    tables = MetaData()
    _name_parties(tables)
    _name_books(tables)
    _name_log(tables)
    _name_catalogue(tables)
    _name_jobs(tables)
    _name_job_parts(tables)
    tables.create_all(op.get_bind(), checkfirst=False)


def _name_parties(tables: MetaData) -> None:
    Table(
        "account",
        tables,
        Column("account_id", String, primary_key=True),
        Column("public_key", String, nullable=False, unique=True),
        Column("registered_at_ms", BigInteger, nullable=False),
    )
    Table(
        "blob",
        tables,
        Column("digest", String, primary_key=True),
        Column("account", String, primary_key=True, index=True),
        Column("node", String, nullable=False),
        Column("size_bytes", Integer, nullable=False),
        Column("is_used", Boolean, nullable=False),
        Column("created_at_ms", BigInteger, nullable=False),
    )
    Table(
        "command",
        tables,
        Column("party", String, primary_key=True),
        Column("command_id", String, primary_key=True),
        Column("payload_hash", LargeBinary, nullable=False),
        Column("answer", String, nullable=False),
    )


def _name_books(tables: MetaData) -> None:
    Table(
        "book_account",
        tables,
        Column("account_id", String, primary_key=True),
        Column("may_overdraw", Boolean, nullable=False),
        Column("debits_pending", BigInteger, nullable=False),
        Column("debits_posted", BigInteger, nullable=False),
        Column("credits_pending", BigInteger, nullable=False),
        Column("credits_posted", BigInteger, nullable=False),
        CheckConstraint("debits_pending >= 0 AND credits_pending >= 0"),
        CheckConstraint("debits_posted >= 0 AND credits_posted >= 0"),
        CheckConstraint(
            "may_overdraw OR credits_posted >= debits_posted + debits_pending"
        ),
    )
    account, transfer = "book_account.account_id", "book_transfer.transfer_id"
    Table(
        "book_transfer",
        tables,
        Column("transfer_id", String, primary_key=True),
        Column("debit", ForeignKey(account), nullable=False, index=True),
        Column("credit", ForeignKey(account), nullable=False, index=True),
        Column("amount_microcredits", BigInteger, nullable=False),
        Column("state", String(14), nullable=False),
        Column("resolves", ForeignKey(transfer)),
        Column("created_at_ms", BigInteger, nullable=False),
        CheckConstraint("amount_microcredits > 0"),
    )


def _name_log(tables: MetaData) -> None:
    index = BigInteger().with_variant(Integer(), "sqlite")
    Table(
        "log_entry",
        tables,
        Column("index", index, primary_key=True, autoincrement=False),
        Column("data", LargeBinary, nullable=False),
    )
    Table(
        "log_head",
        tables,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("size", index, nullable=False),
        Column("frontier", LargeBinary, nullable=False),
        CheckConstraint("id = 1"),
    )
    Table(
        "statement_record",
        tables,
        Column("index", BigInteger, primary_key=True, autoincrement=False),
        Column("digest", String, nullable=False, unique=True),
        Column("kind", String, nullable=False),
        Column("openings", String, nullable=False),
    )
    Table(
        "statement_party",
        tables,
        Column("party", String, primary_key=True),
        Column("index", ForeignKey("statement_record.index"), primary_key=True),
    )


def _name_catalogue(tables: MetaData) -> None:
    Table(
        "offer",
        tables,
        Column("offer_id", String, primary_key=True),
        _account("provider"),
        Column("node", String, nullable=False, index=True),
        Column("digest", String, nullable=False),
        Column("entry", LargeBinary, nullable=False),
        Column("live", Boolean, nullable=False, index=True),
        Column("valid_until_ms", BigInteger, nullable=False),
    )
    Table(
        "workload",
        tables,
        Column("workload_id", String, primary_key=True),
        _account("owner"),
        Column("name", String, nullable=False),
        Column("workload_kind", String, nullable=False),
        Column("content_digest", String, nullable=False),
        Column("content", LargeBinary, nullable=False),
        Column("royalty_microcredits", BigInteger, nullable=False),
        Column("entry", LargeBinary, nullable=False),
    )


def _name_jobs(tables: MetaData) -> None:
    Table(
        "job",
        tables,
        Column("job_id", String, primary_key=True),
        _account("consumer"),
        Column("state", String(8), nullable=False, index=True),
        Column("order_entry", LargeBinary, nullable=False),
        Column("order_openings", String, nullable=False),
        Column("source", String),
        Column("decision", String, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("node", String, index=True),
        Column("excluded_nodes", String, nullable=False),
        Column("agreement_entry", LargeBinary),
        Column("agreement_openings", String, nullable=False),
        Column("lease_expires_ms", BigInteger, nullable=False),
        Column("slice_entry", LargeBinary),
        Column("slice_openings", String, nullable=False),
        Column("charge_index", BigInteger),
        Column("reason", String),
        Column("created_at_ms", BigInteger, nullable=False),
        Column("updated_at_ms", BigInteger, nullable=False),
    )


def _name_job_parts(tables: MetaData) -> None:
    Table(
        "job_payload",
        tables,
        _job(),
        Column("name", String, primary_key=True),
        Column("attempt", Integer, nullable=False),
        Column("digest", String, nullable=False),
        Column("size_bytes", Integer, nullable=False),
        Column("data", LargeBinary),
    )
    Table(
        "job_charge",
        tables,
        _job(),
        Column("consumer", String, nullable=False, index=True),
        Column("provider", String, nullable=False, index=True),
        Column("node", String, nullable=False),
        Column("total_microcredits", BigInteger, nullable=False),
        Column("by_payee", String, nullable=False),
        Column("by_group", String, nullable=False),
        Column("outcome", String, nullable=False),
        Column("charged_at_ms", BigInteger, nullable=False, index=True),
    )
    Table(
        "job_earning",
        tables,
        Column("payee", String, primary_key=True),
        _job(),
        Column("node", String),
        Column("amount_microcredits", BigInteger, nullable=False),
    )


def _account(name: str) -> Column[str]:
    return Column(name, ForeignKey("account.account_id"), nullable=False, index=True)


def _job() -> Column[str]:
    # Checked at the commit, so that rows may be inserted in any order.
    job = ForeignKey("job.job_id", deferrable=True, initially="DEFERRED")
    return Column("job_id", job, primary_key=True)
