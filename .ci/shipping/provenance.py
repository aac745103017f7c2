"""Where an image came from: the predicate of an in-toto statement (slsa.dev/spec/v1.0/provenance)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipping.record import Built


def predicate(built: Built, environment: Mapping[str, str]) -> dict[str, Any]:
    """What, from which commit and base images, by whom, when. Pure.

    Args:
        environment: GitHub's variables, where a workflow builds; without them it was some machine's checkout.
    """
    on_github = "GITHUB_RUN_ID" in environment
    server = environment.get("GITHUB_SERVER_URL", "")
    source = f"{server}/{environment['GITHUB_REPOSITORY']}" if on_github else "file:checkout"
    return {
        "buildDefinition": {
            "buildType": f"{source}#docs/how-to/ci.md",
            "externalParameters": {
                "image": built.name,
                "tag": built.tag,
                "dockerfile": built.dockerfile,
                "ref": environment.get("GITHUB_REF", ""),
            },
            "internalParameters": {"cleanWorkTree": built.clean},
            "resolvedDependencies": [
                {"uri": f"git+{source}", "digest": {"gitCommit": built.commit}},
                *(_dependency(image) for image in built.bases.values()),
            ],
        },
        "runDetails": {
            "builder": {"id": f"{server}/{environment['GITHUB_WORKFLOW_REF']}" if on_github else "file:machine"},
            "metadata": {
                "invocationId": f"{source}/actions/runs/{environment['GITHUB_RUN_ID']}" if on_github else "",
                "startedOn": built.started,
                "finishedOn": built.finished,
            },
        },
    }


def _dependency(image: str) -> dict[str, Any]:
    name, _, digest = image.partition("@sha256:")
    return {"uri": f"docker://{name}", **({"digest": {"sha256": digest}} if digest else {})}
