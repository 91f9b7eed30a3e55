"""Findings on roles: what a policy's statements mean, and what stays undecided where RAM isn't read to its end."""

from __future__ import annotations

from typing import Any

import pytest

from crawler.audit.findings import Coverage, evaluate_findings, load_findings
from crawler.snapshot import Status
from tests.support.ram_rows import allow, arn, deny, ram_rows
from tests.support.written_snapshots import ACCOUNT, CATALOG, OTHER_ACCOUNT, OTHER_REGION, REGION, write

FINDINGS = {finding.name: finding for finding in load_findings()}
ADMIN, PASS, READ = "administrator_roles", "roles_that_pass_roles", "roles_that_read_all_buckets"
ALL = ("do everything; change every policy; attach any policy to roles", None)
ALL_OF_RAM = ("change every policy; attach any policy to roles", None)
EVERY_ROLE, EVERY_OBJECT = ("pass every role", None), ("read every object", None)
ONE_ROLE = arn("logs")
RAM_TABLES = ("ram_roles", "ram_policies_for_role", "ram_policy_versions")
NO_RAM = "RAM of the role's account wasn't read to its end"


def ask(snapshot, *names, **options):
    return evaluate_findings(snapshot, [FINDINGS[name] for name in names], CATALOG, **options)


def column(outcome, name):
    return [row[outcome.columns.index(name)] for row in outcome.rows]


