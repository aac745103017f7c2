"""The lab's command line: `python -m tests.lab up --name demo`."""

import argparse
import json
import os
import sys
from collections.abc import Callable

from tests.lab import engine as engines
from tests.lab.cache import drop_cache
from tests.lab.errors import LabError
from tests.lab.hosts import Host
from tests.lab.lab import MAIN_HOST, Lab, clear, remove
from tests.lab.machine import require_root
from tests.lab.network import Plan
from tests.lab.progress import say
from tests.lab.recipes import RECIPES, ensure_image


def up(arguments: argparse.Namespace) -> int:
    """Bring the lab up, or make sure that it is."""
    hosts = dict(pair.split("=", 1) for pair in arguments.host) or {MAIN_HOST: "debian13"}
    if arguments.fresh:
        clear(engines.ensure(), Plan(arguments.name))
    lab = Lab.open(arguments.name)
    facts = lab.up(hosts)
    for host in lab.hosts.values():
        say(f"{host.name} is up: {host.address}")
    print(facts)
    return 0


def push(arguments: argparse.Namespace) -> int:
    """Build the product's images, push them to the lab's registry, and print their digests (JSON)."""
    print(json.dumps(Lab.open(arguments.name).push(arguments.tag), indent=2))
    return 0


def down(arguments: argparse.Namespace) -> int:
    """Remove every trace of the lab; the cache outside this tree stays, unless told otherwise."""
    require_root()
    remove(engines.find(), Plan(arguments.name))
    if arguments.cache:
        drop_cache()
    return 0


def ssh(arguments: argparse.Namespace) -> int:
    """Become ssh to a host of the lab, as a user who can get in (root, until it is provisioned)."""
    host = _known(arguments)
    command = host.ssh_arguments(arguments.user or host.user()) + arguments.command
    os.execvp(command[0], command)


def wait(arguments: argparse.Namespace) -> int:
    """Wait until a host of the lab answers over SSH."""
    _known(arguments).wait_ready()
    return 0


def images(arguments: argparse.Namespace) -> int:
    """Build every image that the lab uses."""
    engine = engines.ensure()
    for name in RECIPES:
        print(ensure_image(engine, name))
    return 0


def _known(arguments: argparse.Namespace) -> Host:
    hosts = Lab.find(arguments.name).hosts
    if arguments.host not in hosts:
        there = ", ".join(hosts) or "none, see `up`"
        raise LabError(f"Lab {arguments.name} has no host {arguments.host!r}; there are: {there}.")
    return hosts[arguments.host]


def status(arguments: argparse.Namespace) -> int:
    """Print the lab's containers."""
    engine = engines.find()
    if engine is None:
        print("No engine answers: no lab is up.")
        return 1
    form = "table {{.Names}}\t{{.Status}}\t{{.Image}}"
    print(engine.run("ps", "-a", "--filter", f"label={Plan(arguments.name).label}", "--format", form), end="")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    root = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", default="demo", help="which lab: demo (the default), test, or one of your own")

    def command(function: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        sub = commands.add_parser(function.__name__, help=function.__doc__, parents=[common])
        sub.set_defaults(run=function)
        return sub

    bring_up = command(up)
    bring_up.add_argument("--host", action="append", default=[], metavar="NAME=IMAGE", help="vps=debian13")
    bring_up.add_argument("--fresh", action="store_true", help="throw away first what a run before left")
    command(push).add_argument("--tag", default="", help="the version (default: a hash of the content)")
    command(down).add_argument("--cache", action="store_true", help="drop images and downloaded packages too")
    command(status)
    command(images)
    command(wait).add_argument("host", nargs="?", default=MAIN_HOST)
    shell = command(ssh)
    shell.add_argument("--user")
    shell.add_argument("host", nargs="?", default=MAIN_HOST)
    shell.add_argument("command", nargs=argparse.REMAINDER)
    return root


def main() -> int:
    """Run the command and return its exit code; what goes wrong is said in one paragraph."""
    arguments = parser().parse_args()
    try:
        return int(arguments.run(arguments))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
