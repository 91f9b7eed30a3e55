"""Seeded instances, resources and tasks of an app group's functions (opensearch 2017-12-25), in PascalCase.

Fields: the response models of alibabacloud-opensearch20171225 5.2.0; units and values: the pages of
ListFunctionInstances, ListFunctionResources and ListFunctionTasks
(https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22). Times are epoch milliseconds, those
of instances in either unit.
"""

from __future__ import annotations

from crawler.emulator.data import seeded as words
from crawler.emulator.data.opensearch_context import Record, SeedContext
from crawler.emulator.data.seeded import SeededRandom, epoch_s


def put(spot: SeedContext, group: str, functions: list[str], *, is_first: bool) -> None:
    """The functions that a group's apps report. Of the first group's, `ctr` has 27 instances and the last has none."""
    for function in functions:
        spot.name("functions", group, function)
        dice = spot.dice("functions", group, function)
        count = dice.integer(0, 3)
        if is_first:
            count = {"ctr": 27, functions[-1]: 0}.get(function, count)
        instances = [_instance(dice, function, number) for number in range(count)]
        spot.put("ListFunctionInstances", instances, (group, function))
        names = [record["InstanceName"] for record in instances]
        resources = [
            _resource(spot, dice, function, names, number)
            for number in range(2 if is_first and function == "ctr" else dice.integer(0, 1))
        ]
        spot.put("ListFunctionResources", resources, (group, function))
        for turn, name in enumerate(names):
            tasks = [_task(spot, dice, function, number) for number in range(dice.integer(1, 2) if turn < 3 else 0)]
            spot.put("ListFunctionTasks", tasks, (group, function, name))


def _instance(dice: SeededRandom, function: str, number: int) -> Record:
    created = epoch_s(dice.moment())
    return {
        "InstanceName": f"{function}_{dice.choice(words.STAGES)}_{number:02d}",
        "FunctionName": function,
        "FunctionType": "PAAS",
        "ModelType": dice.choice(("tf_checkpoint", "offline_inference")),
        "VersionId": dice.integer(1, 900),
        "Status": dice.choice(("available", "unavailable")),
        "Source": "builtin" if number % 4 == 3 else "user",
        "Description": words.description(dice),
        "CreateTime": dice.choice((created, created * 1000 + 42, 0)),
        "Belongs": {"Domain": "ecommerce", "Category": "general", "Language": "zh"},
        "Cron": dice.choice(("", "0 3 ? * 0,1,3,5")),
        "CreateParameters": [{"Name": "odps_key", "Value": dice.secret()}, {"Name": "epochs", "Value": dice.secret()}],
        "UsageParameters": [{"Name": "endpoint", "Value": dice.secret("https://model/{}")}],
        "ExtendInfo": '{"dataReport":{},"errors":{}}',
    }


def _resource(spot: SeedContext, dice: SeededRandom, function: str, instances: list[str], number: int) -> Record:
    created = epoch_s(dice.moment()) * 1000
    is_file = number % 2 == 0
    generator: Record = {
        "Generator": dice.choice(("combo", "id", "lookup")),
        "Input": {"Features": [{"Name": "system_item_id", "Type": "item"}, {"Name": "user_id", "Type": "user"}]},
        "Output": "system_item_id",
    }
    record: Record = {
        "ResourceName": f"{'raw' if is_file else 'fg'}_{dice.text(6)}_{number}",
        "ResourceType": "raw_file" if is_file else "feature_generator",
        "FunctionName": function,
        "Description": words.description(dice),
        "CreateTime": created,
        "ModifyTime": created + dice.integer(0, 10**9),
        "ReferencedInstances": instances[:2],
        "Data": {"Content": dice.secret("query,click\n{},1\n")} if is_file else {"Generators": [generator]},
    }
    return spot.thin("resource", dice, record, "Description", "ModifyTime", "ReferencedInstances")


def _task(spot: SeedContext, dice: SeededRandom, function: str, number: int) -> Record:
    started = epoch_s(dice.moment()) * 1000 + dice.integer(1, 999)
    is_running = number > 0 and dice.chance(0.5)
    record: Record = {
        "Generation": dice.digits(10),
        "RunId": dice.uuid(),
        "FunctionName": function,
        "Status": "running" if is_running else dice.choice(("success", "failed")),
        "StartTime": started,
        "EndTime": 0 if is_running else started + dice.integer(1, 10**8),
        "Progress": dice.integer(1, 99) if is_running else 100,
        "ExtendInfo": '{"errors":[{"code":"DATA_TOO_SMALL","message":"样本不足"}]}',
    }
    return spot.thin("task", dice, record, "ExtendInfo", "Progress")
