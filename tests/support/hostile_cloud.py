"""A cloud of markers and faults, with credentials of all kinds that are markers too, and commands that run on it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from anyio.from_thread import start_blocking_portal

from crawler.catalog import load_catalog
from crawler.cli.emulate import write_config
from crawler.emulator import (
    Body,
    Cloud,
    CloudSpec,
    Deny,
    Drop,
    Emulator,
    Error,
    HtmlFault,
    PageFault,
    Redirect,
    Refuse,
    Slow,
    Throttle,
    Truncate,
    serve,
)
from crawler.emulator.apis.operation import GLOBAL
from tests.support import command_server
from tests.support.crawl_runner import FAST
from tests.support.planted_secrets import Planter, plant

ROOT = Path(__file__).parents[2]
CRAWLED = {name: operation for name, operation in load_catalog().operations.items() if operation.selection != "out"}
ACCOUNTS = tuple(f"100000000000000{n}" for n in range(1, 6))
# Two accounts where everything is, the other kinds of credentials where OpenSearch isn't.
REGIONS = dict(zip(ACCOUNTS, ("cn-hangzhou", "cn-hangzhou", "cn-shanghai", "cn-shanghai", "cn-shanghai"), strict=True))
ROLE = "inventory-reader"
SESSION = 'access_key_secret = "${STS_SECRET}"\nsecurity_token = "${STS_TOKEN}"\n'


@dataclass
class Stage:
    """The folders of a run: `given` is the user's input and isn't swept, `out` has all output of the command."""

    cloud: Cloud
    emulator: Emulator
    planter: Planter
    given: Path
    out: Path
    environ: Mapping[str, str]
    runs: int = 0

    def run(self, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run the command in its own process; its output is in `out/said`."""
        done = command_server.run(arguments, cwd=self.out, env={**self.environ, **(environ or {})}, text=False)
        self.runs += 1
        said = self.out / "said"
        said.mkdir(exist_ok=True)
        (said / f"{self.runs}.out").write_bytes(done.stdout)
        (said / f"{self.runs}.err").write_bytes(done.stderr)
        return done


def hostile(*, faulty: bool) -> tuple[Cloud, Planter]:
    """Return the cloud. Secrets, unknown fields and keys are markers; `faulty`: with faults of all kinds."""
    cloud = Cloud(CloudSpec(accounts=ACCOUNTS, regions=("cn-hangzhou", "cn-shanghai"), rate=FAST, rates={"sts": FAST}))
    planter = Planter()
    for account, region in REGIONS.items():
        for place in (region, GLOBAL):
            plant(cloud, (account, place), CRAWLED, planter)
    for account, key in cloud.keys.lasting.items():
        planted = replace(key, secret=planter.marker())
        cloud.keys.lasting[account] = cloud.keys._keys[key.key_id] = planted
    _plant_in_sessions(cloud, planter)
    if faulty:
        _add_faults(cloud, planter)
    return cloud, planter


def _plant_in_sessions(cloud: Cloud, planter: Planter) -> None:
    issue = cloud.keys.issue

    def issue_planted(*given):
        key = replace(issue(*given), secret=planter.marker(), token=f"CAIS{planter.marker()}+/=")
        cloud.keys._keys[key.key_id] = key
        return key

    cloud.keys.issue = issue_planted  # type: ignore[method-assign]


