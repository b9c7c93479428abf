"""Open the provider's side: staff, holdings, listings, payouts, statements, papers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

WAITING = ("offer", "payout_method", "provider")
"""Tables that were there and whose rows now wait for work."""
ORDER_INDEXES = {
    "ix_order_provider_status": ["provider_id", "status", "placed_at", "id"],
    "ix_order_provider_method": ["provider_id", "status", "method_id", "placed_at", "id"],
}
NEW = (
    "order_term",
    "paper",
    "bank_entry",
    "proof",
    "offer_terms",
    "application_note",
    "webauthn",
    "unmapped_block",
    "picture",
    "application",
    "account_activity",
    "registry_account",
    "listing",
    "invitation",
    "bank_statement",
)


def upgrade() -> None:
    op.create_table(
        "bank_statement",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "provider_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("filename", sa.String(length=200), nullable=False),
        sa.Column("format", sa.String(length=20), nullable=False),
        sa.Column("account", sa.String(length=40), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("done_to", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("uploaded_by", sa.String(length=254), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["provider.id"], name=op.f("fk_bank_statement_provider_id_provider")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_statement")),
        sa.UniqueConstraint(
            "provider_id", "sha256", name=op.f("uq_bank_statement_provider_id_sha256")
        ),
    )
    op.create_index(
        "ix_bank_statement_due",
        "bank_statement",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "invitation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "provider_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "owner",
                "sales",
                "accounts",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("invited_by", sa.String(length=254), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["provider.id"], name=op.f("fk_invitation_provider_id_provider")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitation")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitation_token_hash")),
    )
    op.create_index("ix_invitation_provider", "invitation", ["provider_id"], unique=False)

    op.create_table(
        "listing",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "activity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "provider_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "draft",
                "submitted",
                "approved",
                "refused",
                "replaced",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("title", sa.JSON(), nullable=False),
        sa.Column("description", sa.JSON(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("sd_report_url", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(length=120), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["activity_id"], ["activity.id"], name=op.f("fk_listing_activity_id_activity")
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["provider.id"], name=op.f("fk_listing_provider_id_provider")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing")),
        sa.UniqueConstraint(
            "activity_id",
            "provider_id",
            "number",
            name=op.f("uq_listing_activity_id_provider_id_number"),
        ),
    )
    op.create_index("ix_listing_provider_id", "listing", ["provider_id"], unique=False)
    op.create_index("ix_listing_status", "listing", ["status", "submitted_at"], unique=False)
    op.create_index(
        "uq_listing_approved",
        "listing",
        ["activity_id"],
        unique=True,
        sqlite_where=sa.text("status = 'approved'"),
        postgresql_where=sa.text("status = 'approved'"),
    )
    op.create_index(
        "uq_listing_open",
        "listing",
        ["activity_id", "provider_id"],
        unique=True,
        sqlite_where=sa.text("status IN ('draft', 'submitted', 'refused')"),
        postgresql_where=sa.text("status IN ('draft', 'submitted', 'refused')"),
    )

    op.create_table(
        "registry_account",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "provider_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("registry_id", sa.String(length=40), nullable=False),
        sa.Column("account_ref", sa.String(length=80), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "pending",
                "permanent",
                "temporary",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["provider.id"], name=op.f("fk_registry_account_provider_id_provider")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_account")),
        sa.UniqueConstraint(
            "provider_id",
            "registry_id",
            "account_ref",
            name=op.f("uq_registry_account_provider_id_registry_id_account_ref"),
        ),
    )
    op.create_index(
        "ix_registry_account_due",
        "registry_account",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )

    op.create_table(
        "account_activity",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "activity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["registry_account.id"],
            name=op.f("fk_account_activity_account_id_registry_account"),
        ),
        sa.ForeignKeyConstraint(
            ["activity_id"], ["activity.id"], name=op.f("fk_account_activity_activity_id_activity")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_activity")),
        sa.UniqueConstraint(
            "account_id", "activity_id", name=op.f("uq_account_activity_account_id_activity_id")
        ),
    )
    op.create_index(
        "ix_account_activity_activity", "account_activity", ["activity_id"], unique=False
    )

    op.create_table(
        "application",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "submitted",
                "questioned",
                "approved",
                "refused",
                "withdrawn",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("organisation", sa.String(length=200), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("website", sa.Text(), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "focal_point",
                "holder",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("registry_id", sa.String(length=40), nullable=False),
        sa.Column("account_ref", sa.String(length=80), nullable=False),
        sa.Column("activities", sa.JSON(), nullable=False),
        sa.Column("locale", sa.String(length=2), nullable=False),
        sa.Column("terms_version", sa.String(length=20), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(length=120), nullable=False),
        sa.Column(
            "provider_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["provider.id"], name=op.f("fk_application_provider_id_provider")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_application_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application")),
    )
    op.create_index(
        "ix_application_status", "application", ["status", "submitted_at"], unique=False
    )
    op.create_index(
        "uq_application_open_user",
        "application",
        ["user_id"],
        unique=True,
        sqlite_where=sa.text("status IN ('submitted', 'questioned')"),
        postgresql_where=sa.text("status IN ('submitted', 'questioned')"),
    )

    op.create_table(
        "picture",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "listing_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("widths", sa.JSON(), nullable=False),
        sa.Column("alt", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["listing.id"], name=op.f("fk_picture_listing_id_listing")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_picture")),
    )
    op.create_index("ix_picture_listing", "picture", ["listing_id"], unique=False)
    op.create_index("ix_picture_path", "picture", ["path"], unique=False)

    op.create_table(
        "unmapped_block",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("block_ref", sa.String(length=80), nullable=False),
        sa.Column("activity_ref", sa.String(length=40), nullable=False),
        sa.Column(
            "unit_type",
            sa.Enum(
                "cer",
                "tcer",
                "lcer",
                "a64er_authorised",
                "a64er_contribution",
                name="unit_type",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("first_text", sa.Text(), nullable=False),
        sa.Column("last_text", sa.Text(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["registry_account.id"],
            name=op.f("fk_unmapped_block_account_id_registry_account"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unmapped_block")),
        sa.UniqueConstraint(
            "account_id", "block_ref", name=op.f("uq_unmapped_block_account_id_block_ref")
        ),
    )
    op.create_table(
        "webauthn",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(length=1024), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.Integer(), nullable=False),
        sa.Column("transports", sa.JSON(), nullable=True),
        sa.Column("backup_state", sa.Boolean(), nullable=False),
        sa.Column("device_type", sa.String(length=64), nullable=False),
        sa.Column("extensions", sa.Text(), nullable=True),
        sa.Column("create_datetime", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lastuse_datetime", sa.DateTime(timezone=True), nullable=False),
        sa.Column("usage", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_webauthn_user_id_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webauthn")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_webauthn_credential_id")),
    )
    op.create_index("ix_webauthn_user_id", "webauthn", ["user_id"], unique=False)

    op.create_table(
        "application_note",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "application_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("by_operator", sa.Boolean(), nullable=False),
        sa.Column("actor", sa.String(length=254), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["application.id"],
            name=op.f("fk_application_note_application_id_application"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_note")),
    )
    op.create_index(
        "ix_application_note_application", "application_note", ["application_id"], unique=False
    )

    op.create_table(
        "offer_terms",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("offer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "open",
                "closed",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("min_quantity", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["offer_id"], ["offer.id"], name=op.f("fk_offer_terms_offer_id_offer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer_terms")),
        sa.UniqueConstraint("offer_id", "version", name=op.f("uq_offer_terms_offer_id_version")),
    )
    op.create_table(
        "proof",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "application_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("filename", sa.String(length=200), nullable=False),
        sa.Column("content_type", sa.String(length=40), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["application.id"], name=op.f("fk_proof_application_id_application")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proof")),
    )
    op.create_index("ix_proof_application", "proof", ["application_id"], unique=False)

    op.create_table(
        "bank_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "provider_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "statement_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("parent_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "waiting",
                "seconded",
                "recorded",
                "split",
                "dismissed",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "finding",
            sa.Enum(
                "unknown",
                "exact",
                "short",
                "over",
                "late",
                "paid_already",
                "other_currency",
                "several",
                "returned",
                "outgoing",
                name="finding",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("bank_ref", sa.String(length=127), nullable=False),
        sa.Column("payer", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.String(length=254), nullable=False),
        sa.Column("decided_by", sa.String(length=254), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor != 0", name=op.f("ck_bank_entry_amount")),
        sa.ForeignKeyConstraint(
            ["order_id"], ["order.id"], name=op.f("fk_bank_entry_order_id_order")
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["bank_entry.id"], name=op.f("fk_bank_entry_parent_id_bank_entry")
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["provider.id"], name=op.f("fk_bank_entry_provider_id_provider")
        ),
        sa.ForeignKeyConstraint(
            ["statement_id"],
            ["bank_statement.id"],
            name=op.f("fk_bank_entry_statement_id_bank_statement"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_entry")),
        sa.UniqueConstraint("provider_id", "key", name=op.f("uq_bank_entry_provider_id_key")),
    )
    op.create_index("ix_bank_entry_order", "bank_entry", ["order_id"], unique=False)
    op.create_index("ix_bank_entry_parent", "bank_entry", ["parent_id"], unique=False)
    op.create_index("ix_bank_entry_statement", "bank_entry", ["statement_id"], unique=False)
    op.create_index(
        "ix_bank_entry_status", "bank_entry", ["provider_id", "status", "id"], unique=False
    )

    op.create_table(
        "paper",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "provider_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "pro_forma",
                "receipt",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_paper_order_id_order")),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["provider.id"], name=op.f("fk_paper_provider_id_provider")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_paper")),
        sa.UniqueConstraint("order_id", "kind", name=op.f("uq_paper_order_id_kind")),
        sa.UniqueConstraint(
            "provider_id", "kind", "sequence", name=op.f("uq_paper_provider_id_kind_sequence")
        ),
    )
    # Columns are added one by one: copying a table, which SQLite needs for anything more,
    # would lose its CHECK constraints.
    op.add_column(
        "activity",
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default="2026-11-22 00:00:00+00:00",
            nullable=False,
        ),
    )
    op.execute("UPDATE activity SET changed_at = created_at")
    op.create_index("ix_activity_changed_at", "activity", ["changed_at"])
    op.create_index("ix_order_provider_paid", "order", ["provider_id", "paid_at"])
    op.create_index("ix_payment_fact_at", "payment_fact", ["at", "id"])
    op.create_index("ix_cancellation_completed", "cancellation", ["completed_at"])
    op.add_column(
        "block", sa.Column("obstacle", sa.String(length=32), server_default="", nullable=False)
    )
    op.execute("UPDATE block SET obstacle = 'refused' WHERE NOT eligible")
    op.add_column(
        "block", sa.Column("reported", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.execute("UPDATE block SET reported = held")
    op.create_index(
        "ix_block_provider_order",
        "block",
        ["provider_id", "registry_id", "account_ref", "activity_id", "id"],
    )
    op.create_index(
        "ix_block_stuck",
        "block",
        ["provider_id", "registry_id", "account_ref", "activity_id", "id"],
        sqlite_where=sa.text("eligible IS 0"),
        postgresql_where=sa.text("eligible IS false"),
    )
    in_flight = sa.text("status IN ('submitted', 'unknown', 'mismatched')")
    op.create_index(
        "ix_cancellation_in_flight",
        "cancellation",
        ["registry_id", "account_ref", "block_ref"],
        sqlite_where=in_flight,
        postgresql_where=in_flight,
    )
    op.add_column("offer", sa.Column("ends_at", sa.DateTime(timezone=True)))
    op.add_column("offer", sa.Column("private_token", sa.String(length=64)))
    op.add_column("offer", sa.Column("customer", sa.Text(), server_default="", nullable=False))
    op.add_column("offer", sa.Column("version", sa.Integer(), server_default="1", nullable=False))
    op.drop_index("uq_offer_open_block", "offer")
    op.create_index(
        "uq_offer_open_block",
        "offer",
        ["block_id"],
        unique=True,
        sqlite_where=sa.text("status = 'open' AND private_token IS NULL"),
        postgresql_where=sa.text("status = 'open' AND private_token IS NULL"),
    )
    op.create_index("ix_offer_block", "offer", ["block_id"])
    op.create_index("ix_offer_provider_status", "offer", ["provider_id", "status", "id"])
    op.create_index("uq_offer_private_token", "offer", ["private_token"], unique=True)
    op.add_column(
        "order", sa.Column("tax_id", sa.String(length=40), server_default="", nullable=False)
    )
    op.add_column(
        "order",
        sa.Column("purchase_order", sa.String(length=60), server_default="", nullable=False),
    )
    for name, columns in ORDER_INDEXES.items():
        op.create_index(name, "order", columns)
    op.create_index(
        "ix_order_undealt",
        "order",
        ["provider_id", "method_id", "placed_at", "id"],
        sqlite_where=sa.text("status = 'placed' AND in_progress_at IS NULL"),
        postgresql_where=sa.text("status = 'placed' AND in_progress_at IS NULL"),
    )
    op.create_table(
        "order_term",
        sa.Column(
            "provider_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("term", sa.String(length=80), nullable=False),
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["order_id"], ["order.id"], name=op.f("fk_order_term_order_id_order")
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["provider.id"], name=op.f("fk_order_term_provider_id_provider")
        ),
        sa.PrimaryKeyConstraint("provider_id", "term", "order_id", name=op.f("pk_order_term")),
    )
    op.add_column("payment_fact", sa.Column("fee_minor", sa.BigInteger()))
    op.execute(
        "ALTER TABLE payout_method ADD COLUMN status VARCHAR(32) DEFAULT 'started' NOT NULL CONSTRAINT ck_payout_method_status CHECK (status IN ('started', 'limited', 'ready', 'revoked'))"
    )
    op.execute(
        "UPDATE payout_method SET status = CASE WHEN enabled THEN 'ready' ELSE 'revoked' END"
    )
    op.drop_column("payout_method", "enabled")
    op.add_column(
        "payout_method", sa.Column("todo", sa.JSON(), server_default="[]", nullable=False)
    )
    op.add_column(
        "payout_method",
        sa.Column("onboarding_ref", sa.String(length=127), server_default="", nullable=False),
    )
    op.add_column("payout_method", sa.Column("next_account", sa.JSON()))
    op.add_column("payout_method", sa.Column("next_from", sa.DateTime(timezone=True)))
    op.add_column("payout_method", sa.Column("tested_at", sa.DateTime(timezone=True)))
    op.add_column(
        "payout_method",
        sa.Column("confirms_alone", sa.Boolean(), server_default="0", nullable=False),
    )
    op.add_column("payout_method", sa.Column("statement_mapping", sa.JSON()))
    op.create_index("ix_payout_method_onboarding", "payout_method", ["method_id", "onboarding_ref"])
    op.add_column(
        "payout_method",
        sa.Column("onboarding_key", sa.String(length=40), server_default="", nullable=False),
    )
    op.add_column(
        "payout_method",
        sa.Column("payee_account", sa.String(length=255), server_default="", nullable=False),
    )
    op.create_index(
        "uq_payout_method_payee",
        "payout_method",
        ["method_id", "payee_account"],
        unique=True,
        sqlite_where=sa.text("payee_account != ''"),
        postgresql_where=sa.text("payee_account != ''"),
    )
    op.add_column(
        "webhook_delivery",
        sa.Column("account_refs", sa.JSON(), server_default="[]", nullable=False),
    )
    op.add_column("provider", sa.Column("address", sa.Text(), server_default="", nullable=False))
    op.add_column(
        "provider", sa.Column("tax_id", sa.String(length=40), server_default="", nullable=False)
    )
    for table in WAITING:
        op.add_column(table, sa.Column("due_at", sa.DateTime(timezone=True)))
        op.add_column(
            table, sa.Column("attempts", sa.Integer(), server_default="0", nullable=False)
        )
        op.add_column(table, sa.Column("last_error", sa.Text(), server_default="", nullable=False))
        op.add_column(table, sa.Column("lease_until", sa.DateTime(timezone=True)))
        op.add_column(table, sa.Column("fence", sa.Integer(), server_default="0", nullable=False))
        op.create_index(
            f"ix_{table}_due",
            table,
            ["due_at"],
            sqlite_where=sa.text("due_at IS NOT NULL"),
            postgresql_where=sa.text("due_at IS NOT NULL"),
        )
    op.execute(
        "ALTER TABLE \"user\" ADD COLUMN staff_role VARCHAR(32) CONSTRAINT ck_user_staff_role CHECK (staff_role IN ('owner', 'sales', 'accounts'))"
    )
    op.execute("UPDATE \"user\" SET staff_role = 'owner' WHERE provider_id IS NOT NULL")
    op.add_column("user", sa.Column("tf_primary_method", sa.String(length=64)))
    op.add_column("user", sa.Column("tf_totp_secret", sa.String(length=255)))
    op.add_column("user", sa.Column("tf_last_counter", sa.BigInteger()))
    op.add_column("user", sa.Column("mf_recovery_codes", sa.JSON()))
    op.add_column("user", sa.Column("fs_webauthn_user_handle", sa.String(length=64)))
    op.create_index(
        "uq_user_fs_webauthn_user_handle", "user", ["fs_webauthn_user_handle"], unique=True
    )
    # What was mirrored so far came from accounts that nobody had written down.
    op.execute(
        "INSERT INTO registry_account (provider_id, registry_id, account_ref, kind, read_at, created_at, due_at) "
        "SELECT provider_id, registry_id, account_ref, 'permanent', max(read_at), min(read_at), max(read_at) "
        "FROM block GROUP BY provider_id, registry_id, account_ref"
    )
    op.execute(
        "INSERT INTO account_activity (account_id, activity_id, actor, at) "
        "SELECT DISTINCT registry_account.id, block.activity_id, 'migration', registry_account.created_at "
        "FROM block JOIN registry_account ON registry_account.provider_id = block.provider_id "
        "AND registry_account.registry_id = block.registry_id "
        "AND registry_account.account_ref = block.account_ref"
    )
    op.execute(
        "INSERT INTO offer_terms (offer_id, version, status, price_minor, currency, quantity, min_quantity, actor, why, at) "
        "SELECT id, 1, status, price_minor, currency, quantity, min_quantity, 'migration', '', changed_at FROM offer"
    )


def downgrade() -> None:
    op.drop_index("uq_user_fs_webauthn_user_handle", "user")
    for name in (
        "fs_webauthn_user_handle",
        "mf_recovery_codes",
        "tf_last_counter",
        "tf_totp_secret",
        "tf_primary_method",
        "staff_role",
    ):
        op.execute(f'ALTER TABLE "user" DROP COLUMN {name}')
    for table in WAITING:
        op.drop_index(f"ix_{table}_due", table)
        for name in ("fence", "lease_until", "last_error", "attempts", "due_at"):
            op.drop_column(table, name)
    for name in ("tax_id", "address"):
        op.drop_column("provider", name)
    op.drop_column("webhook_delivery", "account_refs")
    op.drop_index("uq_payout_method_payee", "payout_method")
    op.drop_index("ix_payout_method_onboarding", "payout_method")
    op.add_column(
        "payout_method", sa.Column("enabled", sa.Boolean(), server_default="1", nullable=False)
    )
    op.execute("UPDATE payout_method SET enabled = (status = 'ready')")
    for name in (
        "statement_mapping",
        "confirms_alone",
        "tested_at",
        "next_from",
        "next_account",
        "payee_account",
        "onboarding_key",
        "onboarding_ref",
        "todo",
        "status",
    ):
        op.drop_column("payout_method", name)
    op.drop_column("payment_fact", "fee_minor")
    for name in ("ix_order_undealt", *ORDER_INDEXES):
        op.drop_index(name, "order")
    for name in ("purchase_order", "tax_id"):
        op.drop_column("order", name)
    for name in (
        "uq_offer_private_token",
        "ix_offer_provider_status",
        "ix_offer_block",
        "uq_offer_open_block",
    ):
        op.drop_index(name, "offer")
    op.create_index(
        "uq_offer_open_block",
        "offer",
        ["block_id"],
        unique=True,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )
    for name in ("version", "customer", "private_token", "ends_at"):
        op.drop_column("offer", name)
    op.drop_index("ix_cancellation_in_flight", "cancellation")
    op.drop_index("ix_block_stuck", "block")
    op.drop_index("ix_block_provider_order", "block")
    op.drop_column("block", "reported")
    op.drop_column("block", "obstacle")
    op.drop_index("ix_cancellation_completed", "cancellation")
    op.drop_index("ix_payment_fact_at", "payment_fact")
    op.drop_index("ix_order_provider_paid", "order")
    op.drop_index("ix_activity_changed_at", "activity")
    op.drop_column("activity", "changed_at")
    for table in NEW:
        op.drop_table(table)
