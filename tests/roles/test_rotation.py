"""A rotation of secrets, step by step: what .env says, and what each slot therefore runs with."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

NOW = datetime(2026, 11, 28, 5, tzinfo=UTC)
FIRST = {
    "POSTGRES_PASSWORD": "super", "DATABASE_OWNER_PASSWORD": "owner", "DATABASE_APP_PASSWORD": "app",
    "DATABASE_READONLY_PASSWORD": "ro", "DATABASE_BACKUP_PASSWORD": "backup", "S3_ACCESS_KEY_ID": "id",
    "S3_SECRET_ACCESS_KEY": "key", "SESSION_SECRET": "session", "LICENSE_LEASE_SECRET": "lease", "SHOP_KEY_BLUE": "x",
}  # fmt: skip
SAID = {"by": "ada", "at": "2026-11-28T05:00:00Z"}


@pytest.fixture
def rotation(plugin):
    return plugin("module_utils", "rotation")


@pytest.fixture
def compose(plugin):
    return plugin("filter", "compose")


class Host:
    """.env, the slot that serves, and what each slot was started with."""

    def __init__(self, rotation, compose, slot="blue"):
        self.rotation, self.compose, self.slot, self.env, self.made = rotation, compose, slot, dict(FIRST), 0
        self.started = {slot: self.sees(slot)}

    def random(self, length):
        self.made += 1
        return f"{self.made:02d}" * length

    def edit(self, edit):
        self.env = {name: value for name, value in {**self.env, **edit.changes}.items() if name not in edit.gone}
        assert self.sees(self.slot) == self.started[self.slot], "the slot that serves would be started anew"

    def release(self):
        other = {"blue": "green", "green": "blue"}[self.slot]
        self.started[other], self.slot = self.sees(other), other

    def sees(self, slot):
        """What Compose makes of the control plane's environment for a slot."""
        names = [name for group in self.rotation.KEPT.values() for name in group]
        document = {name: f"${{{name}:-{'moorage_app' if name.endswith('LOGIN') else ''}}}" for name in names}
        return {name: self.interpolated(text) for name, text in self.compose._kept(document, slot).items()}

    def interpolated(self, text):
        own, kept, name, default = re.fullmatch(r"(\$\{(\w+)-)?\$\{(\w+):-(\w*)\}\}?", text).groups()
        return self.env[kept] if own and kept in self.env else self.env.get(name) or default

    def begin(self, *groups):
        self.edit(self.rotation.begun(self.env, list(groups), self.slot, SAID, self.random))

    def state(self):
        return self.rotation.state_of(self.env)


@pytest.fixture
def host(rotation, compose):
    return Host(rotation, compose)


def test_a_whole_rotation_never_touches_what_serves_and_replaces_every_value(rotation, host):
    host.begin("database", "store", "signing")
    assert rotation.due(host.env, host.slot) and host.state()["step"] == "accept"
    host.release()
    learning = host.started["green"]
    assert (learning["SESSION_SECRET"], learning["SECRETS_ALSO_UNTIL"]) == ("session", "")
    assert learning["DATABASE_APP_LOGIN"].startswith("moorage_app_login_") and learning["S3_ACCESS_KEY_ID"] != "id"

    host.edit(rotation.accepted(host.env, host.slot, NOW, 60))
    assert rotation.due(host.env, host.slot) and host.state()["step"] == "sign"
    host.release()
    using = host.started["blue"]
    assert using["SESSION_SECRET"] == learning["SESSION_SECRET_ALSO"] and using["SESSION_SECRET_ALSO"] == "session"
    assert using["SECRETS_ALSO_UNTIL"] == "2026-11-28T05:01:00Z"

    host.edit(rotation.signed(host.env, host.slot))
    line = rotation.report(host.env, NOW)
    host.edit(rotation.Edit({}, frozenset({rotation.STATE})))
    assert not rotation.due(host.env, host.slot) and host.state() == {}
    assert {name for name in FIRST if host.env[name] == FIRST[name]} == {"SHOP_KEY_BLUE"}, "another's is left alone"
    assert [name for name in host.env if name.endswith(("_BLUE", "_GREEN"))] == ["SHOP_KEY_BLUE"]
    assert host.env["POSTGRES_PASSWORD_AT_START"] == "super", "the server's container is not started anew"
    assert set(line["secrets"]) == {*FIRST, "DATABASE_APP_LOGIN"} - {"SHOP_KEY_BLUE"}
    assert not set(host.env.values()) & set(json.dumps(line).split('"')) - {line["before_accepted_until"], ""}


