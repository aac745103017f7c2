"""What must be equal for a go: the agreed fields of each domain, and the only ways to loosen that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from webapp.cutover.domain import COLLECTIONS, SETTINGS
from webapp.failures import Failure

# Records are open: whatever a tenant keeps in one is the tenant's, so every field of every collection is agreed, and
# with it both times. `*` is any field. docs/how-to/cutover.md says the same.
AGREED: Mapping[str, tuple[str, ...]] = dict.fromkeys((*COLLECTIONS, SETTINGS), ("*",))
DOMAINS = tuple(sorted({one.partition("/")[0] for one in AGREED}))


class LooseningUnknown(Failure):
    code = "LOOSENING_UNKNOWN"


@dataclass(frozen=True)
class Loosening:
    """`tolerated`: fields that may differ, each with the reason that was given; `thresholds`: how many records of a
    domain may differ or be on one side only. Both stand in the report."""

    tolerated: Mapping[str, str] = field(default_factory=dict)
    thresholds: Mapping[str, int] = field(default_factory=dict)

    def agreed(self, collection: str, path: str) -> bool:
        """Whether a difference at a path of a record counts."""
        fields = AGREED[collection]
        if "*" not in fields and path.split(".", 1)[0] not in fields:
            return False
        named = (f"{collection}.{path}", path)
        return not any(one == given or one.startswith(given + ".") for one in named for given in self.tolerated)


def loosening(tolerated: Iterable[str], thresholds: Iterable[str]) -> Loosening:
    """Of `FIELD=REASON` and `DOMAIN=NUMBER`. Raises LooseningUnknown."""
    reasons, most = {}, {}
    for text in tolerated:
        name, _, reason = text.partition("=")
        if not name.strip() or not reason.strip():
            raise LooseningUnknown(f"--tolerate {text}: give FIELD=REASON, such as bots.color=not shown anywhere.")
        reasons[name.strip()] = reason.strip()
    for text in thresholds:
        domain, _, number = text.partition("=")
        if domain not in DOMAINS or not number.isdigit():
            raise LooseningUnknown(f"--threshold {text}: give DOMAIN=NUMBER; domains are {', '.join(DOMAINS)}.")
        most[domain] = int(number)
    return Loosening(reasons, most)
