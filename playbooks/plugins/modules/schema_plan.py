#!/usr/bin/python
"""Compares the database's tables with what an image was written for: what a deploy would migrate, what it must not."""

from __future__ import annotations

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.compose_state import CommandFailed, run

DOCUMENTATION = """
module: schema_plan
short_description: Say whether an image's code and the database's tables go together
description: >-
  Asks the image for its revisions (`moorage db schema`, without network or settings) and the database for the one it
  is at. Fails, with the reason, where code would meet tables that it cannot work with: the image's own on newer tables,
  or the serving version's after the migrations.
options:
  image: {type: str, default: "", description: Reference of the control plane's image; empty where `head` is known}
  head: {type: str, default: "", description: Revision that the code to be run was written for}
  serving: {type: str, default: "", description: Revision that the code that serves was written for}
  migrate: {type: bool, default: true, description: Whether the image's migrations are to be run}
  container: {type: str, default: moorage-postgres, description: Container of PostgreSQL}
  database: {type: str, default: moorage, description: Database of the control plane}
"""

QUERY = (
    "SELECT version_num, coalesce(obj_description('alembic_version'::regclass, 'pg_class'), '{}') FROM alembic_version"
)


class Unfit(Exception):
    """The code and the tables do not go together; the text says why and what to do."""


def works_with(revisions: list[dict[str, str]], at: str) -> list[str]:
    """Heads of code that work with tables at a revision. Pure.

    Args:
        revisions: ``{id, works_with}`` in the order of the chain.
    """
    chain = [entry["id"] for entry in revisions]
    done = revisions[: chain.index(at) + 1]
    oldest = max(chain.index(entry["works_with"]) for entry in done)
    return chain[oldest : chain.index(at) + 1]


def decide(
    head: str, revisions: list[dict[str, str]], at: str, kept: list[str], *, serving: str, migrate: bool
) -> dict[str, Any]:
    """What is pending, and the heads that work with the tables afterwards. Pure.

    Args:
        head: revision of the code that is to run.
        revisions: that code's chain; empty where it is not known (a kept release, whose head is).
        at: revision of the tables; '' where there are none.
        kept: heads that work with the tables as they are, as the database itself says.
        serving: revision of the code that serves now; '' where none does.

    Raises:
        Unfit: where either code would not work.
    """
    chain = [entry["id"] for entry in revisions]
    if at == head:
        return {"pending": [], "works_with": works_with(revisions, head) if revisions else kept}
    if (at and at not in chain) or not migrate:
        if head not in kept and (not at or at in chain or head > at):
            raise Unfit(
                f"The database's tables are at {at or 'nothing'}, older than code at {head} wants them, and a rollback "
                "migrates nothing. Deploy that version instead. Nothing was changed."
            )
        if head not in kept:
            raise Unfit(
                f"The database's tables are at {at}, and code at {head} does not work with them (only code at "
                f"{', '.join(kept) or at} does): a migration since then took away what it needs. Go to a version in "
                "between, or forward with a repaired one; for older data, restore a backup. Nothing was changed."
            )
        return {"pending": [], "works_with": kept}
    after = works_with(revisions, head)
    if serving and serving not in after:
        raise Unfit(
            f"The migrations to {head} take away what the version that serves (code at {serving}) needs: after them "
            f"only code at {', '.join(after)} works. Deploy a version in between first, whose code no longer needs it "
            "(expand, then contract: docs/explanation/schema.md). Nothing was changed."
        )
    return {"pending": chain[chain.index(at) + 1 if at else 0 :], "works_with": after}


def of_image(image: str) -> tuple[str, list[dict[str, str]]]:
    """Head and chain that an image was written for. Raises CommandFailed, ValueError."""
    answer = json.loads(
        run(["docker", "run", "--rm", "--network", "none", image, "moorage", "db", "schema", "--json"], "/")
    )
    return answer["head"], answer["revisions"]


def of_database(container: str, database: str) -> tuple[str, list[str]]:
    """Revision of the tables and the heads that work with them; ('', []) before the first migration."""
    command = ["docker", "exec", container, "psql", "-U", "postgres", "-d", database, "-XAtc", QUERY]
    try:
        row = run(command, "/").strip()
    except CommandFailed as error:
        if f'database "{database}" does not exist' in str(error) or 'relation "alembic_version" does not' in str(error):
            return "", []
        raise
    at, _, comment = row.partition("|")
    try:
        said = json.loads(comment or "{}")
    except ValueError:
        said = None
    # A comment of somebody else's says nothing.
    return at, list(said.get("works_with", [])) if isinstance(said, dict) else []


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "str", "default": ""},
            "head": {"type": "str", "default": ""},
            "serving": {"type": "str", "default": ""},
            "migrate": {"type": "bool", "default": True},
            "container": {"type": "str", "default": "moorage-postgres"},
            "database": {"type": "str", "default": "moorage"},
        },
        supports_check_mode=True,
    )
    args = module.params
    head, revisions = args["head"], []
    try:
        if args["image"]:
            head, revisions = of_image(args["image"])
        at, said = of_database(args["container"], args["database"])
        kept = said or ([at] if at else [])
        decided = decide(head, revisions, at, kept, serving=args["serving"], migrate=args["migrate"])
    except (CommandFailed, ValueError, KeyError) as error:
        module.fail_json(
            msg=f"Whether the image's code and the database's tables go together could not be seen: {error}"
        )
    except Unfit as reason:
        module.fail_json(msg=str(reason))
    module.exit_json(changed=False, head=head, at=at, **decided)


if __name__ == "__main__":
    main()
