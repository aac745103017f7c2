"""Check mode compares with placeholders for secrets that are not made yet, unless the document does without them."""

from __future__ import annotations

from pathlib import Path


def test_a_secret_with_a_default_gets_no_placeholder(plugin, tmp_path: Path):
    (tmp_path / ".env").write_text("MADE=x\n")
    document = "${MADE:?first} ${NEEDED:?first} ${PLAIN} ${OPTIONAL:-} ${UNSET-it}"
    named = plugin("module_utils", "compose_state")._placeholders(str(tmp_path), document)
    assert named == {"NEEDED": "not-made-yet", "PLAIN": "not-made-yet"}
