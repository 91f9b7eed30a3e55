"""P14, P15, T01–T11: no secret in any byte that the command writes, logs or prints, under every kind of fault."""

from __future__ import annotations

import base64
import json
import re
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from crawler.catalog.columns import Column
from tests.support.hostile_cloud import ACCOUNTS, CRAWLED, commands, hostile, stage
from tests.support.planted_secrets import Planter
from tests.support.secret_sweep import MARKER, Sweep, readings, texts

SECRET = {
    table: operation for table, operation in CRAWLED.items() if any(column.has_secret for column in operation.columns)
}
FUNCTIONS = "fc.ListFunctions"
NEVER = re.compile(rb"BEGIN[A-Z ]*PRIVATE KEY|(?:Signature|security-token)=", re.IGNORECASE)


def encoded(text):
    """A text as it may come out, by the name of the encoding."""
    raw = text.encode()
    return {
        "raw": text,
        "upper": text.upper(),
        **{f"base64 at {at}": base64.b64encode(b"x" * at + raw).decode() for at in range(3)},
        "base64 for URLs": base64.urlsafe_b64encode(b"\xfb\xff" + raw).decode(),
        "base64 twice": base64.b64encode(base64.b64encode(raw)).decode(),
        "percent": quote(text) + "".join(f"%{byte:02x}" for byte in raw),
        "JSON": "".join(f"\\u{byte:04X}" for byte in raw),
        "JSON in JSON": json.dumps("".join(f"\\u{byte:04x}" for byte in raw)),
        "hex": raw.hex(),
        "HEX at an odd place": "a" + raw.hex().upper(),
        "repr": "".join(f"\\x{byte:02x}" for byte in raw),
        "UTF-16 in base64": base64.b64encode(text.encode("utf-16-le")).decode(),
    }


@pytest.mark.parametrize("name", encoded("x"))
def test_the_sweep_finds_a_marker_in_every_encoding(name):
    """Control: without this test the absence of markers would prove nothing."""
    marker = Planter().marker()
    around = f'{{"event": "request", "said": "{encoded(marker)[name]}", "n": 5}}'.encode()
    assert Sweep().found(around) == {marker}
    assert Sweep(marker).found(around) == {marker}


def control(stage):
    """Plant markers in a field that is not a secret: the sweep must find exactly these."""
    cloud, marker = stage.cloud, stage.planter.marker
    records = cloud.records(ACCOUNTS[0], "cn-hangzhou", FUNCTIONS)
    found = {}
    for index, name in enumerate(["raw", "base64 at 1", "JSON", "hex"]):
        found[name] = marker()
        record = records[index % len(records)]
        record["handler" if index < len(records) else "runtime"] = encoded(found[name])[name]
    cloud.edit(ACCOUNTS[0], "cn-hangzhou", FUNCTIONS, records)
    return set(found.values())


# Every list that a fault is for, and the documents of RAM.
SOME = [
    *("fc_functions", "fc_triggers", "fc_custom_domains", "fc_concurrency_configs", "fc_provision_configs"),
    *("fc_vpc_bindings", "fc_scaling_configs", "fc_tag_resources", "fc_aliases", "fc_layers", "fc2_services"),
    *("ram_roles", "ram_policy_versions"),
]
QUICK = [("export", "*", "--to", "exported-csv", "--format", "csv", "--snapshot", "newest")]


@contextmanager
def swept(folder, *, is_all):
    """Crawls at DEBUG with faults of every kind, commands that read a snapshot, and the sweep's findings."""
    with stage(folder, list(CRAWLED) if is_all else SOME, faulty=True) as here:
        controls = control(here)
        crawls = [("crawl", "--log-format", kind) for kind in ("json", "console")[: 1 + is_all]]
        asked = [*crawls, *(commands() if is_all else QUICK)]
        codes = {command: here.run(*command, "--log-level", "debug").returncode for command in asked}
        yield here, controls, codes, Sweep().found_in_folder(here.out)


def nothing_is_found_but_the_controls(here, controls, codes, found):
    wanted = {"crawl": 3, "doctor": 1}
    assert codes == {command: wanted.get(command[0], 0) for command in codes}
    assert set().union(*found.values()) == controls
    assert len(here.planter.planted) > 5000
    where = {name.split("/")[0] for name in found}
    written = {"exported-csv", "exported-jsonl", "exported-parquet", "exported.xlsx", "said"}
    assert where >= ({"snapshots"} | written if len(codes) > 2 else {"snapshots", "exported-csv"})


