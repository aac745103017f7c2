"""The outer machine as the lab finds it: its mirrors, certificate authorities, cgroups and packages.

No mirror or index is written in this repository: what the machine is set up to use, the lab uses too.
"""

import configparser
import functools
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.progress import say

LOCAL_AUTHORITIES = Path("/usr/local/share/ca-certificates")


@dataclass(frozen=True)
class Mirrors:
    """Where Debian's packages come from: the archive, and the security suite's own archive (may be empty)."""

    archive: str
    security: str

    def sources(self, suite: str) -> str:
        """A deb822 sources file for `suite`."""
        stanza = "Types: deb\nURIs: {}\nSuites: {}\nComponents: main\nSigned-By: {}\n"
        keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
        text = stanza.format(self.archive, f"{suite} {suite}-updates", keyring)
        if self.security:
            text += "\n" + stanza.format(self.security, f"{suite}-security", keyring)
        return text


def require_root() -> None:
    """Raise LabError for any user but root."""
    if os.geteuid() != 0:
        raise LabError("The lab needs root: it starts a Docker engine and boots hosts. Run it as root.")


def codename() -> str:
    """The outer release's name, as `bookworm`."""
    text = Path("/etc/os-release").read_text()
    found = re.search(r"^VERSION_CODENAME=(\S+)$", text, re.MULTILINE)
    return found.group(1).strip('"') if found else ""


def parse_sources(texts: list[str], suite: str) -> Mirrors:
    """The mirrors named for `suite` in apt's source files, one-line and deb822 alike.

    Raises LabError when none names the suite's archive.
    """
    places: dict[str, str] = {}
    for text in texts:
        for uri, suites in _entries(text):
            for name in suites:
                places.setdefault(name.strip("/"), uri)
    if suite not in places:
        raise LabError(
            f"apt's sources here name no archive for {suite}, and the lab takes its mirror there. On a machine that is "
            "no Debian, name one in the environment variable DEBIAN_ARCHIVE."
        )
    return Mirrors(places[suite].rstrip("/"), places.get(f"{suite}-security", "").rstrip("/"))


def _entries(text: str) -> Iterator[tuple[str, list[str]]]:
    for line in text.splitlines():
        one_line = re.match(r"\s*deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)", line)
        if one_line:
            yield one_line.group(1), [one_line.group(2)]
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^(Types|URIs|Suites):[ \t]*(.+)$", stanza, re.MULTILINE))
        if "deb" in fields.get("Types", "").split() and {"URIs", "Suites"} <= fields.keys():
            yield fields["URIs"].split()[0], fields["Suites"].split()


@functools.cache
def mirrors() -> Mirrors:
    """The machine's own Debian mirrors; where it is no Debian, the archive that DEBIAN_ARCHIVE names."""
    named = os.environ.get("DEBIAN_ARCHIVE", "").rstrip("/")
    if named:
        return Mirrors(named, f"{named}-security")
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    texts = [path.read_text() for path in files if path.is_file() and path.suffix in {".list", ".sources"}]
    return parse_sources(texts, codename())


@functools.cache
def extra_authorities() -> dict[str, str]:
    """Certificate authorities the machine trusts beyond Debian's own: file name to PEM."""
    found = {path.name: path.read_text() for path in sorted(LOCAL_AUTHORITIES.glob("*.crt"))}
    bundle = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    stock = Path("/etc/ssl/certs/ca-certificates.crt")
    if not found and bundle.is_file() and bundle.resolve() != stock.resolve():
        found["machine-bundle.crt"] = bundle.read_text()
    return found


@functools.cache
def apt_proxy() -> str:
    """The proxy settings of apt on this machine, as a configuration file; empty when there are none."""
    dump = subprocess.run(
        ["apt-config", "dump", "Acquire::http::Proxy", "Acquire::https::Proxy"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return "".join(f"{line}\n" for line in dump.splitlines() if '""' not in line)


@functools.cache
def pip_configuration() -> str:
    """A pip.conf with the machine's package index, where it names one, and the lab's certificate bundle.

    Folders of the machine (`find-links`, `file:` indexes) are left out: an image build cannot see them.
    """
    listing = subprocess.run(
        ["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    pip = configparser.ConfigParser(interpolation=None)
    pip["global"] = {"cert": "/etc/ssl/certs/ca-certificates.crt", "disable-pip-version-check": "true"}
    for name, value in re.findall(r"^(?:global|:env:)\.([a-z-]+)='(.*)'$", listing, re.MULTILINE):
        places = [place for place in value.split() if not place.startswith(("file:", "/"))]
        if name in {"index-url", "extra-index-url", "trusted-host"} and places:
            pip["global"][name] = " ".join(places)
    return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in pip["global"].items())


@functools.cache
def npm_configuration() -> str:
    """An npmrc with the machine's package registry; empty where npm is not installed."""
    npm = shutil.which("npm")
    if npm is None:
        return ""
    asked = subprocess.run([npm, "config", "get", "registry"], capture_output=True, text=True, check=False)
    return f"registry={asked.stdout.strip()}\n" if asked.stdout.startswith("http") else ""


def build_secrets() -> dict[str, str]:
    """What a build of a product's image may be handed, by secret id; none of it reaches a layer."""
    authorities = "\n".join(extra_authorities().values())
    return {"ca": authorities, "pipconf": pip_configuration(), "npmrc": npm_configuration()}


def cgroup_version() -> int:
    """2 on a machine with the unified hierarchy alone, else 1."""
    return 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1


def install(needed: list[str], if_known: list[str] | None = None) -> None:
    """Install Debian packages that are missing; `if_known` ones only where this release has them."""
    wanted = [name for name in needed if not _installed(name)]
    if not wanted:
        return
    say(f"installing {' '.join(wanted)}", "apt")
    if not any(Path("/var/lib/apt/lists").glob("*_Packages*")):
        _apt(["apt-get", "update", "-q"])
    wanted += [name for name in if_known or [] if _known(name) and not _installed(name)]
    command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *wanted]
    if _apt(command, check=False):
        _apt(["apt-get", "update", "-q"])
        _apt(command)


def _installed(name: str) -> bool:
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status}", name]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout == "installed"


def _known(name: str) -> bool:
    return subprocess.run(["apt-cache", "show", name], capture_output=True, check=False).returncode == 0


def _apt(command: list[str], check: bool = True) -> int:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise LabError(f"`{' '.join(command)}` failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.returncode