# Statements of a role's policies → what the role may do, and the limits, in the order of ADMIN, PASS and READ.
STATEMENTS: dict[str, tuple[list[dict[str, Any]], Any, Any, Any]] = {
    "text": ([allow("*")], ALL, EVERY_ROLE, EVERY_OBJECT),
    "list": ([allow(["log:Get*", "*:*"], ["*"])], ALL, EVERY_ROLE, EVERY_OBJECT),
    "all-of-the-account": ([allow("*", f"acs:*:*:{ACCOUNT}:*")], ALL, EVERY_ROLE, EVERY_OBJECT),
    "all-of-another-account": ([allow("*", f"acs:*:*:{OTHER_ACCOUNT}:*")], None, None, None),
    "effect-of-another-case": ([allow("*") | {"Effect": "allow"}], ALL, EVERY_ROLE, EVERY_OBJECT),
    "one-bucket": ([allow("*", "acs:oss:*:*:media/*")], None, None, None),
    "reads-everything": ([allow(["*:Describe*", "*:List*", "*:Get*"])], None, None, EVERY_OBJECT),
    "reads-no-objects": ([allow(["*:Describe*", "*:List*"])], None, None, None),
    "wildcard-in-front": ([allow("*:Describe*")], None, None, None),
    "ram": ([allow("RAM:*")], ALL_OF_RAM, EVERY_ROLE, None),
    "attaches": ([allow("ram:*Role*")], ("attach any policy to roles", None), EVERY_ROLE, None),
    "changes-policies": ([allow(["ram:Get*", "ram:CreatePolicyVersion"])], ("change every policy", None), None, None),
    "changes-policies-of-a-name": ([allow("ram:*Policy*", f"acs:ram:*:{ACCOUNT}:policy/app-*")], None, None, None),
    "denied-attaching": ([allow("ram:*"), deny("ram:Attach*")], ("change every policy", None), EVERY_ROLE, None),
    "power-user": ([allow(NotAction=["ram:*", "ims:*"])], None, None, EVERY_OBJECT),
    "all-but-bills": ([allow(NotAction="bss:*")], ALL_OF_RAM, EVERY_ROLE, EVERY_OBJECT),
    "all-but-passing": ([allow(NotAction=["RAM:Pass????"])], ALL_OF_RAM, None, EVERY_OBJECT),
    "denied": ([allow("*"), deny("*")], None, None, None),
    "denied-but-one": ([allow("*"), deny(NotAction="OSS:*")], None, None, EVERY_OBJECT),
    "denied-ram": ([allow("*"), deny(["ram:*"])], ("do everything", "denied in part by p-1"), None, EVERY_OBJECT),
    "denied-on-condition": (
        [allow("*"), deny("*", Condition={"Bool": {"acs:MFAPresent": "false"}})],
        (ALL[0], "denied in part by p-1"),
        (EVERY_ROLE[0], "denied in part by p-1"),
        (EVERY_OBJECT[0], "denied in part by p-1"),
    ),
    "denied-one-bucket": (
        [allow("oss:*"), deny("oss:*", "acs:oss:*:*:wages/*")],
        None,
        None,
        (EVERY_OBJECT[0], "denied in part by p-1"),
    ),
    "denied-writing": ([allow("oss:*"), deny("oss:Put*")], None, None, EVERY_OBJECT),
    "denied-all-but-one-bucket": (
        [allow("oss:*"), deny("oss:*", None, NotResource="acs:oss:*:*:open/*")],
        None,
        None,
        None,
    ),
    "denied-all-but-one-role": (
        [allow("ram:PassRole"), deny("ram:PassRole", None, NotResource=ONE_ROLE)],
        None,
        (EVERY_ROLE[0], "denied in part by p-1"),
        None,
    ),
    "on-condition": (
        [allow("*", Condition={"IpAddress": {"acs:SourceIp": "192.0.2.7"}})],
        (ALL[0], "if IpAddress acs:SourceIp"),
        (EVERY_ROLE[0], "if IpAddress acs:SourceIp"),
        (EVERY_OBJECT[0], "if IpAddress acs:SourceIp"),
    ),
    "on-condition-and-without": (
        [allow("oss:*", Condition={"Bool": {"acs:SecureTransport": "true"}}), allow("oss:GetObject")],
        None,
        None,
        EVERY_OBJECT,
    ),
    "empty-condition": ([allow("oss:Get*", Condition={})], None, None, EVERY_OBJECT),
    "function-compute": (
        [allow("fc:*"), allow("ram:PassRole", Condition={"StringEquals": {"acs:Service": "fc.aliyuncs.com"}})],
        None,
        (EVERY_ROLE[0], "if StringEquals acs:Service"),
        None,
    ),
    "passes-one": ([allow("ram:Pass*", ["acs:oss:*:*:b", ONE_ROLE])], None, (f"pass {ONE_ROLE}", None), None),
    "passes-some": (
        [allow("ram:passrole", ["acs:ram:*:*:role/app-*"])],
        None,
        ("pass acs:ram:*:*:role/app-*", None),
        None,
    ),
    "passes-all": ([allow("ram:PassRole", f"acs:ram::{ACCOUNT}:role/*")], None, EVERY_ROLE, None),
    "passes-of-another-account": ([allow("ram:PassRole", arn("*", OTHER_ACCOUNT))], None, None, None),
    "passes-users": ([allow("ram:*", f"acs:ram::{ACCOUNT}:user/*")], None, None, None),
    "passes-nothing": ([allow(["ram:PassRoles", "ram:GetRole", "xram:PassRole"])], None, None, None),
    "all-of-oss": ([allow("OSS:*", "acs:oss:*:*:*")], None, None, EVERY_OBJECT),
    "all-objects": ([allow(["oss:GetObject"], ["acs:oss:*:*:*/*"])], None, None, EVERY_OBJECT),
    "buckets-of-a-region": ([allow("oss:Get*", "acs:oss:oss-cn-hangzhou:*:*")], None, None, None),
    "buckets-of-a-name": ([allow("oss:Get*", ["acs:oss:*:*:media-*", "acs:oss:*:*:*-logs/*"])], None, None, None),
    "other-reading": ([allow(["oss:GetBucket*", "oss:GetObjectAcl", "oss:List*"])], None, None, None),
    "all-buckets-but-one": (
        [allow("oss:Get*", None, NotResource=["acs:oss:*:*:wages/*"])],
        None,
        None,
        (EVERY_OBJECT[0], "but for acs:oss:*:*:wages/*"),
    ),
    "no-buckets": ([allow("oss:Get*", None, NotResource="acs:oss:*:*:*")], None, None, None),
    "nothing": ([], None, None, None),
    "no-resource": ([allow("*", None)], None, None, None),
}


