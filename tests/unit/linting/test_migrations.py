"""Each rule for migrations is shown once what it is for, and once what to write instead; squawk itself is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from linting.rendering import NotRendered, rendered
from linting.rules import ANSWERED_BY_WORKS_WITH, LEFT_INVALID, OURS, findings

from webapp.database import heads

HEAD = """import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {below!r}
works_with = {oldest!r}


def upgrade() -> None:
"""
BEFORE = "op.create_table('boats', sa.Column('id', sa.BigInteger, primary_key=True), sa.Column('name', sa.Text))"
# As docs/explanation/schema.md tells it: outside of a transaction, and after what an earlier run has left.
APART = "with op.get_context().autocommit_block():\n    "
CREATE = "op.create_index('by_name', 'boats', ['name'], postgresql_concurrently=True, if_not_exists=True)"
CLEAR = "op.drop_index('by_name', 'boats', postgresql_concurrently=True, if_exists=True)"
BUILD = f"{APART}{CLEAR}\n    {CREATE}"

Lint = Callable[..., list[str]]


@pytest.fixture
def lint(tmp_path: Path) -> Lint:
    """Give a second migration's lines, get the rules that it breaks on the table of the first."""

    def found(*body: str, oldest: str = "1") -> list[str]:
        _write(tmp_path, "1", None, "1", BEFORE)
        _write(tmp_path, "2", "1", oldest, *body)
        return [one.rule for one in findings(rendered(tmp_path))]

    return found


def _write(folder: Path, revision: str, below: str | None, oldest: str, *body: str) -> None:
    lines = [f"    {line}\n" for text in body for line in text.splitlines()]
    text = HEAD.format(revision=revision, below=below, oldest=oldest) + "".join(lines)
    (folder / f"000{revision}_x.py").write_text(text)


def sql(statement: str) -> str:
    return f"op.execute({statement!r})"


CHECK = "ALTER TABLE boats ADD CONSTRAINT named CHECK (name IS NOT NULL)"
WRITTEN = "  # squawk-ignore ban-new-write-restriction - every version writes it"

# rule, a migration that breaks it, one that does not
RULES = [
    (
        "changing-column-type",
        "op.alter_column('boats', 'name', type_=sa.String(40))",
        "op.add_column('boats', sa.Column('short_name', sa.Text))",
    ),
    (
        "adding-field-with-default",
        "op.add_column('boats', sa.Column('key', sa.Uuid, server_default=sa.text('gen_random_uuid()')))",
        "op.add_column('boats', sa.Column('berths', sa.BigInteger, server_default='0', nullable=False))",
    ),
    (
        "adding-field-with-default",
        "op.add_column('boats', sa.Column('short', sa.Text, sa.Computed('left(name, 9)', persisted=True)))",
        "op.add_column('boats', sa.Column('made_at', sa.DateTime(timezone=True), server_default=sa.func.now()))",
    ),
    (
        "adding-required-field",
        "op.add_column('boats', sa.Column('berths', sa.BigInteger, nullable=False))",
        "op.add_column('boats', sa.Column('berths', sa.BigInteger))",
    ),
    (
        "adding-not-nullable-field",
        "op.alter_column('boats', 'name', nullable=False)",
        sql(f"{CHECK} NOT VALID") + WRITTEN,
    ),
    ("constraint-missing-not-valid", sql(CHECK) + WRITTEN, sql("ALTER TABLE boats VALIDATE CONSTRAINT named")),
    (
        "constraint-missing-not-valid",
        sql(f"{CHECK} NOT VALID") + WRITTEN + "\n" + sql("ALTER TABLE boats VALIDATE CONSTRAINT named"),
        sql(f"{CHECK} NOT VALID") + WRITTEN,
    ),
    (
        "adding-foreign-key-constraint",
        "op.create_foreign_key('up', 'boats', 'boats', ['id'], ['id'])",
        "op.create_foreign_key('up', 'boats', 'boats', ['id'], ['id'], postgresql_not_valid=True)" + WRITTEN,
    ),
    (
        "disallowed-unique-constraint",
        "op.create_unique_constraint('once', 'boats', ['name'])",
        sql("ALTER TABLE boats ADD CONSTRAINT once UNIQUE USING INDEX once") + WRITTEN,
    ),
    (
        "require-concurrent-index-creation",
        "op.create_index('by_name', 'boats', ['name'])",
        BUILD,
    ),
    (
        "ban-concurrent-index-creation-in-transaction",
        f"{CLEAR}\n{CREATE}",
        BUILD,
    ),
    (
        "prefer-robust-stmts",
        APART + "op.create_index('by_name', 'boats', ['name'], postgresql_concurrently=True)",
        BUILD,
    ),
    (
        "require-concurrent-index-deletion",
        "op.drop_index('by_name', 'boats')",
        APART + CLEAR,
    ),
    ("index-left-invalid", APART + CREATE, BUILD),
    ("require-concurrent-reindex", sql("REINDEX TABLE boats"), APART + sql("REINDEX TABLE CONCURRENTLY boats")),
    ("rewrite", sql("ALTER TABLE boats SET UNLOGGED"), sql("ALTER TABLE boats SET (fillfactor = 90)")),
    (
        "rewrite",
        sql("ALTER TABLE boats ADD COLUMN number bigserial"),
        sql("ALTER TABLE boats ADD COLUMN number bigint"),
    ),
    ("cluster", sql("CLUSTER boats USING pk_boats"), sql("ALTER TABLE boats SET (fillfactor = 90)")),
    ("lock-table", sql("LOCK TABLE boats"), sql("COMMENT ON TABLE boats IS 'LOCK TABLE boats'")),
    (
        "timeout-changed",
        sql("SET LOCAL lock_timeout = 0"),
        sql("-- SET lock_timeout = 0;\nALTER TABLE boats ADD COLUMN berths bigint"),
    ),
    (
        "backfill",
        sql("UPDATE boats SET name = 'x'"),
        sql("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ SELECT 1; UPDATE boats SET name = 'x' $$"),
    ),
    ("backfill", sql("INSERT INTO boats (id) SELECT 1"), sql("INSERT INTO boats (id) VALUES (1)")),
    ("hidden", sql("DO $$ BEGIN PERFORM 1; END $$"), sql("SELECT 1")),
]


