"""Commands, and the events that tell what became of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.policies import isolate

revision = "0009"
down_revision = "0008"
# The oldest version (by its head) that works on the tables after this: docs/explanation/schema.md.
works_with = "0001"

_OPEN = sa.text("status IN ('queued', 'dispatched', 'running')")


def _moment(name: str, *, given: bool = False) -> sa.Column[object]:
    default = sa.func.now() if given else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=not given)


def upgrade() -> None:
    op.create_table(
        "commands",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("agent_id", sa.Uuid, nullable=False),
        sa.Column("seq", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("command_type", sa.Text, nullable=False),
        sa.Column("status", sa.Text, server_default="queued", nullable=False),
        sa.Column("payload", postgresql.JSONB, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("result", postgresql.JSONB),
        sa.Column("error_message", sa.Text),
        sa.Column("created_by", sa.Text),
        sa.Column("handed_out", sa.SmallInteger, server_default="0", nullable=False),
        _moment("queued_at", given=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _moment("dispatched_at"),
        _moment("started_at"),
        _moment("completed_at"),
        sa.CheckConstraint(
            "status IN ('queued', 'dispatched', 'running', 'succeeded', 'failed', 'expired', 'cancelled')",
            name=op.f("ck_commands_status"),
        ),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], ondelete="CASCADE", name=op.f("fk_commands_agent_id_agents")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commands")),
    )
    op.create_index("ix_commands_tenant_id", "commands", ["tenant_id", "queued_at", "id"])
    op.create_index("ix_commands_agent_id", "commands", ["agent_id", "queued_at"])
    # The claim's way in, and the sweep's: what has ended is in neither.
    op.create_index("ix_commands_queue", "commands", ["agent_id", "seq"], postgresql_where=sa.text("status = 'queued'"))
    op.create_index("ix_commands_open", "commands", ["tenant_id", "expires_at"], postgresql_where=_OPEN)
    isolate("commands")
    op.create_table(
        "command_events",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column(
            "xid", sa.BigInteger, server_default=sa.text("(pg_current_xact_id()::text)::bigint"), nullable=False
        ),
        sa.Column("command_id", sa.Uuid, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("progress", sa.SmallInteger),
        sa.Column("message", sa.Text),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.ForeignKeyConstraint(
            ["command_id"], ["commands.id"], ondelete="CASCADE", name=op.f("fk_command_events_command_id_commands")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_command_events")),
    )
    # The order of the stream: by transaction, then by row (docs/explanation/command-bus.md).
    op.create_index("ix_command_events_stream", "command_events", ["tenant_id", "xid", "id"])
    op.create_index("ix_command_events_command_id", "command_events", ["command_id"])
    op.create_index("ix_command_events_at", "command_events", ["tenant_id", "at"])
    isolate("command_events")


def downgrade() -> None:
    op.drop_table("command_events")
    op.drop_table("commands")
