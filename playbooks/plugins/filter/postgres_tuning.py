"""PostgreSQL's memory settings from the memory limit of its container."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

MIB = 2**20
# What a backend holds for itself before any work_mem: caches of catalogue and plans (docs/reference/postgres.md).
BACKEND = 4 * MIB


def postgres_tuning(memory: int, connections: int) -> dict[str, str | int]:
    """Settings that fit a server into a memory limit.

    A quarter for `shared_buffers` and half for `effective_cache_size` are the manual's own starting values
    (https://www.postgresql.org/docs/18/runtime-config-resource.html and …/runtime-config-query.html; half, not three
    quarters, because the container's limit counts its page cache). What is left after buffers, backends and
    maintenance is shared by the connections, two sorts each.

    Args:
        memory: the container's limit, in bytes; at least 256 MiB.
        connections: `max_connections`; every pool of every process and both slots fit in it.

    Returns:
        `shared_buffers`, `effective_cache_size`, `maintenance_work_mem`, `work_mem` (with units), `max_connections`.

    Raises:
        AnsibleFilterError: where the limit is too small for the connections.
    """
    buffers = memory // 4
    maintenance = max(16 * MIB, min(memory // 16, 512 * MIB))
    rest = memory - buffers - maintenance - connections * BACKEND
    work = min(rest // (connections * 2), 64 * MIB)
    if memory < 256 * MIB or work < MIB:
        raise AnsibleFilterError(
            f"postgres_memory: {memory // MIB} MiB is too little for {connections} connections "
            f"(each needs {BACKEND // MIB} MiB and 2 MiB of work_mem). Raise postgres_memory or lower "
            "postgres_max_connections."
        )
    return {
        "shared_buffers": f"{buffers // MIB}MB",
        "effective_cache_size": f"{memory // 2 // MIB}MB",
        "maintenance_work_mem": f"{maintenance // MIB}MB",
        "work_mem": f"{work // 1024}kB",
        "max_connections": connections,
    }


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"postgres_tuning": postgres_tuning}
