#!/usr/bin/python
"""Brings many things of a host to their declared state in one task."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_state
short_description: Packages, users, files, commands and units of a host in one task
description:
  - Brings everything declared to its state in the order packages, users, files, commands, units.
  - A task costs about 0.3 s whatever it does; this one replaces forty.
  - All entries are read, and all C(validate) commands run, before the first file is changed.
  - Check and diff modes tell what a run would do, unit restarts and packages included.
  - Restarts and commands that a failed run owed are made up for by the next one (C(pending.json)).
options:
  packages: {type: list, elements: str, description: Debian packages to install.}
  absent_packages: {type: list, elements: str, description: Debian packages to purge.}
  users:
    type: list
    elements: dict
    description: >-
      C(name), C(groups) (joined, never left), C(shell), C(home), C(uid), C(system), C(state) present or absent,
      C(authorized_keys) (the exact list). Passwords are locked.
  owner: {type: str, default: root, description: Owner of files that name none.}
  group: {type: str, default: root, description: Group of files that name none.}
  mode: {type: str, default: "0644", description: Mode of files that name none; folders can be entered by who can read.}
  root: {type: str, description: Folder that relative paths are under; links that lead out of it are refused.}
  files:
    type: list
    elements: dict
    description: >-
      C(path) and one of C(template) (with C(vars)), C(content), C(src), C(link), or C(state) directory, absent or file;
      C(mode), C(owner), C(group), C(validate) (a command with %s), C(keep) (write only when absent), C(no_diff).
  commands:
    type: list
    elements: dict
    description: C(run) when a path of C(run_on) changed, or when C(unless) exits other than 0.
  units:
    type: list
    elements: dict
    description: >-
      systemd units by C(name); C(enabled), C(state) started, stopped or none, C(masked), C(restart_on), C(reload_on).
      A path that ends with a slash stands for everything under it.
  guard:
    type: dict
    description: >-
      Takes the change back unless a new SSH connection as C(user) works afterwards. C(name); C(save), C(undo) (shell
      lines that run in the snapshot's folder; files are saved and restored without being named); C(seconds) until the
      host takes it back by itself, 90 unless told.
  state_dir: {type: path, default: /var/lib/moorage, description: Where pending.json and snapshots are.}
author: [Moorage]
"""

EXAMPLES = r"""
- name: Serve a page
  host_state:
    packages: [nginx-light]
    files:
      - {path: /etc/nginx/sites-enabled/default, template: site.j2, vars: {port: 80}}
    commands:
      - {run: [nginx, -t], run_on: [/etc/nginx/]}
    units:
      - {name: nginx.service, enabled: true, state: started, reload_on: [/etc/nginx/]}
"""

RETURN = r"""
changes: {type: list, returned: always, description: 'One line for each, such as "unit nginx.service: reload".'}
changed_paths: {type: list, returned: always, description: Absolute paths of the files that changed.}
guard: {type: str, returned: with a guard, description: C(proved) when a change was made and a new connection works.}
"""

import shutil  # noqa: E402 (Ansible wants the documentation first)
import tempfile  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible.module_utils.host_state.change import Outcome, StateError  # noqa: E402
from ansible.module_utils.host_state.converge import Convergence  # noqa: E402
from ansible.module_utils.host_state.fields import BadEntry  # noqa: E402
from ansible.module_utils.host_state.machine import Machine  # noqa: E402
from ansible.module_utils.host_state.spec import parse  # noqa: E402

ARGUMENTS = {
    "packages": {"type": "list", "elements": "raw"},
    "absent_packages": {"type": "list", "elements": "raw"},
    "users": {"type": "list", "elements": "raw"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "raw", "default": "0644"},
    "root": {"type": "str"},
    "files": {"type": "list", "elements": "raw"},
    "commands": {"type": "list", "elements": "raw"},
    "units": {"type": "list", "elements": "raw"},
    "guard": {"type": "dict"},
    "state_dir": {"type": "path", "default": "/var/lib/moorage"},
}


class Module(AnsibleModule):
    def _log_invocation(self) -> None:
        """Say nothing: the arguments are whole files, with secrets, and the host's journal is no place for them."""


def main() -> None:
    module = Module(argument_spec=ARGUMENTS, supports_check_mode=True)
    scratch = tempfile.mkdtemp(dir=module.tmpdir)
    convergence = None
    try:
        spec = parse(module.params)
        convergence = Convergence(
            spec, Machine(), check=module.check_mode, state_dir=module.params["state_dir"], scratch=scratch
        )
        convergence.run()
    except (BadEntry, StateError, OSError) as error:
        module.fail_json(msg=str(error), **report(module, convergence.outcome if convergence else Outcome()))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    module.exit_json(**report(module, convergence.outcome))


def report(module: AnsibleModule, outcome: Outcome) -> dict[str, object]:
    """The outcome as Ansible's result. Under no_log no diff: callbacks print it without asking."""
    result: dict[str, object] = {
        "changed": bool(outcome.changes),
        "changes": outcome.changes,
        "changed_paths": outcome.changed_paths,
    }
    if outcome.guard is not None:
        result["guard"] = outcome.guard
    if module._diff and not module.no_log:
        result["diff"] = outcome.diff
    return result


if __name__ == "__main__":
    main()
