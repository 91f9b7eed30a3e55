"""What CloudFlow has in one account and region.

Fields: the response models of alibabacloud-fnf20190315 2.0.1; times as the pages show them, with milliseconds and Z
(checked 2026-11-22).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from crawler.emulator.data import seeded as words
from crawler.emulator.data.region import RegionData
from crawler.emulator.data.seeded import LocalSeededRandom
from crawler.emulator.spec import CloudSpec

Record = dict[str, Any]


def fill(place: RegionData, spec: CloudSpec, account_id: str, region_id: str) -> None:
    """Put the seeded lists: as many flows as the longest list of the region's shape has, schedules for some."""
    flows = []
    for number in range(spec.shape(account_id, region_id).longest):
        dice = LocalSeededRandom(spec.seed, account_id, region_id, "fnf", number)
        flows.append(_flow(dice, number))
        schedules = [_schedule(dice, index) for index in range(number % 3)]
        place.put("fnf.ListSchedules", schedules, (flows[-1]["Name"],))
        place.secrets.extend(dice.secrets)
    place.put("fnf.ListFlows", flows)


def _flow(dice: LocalSeededRandom, number: int) -> Record:
    created = dice.moment()
    record: Record = {
        "Name": words.name(dice, number),
        "Id": dice.uuid(),
        "Type": "FDL",
        "ExecutionMode": dice.choice(("Standard", "Express", "")),
        "Definition": dice.secret("version: v1beta1\ntype: flow\nsteps:\n  - type: pass\n    name: {}\n"),
        "Description": words.description(dice),
        "RoleArn": f"acs:ram::{dice.account_id}:role/fnf-run",
        "ResourceGroupId": f"rg-{dice.text(15)}",
        "CreatedTime": _time(created),
        "LastModifiedTime": _time(created + timedelta(minutes=dice.integer(0, 400_000))),
    }
    if number < 2 or dice.chance(0.3):
        variable = {"Name": "token", "Value": dice.secret(), "Description": "of the partner's API"}
        record["Environment"] = {"Variables": [variable]}
    return record


def _schedule(dice: LocalSeededRandom, number: int) -> Record:
    created = dice.moment()
    return {
        "ScheduleName": f"nightly-{number}",
        "ScheduleId": dice.uuid(),
        "CronExpression": "0 0 2 * * *",
        "Description": words.description(dice),
        "Enable": dice.chance(0.7),
        "Payload": dice.secret('{{"key": "{}"}}'),
        "CreatedTime": _time(created),
        "LastModifiedTime": _time(created + timedelta(minutes=dice.integer(0, 400_000))),
    }


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.001Z")
