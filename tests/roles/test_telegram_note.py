"""A release's note: sent once, never in the way of the release, and the bot's token is nobody's to read."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.running import run_module
from tests.telegram import Telegram

DIGEST = {name: f"ghcr.io/x/{name}@sha256:" for name in ("controlplane", "frontend")}
ENTRY = {
    "number": 12,
    "kind": "deploy",
    "at": "2026-11-21T04:30:00Z",
    "by": "ann",
    "tag": "sha-2",
    "from": {"number": 11, "tag": "sha-1"},
    "seconds": 14.24,
    "drain": 3.0,
    "requests": {"answered": 7312, "failed": 0},
    "verdict": "success",
    "rollback": {"to": 11, "tag": "sha-1", "allowed": True, "why": ""},
    "units": {
        "controlplane": {
            "from": DIGEST["controlplane"] + "a" * 64,
            "to": DIGEST["controlplane"] + "b" * 64,
            "slot": "green",
            "tag": "sha-2",
        },
        "frontend": {"from": "", "to": DIGEST["frontend"] + "c" * 64, "slot": "blue", "tag": "sha-2"},
    },
}


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    with Telegram() as double:
        yield double


@pytest.fixture(scope="module")
def api(plugin):
    return plugin("module_utils", "telegram_api")


@pytest.fixture
def send(telegram, tmp_path):
    """Runs the module against the double; whatever comes of it, the token is not in what it printed."""
    env = tmp_path / ".env"
    env.write_text(f"A='1'\nTELEGRAM_BOT_TOKEN='{telegram.token}'\n")
    given = {"env": str(env), "memory": str(tmp_path / "state" / "notes.json"), "api": telegram.api}

    def run(**args):
        outcome = run_module(
            "telegram_note", **{"text": "hello", "key": "release 1", "chat": telegram.chat, **given, **args}
        )
        for secret in (telegram.token, telegram.token.partition(":")[2], "canary"):
            assert secret not in outcome.said
        assert not outcome.result.get("failed"), "a note never fails the play"
        return outcome.result

    return run


def test_a_note_is_sent_once(send, telegram, tmp_path):
    first, second = send(), send()
    assert first["changed"] and first["sent"]
    assert not second["changed"] and not second["sent"] and "sent before" in second["msg"]
    assert telegram.messages == ["hello"]
    assert send(key="release 2")["sent"]
    memory = tmp_path / "state" / "notes.json"
    assert [note["key"] for note in json.loads(memory.read_text())["sent"]] == ["release 1", "release 2"]
    assert memory.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"sent": [1]}'])
def test_a_damaged_memory_forgets_and_a_long_one_keeps_the_last(send, telegram, tmp_path, damaged):
    memory = tmp_path / "state" / "notes.json"
    memory.parent.mkdir()
    memory.write_text(damaged)
    assert send()["sent"]
    memory.write_text(json.dumps({"sent": [{"key": f"k{n}", "at": ""} for n in range(60)]}))
    assert send()["sent"]
    kept = json.loads(memory.read_text())["sent"]
    assert len(kept) == 50 and kept[-1]["key"] == "release 1"


def test_check_mode_says_so_and_sends_nothing(send, telegram, tmp_path):
    result = send(check=True)
    assert result["changed"] and not result["sent"]
    assert telegram.requests == 0 and not (tmp_path / "state").exists()


@pytest.mark.parametrize("missing", ["chat", "token", "file"])
def test_without_token_or_chat_it_says_in_silence_that_no_note_is_configured(send, telegram, tmp_path, missing):
    if missing == "token":
        (tmp_path / ".env").write_text("TELEGRAM_BOT_TOKEN=''\n")
    if missing == "file":
        (tmp_path / ".env").unlink()
    result = send(**({"chat": ""} if missing == "chat" else {}))
    assert not result["changed"] and "No note is configured" in result["msg"]
    assert "warnings" not in result and telegram.requests == 0


@pytest.mark.parametrize(
    ("failures", "waits"),
    [
        (["500"], [1.0]),
        (["drop", "page"], [1.0, 2.0]),
        (["429:7"], [7]),
        (["500", "429:0"], [1.0, 0]),
    ],
)
def test_what_passes_is_tried_again(api, telegram, failures, waits):
    telegram.next(*failures)
    waited: list[float] = []
    api.post(telegram.api, telegram.token, telegram.chat, "hello", sleep=waited.append)
    assert telegram.messages == ["hello"] and waited == waits


@pytest.mark.parametrize(
    ("failures", "waits", "said"),
    [
        (["500", "500", "500"], [1.0, 2.0], "Telegram says 500: Internal Server Error"),
        (["drop", "drop", "drop"], [1.0, 2.0], "does not answer: RemoteDisconnected"),
        (["page", "page", "page"], [1.0, 2.0], "Telegram says 502: no JSON"),
        (["429:60"], [], "wants us to wait for 60 s"),
    ],
)
def test_what_does_not_pass_is_given_up(api, telegram, failures, waits, said):
    telegram.next(*failures)
    waited: list[float] = []
    with pytest.raises(api.NotSent, match=said) as caught:
        api.post(telegram.api, telegram.token, telegram.chat, "hello", sleep=waited.append)
    assert waited == waits and telegram.token not in str(caught.value)


def test_a_note_that_was_not_sent_is_a_warning_and_is_sent_by_the_next_run(send, telegram):
    telegram.next("500", "drop", "429:60")
    result = send()
    assert not result["changed"] and result["msg"].startswith("The note was not sent. Telegram says 429")
    assert result["msg"] in json.dumps(result["warnings"])
    assert send()["sent"] and telegram.messages == ["hello"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"chat": "-999"}, "400: Bad Request: chat not found. Check deploy_telegram_chat"),
        ({"chat": "-1403"}, "403: Forbidden: bot was kicked from the supergroup chat. The bot was blocked"),
        ({"text": "  "}, "400: Bad Request: message text is empty"),
    ],
)
def test_a_refusal_is_not_repeated_and_says_what_to_do(send, telegram, args, said):
    result = send(**args)
    assert said in result["msg"] and result["warnings"]
    assert telegram.requests == 1


@pytest.mark.parametrize(
    ("token", "said", "requests"),
    [
        ("654321:another-canary-BBBBBBBBBBBBBBBBBBBBBB", "401: Unauthorized. The token is not", 1),
        ("canary with blanks", "does not look like a bot's", 0),
        ("123456:canary/../../x?y=AAAAAAAAAAAAAAAAAAAA", "does not look like a bot's", 0),
    ],
)
def test_a_wrong_token_is_named_by_its_name_alone(send, telegram, tmp_path, token, said, requests):
    (tmp_path / ".env").write_text(f"TELEGRAM_BOT_TOKEN='{token}'\n")
    result = send()
    assert said in result["msg"] and "make secret NAME=TELEGRAM_BOT_TOKEN" in result["msg"]
    assert telegram.requests == requests


def test_nobody_listening_is_a_warning_within_seconds(send):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    begun = time.monotonic()
    result = send(api=f"http://127.0.0.1:{port}")
    assert "does not answer: ConnectionRefusedError" in result["msg"] and "tried 3 of 3" in result["msg"]
    assert time.monotonic() - begun < 8


def test_a_memory_that_cannot_be_written_is_a_warning(send, telegram, tmp_path):
    (tmp_path / "file").write_text("")
    result = send(memory=str(tmp_path / "file" / "notes.json"))
    assert result["warnings"] and telegram.messages in ([], ["hello"])


def test_a_long_text_is_cut_and_nothing_in_it_is_markup(send, telegram):
    text = "<b>& 𝄞 " * 2000
    assert send(text=text)["sent"]
    assert telegram.messages[0].startswith("<b>& 𝄞 ") and telegram.messages[0].endswith("…")


@pytest.mark.parametrize("value", ["plain", "it's", 'say "x"', "a\\b", "$HOME", "'", "a#b", " inner  blanks "])
def test_what_env_file_writes_is_read_back(plugin, tmp_path, value):
    path = tmp_path / ".env"
    path.write_text("# a comment\nOTHER='1'\n")
    run_module("env_file", path=str(path), name="TOKEN", value=value)
    assert plugin("module_utils", "env_reader").value_of(path, "TOKEN") == value


@pytest.fixture(scope="module")
def note(plugin):
    return plugin("filter", "note")


def test_the_note_of_a_deploy(note):
    assert note.release_note(ENTRY, "example.com").splitlines() == [
        "✅ example.com: deploy of sha-2 is done",
        "by ann, 2026-11-21 04:30 UTC, release 12, 14.2 s",
        "sha-1 (release 11) → sha-2",
        "controlplane: aaaaaaaaaaaa → bbbbbbbbbbbb",
        "frontend: - → cccccccccccc",
        "requests: 7312 answered, 0 failed",
    ]


def test_the_note_of_a_rollback_that_failed(note):
    entry = {**ENTRY, "kind": "rollback", "tag": "sha-1", "verdict": "failed", "reason": "Not well:\n  " + "x" * 400}
    lines = note.release_note(entry, "example.com").splitlines()
    assert lines[0] == "❌ example.com: rollback to sha-1 failed"
    assert lines[-2:] == ["reason: Not well: " + "x" * 290 + "…", "what ran before serves on"]


def test_a_failure_that_could_not_be_undone_asks_for_a_person(note):
    entry = {**ENTRY, "verdict": "failed", "reason": "r", "not_undone": ["stop the new slot: no engine"]}
    assert note.release_note(entry, "example.com").endswith("NOT undone, do it by hand: stop the new slot: no engine")


def test_the_note_of_little_that_is_known(note):
    entry = {"kind": "deploy", "at": "yesterday", "by": "", "tag": "", "verdict": "interrupted", "units": {}}
    assert note.release_note(entry, "x.test").splitlines() == [
        "⚠️ x.test: deploy of a changed configuration was interrupted",
        "by somebody, yesterday",
    ]


def test_a_log_that_could_not_be_read_is_not_told_as_no_failures(note):
    text = note.release_note({**ENTRY, "requests": {"unknown": "Permission denied"}}, "x.test")
    assert text.splitlines()[-1] == "requests: not known, the proxy's log could not be read"


def test_a_new_configuration_of_the_same_image_is_told_as_such(note):
    same = {**ENTRY["units"]["controlplane"], "from": ENTRY["units"]["controlplane"]["to"]}
    text = note.release_note({**ENTRY, "units": {"controlplane": same}}, "x.test")
    assert "controlplane: bbbbbbbbbbbb, another configuration" in text
