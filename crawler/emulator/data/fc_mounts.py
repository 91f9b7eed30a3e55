"""Seeded file systems that functions and sessions of Function Compute 3.0 mount, and the registries of their images."""

from __future__ import annotations

from typing import Any

from crawler.emulator.data.seeded import LocalSeededRandom

Record = dict[str, Any]


def mounts(dice: LocalSeededRandom) -> Record:
    """One mount of each kind; those of JuiceFS and PolarFS carry secrets."""
    return {
        "nasConfig": _nas(dice),
        "ossMountConfig": _oss(dice),
        "polarFsConfig": _polar(dice),
        "juiceFsConfig": _juice(dice),
    }


def registry(dice: LocalSeededRandom) -> Record:
    """How an image registry is reached; name, password and the CA's certificate are secrets."""
    return {
        "authConfig": {"userName": dice.secret("robot-{}"), "password": dice.secret("p@ss/{}")},
        "certConfig": {"insecure": dice.chance(0.5), "rootCaCertBase64": dice.secret("{}==")},
        "networkConfig": {
            "vpcId": f"vpc-{dice.text(20)}",
            "vSwitchId": f"vsw-{dice.text(20)}",
            "securityGroupId": f"sg-{dice.text(20)}",
        },
    }


def _nas(dice: LocalSeededRandom) -> Record:
    return {
        "userId": 100,
        "groupId": -1,
        "mountPoints": [{"serverAddr": f"{dice.hex(10)}.nas.com:/", "mountDir": "/mnt/nas", "enableTLS": True}],
    }


def _oss(dice: LocalSeededRandom) -> Record:
    return {
        "mountPoints": [
            {
                "bucketName": f"bucket-{dice.text(6)}",
                "bucketPath": "/",
                "endpoint": f"http://oss-{dice.region_id}-internal.aliyuncs.com",
                "mountDir": "/mnt/oss",
                "readOnly": dice.chance(0.5),
            }
        ]
    }


def _polar(dice: LocalSeededRandom) -> Record:
    return {
        "userId": 0,
        "groupId": 0,
        "mountPoints": [
            {
                "instanceId": f"pfs-{dice.text(12)}",
                "mountDir": "/mnt/polar",
                "remoteDir": "/",
                "readOnly": False,
                "extraOptions": dice.secret("auth={}"),
            }
        ],
    }


def _juice(dice: LocalSeededRandom) -> Record:
    return {
        "envs": {"ACCESS_KEY": dice.secret()},
        "mountPoints": [
            {
                "volumeName": f"vol-{dice.text(4)}",
                "mountDir": "/mnt/jfs",
                "remoteDir": "/",
                "token": dice.secret(),
                "args": ["--cache-size=1024", dice.secret("--secret={}")],
            }
        ],
    }
