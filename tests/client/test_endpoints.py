"""Endpoints (T16): the rule's table, the templates, and a hunt for a text that gets past the rule."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from yarl import URL

from crawler.client.endpoints import (
    Endpoint,
    Endpoints,
    ProductHosts,
    check_allow,
    check_template,
    fill,
    parse_endpoint,
)
from crawler.errors import ConfigError
from tests.support.examples import examples


def words(text):
    return text.split()


ALLOW = ("*.corp.example", "gateway.lan", "api-?.deep.corp.test")

GOOD = [
    ("https://fcv3.cn-hangzhou.aliyuncs.com", "fcv3.cn-hangzhou.aliyuncs.com"),
    ("https://fcv3.cn-hangzhou.aliyuncs.com/", "fcv3.cn-hangzhou.aliyuncs.com"),
    ("https://fcv3.cn-hangzhou.aliyuncs.com:443", "fcv3.cn-hangzhou.aliyuncs.com"),
    ("https://fcv3.cn-hangzhou.aliyuncs.com:8443", "fcv3.cn-hangzhou.aliyuncs.com:8443"),
    ("https://fcv3.cn-hangzhou.aliyuncs.com:1", "fcv3.cn-hangzhou.aliyuncs.com:1"),
    ("https://fcv3.cn-hangzhou.aliyuncs.com:65535/", "fcv3.cn-hangzhou.aliyuncs.com:65535"),
    ("https://1000000000000001.cn-hangzhou.fc.aliyuncs.com", "1000000000000001.cn-hangzhou.fc.aliyuncs.com"),
    (
        "https://1000000000000001.cn-hangzhou-internal.fc.aliyuncs.com",
        "1000000000000001.cn-hangzhou-internal.fc.aliyuncs.com",
    ),
    ("https://me-central-1.fc.aliyuncs.com", "me-central-1.fc.aliyuncs.com"),
    ("https://cn-north-2-gov-1.fc.aliyuncs.com", "cn-north-2-gov-1.fc.aliyuncs.com"),
    ("https://opensearch.cn-hangzhou.aliyuncs.com", "opensearch.cn-hangzhou.aliyuncs.com"),
    ("https://opensearch-vpc.cn-hangzhou.aliyuncs.com", "opensearch-vpc.cn-hangzhou.aliyuncs.com"),
    ("https://sts.aliyuncs.com", "sts.aliyuncs.com"),
    ("https://sts-vpc.cn-shanghai.aliyuncs.com", "sts-vpc.cn-shanghai.aliyuncs.com"),
    ("https://resourcemanager.aliyuncs.com", "resourcemanager.aliyuncs.com"),
    ("HTTPS://STS.ALIYUNCS.COM", "sts.aliyuncs.com"),
    ("https://Sts.AliyunCS.com", "sts.aliyuncs.com"),
    ("https://a.aliyuncs.com", "a.aliyuncs.com"),
    ("https://0.aliyuncs.com", "0.aliyuncs.com"),
    ("https://127.0.0.1.aliyuncs.com", "127.0.0.1.aliyuncs.com"),
    (f"https://{'a' * 63}.aliyuncs.com", f"{'a' * 63}.aliyuncs.com"),
    ("https://a.b.c.d.e.f.aliyuncs.com", "a.b.c.d.e.f.aliyuncs.com"),
    ("https://aliyuncs.com.aliyuncs.com", "aliyuncs.com.aliyuncs.com"),
    ("https://a--b.aliyuncs.com", "a--b.aliyuncs.com"),
    ("http://127.0.0.1", "127.0.0.1"),
    ("http://127.0.0.1/", "127.0.0.1"),
    ("http://127.0.0.1:80", "127.0.0.1"),
    ("http://127.0.0.1:443", "127.0.0.1:443"),
    ("http://127.0.0.1:9000", "127.0.0.1:9000"),
    ("http://127.0.1.1:9000", "127.0.1.1:9000"),
    ("http://127.255.255.254:9000", "127.255.255.254:9000"),
    ("http://127.0.0.0", "127.0.0.0"),
    ("http://localhost", "localhost"),
    ("http://LOCALHOST:8080/", "localhost:8080"),
    ("http://[::1]", "[::1]"),
    ("http://[::1]:9000", "[::1]:9000"),
    ("HTTP://[::1]:9000/", "[::1]:9000"),
    ("https://127.0.0.1:9443", "127.0.0.1:9443"),
    ("https://localhost:9443", "localhost:9443"),
    ("https://[::1]:9443", "[::1]:9443"),
    ("https://fc.corp.example", "fc.corp.example"),
    ("https://FC.Corp.Example", "fc.corp.example"),
    ("https://a.b.corp.example:8443", "a.b.corp.example:8443"),
    ("https://gateway.lan", "gateway.lan"),
    ("https://gateway.lan:444/", "gateway.lan:444"),
    ("https://api-7.deep.corp.test", "api-7.deep.corp.test"),
]

CLOUD = "fc.aliyuncs.com"

LOOKALIKES = words("""
    fc.aliyuncs.com.evil.tld evilaliyuncs.com evil-aliyuncs.com aliyuncs.com aliyuncs.com.evil fc.aliyuncs.co
    fc.aliyuncs.comm fc.aliyuncs.com.cn fc.aliyun.com aliyuncs.com-evil.tld com fcaliyuncs.com fc.aliyuncs
    fc.aliyuncscom evil.tld aliyuncs.evil.tld fc.aliyuncs.com. fc.aliyuncs.com.. .aliyuncs.com ..aliyuncs.com
    fc..aliyuncs.com fc.aliyuncs..com aliyuncs.com. fc.a1iyuncs.com fc.aliyuncs.c0m corp.example evilcorp.example
    corp.example.evil.tld lan gateway.lan.evil.tld xgateway.lan gatewayXlan gateway api-77.deep.corp.test
    deep.corp.test fc.corp.example. metadata metadata.google.internal localhost.evil.tld evil.localhost
