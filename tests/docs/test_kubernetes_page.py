"""docs/kubernetes.md and deploy/kubernetes/sharded.yaml: what must agree agrees, and the API server would take it.

No cluster is there to try them on; the page says so.
"""

from __future__ import annotations

import copy
import re
import shlex
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from crawler.config import parse_config
from crawler.errors import ConfigError
from tests.support.shown_commands import commands_in, parse, parse_options

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy/kubernetes"
PAGE = (ROOT / "docs/kubernetes.md").read_text()
SHARD_CODES = {0, 2, 4, 11, 13, 143}
RUN_CODES = {0, 1, 2, 3, 4, 11, 12, 13, 143}

VERSIONS = ("1.29", "1.31", "1.33", "1.34", "1.37")
OBJECTS = list(yaml.safe_load_all((DEPLOY / "sharded.yaml").read_text()))
SECRET = yaml.safe_load((DEPLOY / "secret.yaml").read_text())
CRON_JOBS = {thing["metadata"]["name"]: thing["spec"] for thing in OBJECTS if thing["kind"] == "CronJob"}
JOBS = {name: spec["jobTemplate"]["spec"] for name, spec in CRON_JOBS.items()}
CRAWL, JOIN = "acs-inventory-crawl", "acs-inventory-join"
CONFIG = next(thing for thing in OBJECTS if thing["kind"] == "ConfigMap")["data"]["config.toml"]


def pod_of(name):
    return JOBS[name]["template"]["spec"]


def container_of(name):
    [container] = pod_of(name)["containers"]
    return container


def command_of(name):
    """The arguments of acs-inventory in a pod, its entry point or a shell's command."""
    container = container_of(name)
    if "command" not in container:
        return container["args"]
    shell, option, text = container["command"]
    assert (shell, option) == ("sh", "-c")
    program, *arguments = shlex.split(text.removeprefix("exec "))
    assert program == "acs-inventory"
    return arguments


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schemas_of_each_version_take_every_object(version):
    for thing in (*OBJECTS, SECRET):
        kubernetes_validate.validate(thing, version, strict=True)
    assert f"{VERSIONS[0]} to {VERSIONS[-1]}" in PAGE


@pytest.mark.parametrize("field", ["backofLimitPerIndex", "podReplacementPolicies"])
def test_a_field_that_no_version_knows_would_be_found(field):
    changed = copy.deepcopy(next(thing for thing in OBJECTS if thing["metadata"]["name"] == CRAWL))
    changed["spec"]["jobTemplate"]["spec"][field] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(changed, VERSIONS[-1], strict=True)


def broken_rules(job):
    """What the API server would refuse beyond its schema: batch/v1, Job, podFailurePolicy and its company."""
    pod = job["template"]["spec"]
    names = {container["name"] for container in pod["containers"]}
    if job.get("completionMode") != "Indexed":
        yield from (f"{key} needs Indexed" for key in ("backoffLimitPerIndex", "maxFailedIndexes") if key in job)
    elif job.get("parallelism", 1) > job["completions"] or job["completions"] > 100_000:
        yield "completions"
    if "maxFailedIndexes" in job and "backoffLimitPerIndex" not in job:
        yield "maxFailedIndexes needs backoffLimitPerIndex"
    rules = job.get("podFailurePolicy", {"rules": []})["rules"]
    if (rules or "backoffLimitPerIndex" in job) and pod["restartPolicy"] != "Never":
        yield "restartPolicy"
    if rules and job.get("podReplacementPolicy", "Failed") != "Failed":
        yield "podReplacementPolicy"
    for rule in rules:
        if rule["action"] == "FailIndex" and "backoffLimitPerIndex" not in job:
            yield "FailIndex needs backoffLimitPerIndex"
        if len(rule.keys() & {"onExitCodes", "onPodConditions"}) != 1:
            yield "a rule is about exit codes or about conditions"
        codes = rule.get("onExitCodes", {"values": [1], "operator": "In"})
        if codes["values"] != sorted(set(codes["values"])) or (codes["operator"] == "In" and 0 in codes["values"]):
            yield "values"
        if codes.get("containerName", next(iter(names))) not in names:
            yield "containerName"


