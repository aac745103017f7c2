"""The cutover that is on its way, and what has happened in each."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
# The oldest version (by its head) that works on the tables after this: docs/explanation/schema.md.
works_with = "0001"

TABLES = ("cutover_runs", "cutover_events")


def _now(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "cutover_runs",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("came_from", sa.Text),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("rehearsal_tenant", sa.Uuid, nullable=False),
        _now("begun_at"),
        _now("state_at"),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("window_until", sa.DateTime(timezone=True)),
        sa.Column("frozen_seconds", sa.Float),
        sa.Column("verdict", postgresql.JSONB),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cutover_runs")),
    )
    # Of two that begin at once, one is told that there is another.
    op.execute("CREATE UNIQUE INDEX uq_cutover_runs_open ON cutover_runs ((true)) WHERE ended_at IS NULL")
    op.create_table(
        "cutover_events",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("run_id", sa.BigInteger, nullable=False),
        _now("at"),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("facts", postgresql.JSONB, server_default=sa.text("'{}'"), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["cutover_runs.id"], name=op.f("fk_cutover_events_run_id_cutover_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cutover_events")),
    )
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        # They belong to no tenant, and no request is shown them.
        op.execute(f"CREATE POLICY {table}_steer ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
