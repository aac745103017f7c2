"""Asks a container registry which digest a tag stands for.

Source: OCI distribution specification 1.1, "Pulling manifests", and the token flow of Docker's registry.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import os
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path

import requests

from pinning import LookupFailed

# Indexes first: a digest of an index serves every architecture, a digest of a manifest only one.
ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
TIMEOUT_SECONDS = 20
_TAGGED = re.compile(
    r"(?:(?P<registry>[^/]*[.:][^/]*|localhost)/)?(?P<path>[a-z0-9._/-]+):(?P<tag>\w[\w.-]{0,127})"
)
_DOCKER_HUB = "docker.io"


@dataclass(frozen=True)
class Credential:
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Image:
    """A tagged image, as ``[registry/]path:tag``; without a registry it is Docker Hub's."""

    registry: str
    path: str
    tag: str

    @classmethod
    def parse(cls, name: str) -> Image:
        """Raises LookupFailed where there is no tag, or the name is no image's."""
        match = _TAGGED.fullmatch(name)
        if not match:
            raise LookupFailed(f"{name}: not an image with a tag, as docker.io/library/caddy:2.11 is.")
        registry, path = match["registry"] or _DOCKER_HUB, match["path"]
        if registry == _DOCKER_HUB and "/" not in path:
            path = f"library/{path}"
        return cls(registry, path, match["tag"])

    @property
    def host(self) -> str:
        """Docker Hub's images are served by another name than they carry."""
        return "registry-1.docker.io" if self.registry == _DOCKER_HUB else self.registry


def digest(image: Image) -> str:
    """The digest that the image's registry gives its tag today.

    Returns: ``sha256:`` and 64 hexadecimal digits.
    Raises: LookupFailed, whatever went wrong.
    """
    try:
        return _digest(image)
    except (requests.RequestException, OSError) as error:
        raise LookupFailed(
            f"{image.path}:{image.tag}: {image.host} cannot be reached ({_cause(error)}). "
            "Run this where there is a network, or behind HTTPS_PROXY."
        ) from error


def _digest(image: Image) -> str:
    url = f"{_scheme(image.host)}://{image.host}/v2/{image.path}/manifests/{image.tag}"
    with requests.Session() as session:
        session.headers["Accept"] = ACCEPT
        answer = session.head(url, timeout=TIMEOUT_SECONDS, allow_redirects=True)
        if answer.status_code == requests.codes.unauthorized:
            challenge = answer.headers.get("WWW-Authenticate", "")
            session.headers["Authorization"] = _authorization(image, challenge)
            answer = session.head(url, timeout=TIMEOUT_SECONDS, allow_redirects=True)
        _refuse(image, answer)
        told = answer.headers.get("Docker-Content-Digest", "")
        if DIGEST.fullmatch(told):
            return told
        # The header is optional in the specification; the digest is that of the manifest's own bytes.
        answer = session.get(url, timeout=TIMEOUT_SECONDS)
        _refuse(image, answer)
        return f"sha256:{hashlib.sha256(answer.content).hexdigest()}"


def _refuse(image: Image, answer: requests.Response) -> None:
    if answer.ok:
        return
    advice = {
        401: f"Log in first: docker login {image.registry}.",
        403: f"The account of `docker login {image.registry}` may not pull it.",
        404: "There is no such image or tag (or it wants `docker login`).",
        429: "Too many requests: wait, or `docker login` for a higher limit.",
    }.get(answer.status_code, "Try again later.")
    raise LookupFailed(f"{image.path}:{image.tag}: {image.host} answered {answer.status_code}. {advice}")


def _scheme(host: str) -> str:
    """Plain HTTP is for this machine's own registries only."""
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    try:
        addresses = {entry[4][0] for entry in socket.getaddrinfo(name, None)}
    except OSError:
        return "https"  # behind a proxy it is the proxy that knows the name
    return "http" if all(ipaddress.ip_address(address).is_loopback for address in addresses) else "https"


def _authorization(image: Image, challenge: str) -> str:
    """What to send after a 401 (https://distribution.github.io/distribution/spec/auth/token/)."""
    kind, _, rest = challenge.partition(" ")
    parameters = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    credential = stored_credential(image.registry)
    if kind.lower() == "basic" and credential:
        pair = f"{credential.user}:{credential.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"
    realm = parameters.get("realm", "")
    if kind.lower() != "bearer" or not realm.startswith(("https://", f"{_scheme(image.host)}://")):
        raise LookupFailed(
            f"{image.path}:{image.tag}: {image.host} wants a log-in: docker login {image.registry}."
        )
    query = {"service": parameters.get("service", ""), "scope": f"repository:{image.path}:pull"}
    login = (credential.user, credential.password) if credential else None
    answer = requests.get(realm, params=query, auth=login, timeout=TIMEOUT_SECONDS)
    _refuse(image, answer)
    token = answer.json().get("token") or answer.json().get("access_token")
    return f"Bearer {token}"


def stored_credential(registry: str) -> Credential | None:
    """What `docker login` stored for the registry; None where nothing is, or a credential helper keeps it.

    Raises: LookupFailed where its file is there and cannot be used.
    """
    path = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        logins = json.loads(path.read_text()).get("auths", {})
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise LookupFailed(f"{path}: not what `docker login` writes ({error}).") from error
    key = "https://index.docker.io/v1/" if registry == _DOCKER_HUB else registry
    stored = logins.get(key, {}).get("auth")
    if not stored:
        return None
    user, _, password = base64.b64decode(stored).decode().partition(":")
    return Credential(user, password)


def _cause(error: BaseException) -> str:
    """The innermost reason: what a person can act on is rarely the outermost."""
    while error.__context__ is not None:
        error = error.__context__
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