@pytest.mark.parametrize("name", JOBS)
def test_the_api_servers_rules_beyond_the_schemas_hold(name):
    assert list(broken_rules(JOBS[name])) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda job: job.pop("completionMode"), "backoffLimitPerIndex needs Indexed"),
        (lambda job: job.pop("backoffLimitPerIndex"), "FailIndex needs backoffLimitPerIndex"),
        (lambda job: job.update(podReplacementPolicy="TerminatingOrFailed"), "podReplacementPolicy"),
        (lambda job: job["template"]["spec"].update(restartPolicy="OnFailure"), "restartPolicy"),
        (lambda job: job["podFailurePolicy"]["rules"][1]["onExitCodes"].update(containerName="x"), "containerName"),
        (lambda job: job["podFailurePolicy"]["rules"][1]["onExitCodes"].update(values=[4, 2]), "values"),
        (lambda job: job.update(parallelism=33), "completions"),
    ],
)
def test_each_broken_rule_would_be_found(change, found):
    job = copy.deepcopy(JOBS[CRAWL])
    change(job)
    assert found in list(broken_rules(job))


def test_the_number_of_shards_is_the_number_of_completions():
    job = JOBS[CRAWL]
    [shard] = [text for text in command_of(CRAWL) if text.startswith("--shard=")]
    assert shard == f"--shard=auto/{job['completions']}"
    assert job["completionMode"] == "Indexed"
    assert 1 < job["parallelism"] <= job["completions"] / 4, "late shards are small, and a lost one is a small part"
    assert job.get("maxFailedIndexes", job["completions"]) == job["completions"], "lost shards don't end the others"


def start_s(name):
    """When a CronJob starts, in seconds of the day."""
    minute, hour, *rest = CRON_JOBS[name]["schedule"].split()
    assert (rest, CRON_JOBS[name]["timeZone"]) == (["*", "*", "*"], "Etc/UTC")
    return int(hour) * 3600 + int(minute) * 60


def latest_end_s(name):
    """The last moment at which a pod of the day's Job may run."""
    grace_s = pod_of(name)["terminationGracePeriodSeconds"]
    return start_s(name) + CRON_JOBS[name]["startingDeadlineSeconds"] + JOBS[name]["activeDeadlineSeconds"] + grace_s


def test_crawl_and_join_never_overlap():
    assert latest_end_s(CRAWL) < start_s(JOIN)
    assert start_s(JOIN) < start_s(CRAWL) + 6 * 3600, "a run can be resumed for 6 hours"
    assert latest_end_s(JOIN) < 86_400, "the join names the run by its UTC date"
    assert {spec["concurrencyPolicy"] for spec in CRON_JOBS.values()} == {"Forbid"}


