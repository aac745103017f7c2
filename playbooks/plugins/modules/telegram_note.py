#!/usr/bin/python
"""Sends a note to a Telegram chat, once; a note that cannot be sent never fails what it is about."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils import atomic
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.env_reader import value_of
from ansible.module_utils.telegram_api import NotSent, post

DOCUMENTATION = """
module: telegram_note
short_description: Send a note to a Telegram chat
description: >-
  Runs on the host, where the bot's token is, so that the token goes nowhere else. Without a token or a chat nothing is
  sent, and the result says that no note is configured. Tries three times when the network or Telegram is at fault; a
  note that was not sent is a warning. A key that was sent before is not sent again.
options:
  text: {type: str, required: true, description: "The note, plain text; cut where Telegram would refuse its length"}
  key: {type: str, required: true, description: What the note is about; one key is sent once}
  chat: {type: str, default: "", description: "A chat's number, or @name of a channel; empty for no note"}
  env: {type: path, default: /opt/moorage/.env, description: The host's secrets}
  secret: {type: str, default: TELEGRAM_BOT_TOKEN, description: Name of the bot's token in it}
  api: {type: str, default: "https://api.telegram.org", description: Scheme and host of the Bot API}
  memory: {type: path, default: /var/lib/moorage/notes.json, description: Remembers the last keys that were sent}
"""

REMEMBERED = 50


def sent_before(memory: Path) -> list[dict[str, str]]:
    """The notes that were sent, oldest first; a file that cannot be understood remembers nothing."""
    try:
        notes = json.loads(memory.read_text())["sent"]
        return [{"key": str(note["key"]), "at": str(note["at"])} for note in notes]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return []


def remember(memory: Path, notes: list[dict[str, str]], key: str) -> None:
    """Add a key to the last ones."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    kept = [*notes, {"key": key, "at": now}][-REMEMBERED:]
    memory.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(memory, json.dumps({"sent": kept}, indent=2) + "\n", 0o600)


def send(args: dict[str, Any], token: str, check: bool) -> dict[str, Any]:
    """Send what has not been sent; the module's result.

    Raises:
        NotSent: with the reason.
    """
    memory = Path(args["memory"])
    notes = sent_before(memory)
    if args["key"] in [note["key"] for note in notes]:
        return {"changed": False, "sent": False, "msg": "This note has been sent before."}
    if not check:
        post(args["api"], token, args["chat"], args["text"])
        remember(memory, notes, args["key"])
    return {"changed": True, "sent": not check, "msg": "The note would be sent." if check else "The note was sent."}


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "text": {"type": "str", "required": True},
            "key": {"type": "str", "required": True, "no_log": False},
            "chat": {"type": "str", "default": ""},
            "env": {"type": "path", "default": "/opt/moorage/.env"},
            "secret": {"type": "str", "default": "TELEGRAM_BOT_TOKEN", "no_log": False},
            "api": {"type": "str", "default": "https://api.telegram.org"},
            "memory": {"type": "path", "default": "/var/lib/moorage/notes.json"},
        },
        supports_check_mode=True,
    )
    args = module.params
    result: dict[str, Any] = {"changed": False, "sent": False}
    try:
        token = value_of(Path(args["env"]), args["secret"])
        if token and args["chat"]:
            result = send(args, token, module.check_mode)
        else:
            result["msg"] = f"No note is configured: there is no {args['secret'] if args['chat'] else 'chat'}."
    except NotSent as error:
        result["msg"] = f"The note was not sent. {error}"
        module.warn(result["msg"])
    except OSError as error:
        # Its text is a path's: .env cannot be read, or what was sent cannot be remembered.
        result["msg"] = f"The note may not have been sent: {error}."
        module.warn(result["msg"])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
