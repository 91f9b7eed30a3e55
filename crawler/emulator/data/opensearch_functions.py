"""Seeded instances, resources and tasks of an app group's functions (opensearch 2017-12-25), in PascalCase.

Fields: the response models of alibabacloud-opensearch20171225 5.2.0; units and values: the pages of
ListFunctionInstances, ListFunctionResources and ListFunctionTasks
(https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22). Times are epoch milliseconds, those
of instances in either unit.
"""

from __future__ import annotations

from crawler.emulator.data import seeded
from crawler.emulator.data.opensearch_context import SeedContext
from crawler.emulator.data.seeded import SeededRandom, epoch_s
from crawler.emulator.records import Record


def put(context: SeedContext, group: str, functions: list[str], *, is_first: bool) -> None:
    """Put the functions that a group's apps report. In the first group, `ctr` has 27 instances, the last one none."""
    for function in functions:
        context.add_name("functions", group, function)
        rng = context.rng("functions", group, function)
        count = rng.integer(0, 3)
        if is_first:
            count = {"ctr": 27, functions[-1]: 0}.get(function, count)
        instances = [_instance(rng, function, number) for number in range(count)]
        context.put("ListFunctionInstances", instances, (group, function))
        names = [record["InstanceName"] for record in instances]
        count = 2 if is_first and function == "ctr" else rng.integer(0, 1)
        resources = [_resource(context, rng, function, names, number) for number in range(count)]
        context.put("ListFunctionResources", resources, (group, function))
        for turn, name in enumerate(names):
            tasks = [_task(context, rng, function, number) for number in range(rng.integer(1, 2) if turn < 3 else 0)]
            context.put("ListFunctionTasks", tasks, (group, function, name))


def _instance(rng: SeededRandom, function: str, number: int) -> Record:
    created = epoch_s(rng.moment())
    return {
        "InstanceName": f"{function}_{rng.choice(seeded.STAGES)}_{number:02d}",
        "FunctionName": function,
        "FunctionType": "PAAS",
        "ModelType": rng.choice(("tf_checkpoint", "offline_inference")),
        "VersionId": rng.integer(1, 900),
        "Status": rng.choice(("available", "unavailable")),
        "Source": "builtin" if number % 4 == 3 else "user",
        "Description": seeded.description(rng),
        "CreateTime": rng.choice((created, created * 1000 + 42, 0)),
        "Belongs": {"Domain": "ecommerce", "Category": "general", "Language": "zh"},
        "Cron": rng.choice(("", "0 3 ? * 0,1,3,5")),
        "CreateParameters": [{"Name": "odps_key", "Value": rng.secret()}, {"Name": "epochs", "Value": rng.secret()}],
        "UsageParameters": [{"Name": "endpoint", "Value": rng.secret("https://model/{}")}],
        "ExtendInfo": '{"dataReport":{},"errors":{}}',
    }


def _resource(context: SeedContext, rng: SeededRandom, function: str, instances: list[str], number: int) -> Record:
    created = epoch_s(rng.moment()) * 1000
    is_file = number % 2 == 0
    generator: Record = {
        "Generator": rng.choice(("combo", "id", "lookup")),
        "Input": {"Features": [{"Name": "system_item_id", "Type": "item"}, {"Name": "user_id", "Type": "user"}]},
        "Output": "system_item_id",
    }
    record: Record = {
        "ResourceName": f"{'raw' if is_file else 'fg'}_{rng.text(6)}_{number}",
        "ResourceType": "raw_file" if is_file else "feature_generator",
        "FunctionName": function,
        "Description": seeded.description(rng),
        "CreateTime": created,
        "ModifyTime": created + rng.integer(0, 10**9),
        "ReferencedInstances": instances[:2],
        "Data": {"Content": rng.secret("query,click\n{},1\n")} if is_file else {"Generators": [generator]},
    }
    return context.drop_optional("resource", rng, record, "Description", "ModifyTime", "ReferencedInstances")


def _task(context: SeedContext, rng: SeededRandom, function: str, number: int) -> Record:
    started = epoch_s(rng.moment()) * 1000 + rng.integer(1, 999)
    is_running = number > 0 and rng.chance(0.5)
    record: Record = {
        "Generation": rng.digits(10),
        "RunId": rng.uuid(),
        "FunctionName": function,
        "Status": "running" if is_running else rng.choice(("success", "failed")),
        "StartTime": started,
        "EndTime": 0 if is_running else started + rng.integer(1, 10**8),
        "Progress": rng.integer(1, 99) if is_running else 100,
        "ExtendInfo": '{"errors":[{"code":"DATA_TOO_SMALL","message":"样本不足"}]}',
    }
    return context.drop_optional("task", rng, record, "ExtendInfo", "Progress")
