"""`python -m tests.api.serving.practice api|sockets`: the process as `moorage serve` runs it, with rooms to try things.

`/ws/practice` gives back what it is sent, and does what some words ask for; `/ws/bare` is the same on flask-sock as it
comes; `/ws/refused` admits nobody; `/ws/both-ways` pours and is poured at. `/practice` takes a moment to
answer, and says how often it has.
"""

from __future__ import annotations

import sys

if sys.argv[1] == "sockets":
    from gevent import monkey

    monkey.patch_all()

import itertools
import threading
import time

from flask import Blueprint, Flask, request
from flask_sock import Sock

from tests.api.serving import pouring
from webapp import create_app
from webapp.errors import TokenInvalid
from webapp.responses import success
from webapp.serving import channel, http, wire
from webapp.serving.channel import Channel
from webapp.settings import Settings

SENDERS, EACH = 4, 50
LARGE = 8 * 1024 * 1024

practice = Blueprint("practice", __name__)
counter = itertools.count(1)


def storm(send: object) -> None:
    """Several threads send at once, messages of a size that no socket takes in one go."""
    assert callable(send)

    def sender(number: int) -> None:
        for turn in range(EACH):
            send(f"{number}.{turn} " + str(number) * 40_000)

    threads = [threading.Thread(target=sender, args=(number,)) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@channel.route(practice, "/ws/practice", admit=lambda: request.args.get("who", "nobody"), ping_interval=1.0)
def echo(socket: Channel, who: str) -> None:
    for message in socket:
        match message:
            case "storm":
                storm(socket.send)
            case "large":
                socket.send(bytes(LARGE))
            case "who":
                socket.send(who)
            case "wait":
                socket.send(str(socket.receive(0.2)))
            case "break":
                raise RuntimeError("a bug in a handler")
            case "leave":
                return
            case "slow":
                time.sleep(1)
            case _:
                socket.send(message)


@channel.route(practice, "/ws/both-ways", admit=lambda: None, max_message_size=pouring.LIMIT, ping_interval=1.0)
def both_ways(socket: Channel, _: None) -> None:
    """Pours while it is poured at, then says what arrived."""
    threads = pouring.pour(socket.send)
    tally = pouring.Tally()
    while not tally.complete:
        message = socket.receive()
        assert isinstance(message, str)
        tally.take(message)
    for thread in threads:
        thread.join()
    socket.send(f"whole {tally.whole} of {tally.taken}")


def nobody() -> None:
    raise TokenInvalid


@channel.route(practice, "/ws/refused", admit=nobody)
def refused(socket: Channel, _: None) -> None:
    raise AssertionError("admit has refused")


@practice.route("/practice", methods=["GET", "POST"])
def slow() -> object:
    time.sleep(float(request.args.get("seconds", "0.02")))
    return success({"served": next(counter), "given": request.get_data(as_text=True)})


def with_practice(settings: Settings | None = None) -> Flask:
    app = create_app(settings)
    app.register_blueprint(practice)
    sock = Sock(app)

    @sock.route("/ws/bare")
    def bare(ws: object) -> None:
        while True:
            match ws.receive():  # type: ignore[attr-defined]
                case "storm":
                    storm(ws.send)  # type: ignore[attr-defined]
                case "large":
                    ws.send(bytes(LARGE))  # type: ignore[attr-defined]

    return app


if __name__ == "__main__":
    http.create_app = with_practice
    wire.SEND_SECONDS = 3.0  # nobody watches a test for 20 s
    if sys.argv[1] == "sockets":
        from webapp.serving import sockets as process
    else:
        from webapp.serving import api as process
    process.main(Settings.load(), "127.0.0.1")
