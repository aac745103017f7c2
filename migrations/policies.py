"""Row level security as migrations write it: the same words for every table that has tenants' rows."""

from __future__ import annotations

from alembic import op

# An unset setting reads as '' on a reused connection, not as NULL: without NULLIF the cast would fail, not deny.
# In a sub-select it is computed once a statement and not once a row.
CLAIMED_TENANT = "(SELECT (NULLIF(current_setting('request.jwt.claims', true), '')::jsonb ->> 'tenant_id')::uuid)"


def isolate(table: str, *, column: str = "tenant_id") -> None:
    """Show and take only rows of the tenant that the transaction's claims name, from the table's owner too."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY {table}_isolation ON {table} "
        f"USING ({column} = {CLAIMED_TENANT}) WITH CHECK ({column} = {CLAIMED_TENANT})"
    )
