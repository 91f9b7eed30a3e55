"""The doctor: it finds each obstacle between a configuration and a crawl, and says how to remove it."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import anyio
import msgspec
import pytest

from crawler.cli import local_checks
from crawler.cli.doctor_check import DoctorCheck, fold_lists
from crawler.cli.doctor_checks import run_checks
from crawler.cli.emulate import write_config
from crawler.emulator import Cloud, CloudSpec, Deny, Refuse, serve
from crawler.errors import CrawlError
from crawler.run.engine.dask import check_engine
from tests.support import command_server
from tests.support.crawl_runner import BIG, FAST, fast_cloud, site

ROOT = Path(__file__).parents[2]
TABLES = '["fc_functions", "fc2_services"]'
LISTS = {f"{table} in {BIG} cn-hangzhou" for table in ("fc_functions", "fc2_services")}
ALL = {"configuration", "output", "free space", "secrets", "retention", f"account {BIG}", "clock"}


class Ahead:
    """The cloud's clock, so much ahead of ours."""

    def __init__(self, offset):
        self._offset = offset

    def now(self):
        return datetime.now(UTC) + self._offset

    def monotonic(self):
        return anyio.current_time()

    async def sleep(self, duration_s):
        await anyio.sleep(duration_s)


async def examined(folder, *, cloud=None, change=str, prepare=lambda here: None, more=""):
    """Subject → finding."""
    async with site(folder, cloud or fast_cloud(accounts=(BIG,))) as here:
        prepare(here)
        found = await run_checks(here.config(more, change=change, tables=TABLES), here.surroundings())
        return {finding.subject: finding for finding in found}


def ill(findings):
    return {subject: (finding.seen, finding.remedy) for subject, finding in findings.items() if not finding.is_well}


async def test_where_all_is_well_nothing_has_a_remedy(tmp_path):
    findings = await examined(tmp_path, more=f'\n[metrics]\ntextfile = "{tmp_path}/acs.prom"\n')
    assert findings.keys() == ALL | LISTS | {"metrics", "hosts of fc", "hosts of fc-open", "products"}
    assert '"opensearch_*"' in findings["products"].seen
    assert "http://127.0.0.1" in findings["hosts of fc"].seen
    assert ill(findings) == {}
    assert findings["configuration"].seen == "1 account, 2 tables"


async def test_a_proxy_of_the_environment_that_is_not_used_is_said(tmp_path):
    """T42: with the setting that would use it; it isn't a problem by itself."""
    async with site(tmp_path, fast_cloud(accounts=(BIG,))) as here:
        config = msgspec.structs.replace(here.config(tables=TABLES), unused_proxy="HTTPS_PROXY")
        found = {finding.subject: finding for finding in await run_checks(config, here.surroundings())}
    assert found["proxy"].is_well
    assert found["proxy"].seen.startswith("HTTPS_PROXY is set and isn't used; [network] proxy")


@pytest.mark.parametrize(
    ("name", "value", "seen"),
    [
        ("SECRET", "canary-no-secret-of-this-key", "SignatureDoesNotMatch .*the access key's secret is wrong"),
        ("ID", "LTAI5tCanaryCanary123456", "InvalidAccessKeyId.NotFound .*there is no such access key"),
    ],
)
async def test_a_wrong_key_is_named_masked_with_where_to_look(tmp_path, name, value, seen):
    findings = await examined(tmp_path, change=lambda text: text.replace(f"${{EMULATOR_KEY_{name}_1}}", value))
    [(subject, (said, remedy))] = ill(findings).items()
    assert subject == f"account {BIG}"
    assert re.search(seen, said)
    assert remedy.startswith("Compare ID and secret of access_key LTAI…")
    assert "RAM console" in remedy
    assert "anary" not in said + remedy


