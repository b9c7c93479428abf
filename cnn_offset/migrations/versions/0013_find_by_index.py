"""Find what waits for operators, and their orders, by index; add everything up each night."""

import re
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

STUCK = "status IN ('unknown', 'mismatched', 'rejected')"
ODD = (
    "(paid_order AND verdict <> 'exact') OR (NOT paid_order AND status = 'succeeded') "
    "OR status IN ('in_review', 'disputed')"
)
WORK = (
    "attestation",
    "bank_statement",
    "cancellation",
    "checkout",
    "incoming_mail",
    "message",
    "offer",
    "order",
    "payment",
    "payout_method",
    "refund",
    "registry_account",
    "webhook_delivery",
)
INDEXES = (
    ("ix_order_placed", "order", ["placed_at", "id"], ""),
    ("ix_order_method", "order", ["method_id", "status", "placed_at", "id"], ""),
    ("ix_order_unpaid", "order", ["status", "pay_by"], "status = 'placed'"),
    ("ix_order_line_block", "order_line", ["block_id", "order_id"], ""),
    ("ix_order_term_found", "order_term", ["term", "order_id"], ""),
    ("ix_block_ref", "block", ["block_ref"], ""),
    ("ix_payment_ref", "payment", ["processor_ref"], "processor_ref <> ''"),
    ("ix_payment_odd", "payment", ["id"], ODD),
    ("ix_payment_fact_ref", "payment_fact", ["ref"], ""),
    ("ix_cancellation_ref", "cancellation", ["registry_ref"], "registry_ref <> ''"),
    ("ix_cancellation_stuck", "cancellation", ["id"], STUCK),
    ("ix_message_failed", "message", ["id"], "status = 'failed'"),
    (
        "ix_webhook_delivery_unmatched",
        "webhook_delivery",
        ["received_at"],
        "status = 'unmatched'",
    ),
    *((f"ix_{table}_failing", table, ["due_at"], "attempts >= 5") for table in WORK),
)
LETTERS = str.maketrans(
    {"ł": "l", "đ": "d", "ð": "d", "ø": "o", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i", "ħ": "h"}
)
BATCH = 1000


def words(text: str) -> set[str]:
    """As the index kept the words of a name when this was written."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(LETTERS))
    bare = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return {word[:60] for word in re.findall(r"\w+", bare)}


def upgrade() -> None:
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "check_fault",
        sa.Column("id", big_id, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_check_fault")),
        sa.UniqueConstraint("digest", name=op.f("uq_check_fault_digest")),
    )
    op.create_table(
        "dealt_with",
        sa.Column("id", big_id, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=120), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dealt_with")),
        sa.UniqueConstraint(
            "kind", "subject", "subject_id", name=op.f("uq_dealt_with_kind_subject_subject_id")
        ),
    )
    _name_beneficiaries()
    for name, table, columns, where in INDEXES:
        only = {"sqlite_where": sa.text(where), "postgresql_where": sa.text(where)} if where else {}
        op.create_index(name, table, columns, unique=False, **only)
    op.execute("INSERT INTO chore (name, due_at) VALUES ('check', CURRENT_TIMESTAMP)")


def _name_beneficiaries() -> None:
    """Let orders that are there be found by for whom units are cancelled."""
    connection, last = op.get_bind(), 0
    while True:
        rows = connection.execute(
            sa.text(
                'SELECT id, provider_id, beneficiary FROM "order" '
                "WHERE id > :last ORDER BY id LIMIT :batch"
            ),
            {"last": last, "batch": BATCH},
        ).all()
        terms = [
            {"provider_id": provider_id, "term": f"for:{word}", "order_id": order_id}
            for order_id, provider_id, beneficiary in rows
            for word in sorted(words(beneficiary))
        ]
        if terms:
            connection.execute(
                sa.text(
                    "INSERT INTO order_term (provider_id, term, order_id) "
                    "VALUES (:provider_id, :term, :order_id)"
                ),
                terms,
            )
        if len(rows) < BATCH:
            return
        last = rows[-1][0]


def downgrade() -> None:
    op.execute("DELETE FROM chore WHERE name = 'check'")
    for name, table, _, _ in reversed(INDEXES):
        op.drop_index(name, table_name=table)
    op.execute("DELETE FROM order_term WHERE term LIKE 'for:%'")
    op.drop_table("dealt_with")
    op.drop_table("check_fault")