def test_what_the_statements_of_a_role_allow_is_found_with_what_limits_it(tmp_path):
    """Each statement is in a policy of its own, because RAM takes the policies of a role together."""
    policies = {
        f"{role}-p-{number}": [statement]
        for role, (statements, *_) in STATEMENTS.items()
        for number, statement in enumerate(statements)
    }
    roles = {role: [name for name in policies if name.rsplit("-p-")[0] == role] for role in STATEMENTS}
    functions = [{"function_name": role, "role": arn(role)} for role in STATEMENTS]
    snapshot = write(tmp_path, {"fc_functions": functions, "fc2_services": []} | ram_rows(roles, policies))
    for number, outcome in enumerate(ask(snapshot, ADMIN, PASS, READ), 1):
        assert outcome.coverage is Coverage.COMPLETE, outcome.gaps
        limits = [
            text and text.replace(f"{role}-p-", "p-")
            for role, text in zip(column(outcome, "function_or_service"), column(outcome, "limits"), strict=True)
        ]
        found = dict(
            zip(column(outcome, "function_or_service"), zip(column(outcome, "may"), limits, strict=True), strict=True)
        )
        assert found == {role: case[number] for role, case in STATEMENTS.items() if case[number]}


def test_names_of_roles_have_no_capitals_and_an_arn_may_have_spaces(tmp_path):
    functions = [{"function_name": "f", "role": f" {arn('ADMIN')}\n"}, {"function_name": "g", "role": arn("admins")}]
    services = [{"service_name": "s", "role": arn("admin")}, {"service_name": "t", "role": ""}]
    rows = ram_rows({"Admin": ["all"], "admins": []}, {"all": [allow("*")]})
    [outcome] = ask(write(tmp_path, {"fc_functions": functions, "fc2_services": services} | rows), ADMIN)
    assert (outcome.coverage, column(outcome, "function_or_service")) == (Coverage.COMPLETE, ["f", "s/"])


def test_permissions_of_two_policies_add_up_and_a_denial_counts_whatever_policy_it_is_in(tmp_path):
    policies = {"all": [allow("*")], "also": [allow("*")], "no-ram": [deny("ram:*")]}
    rows = ram_rows({"two": ["all", "also"], "less": ["no-ram", "all"]}, policies)
    functions = [{"function_name": role, "role": arn(role)} for role in ("two", "less")]
    administrators, passing = ask(write(tmp_path, {"fc_functions": functions, "fc2_services": []} | rows), ADMIN, PASS)
    assert [row[2:] for row in administrators.rows] == [
        ("two", arn("two"), ALL[0], "all, also", None),
        ("less", arn("less"), "do everything", "all", "denied in part by no-ram"),
    ]
    assert column(passing, "function_or_service") == ["two"]


def users_of(account, *, region=REGION):
    """A function whose role is an administrator, and one whose role is in the other account."""
    place = {"account_id": account, "region_id": region}
    return [
        {"function_name": "own", "role": arn("admin", account), **place},
        {"function_name": "harmless", "role": arn("reader", account), **place},
        {"function_name": "crossing", "role": arn("admin", OTHER_ACCOUNT), **place},
    ]


def test_roles_of_another_account_are_resolved_where_it_was_crawled(tmp_path):
    roles, policies = {"admin": ["all"], "reader": []}, {"all": [allow("*")]}
    rows = {"fc_functions": users_of(ACCOUNT), "fc2_services": []}
    here, there = ram_rows(roles, policies), ram_rows(roles, policies, account=OTHER_ACCOUNT)
    both = {table: here[table] + there[table] for table in here}
    [outcome] = ask(write(tmp_path / "both", rows | both), ADMIN)
    assert (outcome.coverage, column(outcome, "function_or_service")) == (Coverage.COMPLETE, ["crossing", "own"])
    [outcome] = ask(write(tmp_path / "one", rows | here), ADMIN)
    assert (outcome.coverage, column(outcome, "function_or_service")) == (Coverage.PARTIAL, ["own"])
    assert outcome.gaps == (f"1 undecided: {NO_RAM}",)


