"""Which store records are led by, whether they may be written now, and which were changed since a switch."""

import sqlalchemy as sa
from alembic import op

from migrations.policies import isolate

revision = "0013"
down_revision = "0012"
# The oldest version (by its head) that works on the tables after this: docs/explanation/schema.md.
works_with = "0001"

SHADOWS = ("record_shadow_reads", "record_shadow_differences")
_STORES = "IN ('rtdb', 'supabase')"
# A statement's rows at once: a COPY of a hundred thousand asks the gate once.
_NOTE = """
CREATE FUNCTION record_note_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM record_gate WHERE tracking) THEN
        INSERT INTO record_changes (tenant_id, collection, id)
            SELECT DISTINCT tenant_id, collection, id FROM changed
            ON CONFLICT (tenant_id, collection, id) DO UPDATE SET at = clock_timestamp();
    END IF;
    RETURN NULL;
END $$
"""
_EVENTS = {"insert": "NEW", "update": "NEW", "delete": "OLD"}


def _moment() -> sa.Column[object]:
    return sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "record_gate",
        # One row, and no other.
        sa.Column("id", sa.Boolean, server_default=sa.true(), nullable=False),
        sa.Column("leader", sa.Text),
        sa.Column("next_leader", sa.Text),
        sa.Column("frozen_until", sa.DateTime(timezone=True)),
        sa.Column("rehearsing", sa.Uuid),
        sa.Column("shadowing", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("tracking", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("retired", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.CheckConstraint("id", name=op.f("ck_record_gate_one")),
        sa.CheckConstraint(f"leader {_STORES}", name=op.f("ck_record_gate_leader")),
        sa.CheckConstraint(f"next_leader {_STORES}", name=op.f("ck_record_gate_next_leader")),
        sa.CheckConstraint("next_leader IS NULL OR frozen_until IS NOT NULL", name=op.f("ck_record_gate_frozen")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record_gate")),
    )
    op.execute("INSERT INTO record_gate DEFAULT VALUES")
    op.execute("ALTER TABLE record_gate ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE record_gate FORCE ROW LEVEL SECURITY")
    # It belongs to no tenant: everybody's requests ask it, and the owner alone, whom no request is, moves it.
    op.execute("CREATE POLICY record_gate_look ON record_gate FOR SELECT USING (true)")
    op.execute("CREATE POLICY record_gate_steer ON record_gate TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.create_table(
        "record_changes",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("collection", sa.Text(collation="C"), nullable=False),
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        _moment(),
        sa.PrimaryKeyConstraint("tenant_id", "collection", "id", name=op.f("pk_record_changes")),
    )
    _shadow()
    op.execute(_NOTE)
    for event, table in _EVENTS.items():
        op.execute(
            f"CREATE TRIGGER record_noted_{event} AFTER {event.upper()} ON records"
            f" REFERENCING {table} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION record_note_changes()"
        )


def _shadow() -> None:
    op.create_table(
        "record_shadow_reads",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        _moment(),
        sa.Column("reads", sa.Integer, nullable=False),
    )
    op.create_table(
        "record_shadow_differences",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        _moment(),
        sa.Column("verb", sa.Text, nullable=False),
        sa.Column("collection", sa.Text, nullable=False),
        sa.Column("record_id", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
    )
    for table in ("record_changes", *SHADOWS):
        isolate(table)
        # The cutover reads those of all tenants, and begins anew.
        op.execute(f"CREATE POLICY {table}_steer ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")


def downgrade() -> None:
    for event in _EVENTS:
        op.execute(f"DROP TRIGGER record_noted_{event} ON records")
    op.execute("DROP FUNCTION record_note_changes()")
    for table in (*SHADOWS, "record_changes"):
        op.drop_table(table)
    op.drop_table("record_gate")
