"""The job queue: procrastinate on the application's own database. Rooms add their tasks to `queue`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from procrastinate import App, JobContext, PsycopgConnector

from webapp.settings import Settings

# Jobs that failed are kept this long for whoever asks what happened; those that went well are not kept at all.
KEEP_FINISHED_HOURS = 7 * 24
# One connection listens, the others run jobs; with the pools of API and sockets this stays within max_connections.
POOL_SIZE = 4

# Modules whose tasks the worker runs: one a room.
ROOMS = [
    "webapp.agents.jobs", "webapp.audit.jobs", "webapp.auth.jobs", "webapp.commands.jobs", "webapp.idempotency.jobs",
]  # fmt: skip

queue = App(connector=PsycopgConnector(), import_paths=ROOMS)


@queue.periodic(cron="17 3 * * *")
@queue.task(name="jobs.prune", pass_context=True, queueing_lock="jobs.prune")
async def prune(context: JobContext, timestamp: int) -> None:
    """Delete jobs that ended more than KEEP_FINISHED_HOURS ago, whatever their end."""
    await context.app.job_manager.delete_old_jobs(
        nb_hours=KEEP_FINISHED_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
    )


@queue.periodic(cron="*/5 * * * *")
@queue.task(name="jobs.rescue", pass_context=True, queueing_lock="jobs.rescue")
async def rescue(context: JobContext, timestamp: int) -> None:
    """Give jobs whose worker died without a word to another worker."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs():
        await manager.retry_job(job)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[App]:
    """The queue, connected to this database. Raises ConnectorException where it does not answer."""
    url = settings.database_url.render()
    connector = PsycopgConnector(
        conninfo=url, min_size=1, max_size=POOL_SIZE, kwargs={"application_name": "moorage-worker"}
    )
    # Replaced and not copied: the periodic tasks defer themselves through the app that they were declared on.
    with queue.replace_connector(connector) as app:
        async with app.open_async():
            yield app
