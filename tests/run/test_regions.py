"""The regions and hosts of each product: from DescribeRegions, the catalog and the configuration."""

from __future__ import annotations

import json
import re

import pytest

from crawler.catalog import load_catalog
from crawler.cli.crawl_summary import print_summary, summarize
from crawler.cli.doctor_checks import run_checks
from crawler.cli.plan_text import print_plan
from crawler.cli.plan_values import plan_value
from crawler.config import resolve
from crawler.config.resolve import resolve_config
from crawler.emulator import Body, Deny, HtmlFault
from crawler.errors import ConfigError
from crawler.run.regions import ProductRegions, not_offered, select_regions
from tests.support.crawl_runner import BIG, fast_cloud, scope_statuses, site

CATALOG = load_catalog()
RETRY = "\n[retry]\nmax_attempts = 1\n"


@pytest.fixture(scope="module", autouse=True)
def one_catalog():
    """The schema files are read once: every plan would read them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolve, "load_catalog", lambda extra: CATALOG)
        yield


def without(product):
    """A change of a configuration's text: no endpoints of this product, so that the catalog's count."""
    return lambda text: re.sub(rf"\n\[endpoints\.{product}\]\n(?:[a-z].*\n)*", "\n", text)


def with_endpoints(product, *region_ids):
    lines = "".join(f'{region} = "http://127.0.0.1:9"\n' for region in region_ids)
    return lambda text: without(product)(text) + f"\n[endpoints.{product}]\n{lines}"


async def planned(folder, *, cloud=None, change=str, prepare=lambda cloud: None, more=RETRY, **crawl):
    """The plan of one account as JSON values; only the requests of discovery are sent."""
    async with site(folder, cloud or fast_cloud(accounts=(BIG,))) as here:
        prepare(here.cloud)
        config = here.config(more, change=change, **crawl)
        return await plan_value(resolve_config(config), here.surroundings())


def regions_of(value, product="fc"):
    return {region for ids in value["hosts"][product].values() for region in ids}


def described(*items):
    body = json.dumps({"RequestId": "R", "Regions": {"Region": list(items)}}).encode()
    return lambda cloud: cloud.faults.add(Body(body=body), product="fc", action="DescribeRegions")


def region(region_id, *hosts):
    return [{"RegionId": region_id, "RegionEndpoint": host} for host in hosts] or [{"RegionId": region_id}]


KNOWN = CATALOG.products["fc"].endpoints.keys() - CATALOG.products["fc"].closed


@pytest.mark.parametrize("wanted", ['"all"', '["cn-wulanchabu", "ap-southeast-7", "ap-northeast-2"]'])
async def test_f92_function_compute_2_has_the_regions_of_the_vendors_table(tmp_path, wanted):
    """F92: three regions that the SDK's map lacks are requested, at the host with the account."""
    value = await planned(tmp_path, change=without("fc-open"), tables='["fc2_services"]', regions=wanted)
    hosts = value["hosts"]["fc-open"]
    assert {"cn-wulanchabu", "ap-southeast-7", "ap-northeast-2"} <= regions_of(value, "fc-open")
    assert list(hosts) == ["https://{account_id}.{region}.fc.aliyuncs.com"]


async def test_f92_closed_regions_are_requested_only_where_they_are_named(tmp_path):
    """F92: an endpoint in the configuration is no wish to crawl a region that the vendor has closed."""
    closed = ("ap-south-1", "ap-southeast-2")
    change = with_endpoints("fc-open", *closed)
    value = await planned(tmp_path, change=change, tables='["fc2_services"]', regions='"all"')
    assert not regions_of(value, "fc-open") & set(closed)
    value = await planned(tmp_path, change=change, tables='["fc2_services"]', regions='["ap-south-1"]')
    assert regions_of(value, "fc-open") == {"ap-south-1"}


