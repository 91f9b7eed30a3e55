"""One call: its retries and their times, its signatures, its slots, and the values that it never logs."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import unquote

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.catalog import schemas_folder
from crawler.client.client import RequestCounts, SignedAccount
from crawler.client.credentials import Credentials, build_provider
from crawler.client.credentials.spec import RoleSpec
from crawler.client.dispatcher import Dispatcher
from crawler.client.error_rules import load_rules
from crawler.client.rate_limit import LimitRule, TokenBuckets
from crawler.client.request import ApiRequest, expand_path
from crawler.client.retry import RetryPolicy
from crawler.client.transport import HttpRequest, Transport
from crawler.clock import SystemClock
from crawler.emulator import Cloud, CloudSpec, serve
from crawler.errors import (
    ApiError,
    CredentialsError,
    DeniedError,
    FatalError,
    InvalidArgumentError,
    ResignError,
    ThrottledError,
    TransientError,
)
from crawler.run.discovery import StsCall, caller_identity, read_object
from crawler.testing import FakeClock, FakeGate, FakeProvider, FakeSender, LoopClock, answer, client_over
from crawler.validation import Secret

ACCOUNT = "1000000000000001"
RULES = load_rules(schemas_folder() / "errors.toml")
LIST = ApiRequest("fc", "2023-03-30", "ListFunctions", "cn-hangzhou", "/2023-03-30/functions", {"limit": "100"})
HOST = "fcv3.cn-hangzhou.aliyuncs.com"
HOSTS = {"fc": "fcv3.{region}.aliyuncs.com", "sts": "https://sts.aliyuncs.com"}


def failure(status, code="", message="", **headers):
    body = json.dumps({"Code": code, "Message": message}).encode() if code else b""
    return answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def client(sender, clock=None, gate=None, hosts=HOSTS, **policy):
    buckets = TokenBuckets(LimitRule(1000, 1000))
    return client_over(sender, hosts, limiter=gate, clock=clock, buckets=buckets, policy=RetryPolicy(**policy))


class Bench:
    """A client on fakes, one channel, and the result of a call."""

    def __init__(self, script, **policy) -> None:
        self.clock, self.gate = FakeClock(), FakeGate()
        self.sender = FakeSender(script)
        self.provider = FakeProvider()
        self.client = client(self.sender, self.clock, self.gate, **policy)
        self.channel = self.client.channel(ACCOUNT, "cn-hangzhou", "fc", "ListFunctions")
        self.tally = RequestCounts()

    async def call(self, request=LIST, read=bytes, **more):
        caller = SignedAccount(ACCOUNT, self.provider)
        return await self.client.call(request, caller, self.channel, read, self.tally, **more)

    async def fails(self, **more) -> ApiError:
        with pytest.raises(ApiError) as caught:
            await self.call(**more)
        assert self.gate.held == 0
        return caught.value

    def sent(self, header):
        return [request.headers[header] for request in self.sender.sent]


async def test_an_answer_is_read_and_the_place_given_back():
    bench = Bench([answer(body=b'{"functions": []}')])
    assert await bench.call(read=len) == 17
    assert (bench.gate.held, bench.gate.entered, bench.tally) == (0, 1, RequestCounts(1, 0, 0))
    assert bench.sender.sent[0].url == "https://fcv3.cn-hangzhou.aliyuncs.com/2023-03-30/functions?limit=100"
    assert bench.sender.sent[0].timeout_s == 30.0


async def test_a_reader_of_the_response_decides_whether_the_body_is_checked():
    refused, denied = answer(body=b'{"code": "Oops", "functions": []}'), answer(403, body=b'{"code": "Oops"}')

    async def exchanged(response, is_proven):
        bench = Bench([response])

        def read(response):
            if not is_proven(response.body):
                bench.client.check("fc", response)
            return response.body

        account = SignedAccount(ACCOUNT, bench.provider)
        return await bench.client.exchange(LIST, account, bench.channel, read, bench.tally)

    for response, is_proven in ((refused, len), (answer(body=b"[]"), lambda _: False)):
        assert await exchanged(response, is_proven) == response.body
    for response in (refused, denied):
        with pytest.raises(ApiError) as caught:
            await exchanged(response, lambda _: False)
        assert caught.value.code == "Oops"


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (failure(403, "AccessDenied", "not authorized to perform fc:ListFunctions"), DeniedError),
        (failure(403, "Forbidden.RAM"), DeniedError),
        (failure(400, "InvalidArgument"), InvalidArgumentError),
        (failure(400, "SignatureNotMatch"), FatalError),
        (failure(404, "InvalidAccessKeyId.NotFound"), FatalError),
        (failure(404), FatalError),
        (FatalError("TlsFailed", ""), FatalError),
    ],
)
async def test_what_no_second_try_can_help_has_one_attempt(response, kind):
    """F10."""
    bench = Bench([response])
    assert type(await bench.fails()) is kind
    assert len(bench.sender.sent) == 1
    assert bench.clock.slept == []


@pytest.mark.parametrize(
    ("response", "throttled"),
    [
        (failure(429), 5),
        (failure(503), 0),
        (failure(500, "InternalError"), 0),
        (TransientError("Timeout", ""), 0),
        (failure(302, Location="https://elsewhere.example/"), 0),
        (answer(400, b'{"Code": "InvalidArgument", "Message": "\xc7\xeb"}'), 0),
        (answer(200, b'{"code": "Forbidden.RAM\xff", "functions": []}'), 0),
    ],
)
async def test_what_may_pass_is_tried_again_and_ends_with_the_last_error(response, throttled):
    """F03."""
    bench = Bench([response], max_attempts=5)
    assert isinstance(await bench.fails(), ThrottledError | TransientError)
    assert bench.tally == bench.client.total == RequestCounts(requests=5, retries=4, throttled=throttled)
    assert len(bench.sender.sent) == 5
    assert bench.clock.slept == [0.25, 0.5, 1.0, 2.0]


async def test_every_attempt_is_signed_anew():
    """F12."""
    bench = Bench([failure(503), failure(429), TransientError("Timeout", ""), answer()])
    await bench.call()
    assert len(set(bench.sent("x-acs-signature-nonce"))) == 4
    assert len(set(bench.sent("Authorization"))) == 4
    assert bench.sent("x-acs-date") == sorted(bench.sent("x-acs-date"))
    assert bench.gate.entered == 4


async def test_a_hint_is_waited_for_and_slows_one_bucket_alone():
    """F01: the operation's, and for `Throttling.User` the product's; other operations, regions and accounts never."""
    for code, slowed in (("Throttling", "operation"), ("Throttling.User", "product")):
        bench = Bench([failure(400, code, x_acs_retry_after="2000"), answer()])
        others = [
            bench.client.channel(ACCOUNT, "cn-shanghai", "fc", "ListFunctions"),
            bench.client.channel("1000000000000002", "cn-hangzhou", "fc", "ListFunctions"),
            bench.client.channel(ACCOUNT, "cn-hangzhou", "opensearch", "ListAppGroups"),
        ]
        ready_at = []

        def script(request, bench=bench, ready_at=ready_at, code=code):
            ready_at.append({name: getattr(bench.channel, name).ready_at(0) for name in ("operation", "product")})
            return failure(400, code, x_acs_retry_after="2000") if len(ready_at) == 1 else answer()

        bench.sender._script = script
        await bench.call()
        assert 2.0 <= bench.clock.slept[0] <= 7.0
        assert {name for name, at in ready_at[1].items() if at >= 2.0} == {slowed}
        assert all(channel.operation.ready_at(0) == channel.product.ready_at(0) == 0 for channel in others)


async def test_a_hint_longer_than_anyone_waits_fails_the_call_and_blocks_no_other():
    """F04."""
    bench = Bench([failure(429, "Throttling.User", Retry_After="86400")])
    assert (await bench.fails()).retry_after_s == 86400
    assert len(bench.sender.sent) == 1
    assert bench.channel.product.ready_at(bench.clock.monotonic()) <= bench.clock.monotonic() + 60


async def test_a_hint_beyond_the_deadline_fails_at_once():
    """F04, P8."""
    bench = Bench([failure(429, "Throttling", x_acs_retry_after="20000"), answer()])
    bench.client.deadline_at = 10.0
    assert isinstance(await bench.fails(), ThrottledError)
    assert bench.clock.slept == []


async def test_no_wait_goes_beyond_the_deadline():
    """P8, P10."""
    bench = Bench([failure(503)], max_attempts=50)
    bench.client.deadline_at = 10.0
    await bench.fails()
    assert bench.clock.monotonic() <= 10.0


@pytest.mark.parametrize(("response", "most"), [(failure(429), 100), (failure(503), 35)])
async def test_the_quota_of_a_key_ends_a_storm(response, most):
    """F05, F06."""
    bench = Bench([response])
    for _ in range(80):
        await bench.fails()
    assert bench.tally.retries <= most
    assert len(bench.sender.sent) <= 80 + most


async def test_a_refused_nonce_is_signed_anew_twice_without_the_quota():
    """F12."""
    bench = Bench([failure(400, "SignatureNonceUsed")])
    assert isinstance(await bench.fails(), ResignError)
    assert len(set(bench.sent("x-acs-signature-nonce"))) == 3
    assert bench.channel.quota.tokens == 500
    assert bench.client.clock_skew_s == 0


def dated(clock, skew):
    return {"Date": format_datetime((clock.now() + skew).astimezone(UTC), usegmt=True)}


@pytest.mark.parametrize("minutes", [20, -20])
async def test_a_clock_that_is_off_is_corrected_once_and_stays_so(minutes):
    """F13."""
    skew = timedelta(minutes=minutes)

    def script(request):
        date = datetime.strptime(request.headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        right = bench.clock.now() + skew
        if abs(date - right) < timedelta(minutes=15):
            return answer()
        return failure(400, "InvalidTimeStamp.Expired", **dated(bench.clock, skew))

    bench = Bench(script)
    for _ in range(3):
        await bench.call()
    assert len(bench.sender.sent) == 4
    assert bench.client.clock.of(HOST) == pytest.approx(skew.total_seconds(), abs=1)
    assert bench.client.clock_skew_s == 0  # STS wasn't asked


async def test_a_clock_that_is_wrong_by_half_a_day_is_a_sentence():
    """F13."""
    bench = Bench([])
    bench.sender._script = [failure(400, "InvalidTimeStamp.Expired", **dated(bench.clock, timedelta(hours=13)))]
    error = await bench.fails()
    assert (type(error), error.code) == (FatalError, "ClockWrong")
    assert "13.0 hours" in str(error)
    assert len(bench.sender.sent) == 1


NO_DATES = [
    "", "yesterday", ",", "0", "Sun, 99 Nov 9999 9:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 31 Dec 9999 23:59:59 -2359", "Sun, 22 Nov 99999999999 02:00:00 GMT",
    "Sun, 22 Nov 2026 02:00:00 +99999999999", "\u0661\u0662", "Sun, 22 Nov 2026 02:00:00",
]  # fmt: skip


@pytest.mark.parametrize("date", NO_DATES)
async def test_a_date_that_is_none_corrects_nothing(date):
    """F13, F87."""
    bench = Bench([failure(400, "InvalidTimeStamp.Expired", Date=date), answer()])
    await bench.call()
    assert bench.client.clock_skew_s == bench.client.clock.of(HOST) == 0


# --- credentials ---


async def test_a_static_token_that_has_expired_fails_without_another_try():
    """F16."""
    bench = Bench([failure(400, "InvalidSecurityToken.Expired", "The token canary has expired.")])
    error = await bench.fails()
    assert (type(error), error.code) == (FatalError, "InvalidSecurityToken.Expired")
    assert len(bench.sender.sent) == 1
    assert "canary" not in str(error)


async def test_a_token_that_can_be_renewed_is_renewed_and_the_call_goes_on():
    """F15."""
    for code, message in (("InvalidSecurityToken.Expired", ""), ("InvalidParameter", '"SecurityToken.Expired"')):
        bench = Bench([failure(400, code, message), answer()])
        bench.provider = FakeProvider(refreshable=1)
        await bench.call()
        assert bench.provider.refreshed == 1
        assert bench.sender.sent[1].headers["x-acs-security-token"] == "fake-token"


async def test_credentials_that_fail_are_a_typed_error_and_take_no_place():
    class Failing(FakeProvider):
        async def get(self):
            raise CredentialsError("nothing is set")

        def ready(self):
            return None

    bench = Bench([answer()])
    bench.provider = Failing()
    error = await bench.fails()
    assert (type(error), error.code, bench.sender.sent) == (FatalError, "InvalidCredentials", [])
    bench.gate.held = 1
    assert (await bench.fails(has_slot=True)).code == "InvalidCredentials"


async def test_a_key_that_no_header_can_hold_is_a_typed_error():
    bench = Bench([answer()])
    bench.provider.credentials = Credentials("LTAI5t Fake", "secret")
    assert (await bench.fails()).code == "InvalidCredentials"


class Sts:
    """A cloud of one account whose role's tokens can expire; it counts the requests."""

    def __init__(self, clock) -> None:
        self.clock = clock
        self.issued = 0
        self.actions = Counter()
        self.latency_s = 0.1

    async def send(self, request: HttpRequest):
        self.actions[request.headers["x-acs-action"]] += 1
        sent_with = request.headers.get("x-acs-security-token")
        await anyio.sleep(self.latency_s)
        if request.headers["x-acs-action"] == "AssumeRole":
            self.issued += 1
            expires_at = (self.clock.now() + timedelta(seconds=3600)).strftime("%Y-%m-%dT%H:%M:%SZ")
            keys = {"AccessKeyId": "STS.x", "AccessKeySecret": "s", "SecurityToken": f"t{self.issued}"}
            return answer(body=json.dumps({"Credentials": {**keys, "Expiration": expires_at}}).encode())
        if sent_with != f"t{self.issued}":
            return failure(400, "InvalidSecurityToken.Expired")
        return answer()