@pytest.mark.parametrize(("rule", "bad", "good"), RULES, ids=[f"{rule}-{n}" for n, (rule, *_) in enumerate(RULES)])
def test_a_rule_finds_the_danger_and_passes_what_to_write_instead(lint: Lint, rule: str, bad: str, good: str) -> None:
    assert rule in lint(bad)
    assert lint(good) == []


def test_every_rule_of_ours_is_proved() -> None:
    assert {LEFT_INVALID, *OURS} <= {rule for rule, *_ in RULES}


TAKEN = [
    ("ban-drop-column", "op.drop_column('boats', 'name')"),
    ("ban-drop-table", "op.drop_table('boats')"),
    ("renaming-column", "op.alter_column('boats', 'name', new_column_name='title')"),
    ("renaming-table", "op.rename_table('boats', 'ships')"),
    ("renaming-object", sql("ALTER FUNCTION f() RENAME TO g")),
    ("ban-drop-view", sql("DROP VIEW v")),
    ("ban-drop-type", sql("DROP TYPE t")),
    ("ban-drop-function", sql("DROP FUNCTION f()")),
    ("ban-drop-trigger", sql("DROP TRIGGER t ON boats")),
    ("ban-drop-policy", sql("DROP POLICY p ON boats")),
    ("ban-drop-default", "op.alter_column('boats', 'name', server_default=None)"),
    ("ban-drop-constraint", "op.drop_constraint('named', 'boats')"),
    ("ban-new-write-restriction", sql(f"{CHECK} NOT VALID")),
    ("ban-revoke", sql("REVOKE SELECT ON boats FROM somebody")),
]


@pytest.mark.parametrize(("rule", "statement"), TAKEN, ids=[rule for rule, _ in TAKEN])
def test_what_older_code_would_miss_is_answered_for_by_works_with(lint: Lint, rule: str, statement: str) -> None:
    assert lint(statement) == [rule]
    assert lint(statement, oldest="2") == []


def test_every_such_rule_is_proved() -> None:
    assert {rule for rule, _ in TAKEN} == ANSWERED_BY_WORKS_WITH


def test_works_with_does_not_answer_for_a_lock(lint: Lint) -> None:
    assert "changing-column-type" in lint("op.alter_column('boats', 'name', type_=sa.String(40))", oldest="2")


