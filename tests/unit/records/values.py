"""JSON values, as hypothesis draws them: the ordinary ones, and those that a store stumbles over."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

# What a JSON text can hold, but for U+0000, which the door refuses.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
keys = st.one_of(
    texts,
    st.sampled_from(["", "0", "1", "2", "07", "a.b", "a%2Eb", "a%2eb", "%", "50%", "$x", "#", "[0]", "a/b", "_exact",
                     "%00", "id", "\x7f", "x" * 800, "é" * 500, "x" * 800 + ".", "date", "seen_at"]),
)  # fmt: skip
numbers = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([2**53, 2**53 + 1, -0.0, 1e300, 1.0, 0.1]),
)  # fmt: skip


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(keys, inner, max_size=4)


scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(scalars, lambda inner: st.one_of(st.lists(inner, max_size=4), objects(inner)), max_leaves=12)
bodies = objects(values)
