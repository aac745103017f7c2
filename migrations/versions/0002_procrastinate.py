"""The job queue's tables and functions, as procrastinate 3.10 brings them.

Its schema is copied beside this file: what a migration does must not change when the library is upgraded. A newer
library's own migrations become a migration here (a test compares PROCRASTINATE_AT with the library).
"""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
# The oldest version (by its head) that works on the tables after this: docs/explanation/schema.md.
works_with = "0001"

# The functions are full of %, := and ::, which are no parameters.
AS_IT_STANDS = {"no_parameters": True}

PROCRASTINATE_AT = "03.04.00_50_post_add_retry_failed_job_procedure"

_DROP = """
DROP TABLE IF EXISTS procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs, procrastinate_workers
    CASCADE;
DO $$
DECLARE it record;
BEGIN
    FOR it IN SELECT oid::regprocedure AS name FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'procrastinate\\_%' LOOP
        EXECUTE 'DROP FUNCTION ' || it.name || ' CASCADE';
    END LOOP;
    FOR it IN SELECT oid::regtype AS name FROM pg_type
        WHERE typnamespace = 'public'::regnamespace AND typname LIKE 'procrastinate\\_%' AND typtype <> 'b' LOOP
        EXECUTE 'DROP TYPE IF EXISTS ' || it.name || ' CASCADE';
    END LOOP;
END $$;
"""


def upgrade() -> None:
    schema = Path(__file__).with_suffix(".sql").read_text()
    # squawk-ignore hidden - it makes sure of PL/pgSQL, and of nothing else
    op.get_bind().exec_driver_sql(schema, execution_options=AS_IT_STANDS)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(_DROP, execution_options=AS_IT_STANDS)