async def with_role(concurrency, use):
    clock = LoopClock()
    sts, dispatcher = Sts(clock), Dispatcher(concurrency, clock)
    made = client(sts, clock, dispatcher)
    spec = RoleSpec(
        access_key_id=Secret("LTAI5tFakeFakeFake1234"),
        access_key_secret=Secret("secret"),
        role_arn=f"acs:ram::{ACCOUNT}:role/reader",
    )
    provider = build_provider(
        spec,
        call=StsCall(made, ACCOUNT, RequestCounts()),
        fetch=None,
        clock=clock,
        environ={},
        home=schemas_folder(),
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dispatcher.run)
        await use(sts, made, dispatcher, provider)
        tasks.cancel_scope.cancel()
    assert dispatcher._free == concurrency
    return sts


@pytest.mark.looptime
async def test_a_token_that_expires_under_200_calls_is_renewed_once():
    """F15."""

    async def use(sts, made, dispatcher, provider):
        channel = made.channel(ACCOUNT, "cn-hangzhou", "fc", "ListFunctions")
        await provider.get()
        sts.issued += 1  # all tokens so far are expired
        async with anyio.create_task_group() as calls:
            for _ in range(200):
                calls.start_soon(made.call, LIST, SignedAccount(ACCOUNT, provider), channel, bytes, RequestCounts())

    sts = await with_role(200, use)
    assert sts.actions["AssumeRole"] == 2, "the first one, and one renewal"
    assert sts.actions["ListFunctions"] == 400


