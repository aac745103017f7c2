"""Memberships, sessions and API keys, and the function that says what a credential is worth now."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.policies import claim, isolate, reveal

revision = "0004"
down_revision = "0003"
# The oldest version (by its head) that works on the tables after this: docs/explanation/schema.md.
works_with = "0001"

# In the database, so that a hot path can ask and act in one statement. Not SECURITY DEFINER: policies bind it.
_STANDING = """
CREATE FUNCTION auth_standing(credential uuid, presented bytea, subject text)
RETURNS TABLE (user_id text, role text, scopes text[]) LANGUAGE sql STABLE AS $$
    SELECT s.user_id, coalesce(s.role, m.role), NULL::text[]
        FROM auth_sessions s
        LEFT JOIN tenant_memberships m ON m.tenant_id = s.tenant_id AND m.user_id = s.user_id
        WHERE s.id = credential AND presented IS NULL AND s.revoked_at IS NULL AND s.expires_at > now()
    UNION ALL
    SELECT k.owner_id, NULL, k.scopes FROM auth_keys k
        WHERE k.id = credential AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
        AND (k.digest = presented OR (k.previous_digest = presented AND k.previous_until > now()))
    UNION ALL
    SELECT subject, (SELECT m.role FROM tenant_memberships m WHERE m.user_id = subject), NULL::text[]
        WHERE credential IS NULL AND presented IS NULL
$$;
"""


def _moment(name: str, *, given: bool = True, nullable: bool = False) -> sa.Column[object]:
    default = sa.func.now() if given else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "tenant_memberships",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        sa.CheckConstraint(
            "role IN ('admin', 'infra', 'member', 'viewer')", name=op.f("ck_tenant_memberships_role")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], ondelete="CASCADE", name=op.f("fk_tenant_memberships_tenant_id_tenants")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", name=op.f("pk_tenant_memberships")),
    )
    isolate("tenant_memberships")
    op.create_table(
        "auth_sessions",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("role", sa.Text),
        sa.Column("email", sa.Text),
        sa.Column("address", sa.Text),
        sa.Column("user_agent", sa.Text),
        _moment("created_at"),
        _moment("last_used_at"),
        _moment("expires_at", given=False),
        _moment("revoked_at", given=False, nullable=True),
        sa.CheckConstraint("kind IN ('login', 'issued')", name=op.f("ck_auth_sessions_kind")),
        sa.CheckConstraint("(kind = 'issued') = (role IS NOT NULL)", name=op.f("ck_auth_sessions_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_sessions")),
    )
    op.create_index("ix_auth_sessions_tenant_id_user_id", "auth_sessions", ["tenant_id", "user_id"])
    isolate("auth_sessions")
    op.create_table(
        "auth_keys",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("previous_digest", sa.LargeBinary),
        _moment("previous_until", given=False, nullable=True),
        sa.Column("uses", sa.BigInteger, server_default="0", nullable=False),
        _moment("last_used_at", given=False, nullable=True),
        sa.Column("last_address", sa.Text),
        _moment("created_at"),
        _moment("expires_at", given=False, nullable=True),
        _moment("revoked_at", given=False, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_keys")),
    )
    op.create_index("ix_auth_keys_tenant_id", "auth_keys", ["tenant_id"])
    isolate("auth_keys")
    op.execute(_STANDING)
    # The worker goes from tenant to tenant: it must know which there are. Their rows it sees as each of them.
    reveal("tenants", "directory", f"{claim('door')} = 'directory'")


def downgrade() -> None:
    op.execute("DROP POLICY tenants_reveal_directory ON tenants")
    op.execute("DROP FUNCTION auth_standing(uuid, bytea, text)")
    for table in ("auth_keys", "auth_sessions", "tenant_memberships"):
        op.drop_table(table)
