"""`moorage-agent run`: puts the agent together, and ends it within two seconds of SIGTERM."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path

from agent import VERSION
from agent.config import read
from agent.control_plane import ControlPlane
from agent.desk import Desk
from agent.executors.registry import Registry, may_run_again
from agent.failures import Failure
from agent.files import lock, private_folder
from agent.identity import Credentials, load
from agent.journal import FILE as JOURNAL
from agent.journal import Journal
from agent.pace import Backoff, Pace, ServerClock
from agent.runtime import Agent
from agent.vault import Vault
from agent.wire import Tls

log = logging.getLogger("agent")

LOCK = "running.lock"
# SIGTERM ends within 2 s: a second for what runs, half a second for the connection to be closed properly.
GRACE_SECONDS = 1.0
CLOSE_SECONDS = 0.5


def assemble(
    folder: Path, config: Path | None, pace: Pace, *, transport: str = "auto", backoff: Backoff | None = None
) -> Agent:
    """An agent that is ready to run. Failure NOT_PAIRED, CONFIG, JOURNAL, KEY_STORE."""
    credentials = Credentials(folder, load(folder))
    identity = credentials.identity
    clock = ServerClock(pace)
    tls = Tls(Path(identity.ca_file) if identity.ca_file else None)
    plane = ControlPlane(identity.server, token=credentials.token, tls=tls, clock=clock)
    settings = read(config)
    vault = Vault(plane, identity.agent_id, credentials.private_key, settings.secret_keys)
    journal = Journal(folder / JOURNAL)
    interrupted = journal.recover(may_run_again)
    if interrupted:
        log.warning("Commands were interrupted when the agent last stopped", extra={"commands": interrupted})
    desk = Desk(journal, Registry(settings, pace, vault.open_for).execute, clock, pace)
    return Agent(
        credentials, plane, desk, journal=journal, clock=clock, pace=pace, transport=transport, backoff=backoff
    )


def run(folder: Path, config: Path | None, transport: str) -> int:
    """Until SIGTERM or SIGINT: 0. Raises Failure (Stopped where the server ended it). The process ends here: threads
    that still wait for some server are not waited for."""
    private_folder(folder)
    held = lock(folder / LOCK)
    if held is None:
        raise Failure("ALREADY_RUNNING", f"Another agent runs with {folder}. Two would share one identity; to run a"
                      " second agent on this machine, pair it with another --state-dir.")
    pace, asked = Pace(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    agent = assemble(folder, config, pace, transport=transport)
    ended: list[BaseException] = []

    def work() -> None:
        try:
            agent.run()
        except BaseException as error:
            ended.append(error)
        finally:
            asked.set()

    log.info("The agent starts", extra={"version": VERSION})
    worker = threading.Thread(target=work, name="agent", daemon=True)
    worker.start()
    asked.wait()
    if not ended:
        agent.stop(GRACE_SECONDS)
        worker.join(CLOSE_SECONDS)
    if ended and not pace.stopped:
        held.close()
        raise ended[0]
    log.info("The agent stops")
    return 0


def end(code: int) -> None:
    """Ends the process now. What is on disk is whole at every moment, so there is nothing to wait for."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
