"""Seeded custom domains of both generations of Function Compute; each has the private key of its certificate.

Shapes of values: https://help.aliyun.com/zh/functioncompute/fc/developer-reference/api-fc-2023-03-30-listcustomdomains
(`authInfo` is text on one page and an object on another) and https://www.alibabacloud.com/help/en/function-compute/
latest/api-doc-fc-open-2021-04-06-api-doc-getcustomdomain (values end with a tab, a date stands for the account), both
checked 2026-11-22.
"""

from __future__ import annotations

import orjson

from crawler.emulator.data.seeded import LocalSeededRandom, sparse, times
from crawler.emulator.records import Record


def v3_domain(rng: LocalSeededRandom, function: str, number: int) -> Record:
    """Make a domain, as fc ListCustomDomains returns it."""
    record = {
        **_common(rng, number),
        "routeConfig": {"routes": [_route(function, number)]},
        "authConfig": {"authType": "jwt", "authInfo": _auth_info(rng, number)},
        "corsConfig": {
            "allowCredentials": rng.chance(0.5),
            "allowHeaders": ["x-team"],
            "allowMethods": ["GET", "POST"],
            "allowOrigins": ["https://console.example.com"],
            "exposeHeaders": ["x-request-id"],
            "maxAge": rng.integer(1, 3600),
        },
        "isE2B": True,
        "subdomainCount": rng.choice(("1", "20")),
    }
    return sparse(rng, number, record, "corsConfig", "isE2B", "subdomainCount", "wafConfig", "tlsConfig")


def v2_domain(rng: LocalSeededRandom, service: str, function: str, number: int) -> Record:
    """Make a domain, as fc-open ListCustomDomains returns it; the values of the second end with a tab."""
    record = {**_common(rng, number), "routeConfig": {"routes": [{"serviceName": service, **_route(function, number)}]}}
    if number == 1:
        record |= {name: f"{record[name]}\t" for name in ("createdTime", "lastModifiedTime", "protocol", "apiVersion")}
        record["accountId"] = "2022-01-01T00:00:00Z\t"
    return sparse(rng, number, record, "wafConfig", "tlsConfig", "apiVersion")


def _common(rng: LocalSeededRandom, number: int) -> Record:
    created = rng.moment()
    return {
        "domainName": f"{rng.text(6, 'abcdefghijklmnopqrstuvwxyz')}-{number:02d}.example.com",
        "accountId": rng.account_id,
        "apiVersion": "2023-03-30",
        "protocol": rng.choice(("HTTP", "HTTPS", "HTTP,HTTPS")),
        **times(rng, created, 300, "days"),
        "certConfig": {
            "certName": f"cert-{number}",
            "certificate": rng.secret("-----BEGIN CERTIFICATE-----\nMIID{}\n-----END CERTIFICATE-----\n"),
            "privateKey": rng.secret("-----BEGIN RSA PRIVATE KEY-----\nMIIE{}\n-----END RSA PRIVATE KEY-----\n"),
        },
        "tlsConfig": {
            "minVersion": "TLSv1.0" if number % 4 == 3 else "TLSv1.2",
            "maxVersion": "TLSv1.3",
            "cipherSuites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
        },
        "wafConfig": {"enableWAF": True},
    }


def _auth_info(rng: LocalSeededRandom, number: int) -> object:
    keys = {"jwks": {"keys": [{"kty": "oct", "k": rng.secret()}]}}
    return keys if number == 1 else orjson.dumps(keys).decode()


def _route(function: str, number: int) -> Record:
    rule = {"match": "/old/*", "replacement": "/new/$1"}
    return {
        "path": f"/v{number}/*",
        "functionName": f"{function[:60]}-old" if number % 5 == 4 else function,  # a function that was deleted
        "qualifier": "LATEST",
        "methods": ["GET", "POST"],
        "rewriteConfig": {"equalRules": [rule], "regexRules": [rule], "wildcardRules": [rule]},
    }
