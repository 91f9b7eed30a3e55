"""What goes back: answers, refusals, and the envelopes that each product puts them in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

JSON = "application/json; charset=utf-8"


@dataclass(slots=True)
class Answer:
    """One HTTP answer, whole; `code` is the error's, or empty."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    code: str = ""


class RefusedError(Exception):
    """The request is refused; becomes an error answer.

    `is_gateway` tells the API gateway's own refusals (signature, routing, rate) from those of the service behind it:
    the two have different envelopes.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        is_gateway: bool = False,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.is_gateway = is_gateway


def refuse_at_gateway(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> RefusedError:
    """A refusal by the API gateway."""
    return RefusedError(status, code, message, headers=headers, is_gateway=True)


def invalid(message: str) -> RefusedError:
    """400 `InvalidArgument`."""
    return RefusedError(400, "InvalidArgument", message)


@dataclass(frozen=True, slots=True)
class Style:
    """How a request's answer is written: the product, and whether the account is one that gets the older shapes.

    The documentation shows several envelopes for the same operations without saying which comes when. Here every
    second account gets the others: FC's own `ErrorCode`, and ListFunctionInstances in camelCase as in its sample.
    """

    product: str
    is_older: bool = False


def dump(value: Any) -> bytes:
    """JSON."""
    return orjson.dumps(value)


def error_answer(refusal: RefusedError, style: Style, request_id: str, host: str) -> Answer:
    """The error's envelope: the gateway's, FC's own, or OpenSearch's, which may also say it inside a 200."""
    code, message = refusal.code, refusal.message
    if refusal.status == 200:
        body: dict[str, Any] = function_envelope([], 0, style, request_id, code=code, message=message)
    elif refusal.is_gateway or style.product in {"fc", "sts", "resourcedirectory", "fnf"}:
        body = {"Code": code, "Message": message, "RequestId": request_id, "HostId": host}
    elif style.product == "opensearch":
        body = {"code": code, "message": message, "requestId": request_id, "httpCode": refusal.status}
    elif style.is_older:
        body = {"ErrorCode": code, "ErrorMessage": message}
    else:
        body = {"Code": code, "Message": message, "RequestId": request_id, "HostId": host}
    return Answer(refusal.status, dump(body), {"Content-Type": JSON, **refusal.headers}, code)


def function_envelope(
    records: list[dict[str, Any]],
    total: object,
    style: Style,
    request_id: str,
    *,
    code: str = "",
    message: str = "",
) -> dict[str, Any]:
    """The envelope of ListFunctionInstances: empty code and message on success; the status says OK beside an error."""
    body = {
        "Status": "OK",
        "HttpCode": 200,
        "RequestId": request_id,
        "Code": code,
        "Message": message,
        "Latency": 12,
        "TotalCount": total,
        "Result": records,
    }
    return {camel(key): value for key, value in body.items()} if style.is_older else body


def camel(name: str) -> str:
    """`TotalCount` → `totalCount`."""
    return name[:1].lower() + name[1:]


def camel_keys(value: Any) -> Any:
    """A value with every key in camelCase."""
    if isinstance(value, dict):
        return {camel(key): camel_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [camel_keys(item) for item in value]
    return value
