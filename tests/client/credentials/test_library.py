"""The default chain and every CLI mode, compared with the official library: the same identity and the same requests.

The library reads its environment at import, so it runs in one child process (this file as a program), which sets the
environment of each case and reloads the modules that hold it. Its network is replaced by the same fake answers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROLE = "acs:ram::1000000000000001:role/reader"
OTHER_ROLE = "acs:ram::1000000000000002:role/other"
OIDC_ARN = "acs:ram::1000000000000001:oidc-provider/ack"
URI = "http://127.0.0.1:9/keys?a=b"
CLI, INI = ".aliyun/config.json", ".alibabacloud/credentials.ini"
KEY, SECRET, TOKEN = "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"
ENV = {KEY: "ENV-ID", SECRET: "ENV-SECRET"}
OIDC = {
    "ALIBABA_CLOUD_ROLE_ARN": ROLE,
    "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": OIDC_ARN,
    "ALIBABA_CLOUD_OIDC_TOKEN_FILE": "{HOME}/token",
}
NO_ECS = {"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}
DEFAULT_NAMES = ("acs-inventory", "credentials-python-")


def keys_of(name: str) -> dict[str, str]:
    return {"access_key_id": f"{name}-ID", "access_key_secret": f"{name}-SECRET"}


def cli(*profiles: Mapping[str, Any], current: str | None = "main") -> dict[str, str]:
    return {CLI: json.dumps({"current": current, "profiles": profiles})}


def mode(name: str, /, **more: Any) -> dict[str, str]:
    return cli({"name": "main", "mode": name, **more})


def ini(section: str = "default", **options: str) -> dict[str, str]:
    return {INI: "\n".join([f"[{section}]", *(f"{key} = {value}" for key, value in options.items())])}


AK = mode("AK", **keys_of("CLI"))
FILE = ini(type="access_key", **keys_of("INI"))
ROLE_MODE = {"ram_role_arn": ROLE, **keys_of("CLI")}
OIDC_MODE = {"ram_role_arn": ROLE, "oidc_provider_arn": OIDC_ARN, "oidc_token_file": "{HOME}/token"}
WITH_TOKEN = {"token": "oidc-token"}

# name: (environment, files, the service that doesn't answer)
CASES: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "nothing at all": ({}, {}, "ecs"),
    "environment": (ENV, {}, ""),
    "environment with a token": (ENV | {TOKEN: "ENV-TOKEN"}, {}, ""),
    "environment with an empty token": (ENV | {TOKEN: ""}, {}, ""),
    "environment before everything": (ENV | OIDC | {"ALIBABA_CLOUD_CREDENTIALS_URI": URI}, AK | FILE | WITH_TOKEN, ""),
    "only an ID in the environment": ({KEY: "ENV-ID"}, AK, ""),
    "an empty secret in the environment": ({KEY: "ENV-ID", SECRET: ""}, AK, ""),
    "OIDC before the CLI": (OIDC, AK | WITH_TOKEN, ""),
    "OIDC with a session name": (OIDC | {"ALIBABA_CLOUD_ROLE_SESSION_NAME": "pod"}, WITH_TOKEN, ""),
    "OIDC refused, then the CLI": (OIDC, AK | WITH_TOKEN, "sts"),
    "OIDC without its token file, then the CLI": (OIDC, AK, ""),
    "OIDC without a role": (OIDC | {"ALIBABA_CLOUD_ROLE_ARN": ""}, AK | WITH_TOKEN, ""),
    "OIDC without a provider": (OIDC | {"ALIBABA_CLOUD_OIDC_PROVIDER_ARN": ""}, AK | WITH_TOKEN, ""),
    "OIDC without a file": (OIDC | {"ALIBABA_CLOUD_OIDC_TOKEN_FILE": ""}, AK | WITH_TOKEN, ""),
    "CLI before the file": ({}, AK | FILE, ""),
    "CLI switched off": ({"ALIBABA_CLOUD_CLI_PROFILE_DISABLED": "true"}, AK | FILE, ""),
    "CLI switched off in capitals": ({"ALIBABA_CLOUD_CLI_PROFILE_DISABLED": "TRUE"}, AK | FILE, ""),
    "CLI not switched off by 1": ({"ALIBABA_CLOUD_CLI_PROFILE_DISABLED": "1"}, AK | FILE, ""),
    "CLI malformed": ({}, {CLI: "{"} | FILE, ""),
    "CLI empty": ({}, {CLI: ""} | FILE, ""),
    "CLI null": ({}, {CLI: "null"} | FILE, ""),
    "CLI a list": ({}, {CLI: "[]"} | FILE, ""),
    "CLI without profiles": ({}, {CLI: '{"current": "main"}'} | FILE, ""),
    "CLI with profiles null": ({}, {CLI: '{"current": "main", "profiles": null}'} | FILE, ""),
    "CLI without current": ({}, cli({"name": "main", "mode": "AK", **keys_of("CLI")}, current=None) | FILE, ""),
    "CLI with another current": ({}, cli({"name": "main", "mode": "AK", **keys_of("CLI")}, current="x") | FILE, ""),
    "CLI with two of a name": (
        {},
        cli({"name": "main", "mode": "AK", **keys_of("A")}, {"name": "main", "mode": "AK", **keys_of("B")}),
        "",
    ),
    "CLI by ALIBABA_CLOUD_PROFILE": (
        {"ALIBABA_CLOUD_PROFILE": "b"},
        cli({"name": "main", "mode": "AK", **keys_of("A")}, {"name": "b", "mode": "AK", **keys_of("B")}),
        "",
    ),
    "an empty ALIBABA_CLOUD_PROFILE is current": ({"ALIBABA_CLOUD_PROFILE": ""}, AK | FILE, ""),
    "an empty ALIBABA_CLOUD_PROFILE is no section": ({"ALIBABA_CLOUD_PROFILE": ""} | NO_ECS, FILE, ""),
    "ALIBABA_CLOUD_PROFILE only in the file": (
        {"ALIBABA_CLOUD_PROFILE": "b"},
        AK | ini("b", type="access_key", **keys_of("INI")),
        "",
    ),
    "AK without a secret": ({}, mode("AK", access_key_id="CLI-ID") | FILE, ""),
    "StsToken": ({}, mode("StsToken", **keys_of("CLI"), sts_token="CLI-TOKEN"), ""),
    "StsToken without a token": ({}, mode("StsToken", **keys_of("CLI")) | FILE, ""),
    "RamRoleArn": ({}, mode("RamRoleArn", **ROLE_MODE), ""),
    "RamRoleArn with everything": (
        {},
        mode(
            "RamRoleArn",
            **ROLE_MODE,
            ram_session_name="me",
            expired_seconds=1200,
            policy="{}",
            external_id="ext",
            sts_token="unused",
        ),
        "",
    ),
    "RamRoleArn with a long session": ({}, mode("RamRoleArn", **ROLE_MODE, expired_seconds=43200), ""),
    "an unknown mode": ({}, mode("Foo", **keys_of("CLI")) | FILE, ""),
    "RamRoleArn with a short session": ({}, mode("RamRoleArn", **ROLE_MODE, expired_seconds=899) | FILE, ""),
    "RamRoleArn without a role": ({}, mode("RamRoleArn", **keys_of("CLI")) | FILE, ""),
    "RamRoleArn with the environment's role": (
        {"ALIBABA_CLOUD_ROLE_ARN": ROLE, "ALIBABA_CLOUD_ROLE_SESSION_NAME": "me"},
        mode("RamRoleArn", **keys_of("CLI")),
        "",
    ),
    "RamRoleArn refused": ({}, mode("RamRoleArn", **ROLE_MODE) | FILE, "sts"),
    "EcsRamRole named": ({}, mode("EcsRamRole", ram_role_name="node"), ""),
    "EcsRamRole found": ({}, mode("EcsRamRole"), ""),
    "EcsRamRole with an empty name": (
        {"ALIBABA_CLOUD_ECS_METADATA": "env-role"},
        mode("EcsRamRole", ram_role_name=""),
        "",
    ),
    "EcsRamRole of the environment": ({"ALIBABA_CLOUD_ECS_METADATA": "env-role"}, mode("EcsRamRole"), ""),
    "EcsRamRole switched off": (NO_ECS, mode("EcsRamRole") | FILE, ""),
    "EcsRamRole without metadata": ({}, mode("EcsRamRole", ram_role_name="node") | FILE, "ecs"),
    "OIDC mode": ({}, mode("OIDC", **OIDC_MODE) | WITH_TOKEN, ""),
    "OIDC mode with everything": (
        {},
        mode("OIDC", **OIDC_MODE, role_session_name="me", expired_seconds=900, policy="{}") | WITH_TOKEN,
        "",
    ),
    "OIDC mode without a provider": (
        {},
        mode("OIDC", ram_role_arn=ROLE, oidc_token_file="{HOME}/token") | WITH_TOKEN | FILE,
        "",
    ),
    "OIDC mode with the environment's provider": (
        {"ALIBABA_CLOUD_OIDC_PROVIDER_ARN": OIDC_ARN},
        mode("OIDC", ram_role_arn=ROLE, oidc_token_file="{HOME}/token") | WITH_TOKEN,
        "",
    ),
    "ChainableRamRoleArn": (
        {},
        cli(
            {"name": "base", "mode": "StsToken", **keys_of("BASE"), "sts_token": "BASE-TOKEN"},
            {"name": "main", "mode": "ChainableRamRoleArn", "source_profile": "base", "ram_role_arn": ROLE},
        ),
        "",
    ),
    "ChainableRamRoleArn twice": (
        {},
        cli(
            {"name": "base", "mode": "AK", **keys_of("BASE")},
            {"name": "mid", "mode": "ChainableRamRoleArn", "source_profile": "base", "ram_role_arn": OTHER_ROLE},
            {"name": "main", "mode": "ChainableRamRoleArn", "source_profile": "mid", "ram_role_arn": ROLE},
        ),
        "",
    ),
    "ChainableRamRoleArn in a circle": (
        {},
        mode("ChainableRamRoleArn", source_profile="main", ram_role_arn=ROLE) | FILE,
        "",
    ),
    "ChainableRamRoleArn without a source": ({}, mode("ChainableRamRoleArn", ram_role_arn=ROLE) | FILE, ""),
    "file": ({}, FILE, ""),
    "file elsewhere": (
        {"ALIBABA_CLOUD_CREDENTIALS_FILE": "{HOME}/x.ini"},
        FILE | {"x.ini": "[default]\ntype=access_key\naccess_key_id=X-ID\naccess_key_secret=X-SECRET # old\n"},
        "",
    ),
    "file elsewhere that is missing": ({"ALIBABA_CLOUD_CREDENTIALS_FILE": "{HOME}/gone.ini"}, FILE, ""),
    "file at an empty path": ({"ALIBABA_CLOUD_CREDENTIALS_FILE": ""}, FILE, ""),
    "file malformed": ({}, {INI: "type = access_key\n"}, ""),
    "file with an option twice": ({}, {INI: "[default]\ntype=access_key\ntype=access_key\n"}, ""),
    "file with an unknown type": ({}, ini(type="sts", **keys_of("INI")), ""),
    "file without a type": ({}, ini(**keys_of("INI")), ""),
    "file without a secret": ({}, ini(type="access_key", access_key_id="INI-ID"), ""),
    "file with shared options": (
        {},
        {INI: "[DEFAULT]\ntype=access_key\n[default]\naccess_key_id=a\naccess_key_secret=b"},
        "",
    ),
    "file with a role": (
        {},
        ini(type="ram_role_arn", **keys_of("INI"), role_arn=ROLE, role_session_name="me", policy="{}"),
        "",
    ),
    "file with a role of the environment": (
        {"ALIBABA_CLOUD_ROLE_ARN": ROLE},
        ini(type="ram_role_arn", **keys_of("INI")),
        "",
    ),
    "file with a role without an ARN": ({}, ini(type="ram_role_arn", **keys_of("INI")), ""),
    "file with OIDC": (
        {},
        WITH_TOKEN
        | ini(type="oidc_role_arn", role_arn=ROLE, oidc_provider_arn=OIDC_ARN, oidc_token_file_path="{HOME}/token"),
        "",
    ),
    "file with ECS": ({}, ini(type="ecs_ram_role", role_name="node"), ""),
    "file with ECS unnamed": ({}, ini(type="ecs_ram_role"), ""),
    "ECS": ({}, {}, ""),
    "ECS named": ({"ALIBABA_CLOUD_ECS_METADATA": "env-role"}, {}, ""),
    "ECS with version 1 switched off": ({"ALIBABA_CLOUD_IMDSV1_DISABLED": "true"}, {}, ""),
    "ECS before the URI": ({"ALIBABA_CLOUD_CREDENTIALS_URI": URI}, {}, ""),
    "ECS switched off": (NO_ECS, {}, ""),
    "ECS switched off in capitals": ({"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "True"}, {}, ""),
    "ECS not switched off by 1": ({"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "1"}, {}, ""),
    "URI": (NO_ECS | {"ALIBABA_CLOUD_CREDENTIALS_URI": URI}, {}, ""),
    "URI after a silent ECS": ({"ALIBABA_CLOUD_CREDENTIALS_URI": URI}, {}, "ecs"),
    "URI empty": (NO_ECS | {"ALIBABA_CLOUD_CREDENTIALS_URI": ""}, {}, ""),
    "URI that doesn't answer": (NO_ECS | {"ALIBABA_CLOUD_CREDENTIALS_URI": URI}, {}, "uri"),
}


def issued(name: str) -> dict[str, str]:
    return {
        "AccessKeyId": f"STS.{name}",
        "AccessKeySecret": f"secret-of-{name}",
        "SecurityToken": f"token-of-{name}",
        "Expiration": "2099-01-01T00:00:00Z",
    }


def answered(url: str, down: str) -> tuple[int, str]:
    """The answers of the metadata service and of the credentials URI."""
    if ("ecs" if "100.100.100.200" in url else "uri") == down:
        return 500, ""
    last = url.rpartition("/")[2]
    if last == "token":
        return 200, "metadata-token"
    return 200, json.dumps({"Code": "Success", **issued(last)}) if last else "found-role"


def asked_of_sts(parameters: Mapping[str, str], source: str) -> dict[str, str]:
    """A request to STS without the parameters of the signature and without a default session name."""
    names = ("RoleArn", "DurationSeconds", "Policy", "ExternalId", "OIDCProviderArn", "OIDCToken", "RoleSessionName")
    asked = {name: parameters[name] for name in names if name in parameters} | {"source": source}
    if asked["RoleSessionName"].startswith(DEFAULT_NAMES):
        del asked["RoleSessionName"]
    return asked


def role_name(parameters: Mapping[str, str], source: str) -> str:
    return f"{parameters['RoleArn']}-by-{source}".replace("/", "-")


# ---- the library's side, in the child process --------------------------------------------------------------------


def library_outcomes(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    import importlib
    import logging

    from alibabacloud_credentials.provider import DefaultCredentialsProvider, ecs_ram_role
    from alibabacloud_credentials.utils import auth_constant, auth_util
    from Tea.core import TeaCore

    logging.disable(logging.CRITICAL)
    ecs_ram_role.BackgroundScheduler = type(
        "NoScheduler", (), dict.fromkeys(("add_job", "start", "shutdown"), _nothing)
    )
    outcomes = []
    for case in cases:
        for name in [name for name in os.environ if name.startswith("ALIBABA_CLOUD_")]:
            del os.environ[name]
        os.environ.update(case["environ"], HOME=case["home"])
        importlib.reload(auth_util)
        importlib.reload(auth_constant)
        asked: list[dict[str, str]] = []
        TeaCore.do_action = staticmethod(_library_network(case["down"], asked))
        try:
            found = DefaultCredentialsProvider().get_credentials()
        except Exception:
            outcomes.append({"keys": None, "asked": asked})
        else:
            token = found.get_security_token() or ""
            keys = [found.get_access_key_id(), found.get_access_key_secret(), token]
            outcomes.append({"keys": keys, "asked": asked})
    return outcomes


def _nothing(*_args: Any, **_named: Any) -> None:
    """Stands for a thread that isn't started."""


