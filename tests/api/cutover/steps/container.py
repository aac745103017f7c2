"""Stands in for `docker compose run`, which needs an engine: the same command line, the real command, no container.

`python container.py VARIABLES.json … [--volume HOST:/cutover] … setup-blue WORDS`
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main() -> None:
    variables, *given = sys.argv[1:]
    service = next(at for at, word in enumerate(given) if word.startswith("setup-"))
    folder = next((word.partition(":/cutover")[0] for word in given[:service] if word.endswith(":/cutover")), "")
    command, *words = [folder if word == "/cutover" else word for word in given[service + 1 :]]
    os.environ.clear()
    os.environ.update(json.loads(Path(variables).read_text()))
    os.chdir(Path(__file__).parents[4])
    if command != "moorage":
        os.execvp(command, [command, *words])
    sys.path.insert(0, str(Path.cwd()))
    from webapp import cli

    sys.argv = ["moorage", *words]
    cli.main()


if __name__ == "__main__":
    main()
