"""No secret in any text that a failure or a provider leaves behind. T10, T11, T13: a sweep with canaries."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from crawler.client.credentials import Credentials, assumed_role, build_provider
from crawler.client.credentials.base import StaticProvider
from crawler.client.credentials.chain import default_chain
from crawler.client.credentials.cli_profiles import cli_profile
from crawler.client.credentials.ini_profiles import ini_profile
from crawler.client.credentials.metadata import ecs_role, uri_credentials
from crawler.client.credentials.spec import StsSpec
from crawler.client.credentials.sts import oidc_role
from crawler.errors import CredentialsError, FatalError, TransientError
from crawler.validation import Secret
from tests.support.credentials_fakes import ROLE, FakeCloud

CANARY = 'cAnArY+7f3a/"s3cret'
PLAIN = "cAnArY7f3as3cret"
KEYS = Credentials(f"LTAI{PLAIN}abcd", f"secret-{PLAIN}", f"token-{PLAIN}")
QUOTING = FatalError("SignatureDoesNotMatch", f"server string to sign is: x-acs-security-token:{CANARY}{PLAIN}")
EXPIRED = "2026-11-22T03:00:00Z"


def spellings(secret: str) -> set[str]:
    hexed = secret.encode().hex()
    escaped = json.dumps(secret)[1:-1]
    encoded = base64.b64encode(secret.encode()).decode()
    return {secret, escaped, repr(secret)[1:-1], quote(secret, safe=""), encoded, hexed, hexed.upper()}


def leaks(text: str) -> list[str]:
    return [spelling for secret in (CANARY, PLAIN) for spelling in spellings(secret) if spelling in text]


def texts_of(error: BaseException | None) -> list[str]:
    """All printable text of an error and of its causes and contexts, even if `from None` hides them."""
    if error is None:
        return []
    own = [str(error), repr(error), repr(error.args), repr(vars(error)), *getattr(error, "__notes__", ())]
    shown = traceback.format_exception(error, chain=True)
    return [*own, *shown, *texts_of(error.__cause__), *texts_of(error.__context__)]


def config(home: Path, content: str) -> None:
    (home / ".aliyun").mkdir()
    (home / ".aliyun" / "config.json").write_text(content)


def profile(home: Path, **fields: object) -> None:
    config(home, json.dumps({"current": "main", "profiles": [{"name": "main", **fields}]}))


def ini(home: Path, content: str) -> Path:
    path = home / "credentials.ini"
    path.write_text(content)
    return path


class Leaky(FakeCloud):
    """Answers every request with the same body, in which there are secrets."""

    body: bytes = b""

    async def fetch(self, method, url, headers):
        await super().fetch(method, url, headers)
        return (200, b"token") if method == "PUT" else (200, self.body)


def leaky(body: object) -> FakeCloud:
    cloud = Leaky()
    cloud.body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return cloud


def refusing(*errors: Exception) -> FakeCloud:
    return FakeCloud(errors=list(errors))


def issuing(**change: object) -> FakeCloud:
    cloud = FakeCloud()
    cloud.issue = lambda _number: (
        {
            "AccessKeyId": KEYS.access_key_id,
            "AccessKeySecret": KEYS.access_key_secret,
            "SecurityToken": KEYS.security_token,
            "Expiration": EXPIRED,
        }
        | change
    )
    return cloud


def cli_case(content: str) -> Callable[[Path], Awaitable[object]]:
    def ask(home: Path) -> Awaitable[object]:
        config(home, content)
        return cli_profile(FakeCloud().outside(home)).get()

    return ask


def profile_case(**fields: object) -> Callable[[Path], Awaitable[object]]:
    def ask(home: Path) -> Awaitable[object]:
        profile(home, **fields)
        return cli_profile(refusing(QUOTING).outside(home)).get()

    return ask


def ini_case(content: str) -> Callable[[Path], Awaitable[object]]:
    def ask(home: Path) -> Awaitable[object]:
        path = ini(home, content)
        return ini_profile(refusing(QUOTING).outside(home, ALIBABA_CLOUD_CREDENTIALS_FILE=str(path))).get()

    return ask


def role_case(cloud: FakeCloud) -> Callable[[Path], Awaitable[object]]:
    return lambda _home: assumed_role(
        cloud.outside(), StaticProvider("sts", KEYS), ROLE, external_id=CANARY, policy=json.dumps({"x": CANARY})
    ).get()


def oidc_case(token: bytes) -> Callable[[Path], Awaitable[object]]:
    def ask(home: Path) -> Awaitable[object]:
        (home / "token").write_bytes(token)
        outside = refusing(QUOTING).outside()
        return oidc_role(outside, role_arn=ROLE, provider_arn="acs:p", token_file=str(home / "token")).get()

    return ask


def chain_case(home: Path) -> Awaitable[object]:
    profile(home, mode="RamRoleArn", ram_role_arn=ROLE, access_key_id=PLAIN, access_key_secret=PLAIN)
    environ = {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": f"{PLAIN} x",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": CANARY,
        "ALIBABA_CLOUD_SECURITY_TOKEN": f"{CANARY}\n x",
        "ALIBABA_CLOUD_CREDENTIALS_FILE": str(ini(home, f"{CANARY}\n")),
        "ALIBABA_CLOUD_CREDENTIALS_URI": f"http://user:{PLAIN}@127.0.0.1:9/{PLAIN}?key={PLAIN}",
    }
    return default_chain(refusing(*[QUOTING] * 9).outside(home, **environ)).get()


def uri_case(cloud: FakeCloud) -> Callable[[Path], Awaitable[object]]:
    uri = f"http://user:{PLAIN}@127.0.0.1:9/{PLAIN}?key={PLAIN}"
    return lambda _home: uri_credentials(cloud.outside(ALIBABA_CLOUD_CREDENTIALS_URI=uri)).get()


async def refused_refresh(_home: Path) -> object:
    role = assumed_role(issuing().outside(), StaticProvider("sts", KEYS), ROLE)
    return await role.refresh(await role.get())


async def refused_config(_home: Path) -> object:
    outside = FakeCloud().outside()
    canary = Secret(CANARY)
    spec = StsSpec(access_key_id=Secret("a b"), access_key_secret=canary, security_token=canary)
    return await build_provider(
        spec, call=outside.call, fetch=outside.fetch, clock=outside.clock, environ={}, home=Path("/")
    ).get()


FAILURES: dict[str, Callable[[Path], Awaitable[object]]] = {
    "CLI malformed": cli_case(f'{{"profiles": [{{"access_key_secret": {CANARY}{PLAIN}'),
    "CLI not UTF-8": lambda home: _undecodable(home),
    "CLI not an object": cli_case(json.dumps([CANARY])),
    "CLI with another shape": cli_case(json.dumps({"current": "main", "profiles": [CANARY]})),
    "CLI with an unknown mode": profile_case(mode=CANARY, access_key_secret=PLAIN),
    "CLI with a browser's sign-in": profile_case(mode="OAuth", oauth_access_token=CANARY),
    "CLI with a program": profile_case(mode="External", process_command=f"get --password {CANARY}"),
    "CLI without an ID": profile_case(mode="AK", access_key_secret=CANARY),
    "CLI with a stray character": profile_case(mode="AK", access_key_id=PLAIN, access_key_secret=f"{CANARY}\n{PLAIN}"),
    "CLI with a bad duration": profile_case(
        mode="RamRoleArn", ram_role_arn=ROLE, access_key_id=PLAIN, access_key_secret=CANARY, expired_seconds=CANARY
    ),
    "CLI role refused": profile_case(
        mode="RamRoleArn", ram_role_arn=ROLE, access_key_id=PLAIN, access_key_secret=CANARY, external_id=CANARY
    ),
    "INI without a section": ini_case(f"access_key_secret = {CANARY}"),
    "INI with half a line": ini_case(f"[default]\n{CANARY}\n"),
    "INI with an option twice": ini_case(f"[default]\nx={CANARY}\nx={CANARY}\n"),
    "INI with an unknown type": ini_case(f"[default]\ntype={CANARY}\naccess_key_secret={PLAIN}\n"),
    "INI without an ID": ini_case(f"[default]\ntype=access_key\naccess_key_secret={CANARY}\n"),
    "INI role refused": ini_case(
        f"[default]\ntype=ram_role_arn\nrole_arn={ROLE}\naccess_key_id={PLAIN}\naccess_key_secret={PLAIN}\n"
    ),
    "role refused": role_case(refusing(QUOTING)),
    "role refused with a code that quotes": role_case(refusing(FatalError(f"x {CANARY}", CANARY, request_id=CANARY))),
    "role without a network": role_case(refusing(TransientError("ConnectionFailed", f"https://sts/?Token={CANARY}"))),
    "role answered in part": role_case(issuing(SecurityToken=None)),
    "role answered with a bad date": role_case(issuing(Expiration=CANARY)),
    "role answered with stray characters": role_case(issuing(AccessKeySecret=f"{CANARY}\n{PLAIN}")),
    "role handed out again": refused_refresh,
    "OIDC not UTF-8": oidc_case(b"\xff" + CANARY.encode()),
    "OIDC refused": oidc_case(CANARY.encode()),
    "ECS answers HTML": lambda _home: ecs_role(leaky(f"<p>{CANARY}".encode()).outside(), "node").get(),
    "ECS names a bad role": lambda _home: ecs_role(leaky(f"<p>{CANARY}".encode()).outside()).get(),
    "ECS without success": lambda _home: ecs_role(
        leaky({"Code": CANARY, "AccessKeySecret": PLAIN}).outside(), "n"
    ).get(),
    "ECS in part": lambda _home: ecs_role(leaky({"Code": "Success", "AccessKeySecret": PLAIN}).outside(), "n").get(),
    "ECS silent": lambda _home: ecs_role(refusing(QUOTING).outside(), "node").get(),
    "URI silent": uri_case(refusing(QUOTING)),
    "URI answers HTML": uri_case(leaky(CANARY.encode())),
    "the whole chain": chain_case,
    "fixed keys refused": lambda _home: StaticProvider("sts", KEYS).refresh(KEYS),
    "keys with a stray character": refused_config,
}


def _undecodable(home: Path) -> Awaitable[object]:
    config(home, "")
    (home / ".aliyun" / "config.json").write_bytes(b'{"access_key_secret": "\xff' + CANARY.encode())
    return cli_profile(FakeCloud().outside(home)).get()


@pytest.mark.parametrize("name", FAILURES)
async def test_t11_a_failure_never_holds_a_secret(tmp_path, name):
    """T11."""
    with pytest.raises(CredentialsError) as caught:
        await FAILURES[name](tmp_path)
    texts = texts_of(caught.value)
    assert [leaks(text) for text in texts if leaks(text)] == []
    assert "\n" not in str(caught.value)


def test_the_sweep_finds_a_secret_in_an_error_and_in_one_that_hangs_from_it():
    with pytest.raises(ValueError, match="Expecting value") as caught:
        json.loads(f"[{CANARY}")
    outer = CredentialsError("malformed")
    assert not any(leaks(text) for text in texts_of(outer))
    outer.__context__ = caught.value
    assert any(leaks(text) for text in texts_of(outer))
    assert any(leaks(text) for text in texts_of(QUOTING))


async def test_t10_a_provider_and_what_it_holds_never_show_a_secret():
    """T10."""
    outside = issuing().outside(ALIBABA_CLOUD_ACCESS_KEY_ID=PLAIN, ALIBABA_CLOUD_ACCESS_KEY_SECRET=CANARY)
    static, chain = StaticProvider("sts", KEYS), default_chain(outside)
    role = assumed_role(outside, static, ROLE, external_id=CANARY)
    for provider in (static, chain, role):
        found = await provider.get()
        shown = f"{provider!r} {provider} {provider.name} {found!r} {found} {outside!r} {[found]}"
        assert not leaks(shown)
