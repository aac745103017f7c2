"""The lab's command line: `python -m tests.lab up --name demo`."""

import argparse
import json
import os
import sys
from collections.abc import Callable

from tests.lab import engine as engines
from tests.lab.errors import LabError
from tests.lab.lab import MAIN_HOST, Lab, remove
from tests.lab.network import NUMBERS, Plan
from tests.lab.progress import say


def up(arguments: argparse.Namespace) -> int:
    """Bring the lab up, or make sure that it is."""
    hosts = dict(pair.split("=", 1) for pair in arguments.host) or {MAIN_HOST: "debian13"}
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
    """Remove every trace of the lab."""
    remove(engines.find(), Plan(arguments.name))
    return 0


def ssh(arguments: argparse.Namespace) -> int:
    """Become ssh to a host of the lab."""
    lab = Lab.open(arguments.name)
    host = lab.host(arguments.host)
    command = host.ssh_arguments(arguments.user) + arguments.command
    os.execvp(command[0], command)


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
    common.add_argument("--name", choices=sorted(NUMBERS), default="demo", help="which lab (default: demo)")

    def command(function: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        sub = commands.add_parser(function.__name__, help=function.__doc__, parents=[common])
        sub.set_defaults(run=function)
        return sub

    command(up).add_argument("--host", action="append", default=[], metavar="NAME=IMAGE", help="vps=debian13")
    command(push).add_argument("--tag", default="", help="the version (default: a hash of the content)")
    command(down)
    command(status)
    shell = command(ssh)
    shell.add_argument("--user", default="root")
    shell.add_argument("host")
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
