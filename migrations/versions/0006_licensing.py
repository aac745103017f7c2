"""Machines, licences, entitlements and leases."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.policies import isolate

revision = "0006"
down_revision = "0005"
# The oldest version (by its head) that works on the tables after this: docs/explanation/schema.md.
works_with = "0001"

TABLES = ("licensing_vms", "licensing_licenses", "licensing_entitlements", "licensing_leases")


def _moment(name: str, *, given: bool = True) -> sa.Column[object]:
    """A time that is now where it is not given, or may be absent."""
    return sa.Column(
        name, sa.DateTime(timezone=True), server_default=sa.func.now() if given else None, nullable=not given
    )


def _one_of(table: str, column: str, *values: str) -> sa.CheckConstraint:
    known = ", ".join(repr(value) for value in values)
    return sa.CheckConstraint(f"{column} IN ({known})", name=op.f(f"ck_{table}_{column}"))


def upgrade() -> None:
    op.create_table(
        "licensing_vms",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("vm_uuid", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("vm_name", sa.Text),
        sa.Column("project_id", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("metadata", postgresql.JSONB),
        _moment("created_at"),
        _moment("updated_at"),
        _one_of("licensing_vms", "status", "active", "paused", "revoked"),
        sa.PrimaryKeyConstraint("tenant_id", "vm_uuid", name=op.f("pk_licensing_vms")),
    )
    op.create_index("ix_licensing_vms_user", "licensing_vms", ["tenant_id", "user_id"])
    op.create_table(
        "licensing_licenses",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Text),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("status", sa.Text, server_default="active", nullable=False),
        _moment("ends_at", given=False),
        _moment("created_at"),
        _moment("updated_at"),
        _one_of("licensing_licenses", "type", "perpetual", "subscription"),
        _one_of("licensing_licenses", "status", "active", "suspended", "revoked"),
        sa.CheckConstraint(
            "(type = 'subscription') = (ends_at IS NOT NULL)", name=op.f("ck_licensing_licenses_end")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_licensing_licenses")),
    )
    op.create_index("ix_licensing_licenses_user", "licensing_licenses", ["tenant_id", "user_id"])
    op.create_table(
        "licensing_entitlements",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("module", sa.Text, nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_licensing_entitlements")),
    )
    op.create_index(
        "uq_licensing_entitlements", "licensing_entitlements", ["tenant_id", "user_id", "module"], unique=True
    )
    op.create_table(
        "licensing_leases",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("vm_uuid", sa.Text, nullable=False),
        sa.Column("agent_id", sa.Text, nullable=False),
        sa.Column("runner_id", sa.Text, nullable=False),
        sa.Column("module", sa.Text, nullable=False),
        sa.Column("version", sa.Text),
        sa.Column("license_id", sa.Uuid, nullable=False),
        sa.Column("status", sa.Text, server_default="active", nullable=False),
        sa.Column("token_digest", sa.LargeBinary, nullable=False),
        _moment("created_at"),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _moment("last_heartbeat_at", given=False),
        _moment("revoked_at", given=False),
        sa.Column("reason", sa.Text),
        _one_of("licensing_leases", "status", "active", "revoked"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_licensing_leases")),
    )
    op.create_index("ix_licensing_leases_tenant_id", "licensing_leases", ["tenant_id", "created_at"])
    for table in TABLES:
        isolate(table)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
