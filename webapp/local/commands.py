"""`moorage up` and `moorage dev`."""

from __future__ import annotations

import click

from webapp.local import dev as beside
from webapp.local.supervisor import Supervisor
from webapp.settings import LOCAL_STATE, chosen_port

port_option = click.option("--port", type=click.IntRange(1, 65535), help="Where to answer.  [default: PORT, or 8000]")


@click.command()
@port_option
def up(port: int | None) -> None:
    """Run the control plane here, with a PostgreSQL and an S3 server of its own, until Ctrl-C."""
    Supervisor(LOCAL_STATE, port or chosen_port(), click.echo).run()


@click.command()
@port_option
def dev(port: int | None) -> None:
    """Like `up`, started anew whenever the code changes, with the example frontend beside it."""
    Supervisor(LOCAL_STATE, port or chosen_port(), click.echo, forgiving=True).run(beside=beside.beside)