""")
NO_LABELS = [
    "a b",
    *words("""
    - -a a- a_b _ a%62 % * a* a,b a;b a'b a|b a^b a`b a<b a>b a=b a+b a&b a!b a$b a(b) a~b
"""),
    'a"b',
    "a" * 64,
]
HOMOGLYPHS = [
    *words("""
    xn--fc-abc.aliyuncs.com XN--fc-abc.aliyuncs.com fc.xn--aliyuncs-0ya.com fc.xn--lyuncs.corp.example
"""),
    "fc.\u0430liyuncs.com",  # Cyrillic а, с, о
    "fc.aliyun\u0441s.com",
    "fc.aliyuncs.c\u043em",
    "l\u043ecalhost",
    "fc\u3002aliyuncs\u3002com",  # full stops of other scripts
    "fc\u2024aliyuncs\u2024com",
    "127\u30020\u30020\u30021",
    "\uff46\uff43.aliyuncs.com",  # full-width letters and digits
    "\uff11\uff12\uff17.0.0.1",
    "\ufb01.aliyuncs.com",  # characters that lower-casing or NFKC turns into ASCII: fi, i, s, k, 1
    "fc.aL\u0131yuncs.com",
    "fc.AL\u0130YUNCS.com",
    "\u017fts.aliyuncs.com",
    "\u212a.aliyuncs.com",
    "\u2460.aliyuncs.com",
    "a\u00ad.aliyuncs.com",  # IDNA drops or moves these: soft hyphen, zero-width space, bidi override, combining accent
    "a\u200b.aliyuncs.com",
    "\u202efc.aliyuncs.com",
    "a\u0301.aliyuncs.com",
    "evil.tld\uff0f.aliyuncs.com",  # characters that NFKC turns into / ? # a/c
    "evil.tld\uff1f.aliyuncs.com",
    "evil.tld\uff03.aliyuncs.com",
    "evil.tld\u2100.aliyuncs.com",
    "\u00fc.corp.example",
]
MORE_THAN_A_HOST = words(
    r"""
    user@CLOUD user:pass@CLOUD @CLOUD :@CLOUD CLOUD@evil.tld CLOUD:443@evil.tld evil.tld#@CLOUD evil.tld?@CLOUD
    evil.tld/@CLOUD evil.tld\@CLOUD evil.tld\.CLOUD evil.tld#.CLOUD evil.tld?.CLOUD evil.tld/.CLOUD
    evil.tld%2f.CLOUD evil.tld%00.CLOUD CLOUD/path CLOUD// CLOUD/. CLOUD/.. CLOUD/? CLOUD? CLOUD?a=b CLOUD# CLOUD#x
    CLOUD/# CLOUD;x CLOUD\ CLOUD\evil.tld /CLOUD //CLOUD / user@127.0.0.1 127.0.0.1/path localhost?x [::1]#x
    127.0.0.1@evil.tld [::1]@evil.tld https://CLOUD
