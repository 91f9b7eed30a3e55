"""Whole crawls with profiles of the aliyun CLI: the keys of each mode sign what the emulator's STS and APIs accept."""

from __future__ import annotations

import json
import re

import pytest

from crawler.run.run import crawl
from crawler.run.system import System
from tests.support.crawl_runner import BIG, fast_cloud, site
from tests.support.hostile_store import hostile_store, said

ROLE = "inventory-reader"
ARN = f"acs:ram::{BIG}:role/{ROLE}"
PROFILE = '[accounts.credentials]\ntype = "profile"\n\n'


def kept_keys(cloud) -> dict[str, dict[str, str]]:
    """The keys that a profile may hold: fixed ones, and temporary ones of a role."""
    key_id, secret = cloud.credentials(BIG)
    session = cloud.keys.issue(BIG, ROLE, "given", 3600)
    fixed = {"access_key_id": key_id, "access_key_secret": secret}
    temporary = {"access_key_id": session.key_id, "access_key_secret": session.secret, "sts_token": session.token}
    return {"fixed": fixed, "temporary": temporary}


@pytest.mark.parametrize(
    ("kept", "profile"),
    [
        ("fixed", {"mode": "AK"}),
        ("fixed", {}),
        ("temporary", {"mode": "StsToken"}),
        ("temporary", {}),
        ("fixed", {"mode": "RamRoleArn", "ram_role_arn": ARN, "expired_seconds": 0}),
        ("temporary", {"mode": "RamRoleArn", "ram_role_arn": ARN, "ram_session_name": "night"}),
        ("", {"mode": "ChainableRamRoleArn", "source_profile": "temporary", "ram_role_arn": ARN}),
        ("", {"mode": "CredentialsURI"}),
    ],
)
async def test_a_crawl_with_a_profile_is_complete(tmp_path, kept, profile):
    """F81, F82: with the token of RamRoleArn left out, STS would refuse the signature."""
    cloud = fast_cloud(accounts=(BIG,), regions=("cn-hangzhou",))
    async with site(tmp_path, cloud) as here:
        keys = kept_keys(here.cloud)
        session = keys["temporary"]
        issued = {"Code": "Success", "AccessKeyId": session["access_key_id"], "SecurityToken": session["sts_token"]}
        issued |= {"AccessKeySecret": session["access_key_secret"], "Expiration": "2099-01-01T00:00:00Z"}
        async with hostile_store(said(json.dumps(issued).encode())) as service:
            profiles = [
                {"name": "main", **keys.get(kept, {}), "credentials_uri": service.url, **profile},
                {"name": "temporary", "mode": "StsToken", **session},
            ]
            (tmp_path / ".aliyun").mkdir()
            (tmp_path / ".aliyun/config.json").write_text(json.dumps({"current": "main", "profiles": profiles}))
            config = here.config(
                change=lambda text: re.sub(r"\[accounts\.credentials\]\n(?:[a-z_]+ = .*\n)+", PROFILE, text),
                tables='["fc_functions"]',
            )
            result = await crawl(config, System(environ={}, home=tmp_path))
    assert (result.exit_code, result.manifest.status) == (0, "complete")