@pytest.mark.looptime
@pytest.mark.parametrize("concurrency", [1, 4])
async def test_places_that_wait_for_credentials_are_free_for_fetching_them(concurrency):
    """F15: all slots are granted to lists without credentials, and the request to STS needs a slot too."""

    async def use(sts, made, dispatcher, provider):
        channel = made.channel(ACCOUNT, "cn-hangzhou", "fc", "ListFunctions")
        done = []

        async def one():
            done.append(
                await made.call(LIST, SignedAccount(ACCOUNT, provider), channel, bytes, RequestCounts(), has_slot=True)
            )

        with anyio.fail_after(60):
            async with anyio.create_task_group() as calls:
                for _ in range(3 * concurrency):
                    dispatcher.submit(channel.lane, lambda: calls.start_soon(one))
                while len(done) < 3 * concurrency:
                    await anyio.sleep(0.1)

    sts = await with_role(concurrency, use)
    assert sts.actions["AssumeRole"] == 1


@pytest.mark.looptime
async def test_many_roles_that_one_key_assumes_are_paced_together():
    """F17."""
    times = []

    class Noting(Sts):
        async def send(self, request):
            times.append(anyio.current_time())
            return await super().send(request)

    clock = LoopClock()
    dispatcher = Dispatcher(500, clock)
    made = client(Noting(clock), clock, dispatcher)
    made._buckets = TokenBuckets(LimitRule(50, 10))
    key = Credentials("LTAI5tFakeFakeFake1234", "secret")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dispatcher.run)
        async with anyio.create_task_group() as calls:
            for n in range(300):
                call = StsCall(made, f"{ACCOUNT}{n}", RequestCounts())
                calls.start_soon(call, "sts", "AssumeRole", {"RoleArn": f"{n}"}, key)
        tasks.cancel_scope.cancel()
    assert len(times) == 300
    assert max(sum(at <= other < at + 1 for other in times) for at in times) <= 60