@pytest.mark.parametrize("table", RAM_TABLES)
@pytest.mark.parametrize("name", [ADMIN, PASS, READ, "wide_invocation_roles"])
def test_without_ram_a_finding_on_permissions_is_unknown(tmp_path, name, table):
    """F166."""
    rows = ram_rows({"admin": ["all"]}, {"all": [allow("*")]})
    rows |= {"fc_functions": users_of(ACCOUNT), "fc2_services": [], "fc_triggers": [], "fc2_triggers": []}
    [outcome] = ask(write(tmp_path / "missing", {t: r for t, r in rows.items() if t != table}), name)
    assert (outcome.coverage, outcome.gaps) == (Coverage.UNKNOWN, (f"{table} wasn't crawled",))
    [outcome] = ask(write(tmp_path / "denied", rows, {table: Status.DENIED}), name)
    assert outcome.coverage is Coverage.UNKNOWN


@pytest.mark.parametrize("table", RAM_TABLES)
def test_where_ram_of_one_of_two_accounts_is_not_whole_its_functions_are_undecided(tmp_path, table):
    """F166: functions lie in regions, RAM in one scope of the account. Rows that are there are found all the same."""
    roles, policies = {"admin": ["all"], "reader": []}, {"all": [allow("*")]}
    here, there = ram_rows(roles, policies), ram_rows(roles, policies, account=OTHER_ACCOUNT)
    rows = {name: here[name] + there[name] for name in here} | {"fc2_services": []}
    rows["fc_functions"] = [*users_of(ACCOUNT), *users_of(OTHER_ACCOUNT, region=OTHER_REGION)]
    snapshot = write(tmp_path, rows, {(table, OTHER_ACCOUNT): Status.TRUNCATED})
    [outcome] = ask(snapshot, ADMIN)
    assert outcome.coverage is Coverage.PARTIAL
    assert outcome.gaps == (f"1 of 2 scopes of {table} aren't complete", f"1 undecided: {NO_RAM}")
    found = list(zip(column(outcome, "account_id"), column(outcome, "function_or_service"), strict=True))
    others = [(OTHER_ACCOUNT, "crossing"), (OTHER_ACCOUNT, "own")]
    assert found == [(ACCOUNT, "crossing"), (ACCOUNT, "own"), *others]


def test_a_policy_without_a_document_leaves_its_roles_undecided(tmp_path):
    """F165."""
    roles = {"lost": ["gone", "reads"], "odd": ["odd"], "sure": ["odd", "all"], "empty": ["reads"]}
    policies = {"odd": None, "all": [allow("*")], "reads": [allow("log:Get*")]}
    functions = [{"function_name": role, "role": arn(role)} for role in roles]
    functions.append({"function_name": "named", "role": "lost"})
    [outcome] = ask(write(tmp_path, {"fc_functions": functions, "fc2_services": []} | ram_rows(roles, policies)), ADMIN)
    assert (outcome.coverage, column(outcome, "function_or_service")) == (Coverage.PARTIAL, ["sure"])
    assert outcome.gaps == (
        "2 undecided: a policy of the role has no readable document",
        "1 undecided: the role isn't named by an ARN",
    )


def test_no_value_of_a_condition_is_shown(tmp_path):
    """F167: a condition may hold a secret, which a snapshot with `secrets = "keep"` has in clear."""
    condition = {"StringEquals": {"acs:RequestTag/pass": "hunter2-hunter2"}, "Bool": {"acs:MFAPresent": "true"}}
    policies = {"some": [allow("*", Condition=condition), deny("oss:Put*", Condition=condition)]}
    rows = ram_rows({"admin": ["some"]}, policies)
    rows |= {"fc_functions": [{"function_name": "f", "role": arn("admin")}], "fc2_services": []}
    for outcome in ask(write(tmp_path, rows, secrets="keep"), ADMIN, PASS, READ):
        assert "hunter2" not in str(outcome.rows)
        assert column(outcome, "limits")[0].startswith("if StringEquals acs:RequestTag/pass; Bool acs:MFAPresent")


