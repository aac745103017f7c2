"""The audit log, sealed into a chain for each tenant, and the answers kept for Idempotency-Key."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.policies import CLAIMED_TENANT, isolate

revision = "0003"
down_revision = "0002"
# The oldest version (by its head) that works on the tables after this: docs/explanation/schema.md.
works_with = "0001"

# A trigger and not rights alone: it binds the owner too, and whoever is given UPDATE by mistake.
_KEEP = """
CREATE FUNCTION audit_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.seq IS NOT NULL OR to_jsonb(NEW) - 'seq' - 'digest' <> to_jsonb(OLD) - 'seq' - 'digest' THEN
        RAISE EXCEPTION 'an audit event is only ever sealed, once' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_events_keep BEFORE UPDATE ON audit_events FOR EACH ROW EXECUTE FUNCTION audit_keep();
"""


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("actor_kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("address", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("details", postgresql.JSONB, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("seq", sa.BigInteger),
        sa.Column("digest", sa.LargeBinary),
        sa.CheckConstraint("result IN ('allowed', 'denied', 'error')", name=op.f("ck_audit_events_result")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    op.create_index("ix_audit_events_tenant_id", "audit_events", ["tenant_id", "id"])
    op.create_index(
        "ix_audit_events_unsealed", "audit_events", ["tenant_id", "id"], postgresql_where=sa.text("seq IS NULL")
    )
    op.create_index("uq_audit_events_seq", "audit_events", ["tenant_id", "seq"], unique=True)
    op.create_index(
        "uq_audit_events_once",
        "audit_events",
        ["tenant_id", "subject"],
        unique=True,
        postgresql_where=sa.text("event = 'download_reported'"),
    )
    isolate("audit_events", append_only=True)
    mine = f"tenant_id = {CLAIMED_TENANT}"
    op.execute(f"CREATE POLICY audit_events_seal ON audit_events FOR UPDATE USING ({mine}) WITH CHECK ({mine})")
    op.execute(_KEEP)
    op.create_table(
        "audit_heads",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_audit_heads")),
    )
    isolate("audit_heads")
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.SmallInteger),
        sa.Column("answer", sa.LargeBinary),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    isolate("idempotency_keys")


def downgrade() -> None:
    op.drop_table("idempotency_keys")
    op.drop_table("audit_heads")
    op.drop_table("audit_events")
    op.execute("DROP FUNCTION audit_keep()")
