"""What a cutover takes from the room of records: its collections, its times, its canonical form, its RTDB paths."""

from __future__ import annotations

from webapp.records.canonical import canonical, canonical_json, digest
from webapp.records.exactness import EXACT
from webapp.records.exactness import read as exact_body
from webapp.records.kinds import COLLECTIONS, SETTINGS, TREE, times_of
from webapp.records.paths import FORBIDDEN, KeyUnfit, path_of, refuse_key, root_of
from webapp.records.times import FIRST_MILLIS, millis_of

__all__ = [
    "COLLECTIONS",
    "EXACT",
    "FIRST_MILLIS",
    "FORBIDDEN",
    "SETTINGS",
    "TREE",
    "KeyUnfit",
    "canonical",
    "canonical_json",
    "digest",
    "exact_body",
    "millis_of",
    "path_of",
    "refuse_key",
    "root_of",
    "times_of",
]
