"""Addresses of storages: what is meant, and what is refused with the form that is right."""

from pathlib import Path

import pytest

from pipelines.settings.storage_address import Bucket, storage_address


def test_folders_and_buckets_are_told_apart():
    assert storage_address("/mnt/runs") == Path("/mnt/runs")
    assert storage_address("s3://my-runs") == Bucket("my-runs")
    asked = "s3://my-runs/a/b/?endpoint=http://minio:9000/&region=eu-west-1"
    assert storage_address(asked) == Bucket("my-runs", "a/b", "http://minio:9000", "eu-west-1")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("gs://runs", "gs:// is not known"),
        ("s3://key:secret@runs", "keep keys out of the address"),
        ("s3://minio:9000/runs", r"a server's address in \?endpoint="),
        ("s3://", "is no name of a bucket"),
        ("s3://Runs_of_Mine", "Runs_of_Mine is no name of a bucket"),
        (
            "s3://runs?endpoint=minio:9000",
            "endpoint minio:9000 is not of the form http://HOST:PORT",
        ),
        ("s3://runs?endpiont=http://a", "did you mean 'endpoint'"),
    ],
)
def test_other_addresses_are_refused_with_the_right_form(address, told):
    with pytest.raises(ValueError, match=told) as error:
        storage_address(address)
    assert "secret" not in str(error.value)
