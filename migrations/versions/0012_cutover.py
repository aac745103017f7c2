"""How far a cutover has carried over each collection of a tenant: rows of that tenant, and isolated like all others."""

import sqlalchemy as sa
from alembic import op

from migrations.policies import isolate

revision = "0012"
down_revision = "0011"
# The oldest version (by its head) that works on the tables after this: docs/explanation/schema.md.
works_with = "0001"


def upgrade() -> None:
    op.create_table(
        "cutover_checkpoints",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("collection", sa.Text, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("after", sa.Text(collation="C")),
        sa.Column("mark", sa.Text),
        sa.Column("carried", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("phase IN ('reading', 'complete')", name=op.f("ck_cutover_checkpoints_phase")),
        sa.PrimaryKeyConstraint("tenant_id", "source", "collection", name=op.f("pk_cutover_checkpoints")),
    )
    isolate("cutover_checkpoints")


def downgrade() -> None:
    op.drop_table("cutover_checkpoints")