""".replace("CLOUD", CLOUD)
)
PORTS = [
    "",
    " 443",
    "443 ",
    "\uff14\uff14\uff13",
    *words("0 00 01 0443 65536 99999 100000 -1 +1 1.5 4e2 x 443x 443:443 0x1bb 4_4_3"),
]
NUMBERS = words("""
    100.100.100.200 169.254.169.254 8.8.8.8 10.0.0.1 192.168.0.1 0.0.0.0 255.255.255.255 2130706433 0x7f000001
    0x7f.0.0.1 0177.0.0.1 127.1 127.0.1 127.0.0.01 127.0.0.256 127.0.0.1.1 127.0.0.1. 127.0.0.-1 128.0.0.1
    126.255.255.255 1.127.0.0.1 localhost. [::] [::2] [0:0:0:0:0:0:0:1] [::01] [::ffff:127.0.0.1] [::ffff:7f00:1]
    [::1%25lo] [::1%lo] [fe80::1] ::1 [::1 ::1] [[::1]] [] [127.0.0.1] [localhost] [fd00:ec2::254]
""")
SCHEMES = words(
    r"""
    http://CLOUD http://CLOUD:443 HTTP://CLOUD http://fc.corp.example http://gateway.lan CLOUD //CLOUD https:CLOUD
    https:/CLOUD https//CLOUD ftp://CLOUD ws://CLOUD wss://CLOUD file://CLOUD httpss://CLOUD https+unix://CLOUD
    ://CLOUD javascript://CLOUD data:CLOUD https:\\CLOUD https:// https: 127.0.0.1:9000 localhost ftp://127.0.0.1
    unix:///run/fc.sock
