"""What a rotation of secrets does to .env, step by step. Pure functions of the file's names and values.

The file is all the state there is, and each step is one write of it: a run that is cut off leaves a step that was not
begun, or one that can be gone on with. A slot that serves goes on with what it was started with, by names that end with
the slot's (`S3_ACCESS_KEY_ID_BLUE`): compose.yml prefers them, so nothing restarts it.

    accept   the database and the store let in two; every process learns the next signing secrets   (one release)
    sign     the next ones sign, those before are accepted until a time                             (one release)
    retire   the database and the store let in only one again
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

Env = Mapping[str, str]
GROUPS = ("database", "store", "signing")
STATE = "SECRETS_ROTATION"
SLOTS = ("blue", "green")
SIGNING = ("SESSION_SECRET", "LICENSE_LEASE_SECRET")
ALSO, UNTIL = "_ALSO", "SECRETS_ALSO_UNTIL"
# What a slot keeps while another takes its place, and what it has where .env says nothing.
KEPT = {
    "database": {"DATABASE_APP_LOGIN": "moorage_app", "DATABASE_APP_PASSWORD": ""},
    "store": {"S3_ACCESS_KEY_ID": "", "S3_SECRET_ACCESS_KEY": ""},
    "signing": {**{name: "" for one in SIGNING for name in (one, one + ALSO)}, UNTIL: ""},
}
# Only jobs log in as these, and what has no slots: the server is told at once.
AT_ONCE = ("DATABASE_OWNER_PASSWORD", "DATABASE_READONLY_PASSWORD", "DATABASE_BACKUP_PASSWORD")
# The server's own container is started with the first one, and must not be started anew for the next.
SUPERUSER, AT_START = "POSTGRES_PASSWORD", "POSTGRES_PASSWORD_AT_START"
ROTATED = {
    "database": (*AT_ONCE, SUPERUSER, *KEPT["database"]),
    "store": tuple(KEPT["store"]),
    "signing": SIGNING,
}


class Refused(Exception):
    """Nothing was changed; the text says why and what to do."""


class Edit(NamedTuple):
    """Names that get a value, and names that go."""

    changes: dict[str, str]
    gone: frozenset[str] = frozenset()


def fresh(name: str, random: Callable[[int], str]) -> str:
    """A new value: hex, as `env_file` makes them; a login is the role's name with something that no other has."""
    if name == "DATABASE_APP_LOGIN":
        return f"moorage_app_login_{random(4)}"
    return random(10 if name == "S3_ACCESS_KEY_ID" else 32 if name in SIGNING else 24)


def state_of(env: Env) -> dict[str, Any]:
    """The rotation that is under way; empty where none is."""
    return dict(json.loads(env.get(STATE) or "{}"))


def wanted(only: str) -> list[str]:
    """The groups that a person names, all where they name none. Raises Refused."""
    names = [name.strip() for name in only.split(",") if name.strip()] or list(GROUPS)
    unknown = sorted(set(names) - set(GROUPS))
    if unknown:
        raise Refused(f"only={only}: there is no group {', '.join(unknown)}. There are: {', '.join(GROUPS)}.")
    return [name for name in GROUPS if name in names]


def kept(env: Env, groups: Iterable[str], slot: str) -> dict[str, str]:
    """The names and values that a slot goes on with."""
    names = {name: default for group in groups for name, default in KEPT[group].items()}
    return {f"{name}_{slot.upper()}": env.get(name, default) for name, default in names.items()}


def due(env: Env, slot: str) -> bool:
    """Whether the slot that serves still goes on with secrets of before, and is to be replaced."""
    return any(f"{name}_{slot.upper()}" in env for group in KEPT.values() for name in group)


def idle(env: Env, slot: str) -> frozenset[str]:
    """What was kept for a slot that is gone."""
    others = [other.upper() for other in SLOTS if other != slot]
    names = {f"{name}_{other}" for group in KEPT.values() for name in group for other in others}
    return frozenset(names & set(env))


def begun(env: Env, groups: list[str], slot: str, said: Mapping[str, str], random: Callable[[int], str]) -> Edit:
    """The first step: what two may use is made, and the slot that serves keeps what it has.

    Args:
        said: `by` and `at`, for the report.

    Raises:
        Refused: the signing secrets before the present ones are still accepted, and a third would end them early.
    """
    changes = kept(env, groups, slot)
    if "database" in groups:
        changes |= {name: fresh(name, random) for name in ROTATED["database"]}
        changes[AT_START] = env.get(AT_START) or env.get(SUPERUSER, "")
    if "store" in groups:
        changes |= {name: fresh(name, random) for name in ROTATED["store"]}
    if "signing" in groups:
        changes |= {name + ALSO: fresh(name, random) for name in SIGNING} | {UNTIL: ""}
    return Edit({**changes, STATE: json.dumps({"step": "accept", "groups": groups, **said})})


def refuse_third(env: Env, groups: Iterable[str], now: datetime, accept_seconds: int) -> None:
    """Raises Refused where tokens of the secret before the present one would end before their time."""
    until = env.get(UNTIL, "")
    if "signing" in groups and accept_seconds > 0 and until and now < datetime.fromisoformat(until):
        raise Refused(
            f"The signing secrets were rotated lately: those before are accepted until {words(until)}. Rotate them "
            "again after that, or now with -e rotate_accept_seconds=0, which ends every token there is at once."
        )


def accepted(env: Env, slot: str, now: datetime, accept_seconds: int) -> Edit:
    """After the release of the first step: on to signing with the next secrets, or to the end."""
    state = state_of(env)
    state |= {"step": "retire", "replaced": now.timestamp()}
    if "signing" not in state["groups"]:
        return Edit({STATE: json.dumps(state)}, idle(env, slot))
    changes = kept(env, ["signing"], slot)
    for name in SIGNING:
        changes |= {name: env[name + ALSO], name + ALSO: env[name]}
    state["step"] = "sign"
    return Edit({**changes, UNTIL: moment(now, accept_seconds), STATE: json.dumps(state)}, idle(env, slot))


def signed(env: Env, slot: str) -> Edit:
    """After the release of the second step."""
    return Edit({STATE: json.dumps({**state_of(env), "step": "retire"})}, idle(env, slot))


def prolonged(env: Env, slot: str, now: datetime, accept_seconds: int) -> Edit:
    """Before the second release is tried (again): the time counts from now, as until then the old secret signs."""
    waiting = state_of(env).get("step") == "sign" and due(env, slot)
    return Edit({UNTIL: moment(now, accept_seconds)} if waiting else {})


def wait(env: Env, now: datetime, presigned_seconds: int) -> int:
    """Seconds until the last address that was signed with the store's old key has had its time."""
    state = state_of(env)
    if "store" not in state.get("groups", []) or "replaced" not in state:
        return 0
    return max(0, round(state["replaced"] + presigned_seconds - now.timestamp()))


def report(env: Env, now: datetime) -> dict[str, Any]:
    """The line of rotations.jsonl: names, never values."""
    state = state_of(env)
    line = {"at": moment(now, 0), "begun": state["at"], "by": state["by"], "groups": state["groups"]}
    line["secrets"] = sorted(name for group in state["groups"] for name in ROTATED[group])
    if "signing" in state["groups"]:
        line["before_accepted_until"] = env.get(UNTIL, "")
    return line


def words(text: str) -> str:
    """A moment for a person; in no form that .env has, where every value is looked for in what is printed."""
    return text.replace("T", " ").replace("Z", " UTC")


def moment(now: datetime, seconds: int) -> str:
    """So many seconds from now, as .env and the report write it."""
    return (now + timedelta(seconds=seconds)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
