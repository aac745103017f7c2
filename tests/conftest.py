"""Options that every part of the suite shares. Fixtures live beside the tests that need them."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres-url",
        help="Run the API tests against this server (a superuser's URL; it gets and loses roles and databases,"
        " so let it be one to throw away) instead of an embedded PostgreSQL 18.",
    )
    parser.addoption(
        "--lab",
        choices=("small", "full"),
        default="small",
        help="Whether lab tests try every case that they know, which takes over an hour, or those that differ most.",
    )
    parser.addoption(
        "--chaos",
        choices=("small", "full"),
        default="small",
        help="How many agents and commands the chaos test of the command bus has: 40 and 1,000, or 200 and 10,000.",
    )
    parser.addoption(
        "--fuzz",
        choices=("small", "full"),
        default="small",
        help="How many requests, and how many frames, the fuzz tests send: 3,000 or 50,000 of each.",
    )
    parser.addoption(
        "--fuzz-seed",
        type=int,
        help="What the fuzz tests' dice begin with; a run prints its own. Default: 1, and for --fuzz=full another"
        " one each time.",
    )
    parser.addoption(
        "--fuzz-replay",
        metavar="FILE",
        help="Send only this request, which an earlier run of the fuzz tests has kept.",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`full` cases are for `--lab=full`."""
    if config.getoption("--lab") != "full":
        left_out = [item for item in items if item.get_closest_marker("full")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Says at once why a test failed: a run that is cut off never comes to its summary."""
    if report.failed and _terminal is not None:
        _terminal.write_line(f"\n{report.nodeid}, {report.when}: {str(report.longreprtext).strip()[-1500:]}")


_terminal: pytest.TerminalReporter | None = None


def pytest_sessionstart(session: pytest.Session) -> None:
    global _terminal  # noqa: PLW0603 - the report's hook is not told of the configuration
    _terminal = session.config.pluginmanager.get_plugin("terminalreporter")
