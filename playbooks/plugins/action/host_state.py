"""The controller's half of `host_state`: renders templates, and proves a new connection after a guarded change."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from ansible._internal._templating._template_vars import generate_ansible_template_vars
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template


class ActionModule(ActionBase):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Execute the module with every file's content filled in. Raises AnsibleActionFail on a bad template."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        files = arguments.get("files")
        if isinstance(files, list):
            arguments["files"] = [self._filled(i, entry, task_vars) for i, entry in enumerate(files)]
        result = self._execute_module(module_name="host_state", module_args=arguments, task_vars=task_vars)
        # It repeats every argument, and so every file.
        result.pop("invocation", None)
        return result

    def _filled(self, index: int, entry: Any, task_vars: dict[str, Any]) -> Any:
        """The entry with `template` or `src` replaced by its content; anything malformed is left to the module."""
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
            entry["content"] = self._render(
                where, entry.pop("template"), entry.get("path"), {**task_vars, **variables}
            )
        elif "src" in entry:
            entry.update(self._read(where, entry.pop("src")))
        return entry

    def _read(self, where: str, name: str) -> dict[str, str]:
        data = Path(self._needle(where, "files", name)).read_bytes()
        try:
            return {"content": data.decode()}
        except UnicodeDecodeError:
            return {"content_b64": base64.b64encode(data).decode()}

    def _render(self, where: str, name: str, path: Any, variables: dict[str, Any]) -> str:
        source = self._needle(where, "templates", name)
        search = [
            *variables.get("ansible_search_path", []),
            self._loader.get_basedir(),
            str(Path(source).parent),
        ]
        template_vars = generate_ansible_template_vars(path=name, fullpath=source, dest_path=str(path))
        templar = self._templar.copy_with_new_env(
            searchpath=[folder for base in search for folder in (f"{base}/templates", base)],
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
