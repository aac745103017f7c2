"""Row level security as migrations write it: the same words for every table that has tenants' rows."""

from __future__ import annotations

from alembic import op

# An unset setting reads as '' on a reused connection, not as NULL: without NULLIF the cast would fail, not deny.
_CLAIMS = "NULLIF(current_setting('request.jwt.claims', true), '')::jsonb"


def claim(name: str) -> str:
    """What the transaction claims under a name, as text; NULL where it claims nothing.

    In a sub-select, so that it is computed once a statement and not once a row.
    """
    return f"(SELECT {_CLAIMS} ->> '{name}')"


CLAIMED_TENANT = f"(SELECT ({_CLAIMS} ->> 'tenant_id')::uuid)"


def isolate(table: str, *, column: str = "tenant_id", append_only: bool = False) -> None:
    """Show and take only rows of the tenant that the transaction's claims name, from the table's owner too.

    With `append_only` rows can be added and read; nobody whom policies bind can change or delete one.
    """
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    mine = f"{column} = {CLAIMED_TENANT}"
    if append_only:
        op.execute(f"CREATE POLICY {table}_isolation_read ON {table} FOR SELECT USING ({mine})")
        op.execute(f"CREATE POLICY {table}_isolation_add ON {table} FOR INSERT WITH CHECK ({mine})")
    else:
        op.execute(f"CREATE POLICY {table}_isolation ON {table} USING ({mine}) WITH CHECK ({mine})")


def protect(table: str, condition: str) -> None:
    """For tables that belong to no tenant: only rows for which a claim names what the row is about."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY {table}_claimed ON {table} USING ({condition}) WITH CHECK ({condition})")


def reveal(table: str, name: str, condition: str) -> None:
    """Further rows that may be read (never written) by whoever claims what `condition` asks for.

    A door that opens for what one already knows (a code's digest, one's own user id), never for a mere word.
    """
    op.execute(f"CREATE POLICY {table}_reveal_{name} ON {table} FOR SELECT USING ({condition})")
