"""Secrets as ciphertext, what they are bound to, and the paths that a tenant lets through in plain text."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.policies import isolate

revision = "0010"
down_revision = "0009"
# The oldest version (by its head) that works on the tables after this: docs/explanation/schema.md.
works_with = "0001"

TABLES = ("vaulting_secrets", "vaulting_versions", "vaulting_bindings", "vaulting_allowances")


def _moment(name: str, *, given: bool = True) -> sa.Column[object]:
    """A time that is now where it is not given, or may be absent."""
    default = sa.func.now() if given else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=not given)


def _of_secret(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_secret_id_vaulting_secrets")
    return sa.ForeignKeyConstraint(["secret_id"], ["vaulting_secrets.id"], ondelete="CASCADE", name=name)


def upgrade() -> None:
    op.create_table(
        "vaulting_secrets",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("owner_user_id", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, server_default="1", nullable=False),
        sa.Column("alg", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("aad_meta", postgresql.JSONB),
        _moment("rotated_at", given=False),
        _moment("created_at"),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vaulting_secrets")),
    )
    op.create_index("ix_vaulting_secrets_tenant_id", "vaulting_secrets", ["tenant_id", "created_at", "id"])
    op.create_table(
        "vaulting_versions",
        sa.Column("secret_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("alg", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("nonce", sa.Text, nullable=False),
        sa.Column("ciphertext", sa.Text, nullable=False),
        sa.Column("aad_meta", postgresql.JSONB),
        sa.Column("handed_to", postgresql.ARRAY(sa.Uuid), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("acknowledged_by", sa.Uuid),
        _moment("acknowledged_at", given=False),
        _moment("created_at"),
        sa.CheckConstraint("alg IN ('AES-256-GCM', 'X25519-XSALSA20-POLY1305')", name=op.f("ck_vaulting_versions_alg")),
        _of_secret("vaulting_versions"),
        sa.PrimaryKeyConstraint("secret_id", "version", name=op.f("pk_vaulting_versions")),
    )
    op.create_table(
        "vaulting_bindings",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("scope_type", sa.Text, nullable=False),
        sa.Column("scope_id", sa.Text, nullable=False),
        sa.Column("field_name", sa.Text, nullable=False),
        sa.Column("secret_id", sa.Uuid, nullable=False),
        sa.Column("only_user_id", sa.Text),
        sa.Column("created_by", sa.Text, nullable=False),
        _moment("created_at"),
        sa.CheckConstraint(
            "scope_type IN ('bot', 'vm', 'agent', 'tenant')", name=op.f("ck_vaulting_bindings_scope_type")
        ),
        _of_secret("vaulting_bindings"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vaulting_bindings")),
    )
    op.create_index("ix_vaulting_bindings_scope", "vaulting_bindings", ["tenant_id", "scope_type", "scope_id"])
    op.create_index("ix_vaulting_bindings_secret_id", "vaulting_bindings", ["secret_id"])
    op.create_table(
        "vaulting_allowances",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("tenant_id", "path", name=op.f("pk_vaulting_allowances")),
    )
    for table in TABLES:
        isolate(table)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
