"""The object store's narrow interface against a server that checks signatures."""

from __future__ import annotations

import io
import socket
import time
import urllib.error
import urllib.request
from dataclasses import replace
from uuid import uuid4

import pytest

from tests.api.relay import Relay
from webapp.errors import StorageError, StorageUnavailable
from webapp.redaction import Secret
from webapp.settings import Settings
from webapp.storage import ObjectNotFound, ObjectStore, StorageRefused
from webapp.variables import Endpoint


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    return ObjectStore.of(settings)


@pytest.fixture
def key() -> str:
    return f"tests/{uuid4()}/a b+ü.bin"


def test_what_is_put_is_there_with_its_facts_until_it_is_deleted(store: ObjectStore, key: str) -> None:
    store.put(key, b"twelve bytes", content_type="text/plain", metadata={"Kind": "canary"})
    facts = store.stat(key)
    assert (facts.key, facts.size, facts.content_type) == (key, 12, "text/plain")
    assert {name.lower(): value for name, value in facts.metadata.items()}["x-amz-meta-kind"] == "canary"
    assert b"".join(store.get(key)) == b"twelve bytes"
    store.delete(key)
    store.delete(key)
    with pytest.raises(ObjectNotFound):
        store.stat(key)
    with pytest.raises(ObjectNotFound):
        next(store.get(key))


def test_a_stream_of_unknown_length_is_taken_in_parts(store: ObjectStore, key: str) -> None:
    body = bytes(11 * 1024 * 1024)
    store.put(key, io.BytesIO(body))
    assert store.stat(key).size == len(body)
    store.delete(key)


def test_presigned_urls_need_no_network(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object, **__: object) -> None:
        raise AssertionError("signing asked the network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, cut)
    monkeypatch.setattr(socket, "getaddrinfo", cut)
    public = Endpoint(secure=True, netloc="s3.example.test")
    store = ObjectStore.of(replace(settings, s3_public_endpoint=public, s3_presign_ttl_seconds=120))
    for url in (store.presign_get("a/b"), store.presign_put("a/b")):
        assert url.startswith("https://s3.example.test/moorage-artifacts/a/b?")
        assert "X-Amz-Expires=120" in url and "X-Amz-Signature=" in url


def test_a_presigned_url_gives_the_object_and_a_tampered_one_does_not(store: ObjectStore, key: str) -> None:
    store.put(key, b"signed")
    url = store.presign_get(key)
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"signed"
    for wrong in (url[:-4] + "0000", url.replace("X-Amz-Expires=60", "X-Amz-Expires=300"), url.partition("?")[0]):
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(wrong)
        assert refusal.value.code in (400, 403)
    store.delete(key)


def test_a_presigned_put_takes_the_object(store: ObjectStore, key: str) -> None:
    request = urllib.request.Request(store.presign_put(key), data=b"uploaded", method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    assert b"".join(store.get(key)) == b"uploaded"
    store.delete(key)


def test_a_wrong_key_is_refused_and_a_missing_bucket_is_named(settings: Settings) -> None:
    with pytest.raises(StorageRefused):
        ObjectStore.of(replace(settings, s3_secret_access_key=Secret("wrong" * 8))).stat("a")
    with pytest.raises(StorageError, match="There is no bucket nowhere-at-all"):
        ObjectStore.of(replace(settings, s3_bucket_artifacts="nowhere-at-all")).check()


@pytest.mark.parametrize("fault", ["stop", "hang"])
def test_a_store_that_is_gone_is_unavailable_within_the_limit(
    relayed: dict[str, str], relays: tuple[Relay, Relay], fault: str
) -> None:
    store = ObjectStore.of(Settings.parse(relayed), answers_within=0.5)
    getattr(relays[1], fault)()
    began = time.monotonic()
    with pytest.raises(StorageUnavailable):
        store.check()
    assert time.monotonic() - began < 1.5


def test_an_answer_that_is_no_s3_is_an_error_and_no_outage(settings: Settings) -> None:
    database = Endpoint(secure=False, netloc=f"{settings.database_url.host}:{settings.database_url.port}")
    with pytest.raises((StorageError, StorageUnavailable)):
        ObjectStore.of(replace(settings, s3_endpoint=database), answers_within=1).check()