def test_a_table_of_the_same_migration_has_no_rows_and_no_readers(lint: Lint) -> None:
    made = BEFORE.replace("boats", "ships")
    changes = [
        "op.create_index('by_name', 'ships', ['name'])",
        "op.create_unique_constraint('once', 'ships', ['name'])",
        "op.create_check_constraint('named', 'ships', 'name IS NOT NULL')",
        "op.alter_column('ships', 'name', nullable=False)",
        sql("INSERT INTO ships (id, name) SELECT 1, 'x'"),
        sql("UPDATE ships SET name = 'x'"),
        sql("LOCK TABLE ships"),
    ]
    assert lint(made, *changes) == []
    assert set(lint(*changes)) >= {"require-concurrent-index-creation", "backfill", "lock-table"}
    uncertain = sql("CREATE TABLE IF NOT EXISTS ships (id bigint)")
    assert lint(uncertain, changes[-1]) == ["lock-table"]


def test_a_new_table_excuses_nothing_else_of_its_script(lint: Lint) -> None:
    script = "ALTER TABLE ships ALTER name SET NOT NULL; ALTER TABLE boats ALTER name SET NOT NULL"
    assert "adding-not-nullable-field" in lint(BEFORE.replace("boats", "ships"), sql(script))


def test_a_check_that_is_validated_first_makes_not_null_quick(lint: Lint) -> None:
    validated = sql("ALTER TABLE boats VALIDATE CONSTRAINT named")
    tightened = "op.alter_column('boats', 'name', nullable=False)"
    assert lint(validated, tightened, oldest="2") == []
    assert lint(tightened, oldest="2") == ["adding-not-nullable-field"]


def test_a_new_column_shuts_no_older_write_out_but_a_constraint_beside_it_does(lint: Lint) -> None:
    column = "ALTER TABLE boats ADD COLUMN berths bigint DEFAULT 0 NOT NULL"
    assert lint(sql(column)) == []
    assert lint(sql(f"{column}, ADD CONSTRAINT n CHECK (name <> '') NOT VALID")) == ["ban-new-write-restriction"]


DROP = "op.drop_column('boats', 'name')"


@pytest.mark.parametrize(
    ("body", "broken"),
    [
        (f"{DROP}  # squawk-ignore ban-drop-column - nobody reads it", []),
        (f"# squawk-ignore ban-drop-column - nobody reads it,\n# and nobody did\n{DROP}", []),
        (f"# squawk-ignore ban-drop-column, lock-table - nobody is there\n{DROP}", ["idle"]),
        (f"# squawk-ignore ban-drop-column\n{DROP}", ["no-reason"]),
        (f"# squawk-ignore ban-drop-column - nobody reads it\n\n{DROP}", ["ban-drop-column", "idle"]),
        (f"{DROP}  # squawk-ignore ban-drop-table - another rule's", ["ban-drop-column", "idle"]),
        (f"# squawk-ignore ban-drop-column - nobody reads it\n{DROP}\n{DROP}", ["ban-drop-column"]),
    ],
    ids=["at its end", "above it", "and for nothing", "without a reason", "not beside it", "another", "the next one"],
)
def test_an_exception_stands_beside_its_statement_with_its_reason(lint: Lint, body: str, broken: list[str]) -> None:
    assert lint(body) == broken


def test_a_finding_names_the_line(tmp_path: Path) -> None:
    _write(tmp_path, "1", None, "1", BEFORE, "", "for name in ('a', 'b'):\n    op.create_index(name, 'ships', ['x'])")
    found = findings(rendered(tmp_path))
    assert {str(one).partition(" ")[0] for one in found} == {"0001_x.py:12:"}


@pytest.mark.parametrize(
    "body",
    ["op.get_bind().execute(sa.text('SELECT 1')).scalar()", "if op.get_bind().dialect.has_table(None, 'x'): pass"],
)
def test_a_migration_that_asks_the_database_is_refused(lint: Lint, body: str) -> None:
    with pytest.raises(NotRendered, match=r"0002_x\.py gives no SQL without a database"):
        lint(body)


def test_every_migration_of_ours_passes_and_is_looked_into() -> None:
    migrations = rendered(heads.VERSIONS)
    assert [one.path.stem[:4] for one in migrations] == [one.id for one in heads.chain()]
    assert all(len(one.statements) > 2 for one in migrations), "BEGIN, something, COMMIT"
    assert findings(migrations) == []
