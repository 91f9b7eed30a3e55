"""Responses and refusals, and the envelope that each product uses for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

import orjson

JSON = "application/json; charset=utf-8"
# The one content type of XML that the official SDKs read (alibabacloud-tea-openapi 0.4.6).
XML = "text/xml;charset=utf-8"


@dataclass(slots=True)
class Response:
    """One complete HTTP response; `code` is the error code, or empty."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    code: str = ""


class RefusedError(Exception):
    """The request is refused; the gateway turns this into an error response.

    `is_gateway`: the API gateway refuses (signature, routing, rate), not the service behind it. The envelopes differ.
    `is_xml`: the response is XML, whatever the product.
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
        self.is_xml = False


def gateway_refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> RefusedError:
    """Return a refusal by the API gateway."""
    return RefusedError(status, code, message, headers=headers, is_gateway=True)


def invalid_argument(message: str) -> RefusedError:
    """Return a refusal with 400 `InvalidArgument`."""
    return RefusedError(400, "InvalidArgument", message)


@dataclass(frozen=True, slots=True)
class EnvelopeStyle:
    """Selects a response's envelope: the product, and whether the account gets the older shapes.

    The documentation shows several envelopes for the same operations and doesn't say when each is used. Here every
    second account gets the older ones: FC's own `ErrorCode`, and ListFunctionInstances in camelCase as in its sample.
    """

    product: str
    is_older: bool = False


def to_json(value: Any) -> bytes:
    """Encode a value as JSON."""
    return orjson.dumps(value)


def error_response(refusal: RefusedError, style: EnvelopeStyle, request_id: str, host: str) -> Response:
    """Return the error in its envelope: the gateway's or the product's own. OpenSearch's may have status 200."""
    code, message = refusal.code, refusal.message
    if refusal.is_xml:
        parts = {"RequestId": request_id, "HostId": host, "Code": code, "Message": message}
        document = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in parts.items())
        xml = f'<?xml version="1.0" encoding="UTF-8"?><Error>{document}</Error>'.encode()
        return Response(refusal.status, xml, {"Content-Type": XML, **refusal.headers}, code)
    if refusal.status == 200:
        body: dict[str, Any] = function_envelope([], 0, style, request_id, code=code, message=message)
    elif style.product in {"opensearch", "searchengine", "fcsandbox"} and not refusal.is_gateway:
        body = {"code": code, "message": message, "requestId": request_id}
        if style.product == "opensearch":
            body["httpCode"] = refusal.status
    elif style.product == "fc-open" and style.is_older and not refusal.is_gateway:
        body = {"ErrorCode": code, "ErrorMessage": message}
    else:
        body = {"Code": code, "Message": message, "RequestId": request_id, "HostId": host}
        if style.product == "ram":
            body["Recommend"] = f"https://api.aliyun.com/troubleshoot?q={code}&product=Ram"
    return Response(refusal.status, to_json(body), {"Content-Type": JSON, **refusal.headers}, code)


def function_envelope(
    records: list[dict[str, Any]],
    total: object,
    style: EnvelopeStyle,
    request_id: str,
    *,
    code: str = "",
    message: str = "",
) -> dict[str, Any]:
    """Return the envelope of ListFunctionInstances. Code and message are empty on success; Status is always OK."""
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
    """Lowercase the first letter: `TotalCount` → `totalCount`."""
    return name[:1].lower() + name[1:]


def camel_keys(value: Any) -> Any:
    """Return a value with all its keys in camelCase."""
    if isinstance(value, dict):
        return {camel(key): camel_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [camel_keys(item) for item in value]
    return value