def test_the_next_rotation_keeps_what_postgresql_was_started_with(rotation, host):
    for _ in range(2):
        host.begin("database")
        host.release()
        host.edit(rotation.accepted(host.env, host.slot, NOW, 60))
        host.edit(rotation.Edit({}, frozenset({rotation.STATE})))
    assert host.env["POSTGRES_PASSWORD_AT_START"] == "super"


@pytest.mark.parametrize("groups", [("database",), ("store",), ("database", "store")])
def test_without_signing_one_release_is_enough(rotation, host, groups):
    host.begin(*groups)
    host.release()
    host.edit(rotation.accepted(host.env, host.slot, NOW, 60))
    assert host.state()["step"] == "retire" and not rotation.due(host.env, host.slot)
    assert host.env["SESSION_SECRET"] == "session" and rotation.UNTIL not in host.env


def test_a_deploy_in_between_is_the_release_that_was_due(rotation, host):
    host.begin("database")
    host.release()  # somebody's deploy, after the rotation's own run was cut off
    assert not rotation.due(host.env, host.slot)
    assert rotation.idle(host.env, host.slot) == {"DATABASE_APP_LOGIN_BLUE", "DATABASE_APP_PASSWORD_BLUE"}


def test_the_time_counts_from_the_release_that_signs_and_not_from_one_that_failed(rotation, host):
    host.begin("signing")
    host.release()
    host.edit(rotation.accepted(host.env, host.slot, NOW, 60))
    later = NOW + timedelta(days=7)
    host.edit(rotation.prolonged(host.env, host.slot, later, 60))
    assert host.env["SECRETS_ALSO_UNTIL"] == "2026-12-05T05:01:00Z"
    host.release()
    assert rotation.prolonged(host.env, host.slot, later, 60).changes == {}


@pytest.mark.parametrize(
    ("groups", "until", "seconds", "refused"),
    [
        (["signing"], "2026-11-28T05:00:01Z", 60, True),
        (["signing"], "2026-11-28T05:00:00Z", 60, False),
        (["signing"], "", 60, False),
        (["signing"], "2026-11-28T05:00:01Z", 0, False),
        (["database"], "2026-11-28T05:00:01Z", 60, False),
    ],
)
def test_a_third_signing_secret_waits_for_the_first_ones_end(rotation, groups, until, seconds, refused):
    env = {rotation.UNTIL: until}
    if refused:
        with pytest.raises(rotation.Refused, match="2026-11-28 05:00:01 UTC"):
            rotation.refuse_third(env, groups, NOW, seconds)
    else:
        rotation.refuse_third(env, groups, NOW, seconds)


@pytest.mark.parametrize(
    ("only", "groups"),
    [("", ["database", "store", "signing"]), ("store", ["store"]), ("signing, database", ["database", "signing"])],
)
def test_the_groups_that_a_person_names(rotation, only, groups):
    assert rotation.wanted(only) == groups


def test_a_group_that_there_is_not_is_refused(rotation):
    with pytest.raises(rotation.Refused, match="there is no group keys"):
        rotation.wanted("keys,store")


@pytest.mark.parametrize(
    ("groups", "passed", "left"), [(["store"], 100, 200), (["store"], 400, 0), (["signing"], 0, 0)]
)
def test_the_old_key_lives_as_long_as_what_it_signed(rotation, groups, passed, left):
    state = {"groups": groups, "step": "retire", "replaced": NOW.timestamp()}
    env = {rotation.STATE: json.dumps(state)}
    assert rotation.wait(env, NOW + timedelta(seconds=passed), 300) == left


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("${A:?say so}", "${A_BLUE-${A:?say so}}"),
        ("u:${A:-}@h/${B:?x}", "u:${A_BLUE-${A:-}}@h/${B_BLUE-${B:?x}}"),
        ("$${A:?x}", "$${A:?x}"),
        ("plain", "plain"),
    ],
)
def test_a_slots_own_value_comes_first(compose, text, kept):
    assert compose._kept({"N": text}, "blue") == {"N": kept}
    assert compose._kept({"N": text}, "") == {"N": text}
