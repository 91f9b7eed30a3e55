"""The operations of Resource Access Management (2015-05-01), RPC style: one row each. It is global.

Parameters, bounds and fields: alibabacloud-ram20150501 1.3.0 and the operations' pages (such as
https://www.alibabacloud.com/help/en/ram/developer-reference/api-listroles, checked 2026-12-01). Error codes:
https://www.alibabacloud.com/help/doc-detail/28754.htm (checked 2026-12-01). The order of records, and that markers are
opaque, are assumptions of the emulator: the pages say neither.
"""

from __future__ import annotations

from functools import partial

from crawler.emulator.apis.operation import Bounds, EmulatedOperation, EmulatedPaging

ROLES, POLICIES, USERS, GROUPS = "ram-roles", "ram-policies", "ram-users", "ram-groups"
KEYS, TYPES = f"{USERS}/keys", f"{POLICIES}/types"
NO_USER = ("EntityNotExist.User",)

_whole = partial(
    EmulatedOperation,
    tail="/",
    product="ram",
    paging=EmulatedPaging.NONE,
    request_id="RequestId",
    bounds=Bounds("", 0, 0, 0),
)
_marked = partial(
    _whole,
    paging=EmulatedPaging.TOKEN,
    token="Marker",  # noqa: S106 - the name of a parameter
    more="IsTruncated",
    bounds=Bounds("MaxItems", 1, 1000, 100),
)
_of_role = partial(_whole, parent_query=("RoleName",), namespace=ROLES, not_found_codes=("EntityNotExist.Role",))
_of_user = partial(_whole, parent_query=("UserName",), namespace=USERS, not_found_codes=NO_USER)
_of_group = partial(_whole, parent_query=("GroupName",), namespace=GROUPS, not_found_codes=("EntityNotExist.Group",))
_of_policy = partial(
    _whole,
    parent_query=("PolicyName", "PolicyType"),
    namespace=TYPES,
    not_found_codes=("EntityNotExist.Policy", "EntityNotExist.Policy"),
    choices={"PolicyType": ("System", "Custom")},
)

OPERATIONS: tuple[EmulatedOperation, ...] = (
    _marked("ListRoles", key=("RoleName",), records="Roles.Role", child_namespace=ROLES),
    _of_role("GetRole", records="Role", envelope="detail"),
    _of_role("ListPoliciesForRole", key=("PolicyName", "PolicyType"), records="Policies.Policy"),
    _marked(
        "ListPolicies",
        key=("PolicyName", "PolicyType"),
        records="Policies.Policy",
        child_namespace=POLICIES,
        filters={"PolicyType": ("PolicyType", "equal")},
        choices={"PolicyType": ("", "System", "Custom")},
    ),
    _of_policy("ListPolicyVersions", key=("VersionId",), rank="up", records="PolicyVersions.PolicyVersion"),
    _of_policy("ListEntitiesForPolicy", envelope="whole"),
    _marked("ListUsers", key=("UserName",), records="Users.User", child_namespace=USERS),
    _of_user("GetUser", records="User", envelope="detail"),
    _of_user("ListPoliciesForUser", key=("PolicyName", "PolicyType"), records="Policies.Policy"),
    _of_user("ListGroupsForUser", key=("GroupName",), records="Groups.Group"),
    _of_user("ListAccessKeys", key=("AccessKeyId",), records="AccessKeys.AccessKey", child_namespace=KEYS),
    _of_user(
        "GetAccessKeyLastUsed",
        records="AccessKeyLastUsed",
        envelope="detail",
        parent_query=("UserName", "UserAccessKeyId"),
        namespace=KEYS,
        not_found_codes=(*NO_USER, "EntityNotExist.User.AccessKey"),
    ),
    _marked(
        "ListGroups",
        key=("GroupName",),
        records="Groups.Group",
        child_namespace=GROUPS,
        bounds=Bounds("MaxItems", 1, 100, 100),
    ),
    _of_group("ListPoliciesForGroup", key=("PolicyName", "PolicyType"), records="Policies.Policy"),
    _marked(
        "ListUsersForGroup",
        key=("UserName",),
        records="Users.User",
        parent_query=("GroupName",),
        namespace=GROUPS,
        not_found_codes=("EntityNotExist.Group",),
    ),
    _whole("ListVirtualMFADevices", key=("SerialNumber",), records="VirtualMFADevices.VirtualMFADevice"),
    _whole(
        "ListTagResources",
        key=("ResourceType", "ResourceName", "TagKey"),
        records="TagResources",
        paging=EmulatedPaging.TOKEN,
        token="NextToken",  # noqa: S106 - the name of a parameter
        bounds=Bounds("PageSize", 1, 100, 100),
        required=("ResourceType",),
        choices={"ResourceType": ("", "role", "policy")},
        filters={"ResourceType": ("ResourceType", "equal"), "ResourceNames": ("ResourceName", "among")},
    ),
)
