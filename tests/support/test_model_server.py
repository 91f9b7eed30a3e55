"""The official clients get from the model-driven cloud what the SDK's models say, page by page."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import Any

import pytest
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config
from darabonba.runtime import RuntimeOptions

from tests.support.model_server import (
    NUMBERS,
    PACKAGES,
    RECORDS,
    REGION,
    SIZES,
    TOKENS,
    ModelCloud,
    folded,
    outside_lists,
    serve_models,
)
from tests.support.model_values import ModelValues, fields_of, plain, wire_name

VPC = "alibabacloud_vpc20160428"


def client_of(cloud, url, *, secret=""):
    key = cloud.key
    return import_module(f"{cloud.package}.client").Client(
        Config(
            access_key_id=key.key_id,
            access_key_secret=secret or key.secret,
            endpoint=url.removeprefix("http://"),
            protocol="HTTP",
            region_id=REGION,
        )
    )


async def ask(client, call, **parameters) -> Any:
    """Call the client's method with these query parameters, and with values for those that it requires."""
    method = getattr(client, f"{call.name}_async")
    arguments = {name: f"a {name}" for name in signature(method).parameters}
    arguments |= {"headers": {}, "runtime": RuntimeOptions()}
    if call.request is not None:
        values, request = ModelValues("required", 1), call.request()
        for name, hint in fields_of(call.request).items():
            wire = wire_name(call.request, name)
            if wire in parameters or wire in call.required:
                setattr(request, name, parameters[wire] if wire in parameters else values.make(hint, name))
        arguments |= {"request": request, "tmp_req": request}
    given = {name: value for name, value in arguments.items() if name in signature(method).parameters}
    return plain((await method(**given)).body)


def lists_of(node, path=""):
    """Return path → list, of the lists outside of other lists."""
    if isinstance(node, list):
        return {path: node}
    if not isinstance(node, dict):
        return {}
    return {key: found for name, value in node.items() for key, found in lists_of(value, f"{path}.{name}").items()}


async def walked(client, call):
    """Return the answers of all pages, as a caller of the client asks for them: by number if it can."""
    names = {folded(name): name for name in call.query}
    number = next((names[name] for name in NUMBERS if name in names), "")
    token = next((names[name] for name in TOKENS if name in names), "")
    limits = {names[name]: 10 for name in SIZES if name in names}
    pages = [await ask(client, call, **limits, **({number: 1} if number else {}))]
    while any(lists_of(pages[-1]).values()) and len(pages) < 9:
        following = next((value for name, value in outside_lists(pages[-1]) if folded(name) in TOKENS), "")
        if not number and not following:
            break
        more = {number: len(pages) + 1} if number else {token: following}
        pages.append(await ask(client, call, **limits, **more))
    return pages


@pytest.mark.parametrize("package", PACKAGES)
async def test_each_list_is_what_the_models_say_on_as_many_pages_as_it_has(package):
    cloud, paged = ModelCloud(package), 0
    async with serve_models(cloud) as [url]:
        client = client_of(cloud, url)
        for action, call in cloud.calls.items():
            cloud.lists.clear()
            pages = await walked(client, call)
            [served] = cloud.lists.values()
            found = lists_of(pages[0])
            for page in pages[1:]:
                for path, more in lists_of(page).items():
                    found[path] += more
            assert found == lists_of(served.answer), action
            assert set(map(len, found.values())) <= {RECORDS}, action
            paged += len(pages) > 1
    assert not cloud.refused
    assert paged > len(cloud.calls) / 10


async def test_a_request_that_the_sdk_would_not_send_is_refused():
    cloud = ModelCloud(VPC)
    call = cloud.calls["DescribeVpcs"]
    async with serve_models(cloud) as [url]:
        client = client_of(cloud, url)
        for odd, code in (
            ({"RegionId": None}, "MissingRegionId"),
            ({"PageSize": 51}, "InvalidParameter"),
            ({"PageSize": 0}, "InvalidParameter"),
        ):
            with pytest.raises(ClientException, match=code):
                await ask(client, call, **odd)
        with pytest.raises(ClientException, match="SignatureDoesNotMatch"):
            await ask(client_of(cloud, url, secret="wrong"), call)
        with pytest.raises(ClientException, match="InvalidParameter"):
            await ask(client, cloud.calls["ListPrefixLists"], NextToken="of another list")
    assert [code for _, code, _ in cloud.refused][-2:] == ["SignatureDoesNotMatch", "InvalidParameter"]
