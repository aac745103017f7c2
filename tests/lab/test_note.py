"""A release's note reaches its chat from the host, with a token that is nowhere but there."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lab import Host, Lab
from tests.lab.fullness import full
from tests.lab.playbook import TRANSCRIPT, ansible, succeeded
from tests.telegram import Telegram


@pytest.fixture(scope="module")
def telegram(lab: Lab, site: Host) -> Iterator[Telegram]:
    """A Telegram that the host reaches, and a bot that the host knows."""
    with Telegram(lab.plan.gateway) as telegram:
        succeeded(ansible(lab, "set_secret", "-e", "name=TELEGRAM_BOT_TOKEN", SECRET_VALUE=telegram.token))
        yield telegram
        site.exec("sed", "-i", "/^TELEGRAM_BOT_TOKEN=/d", "/opt/moorage/.env")


def test_a_release_that_fails_is_told_with_its_reason(lab: Lab, site: Host, telegram: Telegram):
    given = {"deploy_telegram_chat": telegram.chat, "deploy_telegram_api": telegram.api}
    run = ansible(lab, "deploy", "-e", "image_tag=sha-nowhere", "-e", json.dumps(given))
    assert run.code != 0
    (note,) = telegram.messages
    headline, by, *_, reason, aftermath = note.splitlines()
    assert headline == "❌ moorage.test: deploy of sha-nowhere failed"
    assert by.startswith("by ") and " UTC" in by
    assert reason.startswith("reason: It failed in ") and "The tag sha-nowhere of" in reason
    assert aftermath == "what ran before serves on"
    assert telegram.token.partition(":")[2] not in "".join(TRANSCRIPT)


@full
def test_a_telegram_that_refuses_is_no_matter_for_the_release(lab: Lab, site: Host, telegram: Telegram):
    telegram.next("429:60")
    given = {"deploy_telegram_chat": telegram.chat, "deploy_telegram_api": telegram.api}
    run = ansible(lab, "deploy", "-e", "image_tag=sha-nowhere", "-e", json.dumps(given))
    assert "The note was not sent. Telegram says 429" in run.words
    assert "The tag sha-nowhere of" in run.words and "was not touched" in run.words