async def test_f92_a_closed_region_that_the_service_describes_is_open(tmp_path):
    """F92: the service knows better than a file."""
    prepare = described(*region("cn-hangzhou"), *region("ap-south-1"))
    value = await planned(tmp_path, prepare=prepare, tables='["fc_functions"]', regions='"all"')
    assert regions_of(value) == {"cn-hangzhou", "ap-south-1"}


async def test_f92_a_closed_region_of_the_cloud_is_not_asked_for(tmp_path):
    """F92: a crawl of all regions is complete where one of them answers nothing any more."""
    regions = ("cn-hangzhou", "ap-south-1")
    cloud = fast_cloud(accounts=(BIG,), regions=regions, opensearch_regions=regions, closed_regions=("ap-south-1",))
    async with site(tmp_path, cloud) as here:
        result = await here.crawl(
            here.config(RETRY, tables='["fc_functions", "opensearch_app_groups"]', regions='"all"')
        )
        assert (result.exit_code, scope_statuses(result)) == (0, {})
        assert {row.region_id for row in result.ledger} == {"cn-hangzhou"}
        assert {entry.region for entry in cloud.requests.entries} == {"", "cn-hangzhou"}


HOSTS = [
    # the hosts that the answer names for na-south-1 → the URL that is used, the reason for another one
    (["na-south-1.fc.aliyuncs.com"], "https://na-south-1.fc.aliyuncs.com", ""),
    (["HTTPS://NA-SOUTH-1.FC.ALIYUNCS.COM:443/path?x=1"], "https://na-south-1.fc.aliyuncs.com", ""),
    (["http://na-south-1.fc.aliyuncs.com:80/"], "https://na-south-1.fc.aliyuncs.com", ""),
    ([" na-south-1.fc.aliyuncs.com\n"], "https://na-south-1.fc.aliyuncs.com", ""),
    (["na-south-1.fc.aliyuncs.com:8443"], "https://na-south-1.fc.aliyuncs.com:8443", ""),
    ([f"{BIG}.na-south-1.fc.aliyuncs.com"], "https://{account_id}.na-south-1.fc.aliyuncs.com", ""),
    (["na-south-1-internal.fc.aliyuncs.com", "na-south-1.fc.aliyuncs.com"], "https://na-south-1.fc.aliyuncs.com", ""),
    ([""], "https://fcv3.na-south-1.aliyuncs.com", ""),
    (["na-south-1-internal.fc.aliyuncs.com"], "https://fcv3.na-south-1.aliyuncs.com", "internal network"),
    (["fc-vpc.na-south-1.aliyuncs.com"], "https://fcv3.na-south-1.aliyuncs.com", "internal network"),
    (["9000000000000009.na-south-1.fc.aliyuncs.com"], "https://fcv3.na-south-1.aliyuncs.com", "another account"),
    (["na-south-1.fc.aliyuncs.com.evil.example"], "https://fcv3.na-south-1.aliyuncs.com", "isn't under aliyuncs.com"),
    (["evil.example"], "https://fcv3.na-south-1.aliyuncs.com", "isn't under aliyuncs.com"),
    (["https://user@evil.example#.aliyuncs.com"], "https://fcv3.na-south-1.aliyuncs.com", "isn't a host name"),
    (["100.100.100.200"], "https://fcv3.na-south-1.aliyuncs.com", "plain DNS name"),
    (["127.0.0.1"], "https://fcv3.na-south-1.aliyuncs.com", "loopback"),
    (["http://localhost:80"], "https://fcv3.na-south-1.aliyuncs.com", "loopback"),
    (["{account_id}.fc.aliyuncs.com"], "https://fcv3.na-south-1.aliyuncs.com", "isn't a host name"),
    (["xn--fc.aliyuncs.com"], "https://fcv3.na-south-1.aliyuncs.com", "plain DNS name"),
    (["fc.аliyuncs.com"], "https://fcv3.na-south-1.aliyuncs.com", "isn't a host name"),
]