""".replace("CLOUD", CLOUD)
)
UNSEEN = [
    *(f"https://{CLOUD}{mark}" for mark in " \t\n\r\0\x0b\x1f\x7f\x85\xa0\u2028\ufeff"),
    *(f"{mark}https://{CLOUD}" for mark in " \t\n\0\ufeff\u3000"),
    *(f"https://fc{mark}.aliyuncs.com" for mark in (" ", "\t", "\n", "\r\n", "\0", "\x1b")),
    *(f"https://{CLOUD}\r\n", f"https://{CLOUD}\r\nHost: evil.tld", f"https://{CLOUD}\r\n\r\nGET / HTTP/1.1"),
    *(f"https:// {CLOUD}", f"htt\tps://{CLOUD}", f"https://evil.tld\n.{CLOUD}", f"https://{CLOUD}\nevil.tld"),
    *("http://127.0.0.1\n", "http://localhost\t", "http://[::1]\n", "", " "),
]
BRACES = ["https://{region}.aliyuncs.com", "https://fc.aliyuncs.com{", "https://{}.aliyuncs.com", "http://{account_id}"]
BAD = [
    *(f"https://{host}" for host in (*LOOKALIKES, *HOMOGLYPHS, *MORE_THAN_A_HOST)),
    *(f"https://{label}.aliyuncs.com" for label in NO_LABELS),
    f"https://{'.'.join(['a' * 60] * 5)}.aliyuncs.com",
    *(f"https://{CLOUD}:{port}" for port in PORTS),
    *(f"{scheme}://{host}" for scheme in ("http", "https") for host in NUMBERS),
    *(*SCHEMES, *UNSEEN, *BRACES),
]


def test_the_table_is_as_long_as_promised():
    assert len(set(GOOD)) == len(GOOD)
    assert len(set(BAD)) == len(BAD)
    assert len(GOOD) + len(BAD) >= 200


@pytest.mark.parametrize(("text", "authority"), GOOD)
def test_good_endpoints_are_taken(text, authority):
    endpoint = parse_endpoint(text, ALLOW)
    assert endpoint.authority == authority
    assert endpoint.url == f"{endpoint.scheme}://{authority}"
    assert urlsplit(endpoint.url).hostname == endpoint.host
    assert (URL(endpoint.url).host, URL(endpoint.url).port) == (endpoint.host, endpoint.port)
    assert endpoint.scheme == text.split(":")[0].lower()


@pytest.mark.parametrize("text", BAD)
def test_bad_endpoints_are_refused_without_being_repeated(text):
    with pytest.raises(ConfigError) as caught:
        parse_endpoint(text, ALLOW)
    message = str(caught.value)
    assert "\n" not in message
    assert "evil" not in message
    assert "pass" not in message


@pytest.mark.parametrize("text", [text for text, _ in GOOD if "corp" in text.lower() or "gateway" in text])
def test_hosts_outside_the_cloud_need_the_allow_list(text):
    with pytest.raises(ConfigError, match=r"\[endpoints\] allow"):
        parse_endpoint(text)


def test_an_ipv6_endpoint_has_brackets_in_its_authority_only():
    assert parse_endpoint("http://[::1]:9000") == Endpoint("http", "::1", 9000, "[::1]:9000", "http://[::1]:9000")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://fc.aliyuncs.com", "must be https"),
        ("fc.aliyuncs.com", "must begin with https://"),
        ("https://me@fc.aliyuncs.com", "a user name"),
        ("https://fc.aliyuncs.com?x=1", "a query"),
        ("https://fc.aliyuncs.com#x", "a fragment"),
        ("https://fc.aliyuncs.com/v1", "a path"),
        ("https://fc.aliyuncs.com:65536", "port"),
        ("https://fc.aliyuncs.com.", "trailing dot"),
        ("https://fc.aliyuncs.com\n", "white space"),
        ("https://evil.tld", "isn't under aliyuncs.com"),
        ("https://fc.{aliyuncs.com", "brace"),
    ],
)
def test_a_refusal_says_why(text, reason):
    with pytest.raises(ConfigError, match=reason):
        parse_endpoint(text)


# Templates


def test_placeholders_are_filled_in():
    assert fill("https://{account_id}.{region}.fc.aliyuncs.com", "cn-x", "42") == "https://42.cn-x.fc.aliyuncs.com"


@pytest.mark.parametrize(
    "region", ["", "CN-hangzhou", "cn.hangzhou", "cn_x", "cn-x\n", "evil.tld/", "a@b", "{account_id}", "a" * 65, "٣"]
)
def test_a_region_that_is_none_is_never_filled_in(region):
    with pytest.raises(ConfigError, match="region"):
        fill("https://{region}.aliyuncs.com", region, "1")


@pytest.mark.parametrize("account", ["", "1a", "-1", "1.2", "1\n", "{region}", "１", "٣", "1@", "1" * 33])
def test_an_account_that_is_not_digits_is_never_filled_in(account):
    with pytest.raises(ConfigError, match="account"):
        fill("https://{account_id}.fc.aliyuncs.com", "cn-x", account)


@pytest.mark.parametrize(
    "template",
    ["https://{uid}.aliyuncs.com", "https://{Region}.aliyuncs.com", "https://{region.x}.aliyuncs.com", "https://{}.aliyuncs.com",
     "https://{region!r}.aliyuncs.com", "https://{{region}}.aliyuncs.com", "https://{region.aliyuncs.com", "https://region}.aliyuncs.com",
     "https://fc.aliyuncs.com/{region}", "https://fc.aliyuncs.com?{region}", "https://{region}@fc.aliyuncs.com",
     "https://fc.aliyuncs.com:{account_id}", "https://fc.{region}", "https://{region}", "{region}://fc.aliyuncs.com",
     "https://fc.aliyuncs.com.{region}", "https://evil.tld", "http://{region}.aliyuncs.com", "https://{region}aliyuncs.com"],
)  # fmt: skip
def test_bad_templates_are_refused_before_there_is_a_region(template):
    with pytest.raises(ConfigError):
        check_template(template, ALLOW)


@pytest.mark.parametrize(
    "template",
    ["https://fcv3.{region}.aliyuncs.com", "https://{account_id}.{region}.fc.aliyuncs.com", "https://sts.aliyuncs.com",
     "http://127.0.1.1:9000", "http://localhost:9000/", "https://fc-{region}.corp.example"],
)  # fmt: skip
def test_good_templates_pass(template):
    check_template(template, ALLOW)


# Allow patterns


@pytest.mark.parametrize(
    "pattern", ["*.corp.example", "gateway", "gateway.lan", "fc.*.corp.example", "a?.corp.example", "*.Corp.Example"]
)
def test_allow_patterns_with_two_whole_labels_at_their_end_pass(pattern):
    check_allow(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "a b.corp.example", "*.corp.example\n", "*.c\u00f6rp.example"),
        *words("""
    * ? *.* *.com *.*.com *corp.example *.corp.* *.corp.exampl? fc.[a-z].corp.example 10.0.0.5 *.0.0.5
    100.100.100.200
"""),
        *words("""
    [::1] *.xn--crp-sna.example https://*.corp.example *.corp.example:443 *.corp.example/ .corp.example