def _add_faults(cloud: Cloud, planter: Planter) -> None:
    """Add a passing fault of each effect, and a lasting one of each kind of failure."""
    add = cloud.faults.add
    echo = f"The string is GET\n/\nx-acs-security-token:{planter.marker()}\nAuthorization: ACS3 {planter.marker()}"
    away = f"http://127.0.0.1:9/?Signature={planter.marker()}&security-token={planter.marker()}"
    html = f"<html>{planter.marker()}</html>".encode()
    passing = [
        *(Throttle(retry_after_ms=5, hint=hint) for hint in ("acs", "ratelimit", "none")),
        *(Error(), Error(status=503, code="ServiceUnavailable", message=echo), HtmlFault(), HtmlFault(status=200)),
        *(Error(status=400, code="InvalidTimeStamp.Expired", message=echo), Body(body=html)),
        *(Drop(), Drop(when="after"), Refuse()),
        *(Truncate(at=at, framing=framing) for framing in ("length", "chunk", "close") for at in (0, 40)),
    ]
    for number, effect in enumerate(passing):
        product, action = [("fc", "ListFunctions"), ("fc-open", "ListServices"), ("fc", "ListTriggers")][number % 3]
        add(effect, product=product, action=action, nth=(1 + number // 3,))
    add(Error(status=400, code="InvalidSecurityToken.Expired", message=echo), account=ACCOUNTS[3], nth=(3,))
    add(Slow(every_s=0.0005, size=400), action="ListAliases", nth=(1,))
    add(PageFault(rows=1), action="ListLayers")
    # Lasting faults, each for lists without child lists.
    refused = Error(status=400, code="SignatureDoesNotMatch", message=echo)
    add(refused, action="ListConcurrencyConfigs", account=ACCOUNTS[0])
    add(Redirect(location=away), action="ListProvisionConfigs", account=ACCOUNTS[1])
    add(Body(body=html), action="ListVpcBindings", account=ACCOUNTS[2])
    add(Deny(), action="ListScalingConfigs", account=ACCOUNTS[3])
    endless = Throttle(code="Throttling.User", message=echo, retry_after_ms=5)
    add(endless, action="ListTagResources", account=ACCOUNTS[4])


@contextmanager
def stage(folder: Path, tables: Sequence[str], *, faulty: bool, output: str = "") -> Iterator[Stage]:
    """Serve the cloud in a thread, and write the configuration with another kind of credentials per account."""
    cloud, planter = hostile(faulty=faulty)
    given, out = folder / "given", folder / "out"
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serve(cloud)) as emulator:
        for path in (given / ".aliyun", out / "tmp"):
            path.mkdir(parents=True)
        text, environ = write_config(emulator, str(out / "snapshots"), rate=5000, burst=1000)
        environ["ACS_INVENTORY_DEMO_KEY"] = planter.marker() + planter.marker()
        text = _with_credentials(text, cloud, planter, given, environ)
        chosen = f'tables = {json.dumps(list(tables))}\ndetails = ["fc_functions"]\n'
        text = text.replace("[crawl]\n", f"[crawl]\n{chosen}")
        text = text.replace("[output]\n", f"[output]\n{output}")
        text += "\n[retry]\nmax_attempts = 5\nmax_delay = 0.01\n"
        config = given / "config.toml"
        config.write_text(text)
        config.chmod(0o600)
        surroundings = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ALIBABA")},
            **environ,
            "HOME": str(given),
            "TMPDIR": str(out / "tmp"),
            "XDG_STATE_HOME": str(out / "state"),
            "PYTHONPATH": str(ROOT),
            "PYTHONASYNCIODEBUG": "1",
            "ACS_INVENTORY_CONFIG": str(config),
        }
        yield Stage(cloud, emulator, planter, given, out, surroundings)


def _with_credentials(text: str, cloud: Cloud, planter: Planter, given: Path, environ: dict[str, str]) -> str:
    """Return the accounts' credentials: a key, a temporary key, a role, an identity token, a profile."""
    head, *blocks = text.split("\n[[accounts]]\n")
    blocks[-1], _, tail = blocks[-1].partition("\n[endpoints]")
    session = cloud.keys.issue(ACCOUNTS[1], ROLE, "given", 3600)
    environ |= {"STS_ID": session.key_id, "STS_SECRET": session.secret, "STS_TOKEN": session.token}
    token = given / "identity-token"
    token.write_text(f"header.{planter.marker()}.{planter.marker()}")
    key_id, secret = cloud.credentials(ACCOUNTS[4])
    profile = {"name": "prod", "mode": "AK", "access_key_id": key_id, "access_key_secret": secret}
    (given / ".aliyun" / "config.json").write_text(json.dumps({"current": "prod", "profiles": [profile]}))
    keys = 'access_key_id = "${{EMULATOR_KEY_ID_{0}}}"\naccess_key_secret = "${{EMULATOR_KEY_SECRET_{0}}}"\n'
    arn = 'role_arn = "acs:ram::{}:role/' + ROLE + '"\n'
    kinds = [
        'type = "access_key"\n' + keys.format(1),
        'type = "sts"\naccess_key_id = "${STS_ID}"\n' + SESSION,
        'type = "ram_role_arn"\n' + arn.format(ACCOUNTS[2]) + keys.format(3),
        'type = "oidc_role_arn"\n'
        + arn.format(ACCOUNTS[3])
        + f'oidc_provider_arn = "acs:ram::{ACCOUNTS[3]}:oidc-provider/ack"\noidc_token_file = "{token}"\n',
        'type = "profile"\nprofile = "prod"\n',
    ]
    accounts = [
        f'\n[[accounts]]\nid = "{account}"\nregions = ["{region}"]\n[accounts.credentials]\n{kind}'
        for (account, region), kind in zip(REGIONS.items(), kinds, strict=True)
    ]
    return head + "".join(accounts) + "\n[endpoints]" + tail


def commands() -> Sequence[tuple[str, ...]]:
    """Return all commands that read a snapshot or send requests to the cloud."""
    newest = ("--snapshot", "newest")
    exports = [("export", "*", "--to", f"exported-{kind}", "--format", kind) for kind in ("csv", "jsonl", "parquet")]
    return [
        *((*export, *newest) for export in exports),
        ("export", "fc_functions", "fc_triggers", "--to", "exported.xlsx", *newest),
        ("report", "--to", "report.html", *newest),
        ("diff", "--json"),
        ("diff",),
        ("diff", "--format", "markdown"),
        ("plan", "--json"),
        ("snapshots", "show"),
        ("query", "FROM fc_functions", "--format", "json", *newest),
        ("query", "FROM _scopes", "--format", "table", *newest),
        ("snapshots", "list"),
        ("snapshots", "verify"),
        ("doctor",),
    ]