@pytest.mark.parametrize(("hosts", "used", "reason"), HOSTS)
async def test_f93_a_region_that_no_file_knows_has_the_host_that_the_service_names(tmp_path, hosts, used, reason):
    """F93: by the rule of all endpoints; a refused host is a warning, without the host itself."""
    prepare = described(*region("cn-hangzhou", "evil.example"), *region("na-south-1", *hosts))
    value = await planned(tmp_path, prepare=prepare, tables='["fc_functions"]', regions='"all"')
    shown = {region: url for url, ids in value["hosts"]["fc"].items() for region in ids}
    assert shown["na-south-1"].replace("{region}", "na-south-1") == used
    assert shown["cn-hangzhou"].startswith("http://127.0.0.1:"), "[endpoints] comes first"
    assert len(value["warnings"]) == bool(reason)
    assert reason in " ".join(value["warnings"])
    assert "evil.example" not in " ".join(value["warnings"])


async def test_f93_a_known_region_keeps_its_host_and_a_template_of_the_configuration_comes_first(tmp_path):
    """F93."""
    prepare = described(
        *region("cn-hangzhou"), *region("cn-beijing", "other.aliyuncs.com"), *region("na-south-1", "n.aliyuncs.com")
    )
    value = await planned(tmp_path, prepare=prepare, tables='["fc_functions"]', regions='"all"')
    assert value["hosts"]["fc"]["https://fcv3.{region}.aliyuncs.com"] == ["cn-beijing"]

    def template(text):
        port = re.search(r"\[endpoints\.fc\]\n.*cn-hangzhou = \"http://127\.0\.0\.1:(\d+)\"", text, re.DOTALL)[1]
        return without("fc")(text).replace("[endpoints]\n", f'[endpoints]\nfc = "http://127.0.0.1:{port}"\n')

    value = await planned(tmp_path, prepare=prepare, change=template, tables='["fc_functions"]', regions='"all"')
    assert len(value["hosts"]["fc"]) == 1
    assert regions_of(value) == {"cn-hangzhou", "cn-beijing", "na-south-1"}


async def test_f93_many_refused_hosts_are_one_warning(tmp_path):
    """F93: a summary stays short, whatever the answer names."""
    prepare = described(*region("cn-hangzhou"), *(region(f"x-{number}", "evil.example")[0] for number in range(400)))
    [warning] = (await planned(tmp_path, prepare=prepare, tables='["fc_functions"]', regions='"all"'))["warnings"]
    assert warning.endswith("; and 395 more")
    assert len(warning) < 1500


async def test_f93_opensearch_names_its_hosts_in_another_field(tmp_path):
    """F93: whatever the case of the field's name."""
    body = json.dumps({"result": [{"RegionID": "na-south-1", "Endpoint": "opensearch-na.aliyuncs.com"}]}).encode()

    def prepare(cloud):
        cloud.faults.add(Body(body=body), product="opensearch", action="DescribeRegions")

    value = await planned(tmp_path, prepare=prepare, tables='["opensearch_app_groups"]', regions='"all"')
    assert value["hosts"]["opensearch"] == {"https://opensearch-na.aliyuncs.com": ["na-south-1"]}


BAD = ["CN-HANGZHOU", "cn_hangzhou", "cn-hangzhou\n", "../../x", "", "x" * 70, "\x1b[31m", 7, None, ["cn-beijing"]]


async def test_f94_malformed_region_ids_are_named_and_left_out(tmp_path):
    """F94."""
    prepare = described(*region("cn-hangzhou"), *({"RegionId": bad} for bad in BAD), {}, "cn-shanghai")
    value = await planned(tmp_path, prepare=prepare, tables='["fc_functions"]', regions='"all"')
    assert regions_of(value) == {"cn-hangzhou"}
    [warning] = value["warnings"]
    assert warning.startswith("Function Compute 3.0: malformed region IDs are left out (12): 'CN-HANGZHOU', ")
    assert warning.isprintable()
    assert len(warning) < 400


