"""Where a bucket is, by its URI, the environment and the profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.errors import ConfigError
from crawler.snapshot.location import bucket_place

AWS = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SECRET"}
PROFILES = """
[default]
aws_access_key_id = DEFAULTKEY
aws_secret_access_key = default-secret
[lake]
aws_access_key_id = LAKEKEY
aws_secret_access_key = lake-secret
aws_session_token = lake-token
"""
CONFIG = """
[profile lake]
region = eu-central-1
endpoint_url = https://minio.example:9000
[profile sso]
sso_start_url = https://example.invalid
"""


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(PROFILES)
    (tmp_path / ".aws/config").write_text(CONFIG)
    return tmp_path


@pytest.mark.parametrize(
    ("uri", "environ", "endpoint", "region", "is_virtual"),
    [
        ("s3://lake/a", {}, "", "us-east-1", True),
        ("s3://lake/a", {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "x"}, "", "eu-west-1", True),
        ("s3://my.lake/a", {}, "", "us-east-1", False),
        ("s3://lake", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000/"}, "http://127.0.0.1:9000", "us-east-1", False),
        ("s3://lake", {"AWS_ENDPOINT_URL": "x", "AWS_ENDPOINT_URL_S3": "https://y"}, "https://y", "us-east-1", False),
        (
            "s3://lake",
            {"AWS_ENDPOINT_URL": "https://s3.example", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true"},
            "https://lake.s3.example",
            "us-east-1",
            True,
        ),
        ("s3://lake", {"AWS_ENDPOINT_URL": "http://lan", "AWS_ALLOW_HTTP": "true"}, "http://lan", "us-east-1", False),
        (
            "oss://lake/a",
            {"OSS_REGION": "cn-beijing"},
            "https://lake.s3.oss-cn-beijing.aliyuncs.com",
            "cn-beijing",
            True,
        ),
        (
            "oss://lake/a",
            {"ALIBABA_CLOUD_REGION_ID": "cn-x", "OSS_ENDPOINT": "oss-cn-hangzhou-internal.aliyuncs.com"},
            "https://lake.s3.oss-cn-hangzhou-internal.aliyuncs.com",
            "cn-hangzhou",
            True,
        ),
        (
            "oss://lake",
            {"OSS_REGION": "cn-hangzhou", "OSS_ENDPOINT": "http://oss.localhost:80"},
            "http://lake.oss.localhost:80",
            "cn-hangzhou",
            True,
        ),
    ],
)
def test_endpoint_is_that_of_the_environment_with_the_bucket_in_its_host(uri, environ, endpoint, region, is_virtual):
    place = bucket_place(uri, environ, Path("/nowhere"))
    assert (place.endpoint, place.region, place.is_virtual_host) == (endpoint, region, is_virtual)
    assert (place.bucket, place.prefix) == (uri.split("/")[2], uri.partition("lake")[2].strip("/"))


def test_environments_keys_sign_before_the_default_profiles(home):
    keys = bucket_place("s3://lake", {**AWS, "AWS_SESSION_TOKEN": "T"}, home).keys
    assert (keys.access_key_id, keys.access_key_secret, keys.security_token) == ("AK", "SECRET", "T")
    assert bucket_place("s3://lake", {}, home).keys.access_key_id == "DEFAULTKEY"
    assert bucket_place("s3://lake", {}, Path("/nowhere")).keys is None
    place = bucket_place("s3://lake", {**AWS, "AWS_PROFILE": "lake"}, home)
    assert (place.keys.access_key_id, place.region) == ("AK", "eu-central-1"), "as the AWS CLI takes them"


def test_named_profile_gives_keys_region_and_endpoint(home):
    place = bucket_place("s3://lake", {"AWS_PROFILE": "lake"}, home)
    assert (place.keys.access_key_id, place.keys.security_token) == ("LAKEKEY", "lake-token")
    assert (place.region, place.endpoint) == ("eu-central-1", "https://minio.example:9000")


def test_profile_files_are_where_the_environment_says(home, tmp_path):
    moved = (home / ".aws/credentials").rename(tmp_path / "elsewhere")
    place = bucket_place("s3://lake", {"AWS_SHARED_CREDENTIALS_FILE": str(moved)}, home)
    assert place.keys.access_key_id == "DEFAULTKEY"


def test_oss_keys_of_the_environment(home):
    environ = {"OSS_REGION": "cn-a", "OSS_ACCESS_KEY_ID": "O", "OSS_ACCESS_KEY_SECRET": "S", **AWS}
    assert bucket_place("oss://lake", environ, home).keys.access_key_id == "O"
    assert bucket_place("oss://lake", {"OSS_REGION": "cn-a", **AWS}, home).keys is None, "AWS's keys aren't for OSS"


def test_keys_show_themselves_nowhere(home):
    assert "default-secret" not in repr(bucket_place("s3://lake", {}, home))


@pytest.mark.parametrize(
    ("uri", "environ", "message"),
    [
        ("s3://lake/../x", {}, "^the output 's3://lake/../x' has a part of dots alone in its prefix"),
        ("s3://lake/a?b", {}, r"can't be used, 'a\?b'; use letters, digits"),
        ("s3://lake/" + "a" * 201, {}, "at most 200 per part"),
        ("s3://lake/a//b", {}, "has an empty part in its prefix"),
        ("s3://Lake/a", {}, "a bucket's name that none can have; use small letters"),
        ("s3://lake-/a", {}, "a bucket's name that none can have"),
        ("s3://my_lake/a", {}, "a bucket's name that none can have"),
        ("s3://b/x", {}, "a bucket's name that is too short; a bucket has 3 to 63 characters"),
        ("oss://ab", {}, "too short"),
        ("s3://" + "a" * 64, {}, "too long"),
        ("s3:///x", {}, "names no bucket; write s3://bucket/prefix"),
        ("oss://", {}, "names no bucket; write oss://bucket/prefix"),
        ("oss://lake", {}, "set OSS_REGION"),
        ("oss://lake", {"OSS_ENDPOINT": "https://me:CANARY@oss.example"}, "^OSS_ENDPOINT must be a host"),
        ("s3://lake", {"AWS_ENDPOINT_URL": "http://minio.example"}, "^AWS_ENDPOINT_URL must be https"),
        ("s3://lake", {"AWS_ENDPOINT_URL": "ftp://CANARY"}, "^AWS_ENDPOINT_URL must be a host"),
        ("s3://lake", {"AWS_ENDPOINT_URL": "https://h:99999"}, "^AWS_ENDPOINT_URL must be a host"),
        ("s3://lake", {"AWS_ENDPOINT_URL": "https://h:CANARY"}, "^AWS_ENDPOINT_URL must be a host"),
        ("s3://lake", {"AWS_ENDPOINT_URL": "https://[::1/CANARY"}, "^AWS_ENDPOINT_URL must be a host"),
        ("s3://lake", {"AWS_ENDPOINT_URL": "https://h?k=CANARY"}, "^AWS_ENDPOINT_URL must be a host"),
        ("s3://lake", {"AWS_ENDPOINT_URL": "https://h#CANARY"}, "^AWS_ENDPOINT_URL must be a host"),
        ("s3://lake", {"AWS_ENDPOINT_URL": "https://h CANARY"}, "^AWS_ENDPOINT_URL must be a host"),
        ("s3://lake", {"AWS_ENDPOINT_URL": "https://:CANARY@h"}, "^AWS_ENDPOINT_URL must be a host"),
        ("oss://lake", {"OSS_ENDPOINT": "https://h:99999"}, "^OSS_ENDPOINT must be a host"),
        (
            "s3://lake",
            {"AWS_REGION": "../../CANARY"},
            "AWS profile, isn't a region's ID",
        ),
        ("oss://lake", {"OSS_REGION": "a.example/CANARY"}, "^OSS_REGION isn't a region's ID"),
        ("s3://lake", {**AWS, "AWS_SESSION_TOKEN": "CANARY\nx"}, "^AWS_SESSION_TOKEN has white space"),
        ("s3://lake", {**AWS, "AWS_ACCESS_KEY_ID": "CANARY\u00e9"}, "^AWS_ACCESS_KEY_ID has white space or another"),
        ("s3://lake", {"AWS_PROFILE": "sso"}, "AWS_PROFILE names 'sso', which has no access key"),
        ("s3://lake", {"AWS_PROFILE": "nobody"}, "AWS_PROFILE names 'nobody'"),
        ("s3://lake", {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/"}, "needs an access key"),
    ],
)
def test_place_that_cannot_be_is_one_sentence(home, uri, environ, message):
    (home / ".aws/credentials").write_text("[default\nbroken")
    with pytest.raises(ConfigError, match=message) as caught:
        bucket_place(uri, environ, home)
    assert "CANARY" not in str(caught.value)