async def test_a_denied_action_is_named(tmp_path):
    def deny(here):
        here.cloud.faults.add(Deny(), product="fc", action="ListFunctions")

    [(subject, (_, remedy))] = ill(await examined(tmp_path, prepare=deny)).items()
    assert subject == f"fc_functions in {BIG} cn-hangzhou"
    assert remedy == "Allow fc:ListFunctions in the RAM policy of these credentials."


@pytest.mark.parametrize(("minutes", "side"), [(20, "behind"), (-20, "ahead of")])
async def test_a_clock_that_is_20_minutes_off_is_found_and_everything_else_is_looked_at(tmp_path, minutes, side):
    cloud = Cloud(CloudSpec(accounts=(BIG,), rate=FAST, rates={"sts": FAST}), Ahead(timedelta(minutes=minutes)))
    findings = await examined(tmp_path, cloud=cloud)
    [(subject, (seen, remedy))] = ill(findings).items()
    assert subject == "clock"
    assert re.match(rf"(19|20) min \d+ s {side} the cloud's", seen)
    assert "NTP" in remedy
    assert findings.keys() >= LISTS


async def test_a_clock_that_is_half_a_day_off_is_not_taken_for_the_network(tmp_path):
    cloud = Cloud(CloudSpec(accounts=(BIG,), rate=FAST, rates={"sts": FAST}), Ahead(timedelta(hours=-13)))
    found = ill(await examined(tmp_path, cloud=cloud))
    assert found.keys() == {"clock", f"account {BIG}"}
    assert all("off by -13.0 hours" in seen for seen, _ in found.values())
    assert all("NTP" in remedy for _, remedy in found.values())


async def test_an_endpoint_that_does_not_answer_is_found(tmp_path):
    def refuse(here):
        here.cloud.faults.add(Refuse(), product="fc-open")

    [(subject, (seen, remedy))] = ill(await examined(tmp_path, prepare=refuse)).items()
    assert subject == f"fc2_services in {BIG} cn-hangzhou"
    assert "ConnectionFailed" in seen
    assert "[endpoints]" in remedy


async def test_an_output_that_can_not_be_written_is_found(tmp_path):
    [(subject, (seen, remedy))] = ill(await examined(tmp_path, prepare=lambda here: here.output.write_text(""))).items()
    assert subject == "output"
    assert "is not a folder" in seen
    assert remedy == f"Make {tmp_path}/snapshots a folder that this user can write."


async def test_folders_that_the_check_of_an_output_makes_are_removed_again(tmp_path):
    kept, deep = tmp_path / "kept", tmp_path / "kept" / "a" / "b"
    async with site(tmp_path, fast_cloud(accounts=(BIG,))) as here:
        config = here.config(tables=TABLES, change=lambda text: text.replace(str(here.output), str(deep)))
        for is_there in (False, True):
            if is_there:
                kept.mkdir()
            checks = await run_checks(config, here.surroundings(), is_offline=True)
            assert [check.seen for check in checks if check.subject == "output"] == [f"{deep} can be written"]
            assert kept.exists() == is_there
            assert not (kept / "a").exists()


async def test_a_metrics_file_that_can_not_be_written_is_found(tmp_path):
    found = ill(await examined(tmp_path, more=f'\n[metrics]\ntextfile = "{tmp_path}/missing/acs.prom"\n'))
    [(subject, (_, remedy))] = found.items()
    assert subject == "metrics"
    assert f"{tmp_path}/missing" in remedy


