"""Agents and their pairings, and the function that says what an agent's token is worth now."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.policies import claim, isolate, reveal

revision = "0008"
down_revision = "0007"
# The oldest version (by its head) that works on the tables after this: docs/explanation/schema.md.
works_with = "0001"

# Not SECURITY DEFINER: policies bind it. A revoked agent's token is still known, so that it can be told.
_STANDING = """
CREATE FUNCTION agent_standing(credential uuid, presented bytea)
RETURNS TABLE (owner_user_id text, status text) LANGUAGE sql STABLE AS $$
    SELECT a.owner_user_id, a.status FROM agents a
        WHERE a.id = credential AND a.status IN ('active', 'revoked')
        AND ((a.digest = presented AND a.token_expires_at > now())
             OR EXISTS (SELECT FROM agent_former_tokens t
                        WHERE t.digest = presented AND t.agent_id = a.id AND t.until > now()))
$$;
"""


def _moment(name: str, *, given: bool = False) -> sa.Column[object]:
    default = sa.func.now() if given else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=not given)


def upgrade() -> None:
    op.create_table(
        "agents",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("owner_user_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.Text, server_default="pending", nullable=False),
        sa.Column("machine_name", sa.Text),
        sa.Column("version", sa.Text),
        sa.Column("platform", sa.Text),
        sa.Column("capabilities", postgresql.JSONB),
        sa.Column("public_key", sa.Text),
        sa.Column("key_id", sa.Text),
        sa.Column("digest", sa.LargeBinary),
        _moment("token_expires_at"),
        sa.Column("reported_status", sa.Text),
        sa.Column("metadata", postgresql.JSONB),
        _moment("paired_at"),
        _moment("last_seen_at"),
        _moment("beat_at"),
        _moment("created_at", given=True),
        _moment("revoked_at"),
        sa.Column("revoke_reason", sa.Text),
        sa.CheckConstraint("status IN ('pending', 'active', 'revoked')", name=op.f("ck_agents_status")),
        sa.CheckConstraint("status <> 'active' OR digest IS NOT NULL", name=op.f("ck_agents_token")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents")),
    )
    op.create_index("ix_agents_tenant_id", "agents", ["tenant_id", "created_at", "id"])
    isolate("agents")
    op.create_table(
        "agent_former_tokens",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("agent_id", sa.Uuid, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], ondelete="CASCADE", name=op.f("fk_agent_former_tokens_agent_id_agents")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_agent_former_tokens")),
    )
    op.create_index("ix_agent_former_tokens_agent_id", "agent_former_tokens", ["agent_id"])
    isolate("agent_former_tokens")
    op.create_table(
        "agent_pairings",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("agent_id", sa.Uuid, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        _moment("created_at", given=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _moment("used_at"),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], ondelete="CASCADE", name=op.f("fk_agent_pairings_agent_id_agents")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_agent_pairings")),
    )
    op.create_index("ix_agent_pairings_agent_id", "agent_pairings", ["agent_id"])
    isolate("agent_pairings")
    # Whoever registers has no tenant yet: the code that they hold says which it is.
    reveal("agent_pairings", "code", f"digest = decode({claim('pairing')}, 'hex')")
    op.execute(_STANDING)


def downgrade() -> None:
    op.execute("DROP FUNCTION agent_standing(uuid, bytea)")
    op.drop_table("agent_pairings")
    op.drop_table("agent_former_tokens")
    op.drop_table("agents")
