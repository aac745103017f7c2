"""The worker: runs jobs until SIGTERM, through outages of the database, and beats while its loop turns."""

from __future__ import annotations

import asyncio
import logging
import signal

from procrastinate.exceptions import ConnectorException
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from webapp.jobs.app import opened
from webapp.logs import configure_logs, log_the_uncaught
from webapp.serving.running import BEAT_SECONDS, Running
from webapp.settings import Settings

log = logging.getLogger("moorage.worker")

# As long as the HTTP processes have; a job that is not done by then is given to another worker.
GRACE_SECONDS = 25
RETRY_SECONDS = 3
# One agent's long job must not hold up every other; jobs mostly wait for the network.
CONCURRENCY = 4


def main(settings: Settings) -> None:
    configure_logs(settings.log_level)
    log_the_uncaught()
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    beat = asyncio.create_task(_beat(settings))
    log.info("worker started")
    while not stop.is_set():
        try:
            await _work(settings, stop)
            log.log(logging.INFO if stop.is_set() else logging.WARNING, "the worker's loop ended")
        except (ConnectorException, OperationalError, PoolTimeout) as error:
            log.warning("the database does not answer: trying again", extra={"reason": str(error).strip()})
        # Whatever ended it: without a pause, a lasting fault would turn this into a busy loop.
        await _either(stop, RETRY_SECONDS)
    beat.cancel()
    log.info("worker stopped")


async def _work(settings: Settings, stop: asyncio.Event) -> None:
    """Run jobs until `stop`; a cancelled worker finishes what it runs. Raises where the database goes away."""
    async with opened(settings) as app:
        worker = asyncio.create_task(
            app.run_worker_async(
                concurrency=CONCURRENCY,
                install_signal_handlers=False,
                # Rounds come every few seconds; of one that went well nothing is worth keeping.
                delete_jobs="successful",
                shutdown_graceful_timeout=GRACE_SECONDS,
                name="moorage",
            )
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({worker, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        worker.cancel()
        try:
            await worker
        except asyncio.CancelledError:
            return


async def _beat(settings: Settings) -> None:
    while True:
        Running("worker").announce(settings.run_dir)
        await asyncio.sleep(BEAT_SECONDS)


async def _either(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
