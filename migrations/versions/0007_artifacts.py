"""Releases, assignments, and whose an object of the bucket is."""

import sqlalchemy as sa
from alembic import op

from migrations.policies import isolate

revision = "0007"
down_revision = "0006"
# The oldest version (by its head) that works on the tables after this: docs/explanation/schema.md.
works_with = "0001"


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)


def _texts(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "artifact_objects",
        sa.Column("object_key", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        # Of all tenants: a key that another tenant has released is nobody else's.
        sa.PrimaryKeyConstraint("object_key", name=op.f("pk_artifact_objects")),
    )
    isolate("artifact_objects")
    op.create_table(
        "artifact_releases",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        *_texts("module", "platform", "channel", "version", "object_key", "sha256"),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        *_texts("status"),
        _moment("created_at"),
        _moment("updated_at"),
        sa.CheckConstraint(
            "status IN ('draft', 'active', 'disabled', 'archived')", name=op.f("ck_artifact_releases_status")
        ),
        sa.CheckConstraint("size_bytes > 0", name=op.f("ck_artifact_releases_size")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifact_releases")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_artifact_releases_tenant_id")),
    )
    op.create_index(
        "ix_artifact_releases_scope", "artifact_releases", ["tenant_id", "module", "platform", "channel"]
    )
    isolate("artifact_releases")
    op.create_table(
        "artifact_assignments",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        *_texts("module", "platform", "channel"),
        sa.Column("user_id", sa.Text),
        sa.Column("release_id", sa.BigInteger, nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "release_id"],
            ["artifact_releases.tenant_id", "artifact_releases.id"],
            name=op.f("fk_artifact_assignments_tenant_id_artifact_releases"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifact_assignments")),
    )
    op.create_index(
        "uq_artifact_assignments_scope",
        "artifact_assignments",
        ["tenant_id", "module", "platform", "channel", "user_id"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.create_index("ix_artifact_assignments_release_id", "artifact_assignments", ["release_id"])
    isolate("artifact_assignments")


def downgrade() -> None:
    for table in ("artifact_assignments", "artifact_releases", "artifact_objects"):
        op.drop_table(table)
