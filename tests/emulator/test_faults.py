"""The effects of a fault script as a client sees them, the requests that a rule matches, and scripts as text."""

from __future__ import annotations

import zlib
from xml.etree import ElementTree as ET

import aiohttp
import anyio
import pytest

from crawler.emulator import (
    Body,
    Delay,
    Deny,
    Drop,
    Echo,
    Error,
    FaultScript,
    HtmlFault,
    PageFault,
    Redirect,
    Refuse,
    RepeatToken,
    Rule,
    Slow,
    Throttle,
    Truncate,
)
from crawler.emulator.faults.script import RequestIdentity
from crawler.errors import ConfigError

FIRST, SECOND = "1000000000000001", "1000000000000002"
PATH = "/2023-03-30/functions"


async def raw(client, *, headers: dict[str, str] | None = None) -> bytes:
    """Return all bytes that a new connection receives, up to its end."""
    url, signed = client.request("fc.ListFunctions", PATH, {"limit": "5"})
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**signed, **(headers or {})}.items())
    async with await anyio.connect_tcp("127.0.0.1", url.port) as stream:
        await stream.send(f"GET {url.raw_path_qs} HTTP/1.1\r\n{lines}\r\n".encode())
        got = b""
        with anyio.fail_after(5):
            try:
                while True:
                    got += await stream.receive()
            except anyio.EndOfStream:
                return got


@pytest.mark.parametrize(
    ("effect", "status", "code", "header"),
    [
        (Throttle(), 429, "Throttling.User", ("x-acs-retry-after", "1000")),
        (
            Throttle(status=503, code="ResourceThrottled", hint="http", retry_after_ms=2500),
            503,
            "ResourceThrottled",
            ("Retry-After", "3"),
        ),
        (
            Throttle(hint="ratelimit", retry_after_ms=7),
            429,
            "Throttling.User",
            ("x-ratelimit-user-api", "Limit:1,Remain:0,TimeLeft:7,Reset:7"),
        ),
        (Error(), 500, "InternalError", None),
        (Error(status=403, code="SomeCode", message="why"), 403, "SomeCode", None),
        (Deny(), 403, "AccessDenied", None),
    ],
)
async def test_a_refusal_has_its_status_code_and_header(client, cloud, effect, status, code, header):
    cloud.faults.add(effect, action="ListFunctions")
    got = await client.functions()
    assert (got.status, got.code) == (status, code)
    assert header is None or got.headers[header[0]] == header[1]
    assert cloud.requests.count(outcome=code) == 1


@pytest.mark.parametrize("effect", [Throttle(form="xml"), Error(code="A&B", form="xml"), Deny(form="xml")])
async def test_an_error_may_be_xml(client, cloud, effect):
    cloud.faults.add(effect)
    got = await client.functions()
    root = ET.fromstring(got.body)
    assert (root.tag, got.headers["Content-Type"]) == ("Error", "text/xml;charset=utf-8")
    codes = {"Throttle": "Throttling.User", "Error": "A&B", "Deny": "AccessDenied"}
    assert root.findtext("Code") == codes[type(effect).__name__]
    assert root.findtext("RequestId") == got.headers["x-acs-request-id"]


async def test_a_hint_can_be_left_out(client, cloud):
    cloud.faults.add(Throttle(hint="none"))
    assert not {"x-acs-retry-after", "Retry-After", "x-ratelimit-user-api"} & set((await client.functions()).headers)


async def test_a_denial_names_the_missing_action(client, cloud):
    cloud.faults.add(Deny(), account=FIRST)
    got = await client.functions()
    assert "not authorized to perform 'fc:ListFunctions'" in got.json["Message"]
    groups = await client.groups()
    assert (groups.status, groups.code) == (403, "Forbidden.RAM")
    assert "not authorized to perform opensearch:ListAppGroup " in groups.json["Message"]
    client.account = SECOND
    assert (await client.functions()).status == 200


async def test_a_fault_doesn_t_hide_a_bad_signature(client, cloud):
    cloud.faults.add(Throttle())
    assert (await client.get("fc.ListFunctions", PATH, secret="wrong")).code == "SignatureDoesNotMatch"


async def test_a_delay_waits_on_the_cloud_s_clock_and_others_still_hold(client, cloud, clock):
    cloud.faults.add(Delay(seconds=40), nth=(1,))
    cloud.faults.add(Error(status=503, code="ServiceUnavailable"), nth=(1,))
    assert (await client.functions()).code == "ServiceUnavailable"
    assert clock.slept == [40]
    assert (await client.functions()).status == 200


@pytest.mark.parametrize(("effect", "handled"), [(Drop(), 0), (Drop(when="after"), 1), (Refuse(), 0)])
async def test_a_dropped_connection_gives_no_byte(client, cloud, effect, handled):
    cloud.faults.add(effect)
    assert await raw(client) == b""
    assert cloud.requests.count(outcome="OK") == handled
    assert cloud.requests.count(outcome="fault:drop") == 1 - handled


