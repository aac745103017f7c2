"""What is known of an image between the steps: `.moorage/images/<tag>/<name>.json`, and its documents beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from shipping import ROOT, Refused

FOLDER = ROOT / ".moorage/images"


@dataclass(frozen=True)
class Built:
    """One image of one tag. `digest` and `registry` are empty until it has been pushed."""

    name: str
    tag: str
    commit: str
    clean: bool
    dockerfile: str
    bases: dict[str, str]
    started: str
    finished: str
    registry: str = ""
    digest: str = ""
    folder: Path = field(default=FOLDER, compare=False)

    @property
    def local(self) -> str:
        """What the engine calls it."""
        return f"moorage/{self.name}:{self.tag}"

    @property
    def repository(self) -> str:
        """Its name in the registry."""
        return f"{self.registry}/{self.name}"

    @property
    def reference(self) -> str:
        """The one thing that can be signed and deployed: its name by digest."""
        if not self.digest:
            raise Refused(f"{self.local} has not been pushed: it has no digest yet.")
        return f"{self.repository}@{self.digest}"

    def document(self, kind: str) -> Path:
        """Where a document about it lies (`sbom`, `provenance`)."""
        return self.folder / self.tag / f"{self.name}.{kind}.json"

    def pushed(self, registry: str, digest: str) -> Built:
        """The same, in a registry."""
        return replace(self, registry=registry, digest=digest)

    def save(self) -> Built:
        """Write it down."""
        path = self.folder / self.tag / f"{self.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        facts = {name: value for name, value in asdict(self).items() if name != "folder"}
        path.write_text(json.dumps(facts, indent=2) + "\n")
        return self


def load(name: str, tag: str, folder: Path = FOLDER) -> Built:
    """What was written down. Raises: Refused where nothing was built under the tag."""
    path = folder / tag / f"{name}.json"
    if not path.exists():
        raise Refused(f"{name} has not been built under the tag {tag} here: `make images TAG={tag}`.")
    return Built(**json.loads(path.read_text()), folder=folder)


def now() -> str:
    """The time, as provenance writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
