"""Users, what they log in with, guessing protection, and projects."""

import sqlalchemy as sa
from alembic import op

from migrations.policies import claim, isolate, protect, reveal

revision = "0005"
down_revision = "0004"
# The oldest version (by its head) that works on the tables after this: docs/explanation/schema.md.
works_with = "0001"

_DAY_OLD = "now() - interval '1 day'"


def _moment(name: str, *, given: bool = True, nullable: bool = False) -> sa.Column[object]:
    default = sa.func.now() if given else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def _of_user() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user_id"], ["auth_users.id"], ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "auth_attempts",
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, server_default="0", nullable=False),
        _moment("window_started_at"),
        sa.Column("window_count", sa.Integer, server_default="0", nullable=False),
        _moment("locked_until", given=False, nullable=True),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_auth_attempts")),
    )
    # What is a day old protects nothing any more: the worker, which knows no subject, sweeps it away.
    protect("auth_attempts", f"subject = {claim('subject')} OR window_started_at < {_DAY_OLD}")
    _users()
    op.create_table(
        "auth_refresh_tokens",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("session_id", sa.Uuid, nullable=False),
        _moment("created_at"),
        _moment("expires_at", given=False),
        _moment("used_at", given=False, nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["auth_sessions.id"], ondelete="CASCADE",
            name=op.f("fk_auth_refresh_tokens_session_id_auth_sessions"),
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_auth_refresh_tokens")),
    )  # fmt: skip
    op.create_index("ix_auth_refresh_tokens_session_id", "auth_refresh_tokens", ["session_id"])
    isolate("auth_refresh_tokens")
    # Where a user belongs, the user may know before a tenant is chosen.
    reveal("tenant_memberships", "own", f"user_id = {claim('sub')}")
    op.add_column("tenant_memberships", sa.Column("email", sa.Text))
    # squawk-ignore require-concurrent-index-creation - the table is of 0004, and nothing was released in between
    op.create_index("ix_tenant_memberships_user_id", "tenant_memberships", ["user_id"])
    op.create_table(
        "projects",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        _moment("created_at"),
        _moment("updated_at"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], ondelete="CASCADE", name=op.f("fk_projects_tenant_id_tenants")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
    )
    op.create_index("uq_projects_name", "projects", ["tenant_id", "name"], unique=True)
    isolate("projects")


def _users() -> None:
    op.create_table(
        "auth_users",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("password_hash", sa.Text),
        _moment("verified_at", given=False, nullable=True),
        sa.Column("totp_sealed", sa.LargeBinary),
        _moment("totp_confirmed_at", given=False, nullable=True),
        sa.Column("totp_last_step", sa.BigInteger, server_default="0", nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_users")),
    )
    op.create_index("uq_auth_users_email", "auth_users", ["email"], unique=True)
    protect("auth_users", f"id = {claim('sub')} OR email = {claim('email')}")
    op.create_table(
        "auth_recovery_codes",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        _moment("used_at", given=False, nullable=True),
        _of_user(),
        sa.PrimaryKeyConstraint("user_id", "digest", name=op.f("pk_auth_recovery_codes")),
    )
    protect("auth_recovery_codes", f"user_id = {claim('sub')}")
    op.create_table(
        "auth_mail_tokens",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        _moment("expires_at", given=False),
        sa.CheckConstraint("purpose IN ('verify', 'reset')", name=op.f("ck_auth_mail_tokens_purpose")),
        _of_user(),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_auth_mail_tokens")),
    )
    op.create_index("ix_auth_mail_tokens_user_id", "auth_mail_tokens", ["user_id"])
    protect(
        "auth_mail_tokens",
        f"user_id = {claim('sub')} OR digest = decode({claim('mail_digest')}, 'hex') OR expires_at < {_DAY_OLD}",
    )
    op.create_table(
        "auth_identities",
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        _moment("created_at"),
        _of_user(),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_auth_identities")),
    )
    op.create_index("ix_auth_identities_user_id", "auth_identities", ["user_id"])
    protect("auth_identities", f"user_id = {claim('sub')} OR identity = {claim('identity')}")


def downgrade() -> None:
    op.drop_table("projects")
    op.drop_index("ix_tenant_memberships_user_id", "tenant_memberships")
    op.execute("DROP POLICY tenant_memberships_reveal_own ON tenant_memberships")
    op.drop_column("tenant_memberships", "email")
    for table in ("auth_refresh_tokens", "auth_identities", "auth_mail_tokens", "auth_recovery_codes", "auth_users"):
        op.drop_table(table)
    op.drop_table("auth_attempts")
