"""The resources of CloudFlow in one account and region.

Fields: the response models of alibabacloud-fnf20190315 2.0.1; times as the pages show them, with milliseconds and Z
(checked 2026-11-22).
"""

from __future__ import annotations

from datetime import datetime

from crawler.emulator.data import seeded
from crawler.emulator.data.region import RegionData
from crawler.emulator.data.seeded import LocalSeededRandom, changed
from crawler.emulator.records import Record
from crawler.emulator.spec import CloudSpec


def fill(data: RegionData, spec: CloudSpec, account_id: str, region_id: str) -> None:
    """Put the seeded lists: as many flows as the longest list of the region's shape, and schedules for some."""
    flows = []
    for number in range(spec.shape(account_id, region_id).longest):
        rng = data.rng((spec.seed, account_id, region_id), "fnf", number)
        flows.append(_flow(rng, number))
        schedules = [_schedule(rng, index) for index in range(number % 3)]
        data.put("fnf.ListSchedules", schedules, (flows[-1]["Name"],))
    data.put("fnf.ListFlows", flows)


def _flow(rng: LocalSeededRandom, number: int) -> Record:
    created = rng.moment()
    record: Record = {
        "Name": seeded.name(rng, number),
        "Id": rng.uuid(),
        "Type": "FDL",
        "ExecutionMode": rng.choice(("Standard", "Express", "")),
        "Definition": rng.secret("version: v1beta1\ntype: flow\nsteps:\n  - type: pass\n    name: {}\n"),
        "Description": seeded.description(rng),
        "RoleArn": f"acs:ram::{rng.account_id}:role/fnf-run",
        "ResourceGroupId": f"rg-{rng.text(15)}",
        "CreatedTime": _time(created),
        "LastModifiedTime": _time(changed(rng, created, 400_000)),
    }
    if number < 2 or rng.chance(0.3):
        variable = {"Name": "token", "Value": rng.secret(), "Description": "of the partner's API"}
        record["Environment"] = {"Variables": [variable]}
    return record


def _schedule(rng: LocalSeededRandom, number: int) -> Record:
    created = rng.moment()
    return {
        "ScheduleName": f"nightly-{number}",
        "ScheduleId": rng.uuid(),
        "CronExpression": "0 0 2 * * *",
        "Description": seeded.description(rng),
        "Enable": rng.chance(0.7),
        "Payload": rng.secret('{{"key": "{}"}}'),
        "CreatedTime": _time(created),
        "LastModifiedTime": _time(changed(rng, created, 400_000)),
    }


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.001Z")