async def test_who_the_credentials_belong_to_is_asked_in_one_request():
    """F17."""
    bench = Bench([answer(body=b'{"AccountId": "1000000000000001"}')])
    call = StsCall(bench.client, ACCOUNT, bench.tally)
    assert await caller_identity(call, bench.provider.credentials) == ACCOUNT
    (request,) = bench.sender.sent
    assert (request.method, request.url) == ("POST", "https://sts.aliyuncs.com/")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"


async def test_an_operation_may_be_a_post_without_a_body():
    """The SDKs send operations of the RPC style so, with their parameters in the query."""
    bench = Bench([answer()])
    await bench.call(ApiRequest("fc", "2023-03-30", "ListThings", "cn-hangzhou", "/", {"Marker": "a/b"}, method="POST"))
    (sent,) = bench.sender.sent
    assert (sent.method, sent.url, sent.body) == ("POST", "https://fcv3.cn-hangzhou.aliyuncs.com/?Marker=a%2Fb", b"")


# --- places ---


async def test_the_place_is_given_back_when_reading_fails():
    bench = Bench([answer()])

    def broken(body):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await bench.call(read=broken)
    assert bench.gate.held == 0


async def test_an_error_of_reading_is_retried_as_the_services_are():
    bench = Bench([answer(body=b"[1"), answer(body=b'{"a": 1}')])
    assert await bench.call(read=read_object) == {"a": 1}
    assert len(bench.sender.sent) == 2


