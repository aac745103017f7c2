"""The controller's half of `host_state`: renders templates, and proves a new connection after a guarded change."""

from __future__ import annotations

import base64
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible._internal._templating._template_vars import generate_ansible_template_vars
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

SSH = ("ssh", "ansible.builtin.ssh", "ansible.legacy.ssh")
PROOF_SECONDS = 25  # for one try; two of them fit before the host's timer (90 s) fires
# A server that takes its new configuration closes what comes in that moment; a refused user is refused for good.
PROOF_PAUSES = (0, 0.5, 1, 2)
PASSING = ("Connection closed", "Connection reset", "Connection refused", "kex_exchange_identification")
# The marker's name is the switch's state; `mv` lets the controller or the timer win, never both.
DISARM = "cd {folder} && mv armed disarmed && systemctl stop moorage-lockout-{name}.timer && rm -rf {folder}"
RESTORE = "/bin/sh {folder}/restore; systemctl stop moorage-lockout-{name}.timer; test -e {folder}/restored"
# How it ended, by what RESTORE exits with: what the result says, and what the person reads.
ENDS = {
    0: ("restored", "Taken back: the host answers as before. Correct the variables and run again."),
    1: (
        "failed",
        "The host could not take everything back: compare it with the snapshot in {folder} while you can.",
    ),
    None: (
        "left to the timer",
        "The old connection is gone as well; the host takes it back by its timer. Run again then.",
    ),
}


class ActionModule(ActionBase):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Execute the module with every file's content filled in; raises AnsibleActionFail on a bad template."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        files = arguments.get("files")
        if isinstance(files, list):
            arguments["files"] = [self._filled(i, entry, task_vars) for i, entry in enumerate(files)]
        user = self._guard_user(arguments)
        result = self._execute_module(module_name="host_state", module_args=arguments, task_vars=task_vars)
        # It repeats every argument, and so every file.
        result.pop("invocation", None)
        if result.get("guard") == "armed":
            folder = f"{arguments.get('state_dir', '/var/lib/moorage')}/lockout/{arguments['guard']['name']}"
            self._settle(result, user, arguments["guard"]["name"], folder)
        return result

    # Contents

    def _filled(self, index: int, entry: Any, task_vars: dict[str, Any]) -> Any:
        """The entry with `template` or `src` made its content; anything malformed is left to the module."""
        if not isinstance(entry, dict):
            return entry
        entry = dict(entry)
        where = f"files[{index}] ({entry.get('path', 'no path')})"
        sources = [name for name in ("template", "src", "content") if entry.get(name) is not None]
        if len(sources) > 1:
            raise AnsibleActionFail(f"{where}: has {' and '.join(sources)}; give one of them")
        variables = entry.pop("vars", None) or {}
        if variables and "template" not in entry:
            raise AnsibleActionFail(f"{where}: `vars` are for a template, and it has none")
        if "template" in entry:
            template = entry.pop("template")
            entry["content"] = self._render(where, template, str(entry.get("path")), {**task_vars, **variables})
        elif "src" in entry:
            entry.update(self._read(where, entry.pop("src")))
        return entry

    def _read(self, where: str, name: str) -> dict[str, str]:
        data = Path(self._needle(where, "files", name)).read_bytes()
        try:
            return {"content": data.decode()}
        except UnicodeDecodeError:
            return {"content_b64": base64.b64encode(data).decode()}

    def _render(self, where: str, name: str, path: str, variables: dict[str, Any]) -> str:
        source = self._needle(where, "templates", name)
        bases = (
            *variables.get("ansible_search_path", []),
            self._loader.get_basedir(),
            str(Path(source).parent),
        )
        template_vars = generate_ansible_template_vars(path=name, fullpath=source, dest_path=path)
        templar = self._templar.copy_with_new_env(
            searchpath=[folder for base in bases for folder in (f"{base}/templates", base)],
            available_variables={**variables, **template_vars},
        )
        text = trust_as_template(self._loader.get_text_file_contents(source))
        try:
            rendered = templar.template(text, escape_backslashes=False, overrides={"trim_blocks": True})
        except AnsibleError as error:
            raise AnsibleActionFail(f"{where}: the template {name} cannot be rendered: {error}") from error
        return "" if rendered is None else str(rendered)

    def _needle(self, where: str, folder: str, name: str) -> str:
        try:
            return self._find_needle(folder, name)
        except AnsibleError as error:
            raise AnsibleActionFail(f"{where}: {name} is not in the role's {folder}/") from error

    # The lock-out guard

    def _guard_user(self, arguments: dict[str, Any]) -> str:
        """Take `user` out of the guard, which the module need not know. No SSH, no lock-out: no guard either."""
        guard = arguments.pop("guard", None)
        if not guard:
            return ""
        if not isinstance(guard, dict) or not guard.get("user"):
            raise AnsibleActionFail("guard: needs a `user`, who must be able to log in after the change")
        if self._connection.transport in SSH:
            arguments["guard"] = {name: value for name, value in guard.items() if name != "user"}
        return str(guard["user"])

    def _settle(self, result: dict[str, Any], user: str, name: str, folder: str) -> None:
        """Disarm when all went well and a new connection works; else take the change back and fail."""
        problem = str(result.get("msg")) if result.get("failed") else self._proof(user)
        names = {"folder": shlex.quote(folder), "name": name}
        if problem is None:
            if self._on_host(DISARM.format(**names)) == 0:
                result["guard"] = "proved"
                return
            problem = "the proof came too late, the host had already begun to take it back"
        code = self._on_host(RESTORE.format(**names))
        result["guard"], end = ENDS.get(code, ENDS[1])
        result.update(
            failed=True,
            msg=f"The change of {name} would lock us out, and was not kept: {problem}\n"
            f"Changes: {'; '.join(result['changes'])}.\n{end.format(folder=folder)}",
        )

    def _proof(self, user: str) -> str | None:
        """Why `user` cannot open a new connection and become root; None when he can."""
        ssh = self._connection
        command = [
            ssh.get_option("ssh_executable"),
            # A process of its own: a shared connection would prove nothing.
            *("-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "BatchMode=yes"),
            *("-o", "ConnectTimeout=10", "-o", f"User={user}"),
            *(["-o", f"Port={ssh.get_option('port')}"] if ssh.get_option("port") else []),
            *(
                ["-o", f"IdentityFile={ssh.get_option('private_key_file')}"]
                if ssh.get_option("private_key_file")
                else []
            ),
            *([] if ssh.get_option("host_key_checking") else ["-o", "StrictHostKeyChecking=no"]),
        ]
        for option in ("ssh_args", "ssh_common_args", "ssh_extra_args"):
            command += shlex.split(ssh.get_option(option) or "")
        command += [ssh.get_option("host"), "sudo -n true"]
        said = ""
        for pause in PROOF_PAUSES:
            time.sleep(pause)
            try:
                done = subprocess.run(
                    command, capture_output=True, check=False, timeout=PROOF_SECONDS, stdin=subprocess.DEVNULL
                )
            except subprocess.TimeoutExpired:
                return f"a new connection as {user} did not answer within {PROOF_SECONDS} s"
            if done.returncode == 0:
                return None
            said = done.stderr.decode(errors="replace").strip()
            if not any(words in said for words in PASSING):
                break
        return f"a new connection as {user} with `sudo -n true` fails: {said}"

    def _on_host(self, command: str) -> int | None:
        """Run `command` as root over the connection that was open before the change; None when that is gone too."""
        try:
            return int(self._low_level_execute_command(command, sudoable=True)["rc"])
        except AnsibleConnectionFailure:
            return None