def test_a_condition_that_is_one_fingerprint_is_still_a_condition(tmp_path):
    rows = ram_rows(
        {"admin": ["some"]}, {"some": [allow("*", Condition="hmac:0011"), deny("*", Condition="hmac:0022")]}
    )
    rows |= {"fc_functions": [{"function_name": "f", "role": arn("admin")}], "fc2_services": []}
    [outcome] = ask(write(tmp_path, rows), ADMIN)
    assert column(outcome, "limits") == ["if a condition holds; denied in part by some"]


FC_TABLES = ("fc_functions", "fc2_services", "fc_triggers", "fc2_triggers", "fcsandbox_templates", "fcsandbox_volumes")


@pytest.mark.parametrize(
    ("table", "status"), [*((t, Status.TRUNCATED) for t in FC_TABLES), ("fc_functions", Status.DENIED)]
)
def test_a_role_is_unused_only_where_all_of_function_compute_was_read(tmp_path, table, status):
    """F168: a role has one account and no region, so that one region without its functions leaves it undecided."""
    here, there = ram_rows({"idle": []}, {}), ram_rows({"idle-there": []}, {}, account=OTHER_ACCOUNT)
    rows = {name: here[name] + there[name] for name in here} | {name: [] for name in FC_TABLES}
    places = [(ACCOUNT, OTHER_REGION), (OTHER_ACCOUNT, REGION), (OTHER_ACCOUNT, OTHER_REGION)]
    snapshot = write(
        tmp_path, rows, {(table, OTHER_ACCOUNT, OTHER_REGION): status}, places=dict.fromkeys(FC_TABLES, places)
    )
    [outcome] = ask(snapshot, "unused_roles")
    assert (outcome.coverage, column(outcome, "role"), column(outcome, "crawled_regions")) == (
        Coverage.PARTIAL,
        ["idle"],
        [2],
    )
    assert outcome.gaps[-1] == "1 undecided: Function Compute of the role's account wasn't read to its end"


def test_a_role_is_used_by_whatever_names_it_in_any_region_and_account(tmp_path):
    names = ("function", "vpc", "service", "service-vpc", "trigger", "trigger-2", "elsewhere", "abroad", "idle")
    names += ("sandbox", "sandbox-by-name", "mount")
    rows = ram_rows(
        dict.fromkeys([*names, "ecs", "both", "one-text", "account", "AliyunServiceRoleForFC"], ()),
        {},
        trust={
            "ecs": ["ecs.aliyuncs.com"],
            "both": ["log.aliyuncs.com", "fc.aliyuncs.com"],
            "one-text": "fc.aliyuncs.com",
            "account": [],
        },
    )
    rows["ram_roles"][-1]["is_service_linked_role"] = True
    abroad = {"account_id": OTHER_ACCOUNT}
    rows["fc_functions"] = [
        {"function_name": "a", "role": arn("FUNCTION"), "vpc_config": {"role": arn("vpc")}},
        {"function_name": "b", "role": arn("elsewhere"), "region_id": OTHER_REGION},
        {"function_name": "c", "role": arn("abroad"), **abroad},
        {"function_name": "d", "role": arn("idle", OTHER_ACCOUNT)},
    ]
    rows["fc2_services"] = [{"service_name": "s", "role": arn("service"), "vpc_config": {"role": arn("service-vpc")}}]
    rows["fc_triggers"] = [{"function_name": "a", "trigger_name": "t", "invocation_role": arn("trigger")}]
    rows["fc2_triggers"] = [{"service_name": "s", "trigger_name": "t", "invocation_role": arn("trigger-2")}]
    rows["fcsandbox_templates"] = [
        {"template_id": role, "runtime_config": {"vpc_config": {"role": role}}}
        for role in (arn("sandbox"), "Sandbox-by-name")
    ]
    rows["fcsandbox_volumes"] = [{"volume_id": "v", "mount_config": {"role": arn("mount")}}]
    [outcome] = ask(write(tmp_path, rows), "unused_roles")
    assert outcome.coverage is Coverage.COMPLETE, outcome.gaps
    assert list(zip(column(outcome, "role"), column(outcome, "assumed_by"), strict=True)) == [
        ("both", "fc.aliyuncs.com, log.aliyuncs.com"),
        ("idle", "fc.aliyuncs.com"),
        ("one-text", "fc.aliyuncs.com"),
    ]