def test_a_configuration_that_others_may_read_is_found_and_everything_else_is_looked_at(tmp_path):
    """A crawl refuses it with exit code 2."""

    async def main():
        async with serve(fast_cloud(accounts=(BIG,))) as emulator:
            text, environ = write_config(emulator, str(tmp_path / "out"), rate=5000, burst=1000)
            for name, value in environ.items():
                text = text.replace(f"${{{name}}}", value)
            path = tmp_path / "config.toml"
            path.write_text(text)
            path.chmod(0o644)
            return [await run("doctor", "--json"), await run("crawl"), environ]

    async def run(*arguments):
        command = [*arguments, "--config", "config.toml"]
        return await anyio.to_thread.run_sync(
            lambda: command_server.run(command, cwd=tmp_path, env=os.environ, text=False)
        )

    doctor, crawl, environ = anyio.run(main)
    findings = {finding["subject"]: finding for finding in json.loads(doctor.stdout)}
    assert doctor.returncode == 1
    found = findings["configuration file"]
    assert "is in clear in a file that others may open (mode 0644)" in found["seen"]
    assert found["remedy"] == f"Run `chmod 600 {tmp_path}/config.toml`, or take it from the environment as ${{NAME}}."
    assert [name for name, finding in findings.items() if not finding["is_well"]] == ["configuration file"]
    assert f"account {BIG}" in findings
    assert crawl.returncode == 2
    assert b"chmod 600" in crawl.stderr
    said = doctor.stdout + doctor.stderr + crawl.stdout + crawl.stderr
    assert not any(value.encode() in said for name, value in environ.items() if "SECRET" in name)


def test_a_configuration_that_can_not_be_read_at_all_is_exit_2(tmp_path):
    (tmp_path / "config.toml").write_text("[crawl]\nnonsense = 1\n")
    done = command_server.run(["doctor"], cwd=tmp_path, env=os.environ)
    assert (done.returncode, done.stdout) == (2, "")
    assert "nonsense" in done.stderr


@pytest.mark.parametrize(
    ("more", "change", "subject", "seen"),
    [
        ("", ("[crawl]\n", '[crawl]\ndetails = ["nope"]\n'), "configuration", "matches 'nope'"),
        ("", ("[crawl]\n", '[crawl]\ndetails = ["fc_layers"]\n'), "configuration", "'fc_layers' matches no table"),
        ("", ("[output]\n", '[output]\nformat = "iceberg"\n'), "format", "isn't installed"),
        ("", ("[output]\n", '[output]\nformat = "delta"\n'), "format", "isn't installed"),
        ('\n[engine]\nkind = "dask"\naddress = "tls://scheduler.example:8786"\n', None, "engine", "on another machine"),
        ("\n[catalog]\nextra = ['.']\n", None, "configuration", ""),
    ],
)
@pytest.mark.parametrize("is_offline", [False, True])
async def test_where_a_crawl_would_refuse_the_configuration_so_does_the_doctor(
    tmp_path, monkeypatch, more, change, subject, seen, is_offline
):
    """Extras that aren't installed: the modules are hidden."""
    from crawler.snapshot.lake import publish

    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/product.toml").write_text("x = 1")
    monkeypatch.setattr(publish, "find_spec", lambda _name: None)
    async with site(tmp_path, fast_cloud(accounts=(BIG,))) as here:
        more = more.replace("['.']", f'["{tmp_path}"]')
        config = here.config(more, change=lambda text: text.replace(*change) if change else text, tables=TABLES)
        found = ill(
            {check.subject: check for check in await run_checks(config, here.surroundings(), is_offline=is_offline)}
        )
        if subject != "format":
            with pytest.raises(CrawlError):
                await refused(config, here)
    assert subject in found
    assert seen in found[subject][0]


async def refused(config, here):
    if config.engine is not None:
        check_engine(config)
    await here.crawl(config)


async def test_too_little_space_for_another_snapshot_is_found(tmp_path, monkeypatch):
    """By three times the size of the last ones."""
    async with site(tmp_path, fast_cloud(accounts=(BIG,))) as here:
        config = here.config(tables=TABLES)
        await here.crawl(config)
        whole = {check.subject: check for check in await run_checks(config, here.surroundings(), is_offline=True)}
        monkeypatch.setattr(local_checks.shutil, "disk_usage", lambda _: SimpleNamespace(free=4096))
        full = {check.subject: check for check in await run_checks(config, here.surroundings(), is_offline=True)}
    assert whole["free space"].is_well
    assert "3 times" in whole["free space"].seen
    assert ill(full).keys() == {"free space"}
    assert "prune" in full["free space"].remedy


