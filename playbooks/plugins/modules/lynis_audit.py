#!/usr/bin/python
"""Has Lynis look at the host and gives back what it reported."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: lynis_audit
short_description: Run Lynis, of one version, and return its report file
description: Installs nothing. Another version counts otherwise, so it is refused.
options:
  version: {type: str, required: true, description: "The version whose index counts, such as 3.1.4"}
"""
SECONDS = 600


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(argument_spec={"version": {"type": "str", "required": True}}, supports_check_mode=True)
    try:
        have = subprocess.run(["lynis", "show", "version"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        module.fail_json(msg=f"Lynis cannot be run ({error}): is its package installed?")
    if have != module.params["version"]:
        module.fail_json(
            msg=f"Lynis {have} is installed, and the index of {module.params['version']} counts. Look at its findings, "
            "and set hardening_lynis_versions and hardening_exceptions to it."
        )
    with tempfile.TemporaryDirectory(dir=module.tmpdir) as folder:
        report = Path(folder) / "report.dat"
        command = ["lynis", "audit", "system", "--quick", "--quiet", "--no-colors", "--report-file", str(report)]
        command += ["--logfile", str(Path(folder) / "log")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        text = report.read_text(errors="replace") if report.exists() else ""
    # It exits with 78 where it has warnings.
    if "hardening_index=" not in text:
        module.fail_json(msg=f"Lynis exited {done.returncode} without an index: {(done.stdout + done.stderr)[-500:]}")
    wanted = ("hardening_index=", "warning[]=", "suggestion[]=")
    module.exit_json(changed=False, text="\n".join(line for line in text.splitlines() if line.startswith(wanted)))


if __name__ == "__main__":
    main()
