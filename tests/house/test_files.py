"""Laws about the files beside the code: env.example, the locks, and what no tracked file may hold."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from webapp.example import env_example
from webapp.settings import variables

ROOT = Path(__file__).resolve().parents[2]
LOCKS = [
    *(ROOT / "webapp" / name for name in ("requirements.txt", "requirements-local.txt")),
    ROOT / "tests/requirements.txt",
    ROOT / "agent/requirements.txt",
]
# In pieces, so that this file does not hold what it looks for.
REGISTRIES = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs", "org"))]


def tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in names.split("\0") if name and (path := ROOT / name).is_file()]


def text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="ignore")


def machine_hosts() -> set[str]:
    """The hosts that this machine's own configuration takes packages from."""
    asked = subprocess.run(["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    found = re.findall(r"https?://[^\s'\"]+", asked.stdout)
    for path in (
        Path("/etc/pip.conf"),
        Path.home() / ".npmrc",
        Path("/etc/npmrc"),
        *Path("/etc/apt").rglob("*.sources"),
    ):
        if path.is_file():
            found += re.findall(r"https?://[^\s'\"]+", text_of(path))
    hosts = {urlsplit(url).hostname or "" for url in found}
    # Debian's public names are in every Debian system; only what is this machine's own would give it away.
    return {host for host in hosts if host and not host.endswith(("debian.org", "localhost", "127.0.0.1"))}


def test_env_example_is_what_settings_say() -> None:
    assert (ROOT / "env.example").read_text() == env_example(), "moorage settings example > env.example"


def test_env_example_lists_each_variable_once_with_where_its_secret_is_kept() -> None:
    text = (ROOT / "env.example").read_text()
    assert re.findall(r"^#?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE) == list(variables())
    blocks = dict(zip(variables(), text.split("\n\n")[1:], strict=True))
    for name in variables():
        if name.endswith(("_SECRET", "_PASSWORD", "_SECRET_ACCESS_KEY")) or "DATABASE_URL" in name:
            assert "# Secret, kept in " in blocks[name], name


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_locked_package_has_its_hashes_and_no_index(path: Path) -> None:
    text = path.read_text()
    packages = re.split(r"\n(?=[A-Za-z0-9])", text)
    pinned = [block for block in packages if re.match(r"[A-Za-z0-9][\w.\[\],-]*==", block)]
    assert len(pinned) > 10
    assert [block.split()[0] for block in pinned if "--hash=sha256:" not in block] == []
    assert not re.search(r"^\s*(-i|--index-url|--extra-index-url|--find-links|-f|--trusted-host)\b", text, re.MULTILINE)


def test_no_tracked_file_names_a_registry_or_this_machine() -> None:
    words = [*REGISTRIES, *sorted(machine_hosts()), str(ROOT)]
    found = {
        str(path.relative_to(ROOT)): [word for word in words if word in text]
        for path in tracked()
        if any(word in (text := text_of(path)) for word in words)
    }
    assert found == {}


def test_no_tracked_file_is_a_secret() -> None:
    marker = re.compile("-----BEGIN " + r"[A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/=\n]{64,}")
    wrong = [path for path in tracked() if path.name in (".env", "local.env") or marker.search(text_of(path))]
    assert wrong == []
