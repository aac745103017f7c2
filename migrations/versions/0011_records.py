"""Domain records: whatever a tenant keeps, as JSON, with columns computed of the fields that are searched."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.policies import isolate

revision = "0011"
down_revision = "0010"
# The oldest version (by its head) that works on the tables after this: docs/explanation/schema.md.
works_with = "0001"

# Characters of a text that is sorted and filtered: an entry of an index has 2.7 KB, and a character up to 4 bytes.
INDEXED = 200
# webapp/records/finance.py sums no larger amounts.
LARGEST_AMOUNT = 10**15
OPERATIONS = "collection = 'finance/operations'"

# webapp/records/times.py says the same in Python, and tests compare the two. Immutable, as casts of texts to
# timestamps are not: they depend on the session's time zone and style.
# A pattern says whether it is one, and places in the text what it is: taking parts out by the pattern costs 0.2 ms.
MILLIS = r"""
CREATE FUNCTION record_millis(value jsonb, dates boolean) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    said text := value #>> '{}';
    number numeric;
    y integer; m integer; d integer;
    hours integer; minutes integer; seconds integer;
    millis integer := 0;
    shift integer := 0;
BEGIN
    IF jsonb_typeof(value) = 'number' THEN
        number := said::numeric;
        IF abs(number) < 100000000000 THEN number := number * 1000; END IF;
        IF abs(floor(number)) > 8640000000000000 THEN RETURN NULL; END IF;
        RETURN floor(number);
    ELSIF jsonb_typeof(value) <> 'string' THEN
        RETURN NULL;
    ELSIF dates AND length(said) = 10 THEN
        said := said || 'T00:00:00Z';
    END IF;
    IF length(said) NOT BETWEEN 20 AND 35 OR said !~ ('\A[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}'
        '(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})\Z') THEN
        RETURN NULL;
    END IF;
    y := left(said, 4); m := substr(said, 6, 2); d := substr(said, 9, 2);
    hours := substr(said, 12, 2); minutes := substr(said, 15, 2); seconds := substr(said, 18, 2);
    IF right(said, 1) NOT IN ('Z', 'z') THEN
        IF substr(right(said, 5), 1, 2) > '23' OR right(said, 2) > '59' THEN RETURN NULL; END IF;
        shift := substr(right(said, 5), 1, 2)::integer * 60 + right(said, 2)::integer;
        IF substr(right(said, 6), 1, 1) = '-' THEN shift := -shift; END IF;
    END IF;
    IF substr(said, 20, 1) = '.' THEN
        millis := left(split_part(translate(substr(said, 21, 3), 'Zz+-', '    '), ' ', 1) || '000', 3);
    END IF;
    IF y = 0 OR m NOT BETWEEN 1 AND 12 OR d < 1 OR hours > 23 OR minutes > 59 OR seconds > 59
        OR (d > 28 AND d > extract(day FROM make_date(y, m, 1) + interval '1 month - 1 day')) THEN
        RETURN NULL;
    END IF;
    RETURN (make_date(y, m, d) - date '1970-01-01') * 86400000::bigint
        + (hours * 3600 + minutes * 60 + seconds) * 1000 + millis - shift * 60000;
END $$
"""
HAPPENED_AT = (
    "coalesce(record_millis(body -> 'date', true), record_millis(body -> 'ts', true), "
    "record_millis(body -> 'occurred_at', true), created_at)"
)


def _text(name: str) -> str:
    """A field where it is a text; null where it is anything else."""
    return f"CASE WHEN jsonb_typeof(body -> '{name}') = 'string' THEN left(body ->> '{name}', {INDEXED}) END"


def _computed(name: str, kind: sa.types.TypeEngine, expression: str) -> sa.Column[object]:
    return sa.Column(name, kind, sa.Computed(expression, persisted=True))


def upgrade() -> None:
    op.execute(MILLIS)
    text = sa.Text(collation="C")
    op.create_table(
        "records",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("collection", text, nullable=False),
        sa.Column("id", text, nullable=False),
        sa.Column("body", postgresql.JSONB, nullable=False),
        sa.Column("created_at", sa.BigInteger),
        sa.Column("updated_at", sa.BigInteger),
        _computed("name", text, f"coalesce({_text('name')}, {_text('title')}, {_text('label')})"),
        _computed("status", text, _text("status")),
        _computed("type", text, _text("type")),
        _computed("currency", text, f"CASE WHEN {OPERATIONS} THEN {_text('currency')} END"),
        _computed(
            "amount", sa.Numeric,
            f"CASE WHEN {OPERATIONS} AND jsonb_typeof(body -> 'amount') = 'number' AND "
            f"abs((body -> 'amount')::numeric) < {LARGEST_AMOUNT} THEN (body -> 'amount')::numeric END",
        ),
        _computed("happened_at", sa.BigInteger, f"CASE WHEN {OPERATIONS} THEN {HAPPENED_AT} END"),
        sa.CheckConstraint("jsonb_typeof(body) = 'object'", name=op.f("ck_records_body")),
        sa.PrimaryKeyConstraint("tenant_id", "collection", "id", name=op.f("pk_records")),
    )  # fmt: skip
    op.create_index("ix_records_created_at", "records", ["tenant_id", "collection", "created_at"])
    op.create_index("ix_records_status", "records", ["tenant_id", "collection", "status"],
                    postgresql_where=sa.text("status IS NOT NULL"))  # fmt: skip
    op.create_index("ix_records_happened_at", "records", ["tenant_id", "happened_at"],
                    postgresql_where=sa.text("happened_at IS NOT NULL"))  # fmt: skip
    isolate("records")


def downgrade() -> None:
    op.drop_table("records")
    op.execute("DROP FUNCTION record_millis(jsonb, boolean)")
