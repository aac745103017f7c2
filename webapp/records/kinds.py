"""The collections that records are in, by their path, and which of their fields are times."""

from __future__ import annotations

from collections.abc import Mapping

RESOURCES = ("licenses", "proxies", "subscriptions")
WORKSPACE = ("notes", "calendar", "kanban")
BOTS, OPERATIONS = "bots", "finance/operations"
COLLECTIONS = (
    *(f"resources/{kind}" for kind in RESOURCES), *(f"workspace/{kind}" for kind in WORKSPACE), BOTS, OPERATIONS,
)  # fmt: skip
# A tree, and no collection: where rows are kept, it is one record.
SETTINGS, TREE = "settings", "tree"

# Times whatever the collection, beside every name that ends in `_at`.
ALWAYS_TIMES = frozenset({"date", "ts"})
# Further times by collection, at any depth; `since` and `at` are those of a bot's lifecycle.
TIMES: Mapping[str, frozenset[str]] = {
    "resources/licenses": frozenset({"starts", "ends", "expires"}),
    "resources/subscriptions": frozenset({"starts", "ends", "expires", "renews"}),
    "workspace/calendar": frozenset({"start", "end", "due"}),
    "workspace/kanban": frozenset({"due"}),
    BOTS: frozenset({"since", "at"}),
}


def times_of(collection: str) -> frozenset[str]:
    """The names that are times in a collection's records, beside those that end in `_at`."""
    return ALWAYS_TIMES | TIMES.get(collection, frozenset())
