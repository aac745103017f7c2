#!/usr/bin/python
"""Looks at what only the host can tell: who may read its secrets, what is unpatched, what the database enforces."""

from __future__ import annotations

import json
import os
import pwd
import re
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils import audit
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: audit_host
short_description: Readable secrets, unpatched packages, row level security, the application's role, backups
description: Returns C(findings). What could not be looked at is a finding. Changes nothing.
options:
  root: {type: path, default: /opt/moorage, description: Folder of the stack}
  container: {type: str, default: moorage-postgres, description: Container of PostgreSQL}
  database: {type: str, default: moorage, description: Database of the application}
  role: {type: str, default: moorage_app, description: "The application's role"}
  without: {type: list, elements: str, default: [], description: Patterns of tables with nothing of a tenant's}
  targets: {type: list, elements: dict, default: [], description: "Targets of backups, {name, encrypted}"}
  hours: {type: int, default: 26, description: A last good backup that is older is a finding}
"""

ARGUMENTS = {
    "root": {"type": "path", "default": "/opt/moorage"},
    "container": {"type": "str", "default": "moorage-postgres"},
    "database": {"type": "str", "default": "moorage"},
    "role": {"type": "str", "default": "moorage_app"},
    "without": {"type": "list", "elements": "str", "default": []},
    "targets": {"type": "list", "elements": "dict", "default": []},
    "hours": {"type": "int", "default": 26},
}
# Only their owner may read these, whatever folder they lie in.
STRICT = re.compile(r"/\.env[^/]*$|\.key$|_key$|/id_[a-z0-9]+$")
KEYS = {"/etc/ssh": "ssh_host_*_key", "/root/.ssh": "id_*", "/home": "*/.ssh/id_*"}
KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
# The databases' and the store's own files: many, and behind folders that nobody else enters.
PASSED_OVER = ("data/postgres", "data/object-store")
LONGEST_KEY = 65536
LISTS = Path("/var/lib/apt/lists")
_TABLES = """
SELECT coalesce(json_agg(json_build_object('name', c.relname, 'enabled', c.relrowsecurity, 'forced',
    c.relforcerowsecurity, 'policies', (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid))), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
"""
_ROLE = """
SELECT json_build_object('name', r.rolname, 'super', r.rolsuper, 'bypass', r.rolbypassrls,
    'create', r.rolcreaterole OR r.rolcreatedb, 'owns', (SELECT count(*) FROM pg_class WHERE relowner = r.oid),
    'trusted', (SELECT string_agg(g.rolname, ', ') FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
        WHERE m.member = r.oid))
FROM pg_roles r WHERE r.rolname = :'role'
"""


def said(*command: str, given: str = "") -> str:
    """Standard output. Raises OSError with what went wrong."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise OSError(f"`{command[0]}` exited {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout


def secret_files(root: Path) -> Iterator[dict[str, Any]]:
    """Files that hold secrets, and how they lie there."""
    keys = [path for folder, names in KEYS.items() for path in Path(folder).glob(names)]
    for path in [*keys, Path("/etc/shadow"), Path("/etc/gshadow"), *_under(root)]:
        if path.suffix == ".pub" or not path.is_file() or path.is_symlink():
            continue
        told = path.stat()
        yield {
            "path": str(path),
            "mode": stat.S_IMODE(told.st_mode),
            "owner": _owner(told.st_uid),
            "strict": bool(STRICT.search(str(path))),
            "reachable": all(folder.stat().st_mode & 0o001 for folder in path.parents),
        }


def _under(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if f"{folder}/{name}".removeprefix(f"{root}/") not in PASSED_OVER]
        for path in (Path(folder) / file for file in files):
            if STRICT.search(str(path)) or "/backups/" in str(path) or _holds_key(path):
                yield path


def _holds_key(path: Path) -> bool:
    try:
        return path.stat().st_size <= LONGEST_KEY and KEY.search(path.read_bytes()) is not None
    except OSError:
        return False


def _owner(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def lists_age() -> float | None:
    """Seconds since apt has asked its archives; None where it never did."""
    stamps = [path.stat().st_mtime for path in LISTS.glob("*Packages*")]
    stamps += [path.stat().st_mtime for path in [LISTS / "partial"] if stamps]
    return time.time() - max(stamps) if stamps else None


def asked(args: dict[str, Any], query: str) -> Any:
    """What the database answers, as its superuser by the socket."""
    command = ["docker", "exec", "-i", "-u", "postgres", args["container"], "psql", "-qXAt", "-v", "ON_ERROR_STOP=1"]
    text = said(*command, "-v", f"role={args['role']}", "-d", args["database"], given=query)
    return json.loads(text) if text.strip() else None


def succeeded(root: Path) -> dict[str, float]:
    """Backup target to the moment of its last good backup, as the backup itself says (metrics/backup.prom)."""
    path = root / "metrics/backup.prom"
    text = path.read_text() if path.exists() else ""
    form = r'^moorage_backup_last_success_timestamp_seconds\{[^}]*target="([^"]*)"[^}]*\} (\S+)'
    return {target: float(value) for target, value in re.findall(form, text, re.MULTILINE)}


def look(args: dict[str, Any]) -> list[dict[str, str]]:
    """Every check; one that cannot be made does not keep the others from it."""
    root = Path(args["root"])
    checks = {
        "files": lambda: audit.files(secret_files(root)),
        "updates": lambda: audit.updates(said("apt-get", "-s", "-qq", "upgrade"), lists_age()),
        "rows": lambda: audit.tables(asked(args, _TABLES), args["without"]),
        "role": lambda: audit.role(asked(args, _ROLE)),
        "backups": lambda: audit.backups(args["targets"], succeeded(root), time.time(), args["hours"]),
    }
    findings = []
    for check, lines in checks.items():
        try:
            findings += audit.found(check, lines())
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            findings += audit.found(check, [f"could not be looked at: {error}"])
    return findings


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    module.exit_json(changed=False, findings=look(module.params))


if __name__ == "__main__":
    main()
