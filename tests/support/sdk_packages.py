"""Small SDK packages in the form of the official ones, in both generations of generated code, for tests of the reader.

A type is Python's name (`str`, `List[str]`), a dictionary of fields (a model of its own), a list with one of these, or
a type with a comment as a pair. Each package raises if it is imported: nothing of a package may run.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TRAP = "raise AssertionError('nothing of a package is run')\n"
HOSTS = {"cn-hangzhou": "shop.cn-hangzhou.aliyuncs.com", "cn-beijing": "shop.cn-beijing.aliyuncs.com"}


@dataclass(frozen=True)
class Call:
    """One operation of a made-up SDK. `answer`: the fields of the answer's body."""

    action: str
    answer: Any
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    path: str = "/"
    method: str = "POST"
    style: str = "RPC"
    sends: str = "call_api"
    whole_query: bool = False


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def attribute(wire: str) -> str:
    """Return the name in Python of a field: for one that Python can't have, its bytes in hex."""
    return snake(wire) if re.fullmatch(r"[A-Za-z][A-Za-z0-9]+", wire) else f"f_{wire.encode().hex()}"


def _split(kind: Any) -> tuple[Any, str]:
    return kind if isinstance(kind, tuple) else (kind, "")


class _Models:
    """Collects the text of model classes."""

    def __init__(self, *, is_new: bool) -> None:
        self.is_new = is_new
        self.classes: dict[str, str] = {}

    def annotation(self, kind: Any, name: str) -> str:
        if isinstance(kind, list):
            return f"List[{self.annotation(kind[0], name)}]"
        if isinstance(kind, dict):
            self.add(name, kind)
            return f"main_models.{name}" if self.is_new else name
        return kind

    def add(self, name: str, fields: Mapping[str, Any]) -> None:
        arguments, assigned, mapped = [], [], []
        for wire, raw in fields.items():
            kind, comment = _split(raw)
            name_here = attribute(wire)
            arguments.append(
                f"        {name_here}: {self.annotation(kind, name + wire[:1].upper() + wire[1:])} = None,\n"
            )
            lines = "".join(f"        # {line}\n" for line in comment.splitlines())
            assigned.append(f"{lines}        self.{name_here} = {name_here}\n")
            mapped.append(f"        if m.get({wire!r}) is not None:\n            self.{name_here} = m.get({wire!r})\n")
        base = "DaraModel" if self.is_new else "TeaModel"
        self.classes[name] = (
            f"class {name}({base}):\n    def __init__(\n        self,\n{''.join(arguments)}    ):\n"
            f"{''.join(assigned) or '        pass' + chr(10)}\n"
            f"    def from_map(self, m: dict = None):\n        m = m or dict()\n{''.join(mapped)}"
            "        return self\n\n"
        )


def _method(call: Call, models: _Models) -> str:
    prefix = "main_models." if models.is_new else "shop_models."
    runtime = "Utils" if models.is_new else "OpenApiUtilClient"
    models.add(f"{call.action}Request", {**call.query, **call.body})
    kind = _split(call.answer)[0]
    body = models.annotation(kind, f"{call.action}ResponseBody")
    # As in the SDKs, the model of a response has no comment on its body.
    models.add(f"{call.action}Response", {"headers": "Dict[str, str]", "statusCode": "int", "body": body})
    path = re.sub(r"\{(\w+)\}", lambda match: f"{{{runtime}.get_encode_param({match[1]})}}", call.path)
    arguments = "".join(f"        {name}: str,\n" for name in re.findall(r"\{(\w+)\}", call.path))
    query = "".join(f"        query[{name!r}] = request.{attribute(name)}\n" for name in call.query)
    sent = "".join(f"        body[{name!r}] = request.{attribute(name)}\n" for name in call.body)
    filled = (
        f"        query = {runtime}.query(request.to_map())\n" if call.whole_query else f"        query = {{}}\n{query}"
    )
    return (
        f"    def {snake(call.action)}_with_options(\n        self,\n{arguments}"
        f"        request: {prefix}{call.action}Request,\n        runtime: RuntimeOptions,\n"
        f"    ) -> {prefix}{call.action}Response:\n{filled}"
        + (f"        body = {{}}\n{sent}" if call.body else "")
        + f"        req = open_api_util_models.OpenApiRequest(\n            query = {runtime}.query(query)"
        + (f",\n            body = {runtime}.parse_to_map(body)" if call.body else "")
        + "\n        )\n        params = open_api_util_models.Params(\n"
        f"            action = '{call.action}',\n            version = '2020-01-01',\n"
        f"            pathname = f'{path}',\n"
        f"            method = '{call.method}',\n            style = '{call.style}',\n        )\n"
        f"        return TeaCore.from_map({prefix}{call.action}Response(), self.{call.sends}(params, req, runtime))\n\n"
    )


def package_files(
    calls: Sequence[Call],
    *,
    is_new: bool = True,
    hosts: Mapping[str, str] = HOSTS,
    rule: str = "regional",
    product: str = "shop",
    more_models: str = "",
) -> dict[str, str]:
    """Return path below the package's folder → text."""
    models = _Models(is_new=is_new)
    methods = "".join(_method(call, models) for call in calls)
    pairs = "".join(f"            '{region}': '{host}',\n" for region, host in hosts.items())
    client = (
        TRAP + "class Client(OpenApiClient):\n    def __init__(self, config):\n        super().__init__(config)\n"
        f"        self._endpoint_rule = '{rule}'\n"
        + (f"        self._endpoint_map = {{\n{pairs}        }}\n" if hosts else "")
        + f"        self._endpoint = self.get_endpoint('{product}', self._region_id, self._endpoint_rule)\n\n"
        + methods
    )
    files = {"__init__.py": TRAP, "client.py": client}
    if not is_new:
        return files | {"models.py": TRAP + "\n".join(models.classes.values()) + more_models}
    listed = [TRAP]
    for name, text in models.classes.items():
        listed.append(f"from ._{snake(name)} import {name}\n")
        files[f"models/_{snake(name)}.py"] = TRAP + text
    if more_models:
        files["models/_more.py"] = more_models
        listed += [f"from ._more import {name}\n" for name in re.findall(r"^class (\w+)", more_models, re.MULTILINE)]
    return files | {"models/__init__.py": "".join(listed)}


def install(folder: Path, files: Mapping[str, str], package: str = "alibabacloud_shop20200101") -> None:
    """Write a package and its metadata to a folder, as an installer does."""
    for path, text in files.items():
        target = folder / package / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    for path, text in _metadata(package).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")


def _metadata(package: str) -> dict[str, str]:
    name = package.replace("_", "-")
    return {f"{package}-1.2.3.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n"}


def wheel(path: Path, files: Mapping[str, str], package: str = "alibabacloud_shop20200101") -> Path:
    """Write a package as a wheel, and return its path."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**{f"{package}/{name}": text for name, text in files.items()}, **_metadata(package)}.items():
            archive.writestr(name, text)
    return path
