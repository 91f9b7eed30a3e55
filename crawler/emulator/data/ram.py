"""The resources of Resource Access Management in one account: roles, policies, users, groups, keys and devices.

Fields: the response models of alibabacloud-ram20150501 1.3.0. What follows from other lists is derived after each
change (`put_derived`), so that the lists never contradict each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from crawler.emulator.apis.ram import KEYS, TYPES
from crawler.emulator.data import ram_policies, ram_roles, seeded
from crawler.emulator.data.ram_policies import CUSTOM, SYSTEM
from crawler.emulator.data.region import RegionData
from crawler.emulator.data.seeded import LocalSeededRandom, SeedPath, changed, iso_z
from crawler.emulator.keyring import ALPHABET, lasting_key
from crawler.emulator.records import Record
from crawler.emulator.spec import CloudSpec

ROLE, USER, LAST_USED = "ram.GetRole", "ram.GetUser", "ram.GetAccessKeyLastUsed"
ENTITIES = "ram.ListEntitiesForPolicy"
# Fields of the details that the lists don't have, according to the SDK; tags are only in the list.
ROLE_DETAILS = (
    "AssumeRolePolicyDocument", "IsServiceLinkedRole", "LatestDeletionTask", "RolePrincipalName",
)  # fmt: skip
# The user whose key the crawl of the account signs with, and the others: name → groups, policies, number of keys.
CRAWLER = "inventory-crawler"
USERS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], int]] = {
    CRAWLER: ((), ("AliyunFCReadOnlyAccess", "AliyunRAMReadOnlyAccess"), 0),
    "alice-admin": (("admins", "developers"), (), 1),
    "bob-ops": (("operators",), ("AliyunLogFullAccess",), 1),
    "chen.wei": (("developers", "operators"), (), 0),
    "deploy-bot": ((), ("AliyunFCFullAccess", "pass-roles"), 2),
    "left-in-2022": (("developers",), ("AdministratorAccess",), 2),
    "li-na_audit": (("auditors",), (), 0),
    "zhang-san@partner": ((), (), 1),
}
GROUPS: Mapping[str, tuple[str, ...]] = {
    "admins": ("AdministratorAccess",),
    "auditors": ("ReadOnlyAccess", "office-only"),
    "developers": ("AliyunFCFullAccess", "office-only"),
    "operators": ("AliyunLogFullAccess",),
    "nobody": (),
}
FEW_USERS = 3  # in a wide cloud


def fill(data: RegionData, spec: CloudSpec, account_id: str, region_id: str) -> None:
    """Put the seeded lists."""
    where = (spec.seed, account_id, region_id)
    _put_policies(data, where)
    _put_groups(data, where)
    _put_roles(data, where, spec)
    _put_users(data, where, spec)
    put_derived(data)


def _put_policies(data: RegionData, where: SeedPath) -> None:
    system = {name: (text, [ram_policies.document(one)]) for name, (text, one) in ram_policies.SYSTEM_POLICIES.items()}
    own = ram_policies.custom_policies(data.rng(where, "ram/policies"))
    records = []
    for kind, policies in ((SYSTEM, system), (CUSTOM, own)):
        for number, (name, (description, documents)) in enumerate(policies.items()):
            rng = data.rng(where, "ram/policy", name)
            record = ram_policies.policy(rng, name, kind, description)
            if kind == CUSTOM and number % 2 == 0:
                record["Tags"] = {"Tag": [{"TagKey": "owner", "TagValue": rng.text(5)}]}
            records.append(record)
            data.put("ram.ListPolicyVersions", ram_policies.versions(rng, documents), (name, kind))
    data.put("ram.ListPolicies", records)


def _attached(data: RegionData, rng: LocalSeededRandom, names: tuple[str, ...]) -> list[Record]:
    """Return policies as the lists of a role, user or group have them; the rest of each is derived."""
    kinds = {record["PolicyName"]: record["PolicyType"] for record in data.lists["ram.ListPolicies"][()]}
    return [{"PolicyName": name, "PolicyType": kinds[name], "AttachDate": iso_z(rng.moment())} for name in names]


def _put_roles(data: RegionData, where: SeedPath, spec: CloudSpec) -> None:
    plans = ram_roles.plans(spec, where[1])
    roles = []
    for number, (name, plan) in enumerate(plans.items()):
        rng = data.rng(where, "ram/role", name)
        found = ram_roles.role(rng, spec, name, plan, number)
        data.put(ROLE, [{key: value for key, value in found.items() if key != "Tags"}], (name,))
        data.put("ram.ListPoliciesForRole", _attached(data, rng, plan.policies), (name,))
        roles.append({key: value for key, value in found.items() if key not in ROLE_DETAILS})
    data.put("ram.ListRoles", roles)


def _put_groups(data: RegionData, where: SeedPath) -> None:
    groups = []
    for name, policies in GROUPS.items():
        rng = data.rng(where, "ram/group", name)
        created = rng.moment()
        groups.append(
            {
                "GroupId": f"g-{rng.text(14, ALPHABET)}",
                "GroupName": name,
                "Comments": seeded.description(rng),
                "CreateDate": iso_z(created),
                "UpdateDate": iso_z(changed(rng, created, 400_000)),
            }
        )
        data.put("ram.ListPoliciesForGroup", _attached(data, rng, policies), (name,))
    data.put("ram.ListGroups", groups)


def _put_users(data: RegionData, where: SeedPath, spec: CloudSpec) -> None:
    users, devices = [], [{"SerialNumber": f"acs:ram::{where[1]}:mfa/spare", "User": {}}]
    for name, (groups, policies, keys) in list(USERS.items())[: FEW_USERS if spec.is_wide else None]:
        rng = data.rng(where, "ram/user", name)
        user = _user(rng, name)
        users.append(user)
        data.put(USER, [{**user, "LastLoginDate": iso_z(rng.moment())} if groups else user], (name,))
        data.put("ram.ListPoliciesForUser", _attached(data, rng, policies), (name,))
        joined = [{"GroupName": group, "JoinDate": iso_z(rng.moment())} for group in groups]
        data.put("ram.ListGroupsForUser", joined, (name,))
        made = [_key(rng, number) for number in range(keys)]
        if name == CRAWLER:
            made = [{**_key(rng, 0), "AccessKeyId": lasting_key(spec.seed, where[1]).key_id}]
        data.put("ram.ListAccessKeys", made, (name,))
        for key in made:
            data.put(LAST_USED, [{"LastUsedDate": iso_z(rng.moment())}], (name, key["AccessKeyId"]))
        if "." not in name and groups:
            devices.append(_device(rng, user))
    data.put("ram.ListUsers", users)
    data.put("ram.ListVirtualMFADevices", devices)


def _user(rng: LocalSeededRandom, name: str) -> Record:
    created = rng.moment()
    return {
        "UserId": f"2{rng.digits(17)}",
        "UserName": name,
        "DisplayName": rng.choice(("张三", "Li Na", "Robert'); DROP TABLE", "🤖 bot")),
        "MobilePhone": f"86-1860000{rng.digits(4)}",
        "Email": f"{name.partition('@')[0]}@example.com",
        "Comments": seeded.description(rng),
        "CreateDate": iso_z(created),
        "UpdateDate": iso_z(changed(rng, created, 400_000)),
    }


def _key(rng: LocalSeededRandom, number: int) -> Record:
    """Return an access key without its secret, which no list has."""
    key_id = f"LTAI5t{rng.text(18, ALPHABET)}"
    return {"AccessKeyId": key_id, "Status": "Inactive" if number else "Active", "CreateDate": iso_z(rng.moment())}


def _device(rng: LocalSeededRandom, user: Record) -> Record:
    return {
        "SerialNumber": f"acs:ram::{rng.account_id}:mfa/{user['UserName']}",
        "User": {name: user[name] for name in ("UserId", "UserName", "DisplayName")},
        "ActivateDate": iso_z(rng.moment()),
    }


def put_derived(data: RegionData) -> None:
    """Update the lists and fields that follow from others: default versions, attachments, members, details, tags."""
    _follow_versions(data)
    attached = _follow_policies(data)
    _put_entities(data, attached)
    _put_members(data)
    _follow_lists(data)
    tags = [
        {"ResourceType": kind, "ResourceName": record[name], **tag}
        for kind, action, name in (("role", "ram.ListRoles", "RoleName"), ("policy", "ram.ListPolicies", "PolicyName"))
        for record in data.lists[action][()]
        for tag in record.get("Tags", {}).get("Tag", ())
    ]
    data.put("ram.ListTagResources", tags)


def _follow_versions(data: RegionData) -> None:
    """Make the newest version of each policy its default."""
    for parent, versions in data.lists["ram.ListPolicyVersions"].items():
        last = len(versions) - 1
        records = [{**version, "IsDefaultVersion": number == last} for number, version in enumerate(versions)]
        data.lists["ram.ListPolicyVersions"][parent] = records


def _holders(data: RegionData) -> Iterator[tuple[str, str, list[Record]]]:
    """Yield the kind and the name of each role, user and group, and its list of policies."""
    for kind in ("Role", "User", "Group"):
        for (name,), records in data.lists[f"ram.ListPoliciesFor{kind}"].items():
            yield kind, name, records


def _follow_policies(data: RegionData) -> dict[tuple[str, str], list[tuple[str, str, Record]]]:
    """Complete policies and their attachments, and return the attachments of each policy: kind, name, record."""
    found: dict[tuple[str, str], list[tuple[str, str, Record]]] = defaultdict(list)
    policies = {(record["PolicyName"], record["PolicyType"]): record for record in data.lists["ram.ListPolicies"][()]}
    for key, record in policies.items():
        versions = data.lists["ram.ListPolicyVersions"].get(key) or [{"VersionId": record["DefaultVersion"]}]
        policies[key] = {**record, "DefaultVersion": versions[-1]["VersionId"]}
    for kind, name, records in list(_holders(data)):
        kept = [record for record in records if (record["PolicyName"], record["PolicyType"]) in policies]
        for record in kept:
            own = policies[record["PolicyName"], record["PolicyType"]]
            record.update({field: own[field] for field in ("Description", "DefaultVersion")})
            found[record["PolicyName"], record["PolicyType"]].append((kind, name, record))
        data.lists[f"ram.ListPoliciesFor{kind}"][name,] = kept
    data.put("ram.ListPolicies", [{**own, "AttachmentCount": len(found[key])} for key, own in policies.items()])
    return found


def _put_entities(data: RegionData, attached: Mapping[tuple[str, str], list[tuple[str, str, Record]]]) -> None:
    """Put the roles, users and groups that have each policy."""
    fields = {
        "Role": ("RoleId", "RoleName", "Arn", "Description"),
        "User": ("UserId", "UserName", "DisplayName"),
        "Group": ("GroupName", "Comments"),
    }
    known = {
        (kind, record[f"{kind}Name"]): {name: record[name] for name in names if name in record}
        for kind, names in fields.items()
        for record in data.lists[f"ram.List{kind}s"][()]
    }
    data.lists[ENTITIES] = {}
    for policy in data.lists["ram.ListPolicies"][()]:
        key = (policy["PolicyName"], policy["PolicyType"])
        entities: Record = {f"{kind}s": {kind: []} for kind in fields}
        for kind, name, record in attached.get(key, ()):
            entities[f"{kind}s"][kind].append({**known[kind, name], "AttachDate": record["AttachDate"]})
        data.put(ENTITIES, [entities], key)


def _put_members(data: RegionData) -> None:
    """Complete the groups of each user, and put the members of each group."""
    groups = {record["GroupName"]: record for record in data.lists["ram.ListGroups"][()]}
    names = {record["UserName"]: record for record in data.lists["ram.ListUsers"][()]}
    members: dict[str, list[Record]] = {group: [] for group in groups}
    for (user,), joined in list(data.lists["ram.ListGroupsForUser"].items()):
        kept = [record for record in joined if record["GroupName"] in groups]
        for record in kept:
            own = groups[record["GroupName"]]
            record.update({field: own[field] for field in ("GroupId", "Comments")})
            shown = {field: names[user][field] for field in ("UserName", "DisplayName")}
            members[record["GroupName"]].append({**shown, "JoinDate": record["JoinDate"]})
        data.lists["ram.ListGroupsForUser"][user,] = kept
    for group, records in members.items():
        data.put("ram.ListUsersForGroup", records, (group,))


def _follow_lists(data: RegionData) -> None:
    """Repeat in the details what the lists say, and give each key its last use."""
    for action, details, field in (("ram.ListRoles", ROLE, "RoleName"), ("ram.ListUsers", USER, "UserName")):
        for record in data.lists[action][()]:
            own = {name: value for name, value in record.items() if name != "Tags"}
            known = data.lists.setdefault(details, {}).get((record[field],), [{}])[0]
            data.lists[details][record[field],] = [{**known, **own}]
    keys = [(user, key["AccessKeyId"]) for (user,), made in data.lists["ram.ListAccessKeys"].items() for key in made]
    known = data.lists.get(LAST_USED, {})
    data.lists[LAST_USED] = {key: known.get(key, [{"LastUsedDate": ""}]) for key in keys}
    data.names -= {name for name in data.names if name[0] in {KEYS, TYPES}}
    data.names |= {(KEYS, *key) for key in keys} | {(TYPES, *key) for key in data.lists[ENTITIES]}