def _library_network(down: str, asked: list[dict[str, str]]) -> Any:
    from types import SimpleNamespace

    def do_action(request: Any, _options: Any = None) -> Any:
        host = request.headers["host"]
        if host.startswith("sts"):
            source = request.query.get("AccessKeyId", "")
            asked.append(asked_of_sts(request.query, source))
            body = json.dumps({"Credentials": issued(role_name(request.query, source))})
            status = 500 if down == "sts" else 200
        else:
            status, body = answered(f"http://{host}{request.pathname}", down)
        return SimpleNamespace(status_code=status, body=body.encode())

    return do_action


# ---- our side ----------------------------------------------------------------------------------------------------


async def our_outcome(case: dict[str, Any]) -> dict[str, Any]:
    from crawler.client.credentials import Credentials, DefaultSpec, build_provider
    from crawler.clock import SystemClock
    from crawler.errors import CredentialsError, FatalError

    asked: list[dict[str, str]] = []

    async def call(product: str, action: str, parameters: Mapping[str, str], credentials: Credentials | None) -> Any:
        source = credentials.access_key_id if credentials else ""
        asked.append(asked_of_sts(parameters, source))
        if case["down"] == "sts":
            raise FatalError("InternalError", "", http_status=500)
        return {"Credentials": issued(role_name(parameters, source))}

    async def fetch(method: str, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        status, body = answered(url.partition("?")[0], case["down"])
        return status, body.encode()

    provider = build_provider(
        DefaultSpec(),
        call=call,
        fetch=fetch,
        clock=SystemClock(),
        environ=case["environ"],
        home=Path(case["home"]),
    )
    try:
        found = await provider.get()
    except CredentialsError:
        return {"keys": None, "asked": asked}
    return {"keys": [found.access_key_id, found.access_key_secret, found.security_token], "asked": asked}


def laid_out(home: Path, environ: Mapping[str, str], files: Mapping[str, str], down: str = "") -> dict[str, Any]:
    for name, content in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.replace("{HOME}", str(home)))
    filled = {name: value.replace("{HOME}", str(home)) for name, value in environ.items()}
    return {"environ": filled, "home": str(home), "down": down}


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """Each case with its files and environment, and the library's outcome."""
    cases = {}
    for name, (environ, files, down) in CASES.items():
        cases[name] = laid_out(tmp_path_factory.mktemp("home"), environ, files, down)
    child = subprocess.run(
        [sys.executable, __file__], input=json.dumps(list(cases.values())), capture_output=True, text=True, check=True
    )
    return {
        name: (case, outcome) for (name, case), outcome in zip(cases.items(), json.loads(child.stdout), strict=True)
    }


