"""Options that commands of several rooms take."""

from __future__ import annotations

import click

tenant_option = click.option("--tenant", type=click.UUID, required=True, help="The tenant's id.")
