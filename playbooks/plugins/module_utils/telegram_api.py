"""Posts one message to a Telegram bot's chat, with patience for the network and none for refusals."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

TRIES = 3
SECONDS = 10
# Telegram names how long to wait when it is asked too often; a release does not wait longer than this.
LONGEST_WAIT = 10
# Telegram takes 4096 UTF-16 units; most of what we write is one unit a character, some are two.
LONGEST_TEXT = 4000
# As the bot father hands them out. Also keeps out what would break the path.
TOKEN = re.compile(r"[0-9]{3,20}:[A-Za-z0-9_-]{20,100}")


class NotSent(Exception):
    """The note did not get through; the text says why and what to do, and never holds the token."""


class Reply(NamedTuple):
    """What Telegram said."""

    status: int
    description: str
    retry_after: int


def shortened(text: str) -> str:
    """A text that Telegram takes. Pure."""
    while len(text.encode("utf-16-le")) // 2 > LONGEST_TEXT:
        text = text[: len(text) - max(1, len(text) // 20)].removesuffix("…") + "…"
    return text


def advice(reply: Reply) -> str:
    """What a refusal means, for a person. Pure."""
    meaning = {
        400: "Check deploy_telegram_chat: the bot must have been written to, or be a member of the group.",
        401: "The token is not (or no longer) valid: put another with `make secret NAME=TELEGRAM_BOT_TOKEN`.",
        403: "The bot was blocked or put out of the chat: add it again.",
        404: "The token is not (or no longer) valid: put another with `make secret NAME=TELEGRAM_BOT_TOKEN`.",
        429: f"It is asked too often, and wants us to wait for {reply.retry_after} s.",
    }.get(reply.status, "")
    return f"Telegram says {reply.status}: {reply.description}. {meaning}".strip()


def pause_after(reply: Reply | None, tried: int) -> float | None:
    """Seconds to wait before the next try, or None to give up. Pure.

    Args:
        reply: None where there was no answer at all.
        tried: how often it has been tried.
    """
    if tried >= TRIES:
        return None
    if reply is not None and reply.status == 429:
        return reply.retry_after if reply.retry_after <= LONGEST_WAIT else None
    return float(tried) if reply is None or reply.status >= 500 else None


def post(api: str, token: str, chat: str, text: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Send plain text to a chat. An answer that is lost on its way back is asked for again, so a note may come twice.

    Args:
        api: scheme, host and port of the Bot API.

    Raises:
        NotSent: after three tries, or at once where trying again would not help.
    """
    if not TOKEN.fullmatch(token):
        raise NotSent(
            "The token in .env does not look like a bot's (digits, a colon, letters): put the one that @BotFather "
            "gave you with `make secret NAME=TELEGRAM_BOT_TOKEN`."
        )
    message = {"chat_id": chat, "text": shortened(text), "link_preview_options": {"is_disabled": True}}
    tried = 0
    while True:
        tried += 1
        reply = None
        try:
            reply = _ask(api, f"/bot{token}/sendMessage", message)
            why = advice(reply)
        except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: no such address can be
            why = f"{urlsplit(api).netloc} does not answer: {type(error).__name__}: {error}".replace(token, "***")
        if reply is not None and reply.status == 200:
            return
        pause = pause_after(reply, tried)
        if pause is None:
            raise NotSent(f"{why} (tried {tried} of {TRIES} times)")
        sleep(pause)


def _ask(api: str, path: str, message: dict[str, Any]) -> Reply:
    parts = urlsplit(api)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(parts.netloc, timeout=SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=SECONDS)
    try:
        connection.request("POST", path, json.dumps(message), {"Content-Type": "application/json"})
        response = connection.getresponse()
        body = response.read(65536)
    finally:
        connection.close()
    try:
        answer = json.loads(body)
        wait = int(answer.get("parameters", {}).get("retry_after", 0))
        return Reply(response.status, str(answer.get("description", "")), wait)
    except (ValueError, AttributeError, TypeError):  # a proxy's page, not Telegram's answer
        return Reply(response.status, "no JSON", 0)