def test_a_role_may_be_used_by_sandboxes_that_were_not_crawled(tmp_path):
    """F168: the role is found, and the result says that sandboxes may still have it."""
    rows = ram_rows({"idle": []}, {}) | {name: [] for name in FC_TABLES if not name.startswith("fcsandbox")}
    [outcome] = ask(write(tmp_path / "without", rows), "unused_roles")
    assert (outcome.coverage, column(outcome, "role"), column(outcome, "crawled_regions")) == (
        Coverage.PARTIAL,
        ["idle"],
        [1],
    )
    assert outcome.gaps == ("fcsandbox_templates wasn't crawled", "fcsandbox_volumes wasn't crawled")
    del rows["ram_roles"]
    [outcome] = ask(write(tmp_path / "no-ram", rows | {"fcsandbox_volumes": []}), "unused_roles")
    assert outcome.coverage is Coverage.UNKNOWN


def test_a_role_without_a_trust_policy_is_undecided(tmp_path):
    """F165."""
    rows = ram_rows({"lost": [], "idle": []}, {}, trust={"lost": None}) | {name: [] for name in FC_TABLES}
    [outcome] = ask(write(tmp_path, rows), "unused_roles")
    assert (outcome.coverage, column(outcome, "role")) == (Coverage.PARTIAL, ["idle"])
    assert outcome.gaps == ("1 undecided: the trust policy of the role has no readable document",)


LOG_POLICY = ["fc:InvokeFunction", "log:Get*", "log:ListShards", "log:ConsumerGroupHeartBeat", "log:PostLogStoreLogs"]
STREAM_POLICY = ["fc:InvokeFunction", "ots:BatchGet*", "ots:Describe*", "ots:Get*", "ots:List*"]
# Trigger type, statements of the role → the actions beyond its source.
INVOCATIONS: dict[str, tuple[str, list[dict[str, Any]], str | None]] = {
    "invokes": ("oss", [allow("fc:InvokeFunction", "acs:fc:*:*:functions/*")], None),
    "invokes-any-way": ("cdn_events", [allow(["FC:Invoke*"])], None),
    "nothing": ("oss", [], None),
    "vendor's-for-logs": ("log", [allow(LOG_POLICY)], None),
    "vendor's-for-tables": ("Tablestore", [allow(STREAM_POLICY)], None),
    "for-logs-at-another-source": ("oss", [allow(["fc:InvokeFunction", "log:Get*"])], "log:get*"),
    "everything": ("mns_topic", [allow("*")], "*"),
    "all-of-functions": ("oss", [allow(["fc:*"])], "fc:*"),
    "all-of-its-source": ("log", [allow(["log:*", "fc:InvokeFunction"])], "log:*"),
    "wildcard-in-front": ("log", [allow("*:Get*")], "*:get*"),
    "writes-to-its-source": ("oss", [allow("oss:PutObject"), allow("oss:GetObject")], "oss:getobject, oss:putobject"),
    "all-but": ("oss", [allow(NotAction=["ram:*", "bss:*"])], "all but ram:*, bss:*"),
    "denials-give-nothing": ("oss", [deny("*")], None),
    "a-statement-without-actions": ("oss", [allow()], None),
}