async def test_offline_nothing_is_sent(tmp_path):
    async with site(tmp_path, fast_cloud(accounts=(BIG,))) as here:
        found = {
            check.subject
            for check in await run_checks(here.config(tables=TABLES), here.surroundings(), is_offline=True)
        }
        assert here.cloud.requests.count() == 0
    assert found == {"configuration", "products", "output", "free space", "secrets", "retention"}


@pytest.mark.parametrize("is_offline", [False, True])
def test_a_configuration_that_a_crawl_refuses_leaves_the_network_out_and_says_so(tmp_path, is_offline):
    (tmp_path / "config.toml").write_text('[[accounts]]\nid = "1000000000000001"\n[crawl]\ndetails = ["fc_layers"]\n')
    done = command_server.run(["doctor", *(["--offline"] if is_offline else [])], cwd=tmp_path, env=os.environ)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "1 problem to fix. The network was not tested."


def test_lists_of_which_the_same_was_seen_share_a_line():
    """Text only: --json has each check. A problem names its first accounts."""
    ids = [str(1000000000000001 + number) for number in range(5)]
    checks = [DoctorCheck("output", "can be written")]
    for one in ids:
        checks += [DoctorCheck(f"{t} in {one} x", "can be listed", table=t, account=one) for t in ("fc_a", "fc_b")]
        checks.append(DoctorCheck(f"fc_c in {one} x", "denied", "Allow it.", table="fc_c", account=one))
        checks.append(DoctorCheck(f"fc_d in {one} x", "denied", "Allow it.", table="fc_d", account=one))
    checks.append(DoctorCheck(f"fc_e in {ids[0]} x", "not offered", table="fc_e", account=ids[0]))
    folded = fold_lists(checks)
    three = "1000000000000001, 1000000000000002, 1000000000000003 and 2 more accounts"
    assert [(check.subject, check.seen, check.is_well) for check in folded] == [
        ("output", "can be written", True),
        ("2 lists in 5 accounts", "can be listed", True),
        (f"fc_c in {three}", "denied", False),
        (f"fc_d in {three}", "denied", False),
        ("fc_e in 1000000000000001 x", "not offered", True),
    ]


async def test_the_text_of_the_command_has_a_line_for_all_lists(tmp_path):
    async with site(tmp_path, fast_cloud(accounts=(BIG,))) as here:
        checks = await run_checks(here.config(tables=TABLES), here.surroundings())
    subjects = [check.subject for check in fold_lists(checks)]
    assert f"2 lists in {BIG}" in subjects
    assert LISTS.isdisjoint(subjects)


async def test_notices_are_shown_without_the_secret_of_their_url(tmp_path):
    more = '\n[ping]\nurl = "https://hc.example/canary-path"\n[metrics]\npush = "https://push.example/metrics/job/x"\n'
    findings = await examined(tmp_path, more=more + "[retention]\nkeep_daily = 30\n")
    assert findings["ping"].seen == "sent to hc.example before and after each crawl"
    assert findings["metrics push"].seen == "sent to push.example after each crawl"
    assert findings["retention"].seen == "keep_daily = 30"
    assert ill(findings) == {}


async def test_details_that_a_crawl_requests_are_tried_with_the_first_record(tmp_path):
    """ram_roles always requests GetRole, whose permission a crawl needs, too."""

    def deny(here):
        here.cloud.faults.add(Deny(), product="ram", action="GetRole")

    async with site(tmp_path, fast_cloud(accounts=(BIG,))) as here:
        deny(here)
        config = here.config(tables='["ram_roles"]')
        found = {check.subject: check for check in await run_checks(config, here.surroundings())}
        assert here.cloud.requests.count(action="GetRole") == 1
    check = found[f"ram_roles in {BIG} global"]
    assert check.seen.startswith("GetRole: ")
    assert check.remedy == "Allow ram:GetRole in the RAM policy of these credentials."
