"""The resource directory: its member accounts, and the services that each administers. RPC style, version 2022-04-19.

The crawler calls ListAccounts itself. The catalog has neither operation: users add them as tables of their own.

Parameters, bounds and fields: https://www.alibabacloud.com/help/en/resource-management/developer-reference/
api-resourcedirectorymaster-2022-04-19-listaccounts and alibabacloud-resourcedirectorymaster20220419 2.3.1, whose tokens
the page doesn't have yet (checked 2026-11-22). Error codes of invalid parameters are guesses in the gateway's style,
and so are the bounds of ListDelegatedServicesForAccount.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from crawler.emulator.data.seeded import SeededRandom, iso_z
from crawler.emulator.faults.effects import PageFault
from crawler.emulator.records import Record
from crawler.emulator.responses import RefusedError
from crawler.emulator.spec import CloudSpec
from crawler.emulator.tokens import Position, Tokens

PRODUCT, VERSION = "resourcedirectory", "2022-04-19"
ACCOUNTS, SERVICES = "ListAccounts", "ListDelegatedServicesForAccount"
LARGEST_PAGE, DEFAULT_PAGE = 100, 10
COMMON = {"Action", "Version", "Format", "RegionId"}
TOKENS = {"MaxResults", "NextToken"}
PARAMETERS = {
    ACCOUNTS: {"PageNumber", "PageSize", "QueryKeyword", "IncludeTags", *TOKENS, *COMMON},
    SERVICES: {"AccountId", *TOKENS, *COMMON},
}
# The trusted services that a member may administer, and the most of one member.
TRUSTED = ("actiontrail", "bpstudio", "cloudfw", "cloudmonitor", "cloudsso", "config", "governance", "resourcecenter")
MOST_SERVICES = 23


def ram(action: str) -> str:
    """Return the RAM action of an operation."""
    return f"resourcemanager:{action}"


class Directory:
    """The members of the cloud's organization. `members` are their records in the order served; tests may change it.

    `services`: the records of the services that a member administers, by its account ID. `secrets`: their markers.
    """

    def __init__(self, spec: CloudSpec) -> None:
        self._organization = spec.organization
        self._manager = spec.accounts[0]
        self._tokens = Tokens(spec.seed)
        self.secrets: list[str] = []
        self.members = _members(spec, self.secrets)
        self.services = {record["AccountId"]: _services(spec, record) for record in self.members}

    def page(self, action: str, account_id: str, parameters: Mapping[str, str], fault: PageFault) -> Record:
        """Return one page for the calling account, without its RequestId. Raises `RefusedError`."""
        self._check_caller(account_id)
        unknown = sorted(parameters.keys() - PARAMETERS[action])
        if unknown:
            raise _invalid(unknown[0], f"is not a parameter of {action}")
        return self._accounts(parameters, fault) if action == ACCOUNTS else self._delegated(parameters, fault)

    def _accounts(self, parameters: Mapping[str, str], fault: PageFault) -> Record:
        keyword = parameters.get("QueryKeyword", "")
        records = [record for record in self.members if keyword in record["DisplayName"]]
        if not _flag(parameters, "IncludeTags"):
            records = [{key: value for key, value in record.items() if key != "Tags"} for record in records]
        total = fault.total_of(records)
        if "MaxResults" in parameters:
            rows, size, token = self._after_token(f"{PRODUCT}.{ACCOUNTS}", records, "AccountId", parameters, fault)
            return {"TotalCount": total, "Accounts": {"Account": rows}, "PageSize": size, **token}
        return {"TotalCount": total, **_numbered(records, parameters, fault)}

    def _delegated(self, parameters: Mapping[str, str], fault: PageFault) -> Record:
        member = parameters.get("AccountId", "")
        if not member:
            raise RefusedError(400, "MissingAccountId", "AccountId is mandatory for this action.")
        if member not in self.services:
            raise RefusedError(404, "EntityNotExists.Account", f"The account {member} is not in the directory.")
        list_id = f"{PRODUCT}.{SERVICES}/{member}"
        rows, size, token = self._after_token(list_id, self.services[member], "ServicePrincipal", parameters, fault)
        return {"DelegatedServices": {"DelegatedService": rows}, "MaxResults": size, **token}

    def _check_caller(self, account_id: str) -> None:
        if self._organization is None:
            message = "The resource directory for the account is not enabled. We recommend that you first enable it."
            raise RefusedError(404, "EntityNotExists.ResourceDirectory", message)
        if account_id != self._manager and account_id not in self._organization.delegates:
            message = "ResourceDirectory Member Account is not authorized to perform this operation."
            raise RefusedError(409, "NoPermission.ResourceDirectory.MemberAccount", message)

    def _after_token(
        self, list_id: str, records: list[Record], key: str, parameters: Mapping[str, str], fault: PageFault
    ) -> tuple[list[Record], int, Record]:
        """Return the rows of a page, its size, and the next page's token, `{}` after the last one."""
        size, token = _size(parameters, "MaxResults", fault), parameters.get("NextToken", "")
        position = self._tokens.open(list_id, token) if token else Position((), 1)
        if position is None:
            raise _invalid("NextToken", "is not a token of this list")
        start = next((n for n, record in enumerate(records, 1) if (record[key],) == position.after), 0)
        rows = records[start : start + size]
        if start + size >= len(records):
            return rows, size, {}
        following = Position((rows[-1][key],), position.page + 1)
        return rows, size, {"NextToken": self._tokens.seal(list_id, following)}