def test_an_invocation_role_may_invoke_and_read_the_events_of_its_source(tmp_path):
    policies = {role: statements for role, (_, statements, _) in INVOCATIONS.items()}
    triggers = [
        {"function_name": "f", "trigger_name": role, "trigger_type": kind, "invocation_role": arn(role)}
        for role, (kind, _, _) in INVOCATIONS.items()
    ]
    triggers.append({"function_name": "f", "trigger_name": "without", "trigger_type": "timer", "invocation_role": ""})
    second = {"service_name": "s", "function_name": "f", "trigger_name": "x", "trigger_type": "oss"}
    rows = ram_rows({role: [role] for role in policies}, policies)
    rows |= {"fc_triggers": triggers, "fc2_triggers": [second | {"invocation_role": arn("everything")}]}
    [outcome] = ask(write(tmp_path, rows), "wide_invocation_roles")
    assert outcome.coverage is Coverage.COMPLETE, outcome.gaps
    found = zip(
        column(outcome, "role"), column(outcome, "trigger_type"), column(outcome, "first_ten_actions"), strict=True
    )
    wide = {(arn(role), kind, wider) for role, (kind, _, wider) in INVOCATIONS.items() if wider}
    assert set(found) == wide | {(arn("everything"), "oss", "*")}
    assert set(column(outcome, "triggers")) == {1}


def test_an_invocation_role_whose_permissions_are_not_known_is_undecided(tmp_path):
    rows = ram_rows({"odd": ["odd"]}, {"odd": None})
    named = {"odd": arn("odd"), "abroad": arn("odd", OTHER_ACCOUNT), "bare": "odd"}
    rows["fc_triggers"] = [
        {"function_name": "f", "trigger_name": name, "trigger_type": "oss", "invocation_role": role}
        for name, role in named.items()
    ]
    [outcome] = ask(write(tmp_path, rows | {"fc2_triggers": []}), "wide_invocation_roles")
    assert (outcome.coverage, outcome.total) == (Coverage.PARTIAL, 0)
    assert outcome.gaps == (
        f"1 undecided: {NO_RAM}",
        "1 undecided: a policy of the role has no readable document",
        "1 undecided: the role isn't named by an ARN",
    )


def test_a_role_is_said_to_be_missing_only_where_the_roles_were_listed_to_the_end(tmp_path):
    rows = ram_rows({"Here": []}, {})
    functions = [{"function_name": name, "role": arn(name)} for name in ("here", "gone")]
    functions.append({"function_name": "abroad", "role": arn("here", OTHER_ACCOUNT)})
    rows = {"ram_roles": rows["ram_roles"], "fc_functions": functions, "fc2_services": []}
    [outcome] = ask(write(tmp_path / "whole", rows), "missing_roles")
    assert (outcome.coverage, column(outcome, "function_or_service")) == (Coverage.PARTIAL, ["gone"])
    assert outcome.gaps == (f"1 undecided: {NO_RAM}",)
    [outcome] = ask(write(tmp_path / "cut", rows, {"ram_roles": Status.TRUNCATED}), "missing_roles")
    assert (outcome.total, outcome.gaps[-1]) == (0, f"2 undecided: {NO_RAM}")


@pytest.mark.parametrize(
    ("whitelist", "is_open"),
    [
        ("0.0.0.0/0", True),
        ("203.0.113.7, 0.0.0.0/0", True),
        ("203.0.113.7,0.0.0.0/1,128.0.0.0/1", True),
        ("0.0.0.0", True),
        ("::/0", True),
        ("*", True),
        ("203.0.113.7\n10.0.0.0/7", True),
        ("10.0.0.0/8,203.0.113.0/24", False),
        ("10.10.10.10/0x", False),
        ("127.0.0.1", False),
        ("100.0.0.0/16,20.0.0.0/10", False),
        ("fe80::1/64", False),
        ("", False),
        (None, False),
    ],
)
def test_an_instance_is_public_by_its_whitelist(tmp_path, whitelist, is_open):
    networks = {"open": "ha-1.public.example", "off": "", "unsaid": None}
    rows = [
        {"instance_id": name, "network": {"public_endpoint": host, "allow": whitelist}}
        for name, host in networks.items()
    ]
    rows.append({"instance_id": "bare"})
    [outcome] = ask(write(tmp_path, {"searchengine_instances": rows}), "searchengine_public")
    assert column(outcome, "instance_id") == ["open"] * is_open
