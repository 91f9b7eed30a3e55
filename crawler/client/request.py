"""A request to an API, and the signed HTTP request that is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from crawler.client.clock_skew import ClockSkews, SignatureDates
from crawler.client.credentials import Credentials
from crawler.client.endpoints import Endpoints
from crawler.client.signing import canonical_query, new_nonce, percent_encode, sign
from crawler.client.transport import HttpRequest
from crawler.errors import CredentialsError, FatalError
from crawler.secret_text import LiteralSecrets
from crawler.text import is_encodable

# Enough for the targets that are crawled at the same time.
MAX_CACHED_ENDPOINTS = 4096
# The product whose host is asked first, and by whose date the snapshot is dated.
STS = "sts"


# The secrets among the parameters of STS.
SECRET_PARAMETERS = ("OIDCToken", "ExternalId")


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request to an API, without an account. `path` is percent-encoded; `form` makes it a POST with a body.

    `parents`: the kinds of the resources that it names, whose absence isn't a failure of the crawl. `max_bytes` caps
    the body of the response; 0: like that of a page.
    """

    product: str
    version: str
    action: str
    region_id: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    parents: tuple[str, ...] = ()
    max_bytes: int = 0
    method: str = "GET"


def expand_path(template: str, parameters: Mapping[str, str]) -> str:
    """Return the path with each parameter percent-encoded once. Raises FatalError for one that no path can hold."""
    path = template
    for name, value in parameters.items():
        if not value or value in {".", ".."} or "\0" in value or not is_encodable(value):
            raise FatalError("InvalidName", f"The {name} {value[:100]!a} can't be a step of a path.")
        path = path.replace(f"{{{name}}}", percent_encode(value))
    return path


class RequestBuilder:
    """Resolves the endpoint of a request and signs it. Signatures are dated by `clock`, corrected for each host.

    Every secret that a request carries is added to `secrets` before it is sent.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        clock: ClockSkews,
        *,
        timeout_s: float,
        user_agent: str,
        secrets: LiteralSecrets | None = None,
    ) -> None:
        self.clock = clock
        self.secrets = secrets or LiteralSecrets()
        self._sent: dict[str, Credentials] = {}
        self._resolve = lru_cache(MAX_CACHED_ENDPOINTS)(endpoints.resolve)
        self._timeout_s = timeout_s
        self._user_agent = user_agent

    def build(
        self, request: ApiRequest, account_id: str, credentials: Credentials | None, dates: SignatureDates
    ) -> HttpRequest:
        """Return the HTTP request of one attempt of the call that has these dates, unsigned without `credentials`.

        Raises ConfigError for a product without an endpoint, FatalError `InvalidCredentials` for keys that no header
        can hold.
        """
        self._register(request, account_id, credentials)
        endpoint = self._resolve(request.product, request.region_id, account_id)
        query = canonical_query(request.query)
        body = canonical_query(request.form).encode() if request.form is not None else b""
        method = request.method if request.form is None else "POST"
        headers = {"accept": "application/json", "user-agent": self._user_agent}
        if request.form is not None:
            headers["content-type"] = "application/x-www-form-urlencoded"
        try:
            signed = sign(
                method,
                endpoint.authority,
                request.path,
                query,
                headers,
                body,
                credentials,
                action=request.action,
                version=request.version,
                now=dates.next(endpoint.authority),
                nonce=new_nonce(),
            )
        except CredentialsError as error:
            raise FatalError("InvalidCredentials", str(error)) from None
        url = f"{endpoint.url}{request.path}" + (f"?{query}" if query else "")
        return HttpRequest(method, url, signed, body, self._timeout_s, request.max_bytes)

    def _register(self, request: ApiRequest, account_id: str, credentials: Credentials | None) -> None:
        if credentials is not None and self._sent.get(account_id) is not credentials:
            self._sent[account_id] = credentials
            texts = (credentials.access_key_id, credentials.access_key_secret, credentials.security_token)
            self.secrets.add_access_key(*texts, owner=account_id)
        if request.form:
            self.secrets.add(*(request.form.get(name, "") for name in SECRET_PARAMETERS), owner=account_id)