@pytest.mark.parametrize(
    "fault",
    [
        Deny(),
        Deny(form="xml"),
        HtmlFault(status=403),
        Body(body=b"{}"),
        Body(body=b'{"Regions": {"Region": []}}'),
        Body(body=b'{"Regions": {"Region": [{"RegionId": "?"}]}}'),
        Body(body=b'{"Regions": {"Region": {"RegionId": "cn-hangzhou"}}}'),
        Body(body=b'{"Regions": {"Region": [' + b"7," * 5000 + b"7]}}"),
        Body(body=b'{"Regions": {"Region": ' + b"7" * 5_000_000 + b"}}"),
        Body(body=b"<html></html>"),
        Body(body=b"[" * 100_000),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_f94_without_a_usable_answer_the_known_regions_are_used_with_a_warning(tmp_path, fault):
    """F94: closed regions are not among them."""

    def prepare(cloud):
        cloud.faults.add(fault, product="fc", action="DescribeRegions")

    value = await planned(tmp_path, prepare=prepare, tables='["fc_functions"]', regions='"all"')
    assert regions_of(value) == {found for found in KNOWN if "finance" not in found and "acdr" not in found}
    [warning] = value["warnings"]
    assert warning.startswith("Function Compute 3.0: its regions can't be listed, so the known ones are used: ")
    assert value["discovery_requests"]["regions"] == 1


async def test_f94_another_account_is_asked_where_the_first_one_is_denied(tmp_path):
    """F94: an account that hasn't activated a product says nothing about its regions."""
    cloud = fast_cloud()
    cloud.faults.add(Deny(), account=BIG, action="DescribeRegions")
    value = await planned(tmp_path, cloud=cloud, tables='["fc_functions"]', regions='"all"')
    assert regions_of(value) == set(cloud.spec.regions)
    assert (value["warnings"], value["discovery_requests"]["regions"]) == ([], 2)


async def test_f95_a_named_region_that_a_product_lacks_is_said_everywhere(tmp_path, capsys):
    """F95: in the plan, the summary and the log; a region that no product has stays an error."""
    tables = '["fc_functions", "opensearch_app_groups"]'
    async with site(tmp_path, fast_cloud(accounts=(BIG,))) as here:
        config = here.config(tables=tables)
        value = await plan_value(resolve_config(config), here.surroundings())
        print_plan(value, CATALOG)
        result = await here.crawl(config)
        summary = summarize(result, "x")
        print_summary(summary)
    assert value["not_offered"] == summary["not_offered"] == {"opensearch": ["cn-shanghai"]}
    assert summary["exit_code"] == 0
    said = "opensearch is not offered in cn-shanghai: its tables are not requested there."
    assert capsys.readouterr().out.count(said) == 2


async def test_f95_warnings_about_regions_are_in_the_summary_and_in_doctor(tmp_path):
    """F95."""
    async with site(tmp_path, fast_cloud(accounts=(BIG,))) as here:
        here.cloud.faults.add(Deny(), product="fc", action="DescribeRegions")
        config = here.config(tables='["fc_functions"]')
        assert any("can't be listed" in warning for warning in (await here.crawl(config)).warnings)
        found = {check.subject: check for check in await run_checks(config, here.surroundings())}
    assert "can't be listed" in found["regions"].seen
    assert "127.0.0.1" in found["hosts of fc"].seen


def test_named_regions_of_all_accounts_are_compared_with_each_product():
    products = {
        "a": ProductRegions(frozenset({"x-1", "y-1"}), frozenset({"z-1"})),
        "b": ProductRegions(frozenset({"y-1"})),
    }
    assert not_offered(["all", ("x-1",), ("y-1", "z-1")], products) == {"b": ("x-1", "z-1")}
    assert select_regions("all", products) == ("x-1", "y-1")
    assert select_regions(("z-1", "x-1"), products) == ("z-1", "x-1")
    with pytest.raises(ConfigError, match=r"No product has the region 'w-9'"):
        select_regions(("w-9",), products)
