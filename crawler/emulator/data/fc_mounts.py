"""Seeded file systems that functions and sessions of Function Compute 3.0 mount, and the registries of their images."""

from __future__ import annotations

from crawler.emulator.data.seeded import LocalSeededRandom
from crawler.emulator.records import Record


def mounts(rng: LocalSeededRandom) -> Record:
    """Make one mount of each kind; those of JuiceFS and PolarFS have secrets."""
    return {
        "nasConfig": {
            "userId": 100,
            "groupId": -1,
            "mountPoints": [{"serverAddr": f"{rng.hex(10)}.nas.com:/", "mountDir": "/mnt/nas", "enableTLS": True}],
        },
        "ossMountConfig": {
            "mountPoints": [
                {
                    "bucketName": f"bucket-{rng.text(6)}",
                    "bucketPath": "/",
                    "endpoint": f"http://oss-{rng.region_id}-internal.aliyuncs.com",
                    "mountDir": "/mnt/oss",
                    "readOnly": rng.chance(0.5),
                }
            ]
        },
        "polarFsConfig": {
            "userId": 0,
            "groupId": 0,
            "mountPoints": [
                {
                    "instanceId": f"pfs-{rng.text(12)}",
                    "mountDir": "/mnt/polar",
                    "remoteDir": "/",
                    "readOnly": False,
                    "extraOptions": rng.secret("auth={}"),
                }
            ],
        },
        "juiceFsConfig": {
            "envs": {"ACCESS_KEY": rng.secret()},
            "mountPoints": [
                {
                    "volumeName": f"vol-{rng.text(4)}",
                    "mountDir": "/mnt/jfs",
                    "remoteDir": "/",
                    "token": rng.secret(),
                    "args": ["--cache-size=1024", rng.secret("--secret={}")],
                }
            ],
        },
    }


def registry(rng: LocalSeededRandom) -> Record:
    """Make the access to an image registry; name, password and the CA's certificate are secrets."""
    return {
        "authConfig": {"userName": rng.secret("robot-{}"), "password": rng.secret("p@ss/{}")},
        "certConfig": {"insecure": rng.chance(0.5), "rootCaCertBase64": rng.secret("{}==")},
        "networkConfig": {
            "vpcId": f"vpc-{rng.text(20)}",
            "vSwitchId": f"vsw-{rng.text(20)}",
            "securityGroupId": f"sg-{rng.text(20)}",
        },
    }