def page_number(text: str) -> int:
    """Return the requested page number for fault rules; 1 if the text isn't a valid number."""
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,8}", text) else 1


def _numbered(records: list[Record], parameters: Mapping[str, str], fault: PageFault) -> Record:
    number, size = _integer(parameters, "PageNumber", 1, 2**31 - 1, 1), _size(parameters, "PageSize", fault)
    first = (number - 1) * size
    rows = records[first : first + size][: size if fault.rows is None else fault.rows]
    return {"PageNumber": number, "PageSize": size, "Accounts": {"Account": rows}}


def _size(parameters: Mapping[str, str], name: str, fault: PageFault) -> int:
    return _integer(parameters, name, 1, min(LARGEST_PAGE, fault.caps or LARGEST_PAGE), DEFAULT_PAGE)


def _integer(parameters: Mapping[str, str], name: str, low: int, high: int, default: int) -> int:
    text = parameters.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,10}", text) or not low <= int(text) <= high:
        raise _invalid(name, f"must be an integer from {low} to {high}")
    return int(text)


def _flag(parameters: Mapping[str, str], name: str) -> bool:
    text = parameters.get(name, "false").lower()
    if text not in {"true", "false"}:
        raise _invalid(name, "must be true or false")
    return text == "true"


def _invalid(name: str, rule: str) -> RefusedError:
    return RefusedError(400, f"InvalidParameter.{name}", f"The parameter {name} {rule}.")


def _members(spec: CloudSpec, secrets: list[str]) -> list[Record]:
    """Return all accounts but the first, newest first, so that clients can't rely on sorted IDs."""
    if spec.organization is None:
        return []
    directory_id = f"rd-{SeededRandom(spec.seed, 'directory').text(6)}"
    members = [
        _member(spec, directory_id, number, account, secrets) for number, account in enumerate(spec.accounts) if number
    ]
    return members[::-1]


def _services(spec: CloudSpec, member: Record) -> list[Record]:
    """Return the services of which a member is the delegated administrator: many of the first, two or fewer of most."""
    rng = SeededRandom(spec.seed, member["AccountId"], "services")
    count = MOST_SERVICES if member["AccountId"] == spec.accounts[1] else rng.integer(0, 2)
    return [
        {
            "DelegationEnabledTime": iso_z(rng.moment()),
            "ServicePrincipal": f"{TRUSTED[number % len(TRUSTED)]}{number // len(TRUSTED) or ''}.aliyuncs.com",
            "Status": rng.choice(("ENABLED", "DISABLED")),
        }
        for number in range(count)
    ]


def _member(spec: CloudSpec, directory_id: str, number: int, account_id: str, secrets: list[str]) -> Record:
    assert spec.organization is not None
    rng = SeededRandom(spec.seed, account_id, "member")
    rng.secrets = secrets
    is_invited = rng.chance(0.3)
    folder, joined = f"fd-{rng.text(10)}", f"{iso_z(rng.moment())[:-1]}.{rng.integer(0, 999):03}Z"
    record = {
        "AccountId": account_id,
        "AccountName": f"member-{number}@{directory_id}.aliyunid.example",
        "DisplayName": f"member {number}",
        "FolderId": folder,
        "JoinMethod": "invited" if is_invited else "created",
        "JoinTime": joined,
        "ModifyTime": joined,
        "ResourceDirectoryId": directory_id,
        "ResourceDirectoryPath": f"{directory_id}/r-{rng.text(6)}/{folder}/{account_id}",
        "Status": spec.organization.statuses.get(account_id, "InviteSuccess" if is_invited else "CreateSuccess"),
        "Tags": {"Tag": [{"Key": "team", "Value": rng.secret("of {}")}]},
        "Type": "CloudAccount" if is_invited else "ResourceAccount",
    }
    deletion = spec.organization.deletions.get(account_id)
    return record if deletion is None else {**record, "DeletionStatus": deletion}
