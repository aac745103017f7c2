"""The order in which MinIO is told things, and that it is told nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.unit.object_store.minio_double import Double
from tests.unit.test_settings import GOOD
from webapp.object_store import minio_server
from webapp.redaction import Secret
from webapp.settings import Settings
from webapp.storage import StorageRefused

NAME = "moorage-moorage-artifacts"


@pytest.fixture
def double() -> Iterator[Double]:
    with Double("administrator", "administrators-secret") as one:
        yield one


@pytest.fixture
def settings(double: Double) -> Settings:
    return Settings.parse(
        GOOD
        | {
            "S3_ENDPOINT": f"http://{double.address}",
            "S3_ADMIN_KIND": "minio",
            "S3_ADMIN_ACCESS_KEY_ID": double.administrator,
            "S3_ADMIN_SECRET_ACCESS_KEY": double.secret,
        }
    )


def test_all_of_it_is_made_and_then_nothing_more(double: Double, settings: Settings) -> None:
    assert minio_server.prepare(settings) is True
    assert double.orders == ["bucket", "add-canned-policy", "add-user", "set-user-or-group-policy"]
    assert double.users == {"moorage-key": {"secret": "store-secret-of-16", "policy": NAME}}
    double.orders.clear()
    assert minio_server.prepare(settings) is False
    assert double.orders == []


def test_a_rotated_secret_is_told(double: Double, settings: Settings) -> None:
    minio_server.prepare(settings)
    rotated = replace(settings, s3_secret_access_key=Secret("another-secret-of-16"))
    double.orders.clear()
    assert minio_server.prepare(rotated) is True
    assert double.orders == ["add-user"]
    assert double.users["moorage-key"]["secret"] == "another-secret-of-16"


def test_a_rotated_key_is_another_user_and_the_one_before_stays_until_it_is_retired(
    double: Double, settings: Settings
) -> None:
    minio_server.prepare(settings)
    double.users["somebody"] = {"secret": "somebodys-secret", "policy": "readwrite"}
    rotated = replace(settings, s3_access_key_id="next-key", s3_secret_access_key=Secret("next-secret-of-16"))
    assert minio_server.prepare(rotated) is True
    assert set(double.users) == {"moorage-key", "next-key", "somebody"}
    double.orders.clear()
    assert minio_server.retire(rotated) is True
    assert set(double.users) == {"next-key", "somebody"} and double.orders == ["remove-user"]
    assert minio_server.retire(rotated) is False


def test_drift_is_put_right(double: Double, settings: Settings) -> None:
    minio_server.prepare(settings)
    double.policies[NAME] = {"Version": "2012-10-17", "Statement": []}
    double.users["moorage-key"]["policy"] = "readwrite"
    double.orders.clear()
    assert minio_server.prepare(settings) is True
    assert double.orders == ["add-canned-policy", "set-user-or-group-policy"]
    assert minio_server.prepare(settings) is False


def test_a_key_that_is_no_administrators_is_refused_in_words(double: Double, settings: Settings) -> None:
    double.buckets.add(settings.s3_bucket_artifacts)
    double.users["somebody"] = {"secret": "somebodys-secret"}
    wrong = replace(settings, s3_admin_access_key_id="somebody", s3_admin_secret_access_key=Secret("somebodys-secret"))
    with pytest.raises(StorageRefused, match="S3_ADMIN_ACCESS_KEY_ID"):
        minio_server.prepare(wrong)
