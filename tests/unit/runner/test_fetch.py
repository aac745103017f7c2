"""The whole sequence against a real HTTP server that can misbehave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.failures import Failure
from tests.unit.agent.serving import Reply, refusal
from tests.unit.runner.conftest import Hasty
from tests.unit.runner.depot import Depot

STEPS = ["/vm/register", "/license/lease", "/artifacts/resolve-download", "/artifacts/report-download"]
Get = Callable[..., dict[str, Any]]


def leftovers(output: Path) -> list[str]:
    return sorted(path.name for path in output.parent.iterdir() if path != output)


def test_the_whole_sequence_in_its_order(depot: Depot, get: Get, output: Path) -> None:
    done = get(user_id="u1")
    assert output.read_bytes() == depot.content and leftovers(output) == []
    assert depot.calls == STEPS
    assert depot.bodies["/license/lease"][0]["user_id"] == "u1"
    assert depot.reports == [{"resolution_id": "resolution-1", "lease_token": "lease-token-1", "outcome": "verified",
                              "bytes": len(depot.content)}]  # fmt: skip
    assert (done["sha256"], done["version"], done["downloaded_bytes"]) == (depot.sha256, "1.2.3", len(depot.content))


def test_the_stores_url_gets_no_bearer(depot: Depot, get: Get) -> None:
    get()
    assert all("authorization" not in headers for headers in depot.store_calls)


def test_a_broken_download_goes_on_where_it_broke(depot: Depot, get: Get, output: Path) -> None:
    depot.store = [Reply(cut_after=1_000_000), Reply(cut_after=500_000)]
    done = get()
    assert output.read_bytes() == depot.content and done["downloaded_bytes"] == len(depot.content)
    ranges = [headers.get("range") for headers in depot.store_calls]
    assert ranges[0] is None and ranges[1:] == ["bytes=1000000-", "bytes=1500000-"]
    assert {headers.get("if-range") for headers in depot.store_calls[1:]} == {depot.etag}


def test_a_second_run_goes_on_with_what_the_first_left(depot: Depot, get: Get, output: Path) -> None:
    depot.store = [Reply(cut_after=1_000_000), Reply(302)]
    with pytest.raises(Failure, match="STORE_REFUSED"):
        get()
    assert not output.exists() and depot.reports[-1]["outcome"] == "failed"
    assert depot.reports[-1]["error"] == "STORE_REFUSED"
    done = get()
    assert done["resumed_from"] == 1_000_000 and done["downloaded_bytes"] == len(depot.content) - 1_000_000
    assert output.read_bytes() == depot.content


def test_an_object_that_changed_is_fetched_from_its_beginning(depot: Depot, get: Get, output: Path) -> None:
    depot.store = [Reply(cut_after=1_000_000), Reply(302)]
    with pytest.raises(Failure):
        get()
    depot.etag = '"another"'
    assert get()["downloaded_bytes"] == len(depot.content)
    assert output.read_bytes() == depot.content


def test_a_weak_etag_is_not_resumed(depot: Depot, get: Get, output: Path) -> None:
    depot.etag = 'W/"weak"'
    depot.store = [Reply(cut_after=1_000_000)]
    get()
    assert [headers.get("range") for headers in depot.store_calls] == [None, None]
    assert output.read_bytes() == depot.content


def test_a_part_of_another_release_is_thrown_away(depot: Depot, get: Get, output: Path) -> None:
    output.with_name("artifact.bin.part").write_bytes(b"x" * 5000)
    output.with_name("artifact.bin.part.json").write_text('{"sha256": "other", "size": 9, "etag": "\\"e\\""}')
    assert get()["resumed_from"] == 0
    assert output.read_bytes() == depot.content and leftovers(output) == []


def test_an_expired_url_is_resolved_anew_and_the_download_goes_on(depot: Depot, get: Get, output: Path) -> None:
    depot.store, depot.url_uses = [Reply(cut_after=1_000_000)], 1
    get()
    assert output.read_bytes() == depot.content
    assert depot.calls.count("/artifacts/resolve-download") == 2
    assert depot.reports[-1]["resolution_id"] == f"resolution-{depot.made['url']}"


def test_urls_that_are_refused_again_and_again_end_it(depot: Depot, get: Get) -> None:
    depot.store = [Reply(403)] * 9
    with pytest.raises(Failure, match="URL_REFUSED"):
        get()
    assert depot.calls.count("/artifacts/resolve-download") == 4


def test_a_mismatch_deletes_the_file_and_is_reported(depot: Depot, get: Get, output: Path) -> None:
    depot.sha256 = "0" * 64
    with pytest.raises(Failure, match="SHA256_MISMATCH") as caught:
        get()
    assert caught.value.exit_code == 3 and not output.exists() and leftovers(output) == []
    assert depot.reports[-1]["outcome"] == "mismatch" and depot.reports[-1]["error"] == "SHA256_MISMATCH"


def test_more_bytes_than_the_release_has_are_a_mismatch(depot: Depot, get: Get, output: Path) -> None:
    depot.store = [Reply(200, depot.content + b"!", {"ETag": '"e"'})]
    with pytest.raises(Failure, match="OBJECT_TOO_LARGE"):
        get()
    assert leftovers(output) == [] and not output.exists() and depot.reports[-1]["outcome"] == "mismatch"


def test_what_stands_there_verified_is_not_fetched_again(depot: Depot, get: Get, output: Path) -> None:
    output.write_bytes(depot.content)
    assert get()["already_there"] is True
    assert depot.store_calls == [] and depot.reports[-1]["outcome"] == "verified"


def test_an_old_file_stays_until_the_new_one_is_verified(depot: Depot, get: Get, output: Path) -> None:
    output.write_bytes(b"the version before")
    depot.sha256 = "0" * 64
    with pytest.raises(Failure, match="SHA256_MISMATCH"):
        get()
    assert output.read_bytes() == b"the version before"


def test_a_report_that_is_not_taken_is_said_and_the_file_stays(depot: Depot, get: Get, output: Path) -> None:
    depot.refuses["/artifacts/report-download"] = [refusal(409, "LEASE_INACTIVE")]
    with pytest.raises(Failure, match="REPORT_NOT_TAKEN"):
        get()
    assert output.read_bytes() == depot.content


def test_a_folder_that_cannot_be_written_is_said_before_a_server_is_asked(
    depot: Depot, get: Get, tmp_path: Path
) -> None:
    with pytest.raises(Failure, match="OUTPUT_NOT_WRITABLE"):
        get(output=tmp_path / "missing" / "file")
    with pytest.raises(Failure, match="OUTPUT_NOT_WRITABLE"):
        get(output=Path("/proc/artifact.bin"))
    assert depot.calls == []


def test_a_full_disk_is_said_and_reported(depot: Depot, get: Get, output: Path) -> None:
    """/dev/full answers every write as a full disk does."""
    output.with_name("artifact.bin.part").symlink_to("/dev/full")
    output.with_name("artifact.bin.part.json").write_text(
        f'{{"sha256": "{depot.sha256}", "size": {len(depot.content)}, "etag": null}}'
    )
    with pytest.raises(Failure, match="DISK_FULL") as caught:
        get()
    assert caught.value.exit_code == 5 and depot.reports[-1]["outcome"] == "failed"


def test_two_runners_do_not_write_one_file(depot: Depot, get: Get, output: Path) -> None:
    from agent.runner.part import Part

    part = Part(output)
    with pytest.raises(Failure, match="OUTPUT_IN_USE"):
        get()
    part.release()
    get()


@pytest.mark.parametrize("skew", [-600, 600])
def test_ten_minutes_of_clock_skew_change_nothing(depot: Depot, get: Get, pace: Hasty, skew: float) -> None:
    depot.server.skew = skew
    get()
    assert depot.calls.count("/license/lease") == 1 and depot.calls.count("/artifacts/resolve-download") == 1
