"""Lists each operation of the emulator with the official SDK: the result is exactly the emulator's records.

Client, request and response are found by reflection. Only facts that the SDK doesn't have are written down here.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from alibabacloud_fc20230330 import models as fc_models
from alibabacloud_fc20230330.client import Client as FcClient
from alibabacloud_fc_open20210406 import models as open_models
from alibabacloud_fc_open20210406.client import Client as FcOpenClient
from alibabacloud_fcsandbox20260509 import models as sandbox_models
from alibabacloud_fcsandbox20260509.client import Client as SandboxClient
from alibabacloud_opensearch20171225 import models as search_models
from alibabacloud_opensearch20171225.client import Client as SearchClient
from alibabacloud_ram20150501 import models as ram_models
from alibabacloud_ram20150501.client import Client as RamClient
from alibabacloud_searchengine20211025 import models as engine_models
from alibabacloud_searchengine20211025.client import Client as EngineClient
from alibabacloud_tea_openapi.models import Config, GlobalParameters
from anyio import to_thread
from darabonba.model import DaraModel
from Tea.model import TeaModel

from crawler.emulator import Cloud, CloudSpec, Emulator, Rate
from crawler.emulator.apis.operation import GLOBAL, EmulatedOperation, EmulatedPaging
from crawler.emulator.apis.operations import OPERATIONS

FIRST, REGION = "1000000000000001", "cn-hangzhou"
ENDS = (None, "", '""', 0)
SDKS: dict[str, tuple[type, ModuleType]] = {
    "fc": (FcClient, fc_models),
    "fc-open": (FcOpenClient, open_models),
    "opensearch": (SearchClient, search_models),
    "fcsandbox": (SandboxClient, sandbox_models),
    "ram": (RamClient, ram_models),
    "searchengine": (EngineClient, engine_models),
}

# The parameters that are necessary for a complete list.
ASKED: dict[str, dict[str, Any]] = {
    "fc.ListFunctions": {"fcVersion": "v3"},
    "fc.ListTagResources": {"ResourceType": "ALIYUN::FC::FUNCTION"},
    "ram.ListTagResources": {"ResourceType": "role"},
    "opensearch.ListFunctionInstances": {"source": "all", "output": "detail"},
    "opensearch.ListTagResources": {"resourceType": "AppGroup", "tag": [{"key": "env"}, {"key": "部门"}]},
    "opensearch.ListDataSourceTables": {"params": '{"dbName":"shop"}'},
    "opensearch.ListDataSourceTableFields": {"params": '{"dbName":"shop"}'},
    "opensearch.ListInterventionDictionaryNerResults": {"query": "nike"},
    "opensearch.ListQueryProcessorAnalyzerResults": {"text": "nike"},
    "opensearch.ListSlowQueryCategories": {"start": 1589986800, "end": 1589990340},
    "opensearch.ListSlowQueryQueries": {"start": 1589986800, "end": 1589990340},
    "searchengine.ListTagResources": {"resourceType": "instance"},
    "searchengine.ListDateSourceGenerations": {"validStatus": False},
}
# Lists that a request can only get in parts: the records of the part that `ASKED` asks for.
PARTS: dict[str, Callable[[Any], bool]] = {"ram.ListTagResources": lambda record: record["ResourceType"] == "role"}
# The SDK's responses have only the request ID, without any records.
WITHOUT_RECORDS = {"opensearch.ListProceedings", "opensearch.ListSearchStrategies"}
# The report without pages: each page is complete.
UNPAGED = "data-quality"


@pytest.fixture(scope="module")
def cloud() -> Cloud:
    """Return a cloud on the system's clock, which the SDK signs with, and without limits that would stop a list."""
    return Cloud(CloudSpec(rate=Rate(rate=5000, burst=5000)))


class Sdk:
    """One operation of the official client, called with the API's own names."""

    def __init__(self, emulator: Emulator, operation: EmulatedOperation) -> None:
        self._emulator = emulator
        self._operation = operation
        self._client, self._models = SDKS[operation.product]
        self._methods: dict[tuple[tuple[str, str], ...], Callable[..., Any]] = {}

    def page(self, parent: tuple[str, ...], query: dict[str, Any]) -> Any:
        """Return the body of one page as the SDK's model. Unknown parameters are added to the query."""
        query = {**query, **dict(zip(reversed(self._operation.parent_query), reversed(parent), strict=False))}
        request_class = getattr(self._models, f"{self._operation.action}Request", None)
        request = request_class().from_map(query) if request_class else None
        known = set(request.to_map()) if request else set()
        more = tuple((name, str(value)) for name, value in query.items() if name not in known)
        if more not in self._methods:
            self._methods[more] = self._method(dict(more))
        call = self._methods[more]
        values = {normal(name): value for name, value in zip(self._operation.parameters, parent, strict=True)}
        taken = [name for name in inspect.signature(call).parameters if name != "request"]
        arguments = [values[normal(name)] for name in taken]
        return call(*arguments, *([request] if "request" in inspect.signature(call).parameters else [])).body

    def _method(self, more: dict[str, str]) -> Callable[..., Any]:
        key_id, secret = self._emulator.cloud.credentials(FIRST)
        config = Config(
            access_key_id=key_id,
            access_key_secret=secret,
            endpoint=self._emulator.url(self._operation.product, REGION).removeprefix("http://"),
            protocol="HTTP",
            region_id=REGION,
            global_parameters=GlobalParameters(queries=more),
        )
        client = self._client(config)
        (name,) = (name for name in dir(client) if normal(name) == normal(self._operation.action))
        return getattr(client, name)