async def test_a_refused_region_is_out_of_reach_for_every_request(client, cloud):
    cloud.faults.add(Refuse(), region="cn-hang*")
    for _ in range(3):
        with pytest.raises(aiohttp.ClientError):
            await client.functions()
    client.region = "cn-shanghai"
    assert (await client.functions()).status == 200


@pytest.mark.parametrize("at", [0, 1, 100])
async def test_a_cut_body_announces_its_whole_length(client, cloud, at):
    cloud.faults.add(Truncate(at=at))
    head, _, body = (await raw(client)).partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
    assert len(body) == at < length


async def test_a_cut_chunk_and_a_body_that_ends_with_the_connection(client, cloud):
    cloud.faults.add(Truncate(at=30, framing="chunk"), times=1)
    cloud.faults.add(Truncate(at=30, framing="close"), times=1)
    head, _, body = (await raw(client)).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    size, _, chunk = body.partition(b"\r\n")
    assert len(chunk) == 30 < int(size, 16)
    head, _, body = (await raw(client)).partition(b"\r\n\r\n")
    assert (len(body), b"Content-Length" in head) == (30, False)


async def test_a_cut_gzip_stream(client, cloud):
    cloud.faults.add(Truncate(at=200, framing="close"))
    head, _, body = (await raw(client, headers={"Accept-Encoding": "gzip"})).partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    unpacker = zlib.decompressobj(31)
    assert unpacker.decompress(body).startswith(b'{"functions":[')
    assert not unpacker.eof


@pytest.mark.parametrize(
    ("effect", "shown"),
    [
        (Echo(), "{}"),
        (Echo(encoding="url"), "{}"),
        (Echo(at=9), "{:.9}"),
    ],
)
async def test_an_echo_repeats_the_key_of_the_request(client, cloud, effect, shown):
    cloud.faults.add(effect)
    answer = await client.functions()
    key_id, _ = cloud.credentials(FIRST)
    assert answer.status == 400
    assert f"InvalidSecurityToken.Malformed.{shown.format(key_id)}".encode() in answer.body
    assert f"The specified {shown.format(key_id)} is malformed.".encode() in answer.body


async def test_other_bodies(client, cloud):
    cloud.faults.add(Body(body=b"null"), times=1)
    cloud.faults.add(HtmlFault(), times=1)
    cloud.faults.add(Redirect(location="http://127.0.0.1:9/x", status=307), times=1)
    assert (await client.functions()).body == b"null"
    html = await client.functions()
    assert (html.status, html.headers["Content-Type"]) == (502, "text/html")
    moved = await client.functions()
    assert (moved.status, moved.headers["Location"]) == (307, "http://127.0.0.1:9/x")
    assert (await client.functions()).status == 200


