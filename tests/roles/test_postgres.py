"""PostgreSQL's settings fit its memory limit."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

MIB = 2**20


def megabytes(value: str) -> int:
    return int(value[:-2]) // (1024 if value.endswith("kB") else 1)


@given(memory=st.integers(256, 65536), connections=st.integers(10, 400))
def test_the_settings_never_promise_more_than_the_limit(plugin, memory, connections):
    tuning = plugin("filter", "postgres_tuning")
    try:
        got = tuning.postgres_tuning(memory * MIB, connections)
    except AnsibleFilterError:
        return
    promised = megabytes(got["shared_buffers"]) + megabytes(got["maintenance_work_mem"])
    promised += connections * tuning.BACKEND // MIB
    promised += int(got["work_mem"][:-2]) * connections * 2 // 1024
    assert promised <= memory
    assert int(got["work_mem"][:-2]) >= 1024


def test_the_examples_settings(render, facts):
    from pathlib import Path

    root = Path(__file__).parents[2]
    text = render(root / "roles/postgres/templates/postgresql.conf.j2", ansible_facts=facts)
    assert "shared_buffers = 192MB" in text
    assert "effective_cache_size = 384MB" in text
    assert "max_connections = 70" in text


def test_too_little_memory_is_said_in_the_inventorys_words(plugin):
    with pytest.raises(AnsibleFilterError, match="postgres_memory: 300 MiB is too little for 70 connections"):
        plugin("filter", "postgres_tuning").postgres_tuning(300 * MIB, 70)


def test_its_log_repeats_no_values(render, facts):
    from pathlib import Path

    text = render(Path(__file__).parents[2] / "roles/postgres/templates/postgresql.conf.j2", ansible_facts=facts)
    for line in ("log_min_error_statement = 'panic'", "log_error_verbosity = 'terse'"):
        assert f"\n{line}\n" in text