@pytest.mark.parametrize("name", JOBS)
def test_every_pod_is_confined(name):
    pod, container = pod_of(name), container_of(name)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001, "the user of the image"
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] in {
        thing["metadata"]["name"] for thing in OBJECTS if thing["kind"] == "ServiceAccount"
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"].keys() == {"memory"}
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert mounts.keys() == volumes.keys() == {"config", "tmp"}
    assert mounts["config"]["readOnly"] is True
    assert mounts["tmp"]["mountPath"] == "/tmp", "the default of TMPDIR"
    assert volumes["tmp"]["emptyDir"]["sizeLimit"].endswith("Gi")


def test_jobs_and_pods_are_found_by_the_label_of_the_page():
    name, value = re.search(r"kubectl get jobs -l (\S+)=(\S+)", PAGE).groups()
    for spec in CRON_JOBS.values():
        assert spec["jobTemplate"]["metadata"]["labels"][name] == value
        assert spec["jobTemplate"]["spec"]["template"]["metadata"]["labels"][name] == value


def test_a_pod_asks_for_the_disk_that_its_scratch_may_take():
    [scratch] = [volume["emptyDir"] for volume in pod_of(CRAWL)["volumes"] if "emptyDir" in volume]
    assert container_of(CRAWL)["resources"]["requests"]["ephemeral-storage"] == scratch["sizeLimit"]


def outcome(job, code):
    """What the pod failure policy does with an exit code, by the first rule that matches."""
    if code == 0:
        return "succeeds"
    for rule in job["podFailurePolicy"]["rules"]:
        if code in rule.get("onExitCodes", {"values": []})["values"]:
            return rule["action"]
    return "tried again"


def test_each_exit_code_of_a_shard_has_its_outcome():
    found = {code: outcome(JOBS[CRAWL], code) for code in SHARD_CODES}
    assert found == {
        0: "succeeds",
        2: "FailJob",
        4: "FailIndex",
        11: "tried again",
        13: "tried again",
        143: "tried again",
    }
    rows = re.findall(r"^\| (\d+) \| `?(\w[\w ]+)`?", PAGE.split("## Exit codes")[1], re.MULTILINE)
    assert {int(code): text for code, text in rows} == found, "docs/kubernetes.md"


def test_the_join_tells_the_runs_exit_code_and_repeats_what_may_help():
    found = {code: outcome(JOBS[JOIN], code) for code in RUN_CODES}
    assert {code for code, what in found.items() if what == "tried again"} == {11, 13, 143}
    assert {code for code, what in found.items() if what == "FailJob"} == {1, 2, 3, 4, 12}


@pytest.mark.parametrize("name", [CRAWL, JOIN])
def test_a_disrupted_pod_is_no_failed_attempt(name):
    first = JOBS[name]["podFailurePolicy"]["rules"][0]
    assert first == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def test_the_names_that_the_pods_use_are_given():
    secret = SECRET["metadata"]["name"]
    for name in JOBS:
        container = container_of(name)
        assert container["envFrom"] == [{"secretRef": {"name": secret}}]
        given = {entry["name"] for entry in container.get("env", [])}
        used = re.findall(r"\$\((\w+)\)", " ".join([*container.get("args", []), *container.get("command", [])]))
        assert set(used) == given, "the kubelet replaces $(NAME) in arguments"
        assert all(text not in given for text in SECRET["stringData"])
    asked = set(re.findall(r"\$\{(\w+)\}", CONFIG))
    assert asked <= SECRET["stringData"].keys()
    assert {"ACS_INVENTORY_FINGERPRINT_KEY", "OSS_REGION"} <= SECRET["stringData"].keys()
    [entry] = container_of(CRAWL)["env"]
    assert entry["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['batch.kubernetes.io/job-name']"


def test_the_configuration_loads_and_placeholders_are_refused():
    config = parse_config(
        CONFIG, source="config.toml", environ=dict.fromkeys(SECRET["stringData"], "0123456789abcdef" * 2)
    )
    assert config.output.uri.startswith("oss://"), "pods of several machines have no disk in common"
    assert 0 < config.crawl.deadline_s < JOBS[CRAWL]["activeDeadlineSeconds"]
    with pytest.raises(ConfigError, match="fingerprint_key"):
        parse_config(CONFIG, source="config.toml", environ=SECRET["stringData"])


def test_the_configuration_has_a_retention_and_no_job_of_its_own_prunes():
    config = parse_config(
        CONFIG, source="config.toml", environ=dict.fromkeys(SECRET["stringData"], "0123456789abcdef" * 2)
    )
    assert config.retention.keep_daily
    assert JOBS.keys() == {CRAWL, JOIN}


def test_the_shards_and_the_joins_commands_are_some():
    name, values = parse_options(command_of(CRAWL))
    assert (name, values["run"]) == ("crawl", "$(JOB_NAME)")
    name, values = parse_options(command_of(JOIN))
    assert (name, values["is_partial"]) == ("commit", True)
    assert "$(date -u +%F)" in values.values()


def test_files_that_the_page_names_are_there():
    named = set(re.findall(r"deploy/[\w./-]+", PAGE))
    assert named
    for path in named:
        assert (ROOT / path).exists(), path


def test_every_command_that_the_page_shows_is_one():
    shown = list(commands_in(PAGE))
    assert shown
    for arguments in shown:
        parse(arguments)


def test_the_numbers_of_the_page_are_those_of_the_files():
    job = JOBS[CRAWL]
    assert f"`completions: {job['completions']}`" in PAGE
    assert f"`--shard=auto/{job['completions']}`" in PAGE
    assert f"`parallelism: {job['parallelism']}`" in PAGE
    assert f"`backoffLimitPerIndex: {job['backoffLimitPerIndex']}`" in PAGE
