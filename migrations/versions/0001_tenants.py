"""Tenants: the organisations that everything else belongs to."""

import sqlalchemy as sa
from alembic import op

from migrations.policies import isolate

revision = "0001"
down_revision = None
# The oldest version (by its head) that works on the tables after this: docs/explanation/schema.md.
works_with = "0001"


def upgrade() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 200", name=op.f("ck_tenants_name_length")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
    )
    isolate("tenants", column="id")


def downgrade() -> None:
    op.drop_table("tenants")