@pytest.mark.looptime
@pytest.mark.parametrize("cancel_s", [0, 0.5, 1.5, 2.5, 3.5])
async def test_the_place_is_given_back_when_the_call_is_cancelled(cancel_s):
    """While credentials are fetched, in the queue, in the exchange, in the wait for a retry."""

    class Slow(FakeProvider):
        is_fetched = False

        async def get(self):
            if not self.is_fetched:
                await anyio.sleep(1)
            self.is_fetched = True
            return self.credentials

        def ready(self):
            return self.credentials if self.is_fetched else None

    async def send(request):
        await anyio.sleep(1)
        raise TransientError("Timeout", "")

    clock = LoopClock()
    for has_slot in (False, True):
        gate = FakeGate()
        gate.held = int(has_slot)
        sender = FakeSender([])
        sender.send = send
        made = client(sender, clock, gate)
        channel = made.channel(ACCOUNT, "cn-hangzhou", "fc", "ListFunctions")
        with anyio.move_on_after(cancel_s):
            await made.call(LIST, SignedAccount(ACCOUNT, Slow()), channel, bytes, RequestCounts(), has_slot=has_slot)
        assert gate.held == 0


# --- names in paths ---

AWKWARD = ["a/b", "a/../../x", "%2e%2e", "..a", "a?b#c", "a b", "ü", "日本", "~-_.", "%", "+", "&=", "{serviceName}"]
CONFIGS = "fc-open.ListFunctionAsyncInvokeConfigs"
CONFIGS_PATH = "/2021-04-06/services/{serviceName}/functions/{functionName}/async-invoke-configs"
AWKWARD += ["x" * 4096]