"""),
        *words("corp..example user@corp.example"),
    ],
)
def test_allow_patterns_that_would_take_the_rule_away_are_refused(pattern):
    with pytest.raises(ConfigError, match="two whole labels"):
        check_allow(pattern)


# Endpoints: defaults and overrides

DEFAULTS = {
    "fc": ProductHosts("fcv3.{region}.aliyuncs.com", {"me-central-1": "me-central-1.fc.aliyuncs.com"}),
    "fc-open": ProductHosts("{account_id}.{region}.fc.aliyuncs.com"),
    "opensearch": ProductHosts("opensearch.{region}.aliyuncs.com"),
    "sts": ProductHosts("https://sts.aliyuncs.com"),
}


def test_the_catalogs_template_holds_where_nothing_else_is_said():
    endpoints = Endpoints(DEFAULTS)
    assert endpoints.resolve("fc", "cn-hangzhou", "1").url == "https://fcv3.cn-hangzhou.aliyuncs.com"
    assert endpoints.resolve("fc-open", "cn-hangzhou", "42").url == "https://42.cn-hangzhou.fc.aliyuncs.com"


def test_a_region_with_a_host_of_its_own_gets_it():
    assert Endpoints(DEFAULTS).resolve("fc", "me-central-1", "1").host == "me-central-1.fc.aliyuncs.com"


def test_a_product_without_regions_needs_neither_region_nor_account():
    assert Endpoints(DEFAULTS).resolve("sts", "", "").url == "https://sts.aliyuncs.com"


def test_one_template_replaces_every_region_of_its_product_only():
    endpoints = Endpoints(DEFAULTS, {"fc": "http://127.0.0.1:9000"})
    assert endpoints.resolve("fc", "me-central-1", "1").authority == "127.0.0.1:9000"
    assert endpoints.resolve("sts", "me-central-1", "1").host == "sts.aliyuncs.com"


def test_a_table_of_urls_replaces_its_regions_and_leaves_the_others():
    endpoints = Endpoints(DEFAULTS, {"opensearch": {"cn-hangzhou": "http://127.0.1.1:9000"}})
    assert endpoints.resolve("opensearch", "cn-hangzhou", "1").url == "http://127.0.1.1:9000"
    assert endpoints.resolve("opensearch", "cn-beijing", "1").url == "https://opensearch.cn-beijing.aliyuncs.com"


def test_an_override_can_give_a_product_its_only_endpoint():
    endpoints = Endpoints({}, {"own": {"cn-x": "https://own.aliyuncs.com"}})
    assert endpoints.resolve("own", "cn-x", "1").host == "own.aliyuncs.com"
    with pytest.raises(ConfigError, match="no endpoint for own in cn-y"):
        endpoints.resolve("own", "cn-y", "1")


def test_the_rule_holds_for_the_catalogs_hosts_too():
    with pytest.raises(ConfigError, match="no endpoint for own in cn-x: its host isn't under"):
        Endpoints({"own": ProductHosts("{region}.evil.tld")}).resolve("own", "cn-x", "1")


def test_the_allow_list_holds_for_overrides_and_defaults():
    endpoints = Endpoints({"own": ProductHosts("own.corp.example")}, {"fc": "https://{region}.corp.example"}, ALLOW)
    assert endpoints.resolve("own", "cn-x", "1").host == "own.corp.example"
    assert endpoints.resolve("fc", "cn-x", "1").host == "cn-x.corp.example"


@pytest.mark.parametrize("region", ["-", "-a", "a-"])
def test_a_region_that_makes_no_host_name_is_refused_when_filled_in(region):
    with pytest.raises(ConfigError, match="region ID"):
        Endpoints(DEFAULTS).resolve("opensearch", region, "1")


@pytest.mark.parametrize("region", ["evil.tld/", "a\r\nHost: evil", "x@evil"])
def test_a_malformed_region_is_not_repeated(region):
    with pytest.raises(ConfigError) as caught:
        Endpoints(DEFAULTS).resolve("fc", region, "1")
    assert "evil" not in str(caught.value)


# The hunt

SEEDS = [text for text, _ in GOOD] + BAD
PIECES = st.sampled_from(
    [
        *words(
            r"https http :// : // / \ @ ? # . aliyuncs.com aliyuncs com fc evil.tld corp.example gateway.lan 127.0.0.1"
        ),
        *words(
            "127. localhost [::1] [ ] xn-- - %2e %00 443 0 65535 65536 100.100.100.200 {region} {account_id} a user:pw"
        ),
        *("\t", "\n", "\r\n", " ", "\0", "\u3002", "\uff0e", "\uff41", "\u0131"),
    ]
)


@st.composite
def texts(draw):
    """Endpoint-like text: pieces in a row, or one of the table's rows with a cut and an insertion."""
    if draw(st.booleans()):
        return draw(st.sampled_from(["", "https://", "http://"])) + "".join(draw(st.lists(PIECES, max_size=7)))
    seed = draw(st.sampled_from(SEEDS))
    start = draw(st.integers(0, len(seed)))
    end = draw(st.integers(start, min(len(seed), start + 3)))
    return seed[:start] + draw(st.one_of(PIECES, st.characters(), st.just(""))) + seed[end:]


