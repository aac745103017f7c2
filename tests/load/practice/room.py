"""A room to aim a load at: a POST that leaves a row each time it runs, and a socket that echoes."""

from __future__ import annotations

import os
import socket

from flask import Blueprint, Response, request
from sqlalchemy import text

from webapp.db import transaction
from webapp.responses import success
from webapp.serving import channel
from webapp.serving.channel import Channel

practice = Blueprint("practice", __name__)

# The container's name: which of the slots answered.
SLOT = os.environ.get("HOSTNAME", socket.gethostname())
_INSERT = text("INSERT INTO practice_posts (id, slot) VALUES (:id, :slot)")


@practice.post("/api/v1/practice/posts")
def post() -> Response:
    post_id = str(request.get_json()["id"])
    with transaction() as session:
        session.execute(_INSERT, {"id": post_id, "slot": SLOT})
    return success({"id": post_id, "slot": SLOT}, status=201)


@channel.route(practice, "/ws/v1/practice", admit=lambda: None)
def echo(line: Channel, _guest: None) -> None:
    for message in line:
        line.send(message)
