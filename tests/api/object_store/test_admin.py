"""Preparing and checking a store with credentials that are given."""

from __future__ import annotations

from dataclasses import replace

import pytest

from webapp.object_store import service
from webapp.settings import Settings, SettingsError
from webapp.storage import ObjectStore, StorageRefused


def test_a_bucket_is_made_once(settings: Settings) -> None:
    beside = replace(settings, s3_bucket_artifacts="made-by-a-test")
    assert service.prepare(beside) is True
    assert service.prepare(beside) is False
    ObjectStore.of(beside).check()


def test_check_says_what_it_saw(settings: Settings) -> None:
    seen = {item.what: item.ok for item in service.check(settings)}
    assert seen == dict.fromkeys(["put", "stat", "get", "anonymous read refused", "delete"], True)


def test_a_key_that_is_not_the_stores_is_refused(settings: Settings) -> None:
    with pytest.raises(StorageRefused):
        service.check(replace(settings, s3_access_key_id="nobodys-access-key"))


@pytest.mark.parametrize("kind", ["minio", "ceph"])
def test_an_administration_without_its_key_says_which_variable_is_missing(settings: Settings, kind: str) -> None:
    with pytest.raises(SettingsError, match="S3_ADMIN_ACCESS_KEY_ID"):
        service.prepare(replace(settings, s3_admin_kind=kind))