def is_in_the_rule(scheme, host):
    """The rule in other words than the code's."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        allowed = host.endswith((".aliyuncs.com", ".corp.example", ".deep.corp.test")) or host == "gateway.lan"
        return scheme == "https" and allowed


@given(texts())
@example("https://fc.aliyuncs.com:80\\@evil.tld")
@settings(max_examples=examples(1500), deadline=None)
def test_nothing_accepted_parses_to_a_host_outside_the_rule(text):
    try:
        endpoint = parse_endpoint(text, ALLOW)
    except ConfigError:
        return
    split, url = urlsplit(endpoint.url), URL(endpoint.url)
    written = urlsplit(text)
    assert (written.scheme, written.hostname) == (endpoint.scheme, endpoint.host)
    for scheme, host, port in ((split.scheme, split.hostname, split.port), (url.scheme, url.raw_host, url.port)):
        assert (scheme, host) == (endpoint.scheme, endpoint.host)
        assert port in {endpoint.port, None}
        assert is_in_the_rule(scheme, host)
    assert url.user is None
    assert url.raw_path_qs in {"/", ""}
    assert endpoint.url.isascii()
    assert endpoint.url.isprintable()


@given(texts(), st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=examples(500), deadline=None)
def test_no_template_region_or_account_resolves_outside_the_rule(template, region, account):
    endpoints = Endpoints({"own": ProductHosts(template)}, {"fc": template}, ALLOW)
    for product in ("own", "fc"):
        try:
            endpoint = endpoints.resolve(product, region, account)
        except ConfigError:
            continue
        assert is_in_the_rule(endpoint.scheme, URL(endpoint.url).raw_host)


@given(texts(), st.sampled_from(["", "1000000000000001."]))
@example("na-south-1.fc.aliyuncs.com", "1000000000000001.")
@example("HTTPS://NA-SOUTH-1.FC.ALIYUNCS.COM:443/x", "")
@settings(max_examples=examples(1000), deadline=None)
def test_f93_no_host_that_a_service_names_leads_outside_the_rule(text, account):
    """F93: a host from an answer is https, under the cloud's domain or allowed, and never this machine."""
    endpoints = Endpoints({"fc": ProductHosts("https://fcv3.{region}.aliyuncs.com")}, {}, ALLOW)
    try:
        endpoints.describe("fc", "na-south-1", f"{account}{text}", "1000000000000001")
    except ConfigError:
        assert endpoints.resolve("fc", "na-south-1", "2").host == "fcv3.na-south-1.aliyuncs.com"
        return
    found = endpoints.resolve("fc", "na-south-1", "2000000000000002")
    assert found.scheme == "https"
    assert is_in_the_rule(found.scheme, found.host)
    assert not found.host.startswith(("127.", "localhost", "1000000000000001"))


def test_f93_the_hosts_of_the_catalog_and_the_configuration_come_before_a_described_one():
    """F93."""
    defaults = {"fc": ProductHosts("https://t.{region}.aliyuncs.com", {"a-1": "known.aliyuncs.com"})}
    endpoints = Endpoints(defaults, {"fc": {"b-1": "https://own.aliyuncs.com"}})
    for region in ("a-1", "b-1", "c-1"):
        endpoints.describe("fc", region, "described.aliyuncs.com", "1")
    hosts = [endpoints.resolve("fc", region, "1").host for region in ("a-1", "b-1", "c-1", "d-1")]
    assert hosts == ["known.aliyuncs.com", "own.aliyuncs.com", "described.aliyuncs.com", "t.d-1.aliyuncs.com"]
    assert endpoints.pattern("fc", "d-1") == "https://t.d-1.aliyuncs.com"
