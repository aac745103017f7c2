"""What a cutover takes from the room of records: its collections, its times, its canonical form, its RTDB paths."""

from __future__ import annotations

from webapp.records.service import exactness, forms, kinds, paths, times

canonical, canonical_json, digest = forms.canonical, forms.canonical_json, forms.digest
EXACT, exact_body = exactness.EXACT, exactness.read
COLLECTIONS, SETTINGS, TREE, times_of = kinds.COLLECTIONS, kinds.SETTINGS, kinds.TREE, kinds.times_of
FORBIDDEN, KeyUnfit, path_of, refuse_key, root_of = (
    paths.FORBIDDEN, paths.KeyUnfit, paths.path_of, paths.refuse_key, paths.root_of,
)  # fmt: skip
FIRST_MILLIS, millis_of = times.FIRST_MILLIS, times.millis_of

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
