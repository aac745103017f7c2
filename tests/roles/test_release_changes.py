"""Numbers, the way back, and what a rollback goes to."""

from __future__ import annotations

import pytest

D = {"services": {"shop": {}}, "jobs": {}}


@pytest.fixture
def changes_of(plugin):
    return plugin("module_utils", "release_changes")


def image(tag: str) -> str:
    return f"r/shop@sha256:{tag * 64}"


def record(number: int, tag: str) -> dict:
    units = {"shop": {"image": image(tag), "tag": tag, "definition": D}}
    return {"number": number, "tag": tag, "units": units, "schema": {"head": "0001"}}


class Host:
    """release.json and the records of a host that deploys and rolls back."""

    def __init__(self, module):
        self.module, self.release, self.records = module, {"units": {}}, {}

    def seal(self, after, tag):
        self.release = {**after, "entry": {"tag": tag}}
        self.records.setdefault(after["number"], record(after["number"], tag))

    def deploy(self, tag):
        new = self.module.change("shop", self.release, image(tag), tag, D)
        self.seal(self.module.forward(self.release, {"shop": new}, tag)[1], tag)
        return self

    def rollback(self, tag=""):
        goal = self.module.target(self.release, self.records, tag)
        new = self.module.change("shop", self.release, goal["units"]["shop"]["image"], goal["tag"], D)
        self.seal(self.module.backward(self.release, {"shop": new}, goal["number"], goal["tag"])[1], goal["tag"])
        return self

    @property
    def runs(self):
        state = self.release["units"]["shop"]
        return state["tags"][state["active"]]


def test_a_rollback_goes_to_the_last_good_release(changes_of):
    host = Host(changes_of).deploy("a").deploy("b").rollback()
    assert host.runs == "a"
    assert (host.release["number"], host.release["rolled_back_from"], host.release["before"]) == (1, 2, [])


def test_what_was_rolled_back_from_is_no_way_back_from_what_comes_next(changes_of):
    host = Host(changes_of).deploy("a").deploy("b").rollback().deploy("c")
    assert host.release["number"] == 3 and "rolled_back_from" not in host.release
    assert host.rollback().runs == "a"


def test_a_tag_names_any_kept_release_also_one_that_was_rolled_back_from(changes_of):
    host = Host(changes_of).deploy("a").deploy("b").deploy("c")
    assert host.rollback("a").runs == "a"
    assert host.rollback("c").runs == "c"


def test_a_tag_that_is_not_kept_is_the_registrys(changes_of):
    host = Host(changes_of).deploy("a")
    assert changes_of.target(host.release, host.records, "z") is None


def test_a_record_that_was_never_sealed_is_not_gone_to(changes_of):
    host = Host(changes_of).deploy("a")
    host.records[2] = record(2, "cut-off")
    assert changes_of.target(host.release, host.records, "cut-off") is None


def test_where_there_is_no_earlier_release_it_says_so(changes_of):
    host = Host(changes_of).deploy("a")
    with pytest.raises(changes_of.NoWayBack, match="no earlier good release"):
        host.rollback()


def test_a_rollback_to_what_was_not_kept_is_a_release_of_its_own(changes_of):
    host = Host(changes_of).deploy("a").deploy("b")
    new = changes_of.change("shop", host.release, image("z"), "z", D)
    _, after = changes_of.backward(host.release, {"shop": new}, None, "z")
    assert (after["number"], after["last"], after["rolled_back_from"]) == (3, 3, 2)


def test_a_rollback_leaves_units_alone_that_the_release_did_not_know(plugin, changes_of):
    host = Host(changes_of).deploy("a").deploy("b")
    host.release["units"]["later"] = {"active": "blue", "images": {"blue": "r/l@x"}, "tags": {"blue": "b"}}
    planner = plugin("modules", "rollback_plan")
    assert set(planner.to_record(host.release, host.records[1], ["shop", "later"])) == {"shop"}
    assert planner.to_record(host.release, host.records[1], ["later"]) == {}, (
        "one that is no longer declared stays away"
    )


def test_a_tag_means_the_release_of_that_name_also_where_a_unit_kept_an_image_of_it(changes_of):
    host = Host(changes_of).deploy("a").deploy("b")
    # The second release left one unit as it was: it still carries the tag of the first.
    host.records[2]["units"]["page"] = {"image": "r/page@1", "tag": "a", "definition": D}
    assert changes_of.target(host.release, host.records, "a")["number"] == 1


@pytest.mark.parametrize(
    ("slots", "said"),
    [({"shop": "blue"}, {}), ({"shop": "green"}, {"shop": "green"}), ({"gone": "green"}, {}), ({}, {})],
)
def test_requests_that_go_to_a_slot_that_was_never_sealed_are_noticed(changes_of, slots, said):
    host = Host(changes_of).deploy("a")
    assert changes_of.astray(slots, host.release) == said


def test_the_slot_of_a_unit_that_is_no_longer_declared_is_of_nobodys_concern(plugin, tmp_path):
    planner = plugin("modules", "rollback_plan")
    with pytest.raises(FileNotFoundError):
        planner.slots_of(tmp_path, ["shop"])
    folder = tmp_path / "caddy/conf/slots"
    folder.mkdir(parents=True)
    for name in ("shop", "gone", ".half-written"):
        (folder / name).write_text("green")
    assert planner.slots_of(tmp_path, ["shop", "new"]) == {"shop": "green"}


@pytest.mark.parametrize(
    ("stray", "runs", "to", "goes_on"),
    [
        ({"shop": "green"}, image("a"), "a", True),
        ({"shop": "green"}, image("c"), "a", False),
        ({"shop": "green"}, image("b"), "b", False),
        ({}, image("a"), "a", False),
        ({"page": "green"}, image("a"), "a", False),
    ],
)
def test_a_rollback_that_was_cut_off_is_gone_on_with_and_a_deploy_is_not(changes_of, stray, runs, to, goes_on):
    new = {"from": image("b"), "to": image(to), "definition": D}
    assert changes_of.begun(stray, dict.fromkeys(stray, runs), {"shop": new}) is goes_on