async def test_a_slow_body_trickles_and_is_whole(client, cloud, clock):
    expected = (await client.functions(limit="1")).body
    cloud.faults.add(Slow(every_s=10, size=400))
    assert (await client.functions(limit="1")).body == expected
    assert clock.slept == [10] * -(-len(expected) // 400)


async def next_tokens(client, count):
    tokens, token = [], None
    for _ in range(count):
        query = {"limit": "5", "fcVersion": "v3", **({"nextToken": token} if token else {})}
        token = (await client.functions(**query)).json.get("nextToken")
        tokens.append(token)
    return tokens


@pytest.mark.parametrize("cycle", [1, 3])
async def test_a_token_repeats(client, cloud, cycle):
    cloud.faults.add(RepeatToken(cycle=cycle))
    tokens = await next_tokens(client, 2 * cycle + 1)
    assert len(set(tokens)) == cycle
    assert tokens[cycle] == tokens[0]


async def test_a_walk_never_ends(client, cloud):
    client.region = "cn-shanghai"
    cloud.faults.add(PageFault(endless=True))
    tokens = await next_tokens(client, 30)
    assert len(set(tokens)) == 30


async def test_empty_and_short_pages_lose_nothing(client, cloud):
    cloud.faults.add(PageFault(rows=0), page=(2, 3))
    cloud.faults.add(PageFault(rows=7))
    found, sizes, token = [], [], ""
    while token is not None:
        query = {"limit": "100", "fcVersion": "v3", **({"nextToken": token} if token else {})}
        body = (await client.functions(**query)).json
        found += body["functions"]
        sizes.append(len(body["functions"]))
        token = body.get("nextToken")
    assert sizes[:5] == [7, 0, 0, 7, 7]
    assert found == cloud.records(FIRST, "cn-hangzhou", "fc.ListFunctions")


async def test_a_wrong_total_and_a_lower_cap(client, cloud):
    cloud.edit(FIRST, "cn-hangzhou", "opensearch.ListAppGroups", [{"name": f"group{n}"} for n in range(130)])
    cloud.faults.add(PageFault(total="12"), times=1)
    cloud.faults.add(PageFault(caps=50), action="ListAppGroups")
    assert (await client.groups()).json["totalCount"] == "12"
    assert (await client.groups(pageSize="51")).code == "InvalidArgument"
    assert (await client.groups(pageSize="50")).json["totalCount"] == 130


async def test_a_rule_hits_a_page_by_its_number(client, cloud):
    cloud.faults.add(Error(status=503, code="ServiceUnavailable"), action="ListAppGroups", page=(2,), times=1)
    assert [(await client.groups(pageNumber=number)).status for number in "1223"] == [200, 503, 200, 200]


async def test_sts_has_faults_too(client, cloud):
    cloud.faults.add(Throttle(), product="sts", region="")
    assert (await client.get("sts.GetCallerIdentity", "/")).code == "Throttling.User"


def test_selectors_and_counts():
    rule = Rule(effect=Deny(), account=FIRST, product="fc*", action="List*", nth=(2, 3), times=1)
    identity = RequestIdentity(FIRST, "cn-hangzhou", "fc-open", "ListServices")
    script = FaultScript([rule])
    assert script.effects(RequestIdentity(SECOND, "cn-hangzhou", "fc-open", "ListServices")) == ()
    assert [len(script.effects(identity)) for _ in range(4)] == [0, 1, 0, 0]
    assert (rule.seen, rule.fired) == (4, 1)


def test_rules_that_fire_once_follow_each_other():
    script = FaultScript([Rule(effect=Error(), times=1), Rule(effect=Deny(), times=1)])
    identity = RequestIdentity("", "", "fc", "x")
    assert [script.effects(identity) for _ in range(3)] == [(Error(),), (Deny(),), ()]


def test_delays_add_up_and_the_first_other_effect_wins():
    script = FaultScript([Rule(effect=effect) for effect in (Error(), Delay(seconds=1), Deny(), Delay(seconds=2))])
    assert script.effects(RequestIdentity("", "", "fc", "x")) == (Delay(seconds=1), Delay(seconds=2), Error())
    script.clear()
    assert script.effects(RequestIdentity("", "", "fc", "x")) == ()


TOML = """
[[rules]]
effect = "throttle"
product = "fc"
action = "List*"
nth = [1, 2]
retry_after_ms = 2000
hint = "ratelimit"

[[rules]]
effect = "body"
body = "<oops>"
page = 3
times = 2
"""
JSON = '{"rules": [{"effect": "delay", "seconds": 2, "region": "cn-*"}, {"effect": "page", "total": null, "rows": 0}]}'


def test_a_script_as_text():
    rules = FaultScript.from_text(TOML).rules
    assert rules[0] == Rule(
        effect=Throttle(retry_after_ms=2000, hint="ratelimit"), product="fc", action="List*", nth=(1, 2)
    )
    assert rules[1] == Rule(effect=Body(body=b"<oops>"), page=(3,), times=2)
    assert [rule.effect for rule in FaultScript.from_text(JSON).rules] == [
        Delay(seconds=2),
        PageFault(total=None, rows=0),
    ]
    assert FaultScript.from_text("").rules == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rules]]\neffect = 'explode'", "rule 1: effect is 'explode'; known are throttle, error,"),
        ("[[rules]]\neffect = 'throtle'", "rule 1: effect is 'throtle'; did you mean \"throttle\"?"),
        ("[[rules]]\naction = 'x'", "rule 1: effect is missing; known are throttle, error,"),
        ("[[rules]]\nefect = 'deny'", 'rule 1: unknown key "efect"; did you mean "effect"?'),
        (
            "[[rules]]\neffect = 'deny'\n[[rules]]\neffect = 'deny'\nacount = 'x'",
            'rule 2: unknown key "acount"; did you mean "account"?',
        ),
        ("[[rules]]\neffect = 'delay'", "rule 1: seconds is missing; it is seconds, 0 or more"),
        ("[[rules]]\neffect = 'delay'\nseconds = 'x'", "rule 1: seconds is seconds, 0 or more"),
        ("[[rules]]\neffect = 'drop'\nwhen = 'later'", "rule 1: when is 'before' or 'after'"),
        ("[[rules]]\neffect = 'deny'\nnth = 0", "rule 1: nth is an integer from 1"),
        ("[[rules]]\neffect = 'deny'\ntimes = true", "rule 1: times is an integer from 1"),
        ("[[rules]]\neffect = 'deny'\nregion = 1", "rule 1: region is text"),
        ("[[rules]]\neffect = 'truncate'\nat = 1.5", "rule 1: at is an integer"),
        ("[[rules]]\neffect = 'page'\nendless = 1", "rule 1: endless is true or false"),
        ("rule = 1", 'unknown key "rule"'),
        ("rules = 1", "rules is a list of tables"),
        ("= x", "neither TOML nor a JSON object"),
        ("{nonsense", "neither TOML nor a JSON object"),
    ],
)
def test_a_bad_script_says_which_rule_and_what_is_accepted(text, message):
    with pytest.raises(ConfigError) as caught:
        FaultScript.from_text(text, source="faults.toml")
    assert str(caught.value).startswith("faults.toml")
    assert message in str(caught.value)


def test_a_script_from_a_file(tmp_path):
    path = tmp_path / "faults.toml"
    with pytest.raises(ConfigError, match=r"can't be read: No such file"):
        FaultScript.load(path)
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"not UTF-8"):
        FaultScript.load(path)
    path.write_text(TOML)
    assert len(FaultScript.load(path).rules) == 2
