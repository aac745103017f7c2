"""Trivy: secrets and misconfigurations in an image, its bill of materials, and its known vulnerabilities.

The first three need no network. The last needs Trivy's database, and without it says nothing: never "clean".
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from shipping import ROOT, Refused, run
from shipping.record import Built

CACHE = os.environ.get("TRIVY_CACHE_DIR") or str(ROOT / ".moorage/trivy")
ACCEPTED = ".ci/accepted.txt"
SEVERITY = "HIGH,CRITICAL"
_QUIET = ["--quiet", "--disable-telemetry", "--skip-version-check", "--cache-dir", CACHE]


def look_inside(built: Built) -> None:
    """Refuse an image with a secret or a misconfiguration in its layers, its history or its Dockerfile."""
    ways = ["--skip-check-update", "--format", "json"]
    image = ["trivy", "image", *_QUIET, *ways, "--offline-scan", "--scanners", "secret"]
    image += ["--secret-config", ".ci/secrets.yml", "--image-config-scanners", "misconfig,secret", built.local]
    config = ["trivy", "config", *_QUIET, *ways, built.dockerfile]
    found = []
    for what, command in ((built.local, image), (built.dockerfile, config)):
        found += [f"{what}: {line}" for line in findings(json.loads(run(command, f"Looking into {what}")))]
    if found:
        raise Refused("\n".join([f"{built.local} must not go out like this:", *found]))


def findings(report: dict[str, Any]) -> list[str]:
    """A line for each secret (never itself) and each grave misconfiguration in a report. Pure."""
    out = []
    for result in report.get("Results") or []:
        for each in result.get("Secrets") or []:
            out.append(f"{result['Target']}, line {each['StartLine']}: {each['Title']}")
        for each in result.get("Misconfigurations") or []:
            if each["Status"] == "FAIL" and each["Severity"] in SEVERITY.split(","):
                out.append(f"{result['Target']}: {each['ID']} {each['Severity'].lower()}: {each['Title']}")
    return out


def bill_of_materials(built: Built) -> None:
    """Write the image's CycloneDX document. Raises: Refused, also where it lists nothing."""
    path = built.document("sbom")
    command = ["trivy", "image", *_QUIET, "--format", "cyclonedx", "--offline-scan", "--output", str(path)]
    run([*command, built.local], f"Listing what {built.local} is made of")
    if not json.loads(path.read_text()).get("components"):
        raise Refused(f"{built.local}: the bill of materials is empty, which no image of ours is.")


def vulnerabilities(built: Built) -> str:
    """One line that says the image has no vulnerability that a newer package would mend.

    Raises: Refused, with what was found, or because the scan had no data to compare with.
    """
    command = ["trivy", "image", *_QUIET, "--scanners", "vuln", "--severity", SEVERITY, "--ignore-unfixed"]
    command += ["--ignorefile", ACCEPTED, "--list-all-pkgs", "--format", "json", built.local]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(
            f"{built.local} was not scanned for vulnerabilities: Trivy has no data (it fetches its database from the"
            f" network). That is no clean bill.\n{done.stderr.strip()[-1500:]}"
        )
    seen, found = verdict(json.loads(done.stdout))
    if not seen:
        raise Refused(f"{built.local} was not scanned for vulnerabilities: Trivy saw no package in it.")
    if found:
        listed = "\n".join(f"  {line}" for line in found)
        raise Refused(
            f"{built.local} has known vulnerabilities ({SEVERITY}, mended in a newer package):\n{listed}\n"
            f"Take the newer package, or write the number with a reason into {ACCEPTED}."
        )
    return f"{built.local}: {seen} packages, none with a known vulnerability that is mended elsewhere"


def verdict(report: dict[str, Any]) -> tuple[int, list[str]]:
    """How many packages a report is about, and a line for each vulnerability in it. Pure."""
    results = report.get("Results") or []
    seen = sum(len(result.get("Packages") or []) for result in results)
    found = {
        f"{each['VulnerabilityID']} {each['Severity'].lower()}: {each['PkgName']} {each['InstalledVersion']}"
        f" → {each['FixedVersion']}"
        for result in results
        for each in result.get("Vulnerabilities") or []
    }
    return seen, sorted(found)