@pytest.mark.parametrize("name", AWKWARD)
def test_a_name_is_encoded_once(name):
    """T18."""
    path = expand_path("/services/{serviceName}/functions", {"serviceName": name})
    head, services, step, tail = path.split("/")
    assert (head, services, tail) == ("", "services", "functions")
    assert unquote(step) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a\0b", "\ud800"])
def test_a_name_that_no_path_can_hold_is_refused(name):
    """T18."""
    with pytest.raises(FatalError, match="InvalidName") as caught:
        expand_path("/services/{serviceName}", {"serviceName": name})
    assert str(caught.value).isprintable()


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_names_that_are_taken_come_back_from_the_path(first, second):
    """T18."""
    try:
        path = expand_path("/a/{first}/b/{second}", {"first": first, "second": second})
    except FatalError:
        return
    assert [unquote(step) for step in path.split("/")] == ["", "a", first, "b", second]
    assert path.isascii()


async def test_awkward_names_reach_the_cloud_as_they_are_with_a_good_signature():
    """T18: the emulator verifies the signature of the request that it received."""
    cloud = Cloud(CloudSpec(accounts=(ACCOUNT,), regions=("cn-hangzhou",)))
    cloud.place(ACCOUNT, "cn-hangzhou").names.add(("fc-open", "s"))
    names = [name for name in AWKWARD if len(name) < 1000]
    for name in names:
        cloud.edit(ACCOUNT, "cn-hangzhou", CONFIGS, [{"qualifier": f"of {name}"}], ("s", name))
    provider = FakeProvider()
    provider.credentials = Credentials(*cloud.credentials(ACCOUNT))
    async with serve(cloud) as emulator, Transport(connections=2, max_page_bytes=1 << 20) as transport:
        url = emulator.url("fc-open", "cn-hangzhou")
        made = client(transport, SystemClock(), hosts={"fc-open": url})
        channel = made.channel(ACCOUNT, "cn-hangzhou", *CONFIGS.split("."))
        for name in names:
            path = expand_path(CONFIGS_PATH, {"serviceName": "s", "functionName": name})
            request = ApiRequest("fc-open", "2021-04-06", CONFIGS.split(".")[1], "cn-hangzhou", path, {"limit": "100"})
            found = await made.call(request, SignedAccount(ACCOUNT, provider), channel, read_object, RequestCounts())
            assert [config["qualifier"] for config in found["configs"]] == [f"of {name}"]
    assert [entry.parent for entry in cloud.requests.entries] == [("s", name) for name in names]


# --- messages ---

CANARY = "canary5f3a"


@pytest.mark.parametrize(
    "response",
    [
        failure(400, "InvalidArgument", "bad"),
        failure(503),
        failure(403, "Forbidden.RAM"),
        TransientError("Timeout", ""),
        answer(body=b"<html>"),
        failure(400, "InvalidSecurityToken.Expired"),
    ],
)
async def test_no_error_repeats_a_query_a_token_or_a_secret(response):
    """P15, T11."""
    bench = Bench([response], max_attempts=2)
    bench.provider.credentials = Credentials("LTAI5tFakeFakeFake1234", f"secret-{CANARY}", f"token-{CANARY}")
    request = ApiRequest("fc", "v", "ListFunctions", "cn-hangzhou", "/x", {"nextToken": CANARY}, {"OIDCToken": CANARY})
    error = await bench.fails(request=request, read=read_object)
    shown = f"{error!r} {error} {error.__dict__}" + repr(request) + repr(bench.sender.sent)
    assert CANARY not in shown