def normal(name: str) -> str:
    """Normalize a name: `functionName`, `function_name` → `functionname`."""
    return name.replace("_", "").lower()


def pages(sdk: Sdk, operation: EmulatedOperation, parent: tuple[str, ...]) -> Iterator[Any]:
    """Return the bodies of all pages of a list, as the operation's kind of paging ends it."""
    asked: dict[str, Any] = dict(ASKED.get(operation.name, {}))
    if operation.paging is EmulatedPaging.NONE or UNPAGED in parent:
        yield sdk.page(parent, asked)
        return
    is_limited = operation.paging is EmulatedPaging.LIMIT
    size = (
        {operation.bounds.parameter: operation.bounds.high if is_limited else 40} if operation.bounds.parameter else {}
    )
    token: Any = None
    for number in range(1, 100):
        where = (
            {operation.page_parameter: number}
            if operation.paging is EmulatedPaging.NUMBER
            else {operation.token: token}
        )
        body = sdk.page(parent, {**asked, **size, **({} if None in where.values() else where)})
        yield body
        token = body.to_map().get(operation.next_name)
        if not wire(body, operation) if operation.paging is EmulatedPaging.NUMBER else token in ENDS:
            return
    pytest.fail(f"{operation.name} doesn't end")


def models(body: Any, operation: EmulatedOperation) -> list[Any]:
    """Return the records of a page: the SDK's models, or plain values if it has no model."""
    if operation.name in WITHOUT_RECORDS:
        return []
    found = body
    for key in filter(None, operation.records.split(".")):
        fields = vars(found)
        found = next(fields[name] for name in fields if normal(name) == normal(key))
    if operation.envelope == "single" and not as_json(found):
        return []  # `{}` instead of the only record
    return found if isinstance(found, list) else [found]


def as_json(value: Any) -> Any:
    """Return a model as JSON, other values unchanged."""
    return value.to_map() if hasattr(value, "to_map") else value


def wire(body: Any, operation: EmulatedOperation) -> list[Any]:
    """Return the wire records as JSON values. The request ID is not part of a record that is the whole response."""
    records = [as_json(record) for record in models(body, operation)]
    if operation.envelope != "whole":
        return records
    return [{name: value for name, value in record.items() if name != operation.request_id} for record in records]


def plain(value: Any) -> Any:
    """Remove nulls and empty lists: the SDK's models don't distinguish them from absent values."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if item not in (None, [])}
    return [plain(item) for item in value] if isinstance(value, list) else value


def unset(values: list[Any]) -> set[str]:
    """Return `Model.field` for all fields of all models in these values that are never set."""
    seen: dict[type, dict[str, bool]] = defaultdict(dict)

    def visit(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                visit(item)
        elif isinstance(value, dict):
            visit(list(value.values()))
        elif isinstance(value, TeaModel | DaraModel):
            for name, item in vars(value).items():
                seen[type(value)][name] = seen[type(value)].get(name, False) or item not in (None, "", [], {})
                visit(item)

    visit(values)
    return {f"{kind.__name__}.{name}" for kind, names in seen.items() for name, is_set in names.items() if not is_set}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_the_official_client_gets_every_record_of_every_list(emulator, operation):
    region = GLOBAL if operation.is_global else REGION
    lists = emulator.cloud.lists(FIRST, region, operation.name)
    if operation.name in PARTS:
        lists = {parent: [each for each in found if PARTS[operation.name](each)] for parent, found in lists.items()}
    assert any(lists.values()) is (operation.name not in WITHOUT_RECORDS)

    def walk() -> dict[tuple[str, ...], list[Any]]:
        sdk = Sdk(emulator, operation)
        return {parent: list(pages(sdk, operation, parent)) for parent in lists}

    bodies = await to_thread.run_sync(walk)
    for parent, records in lists.items():
        found = [record for body in bodies[parent] for record in wire(body, operation)]
        assert plain(found) == plain(records), parent
    assert unset([models(body, operation) for found in bodies.values() for body in found]) == set()