@pytest.mark.parametrize("name", CASES)
async def test_the_default_chain_takes_the_keys_that_the_library_takes(beside, name):
    case, library = beside[name]
    assert await our_outcome(case) == library


def test_the_cases_reach_every_place_of_the_chain(beside):
    chosen = {outcome["keys"][0] if outcome["keys"] else None for _, outcome in beside.values()}
    oidc = f"STS.{role_name({'RoleArn': ROLE}, '')}"
    assert {"ENV-ID", oidc, "CLI-ID", "INI-ID", "X-ID", "STS.found-role", "STS.env-role", "STS.keys", None} <= chosen


@pytest.mark.parametrize("unsupported", ["CloudSSO", "OAuth", "External", "RsaKeyPair", "BearerToken", "Anonymous"])
async def test_a_profile_that_only_the_vendors_tools_can_use_ends_the_search(tmp_path, unsupported):
    case = laid_out(tmp_path, {}, mode(unsupported) | FILE)
    assert (await our_outcome(case))["keys"] is None


async def test_an_rsa_key_pair_in_the_file_ends_the_search(tmp_path):
    case = laid_out(tmp_path, {}, ini(type="rsa_key_pair", public_key_id="x", private_key_file="/x"))
    assert (await our_outcome(case))["keys"] is None


async def test_half_of_a_key_is_never_completed_with_half_of_another(tmp_path):
    case = laid_out(tmp_path, {KEY: "ENV-ID"}, mode("AK", access_key_secret="CLI-SECRET") | FILE)
    assert (await our_outcome(case))["keys"] == ["INI-ID", "INI-SECRET", ""]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(library_outcomes(json.load(sys.stdin))))