def every_fault_has_hit(here, controls, codes, found):
    """The sweep covers the messages for each kind of failure."""
    assert [rule for rule in here.cloud.faults.rules if rule.fired == 0] == []
    lines = b"".join(path.read_bytes() for path in (here.out / "said").glob("*.err"))
    assert lines.count(b"request") > len(here.cloud.requests.entries) / 2, "every request is logged at DEBUG"
    reasons = {b"AccessDenied", b"RedirectRefused", b"SignatureDoesNotMatch", b"InvalidResponse", b"Throttling.User"}
    assert {code for code in reasons if code not in lines} == set()
    assert b"Traceback" not in lines


def no_private_key_and_no_signed_url_is_anywhere(here, controls, codes, found):
    files = [path for path in here.out.rglob("*") if path.is_file()]
    assert len(files) > 30
    for path in files:
        assert not [hit for reading in readings(path.read_bytes(), 1) for hit in NEVER.findall(reading)], path


def code_is_never_asked_for(here, controls, codes, found):
    """GetFunctionCode would sign a URL to it."""
    actions = {entry.action for entry in here.cloud.requests.entries}
    assert {action for action in actions if action.startswith("Get")} == {"GetFunction", "GetCallerIdentity", "GetRole"}


CHECKS = (
    nothing_is_found_but_the_controls,
    every_fault_has_hit,
    no_private_key_and_no_signed_url_is_anywhere,
    code_is_never_asked_for,
)


def test_no_secret_is_in_any_byte_written_said_or_logged(tmp_path):
    """P14, P15, T01–T08, T10, T11: and the markers that were planted on purpose are found. T06: no code."""
    with swept(tmp_path, is_all=False) as found:
        for check in CHECKS:
            check(*found)


@pytest.mark.trust
def test_no_secret_of_any_table_gets_out_of_any_command(tmp_path):
    """P14, P15, T01–T08, T10, T11: the same of all tables, crawled twice, and of the commands that read them."""
    with swept(tmp_path, is_all=True) as found:
        for check in CHECKS:
            check(*found)


def secret_paths(column: Column, path: str = ""):
    """Where below a column secrets are."""
    here = f"{path}.{column.wire}" if column.wire else f"{path}.*"
    if not any(child.has_secret for child in column.children):
        return [here] if column.has_secret else []
    return [found for child in column.children if child.has_secret for found in secret_paths(child, here)]


def has_marker(value, path):
    """Whether there is a marker at a path of wire names."""
    if isinstance(value, str) and (path or value[:1] in "{["):
        try:
            value = json.loads(value)
        except ValueError:
            return False
    if not path:
        return any(MARKER.search(text.encode()) for text in texts(value))
    name, *rest = path
    if isinstance(value, list):
        return any(has_marker(inner, rest if name == "*" else path) for inner in value)
    if isinstance(value, dict):
        inner = value.values() if name == "*" else [value[name]] if name in value else []
        return any(has_marker(item, rest) for item in inner)
    return False


def test_every_secret_of_every_table_has_had_a_marker_in_it():
    """Control: a secret field without a marker proves nothing."""
    cloud, _ = hostile(faulty=False)
    missing = []
    places = [cloud.place(account, region) for account in cloud.spec.accounts for region in cloud.spec.places]
    for table, operation in SECRET.items():
        lists = [place.lists.get(f"{operation.product}.{operation.action}", {}) for place in places]
        records = [record for found in lists for rows in found.values() for record in rows]
        paths = [path for column in operation.columns for path in secret_paths(column)]
        assert paths
        odd = [path for path in paths if not any(has_marker(record, path.split(".")[1:]) for record in records)]
        missing += [(table, path) for path in odd]
    assert missing == []


@pytest.mark.trust
@pytest.mark.parametrize("mode", ["keep", "mask"])
def test_secrets_are_kept_only_where_asked_for_and_keys_and_signed_urls_never(tmp_path, mode):
    """T01, T02, T06, P14: `keep` warns and marks the manifest; `mask` gives no warning."""
    with stage(tmp_path, list(SECRET), faulty=False, output=f'secrets = "{mode}"\n') as here:
        done = here.run("crawl", "--log-level", "debug", "--log-format", "json")
        found = Sweep().found_in_folder(here.out)
    assert done.returncode == 0
    [manifest] = here.out.glob("snapshots/_snapshots/*Z-*.json")
    assert json.loads(manifest.read_bytes())["secrets"] == mode
    assert (b"kept in clear" in done.stderr) is (mode == "keep")
    hits = set().union(*found.values()) if found else set()
    assert not hits & here.planter.never
    assert all(name.startswith("snapshots/") and not name.startswith("snapshots/_") for name in found), "in rows only"
    assert (len(hits) > 300) is (mode == "keep")
