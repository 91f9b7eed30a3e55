"""Seeded configurations, tasks, logs and specifications of the search engine's instances.

Fields and shapes: see `searchengine`. The log entries have the fields of ListLogs' sample, and request_body of the
console's page under the name requestBody.
"""

from __future__ import annotations

from crawler.emulator.data.opensearch_context import SeedContext
from crawler.emulator.data.seeded import SeededRandom, epoch_s
from crawler.emulator.records import Record

NODE_TYPES = ("qrs", "search", "index", "cluster")
DIRECTORIES = ("/", "/zones/general")


def put(context: SeedContext, instance: str, number: int, sources: list[str]) -> None:
    """Put the lists below one instance. `number` counts the instances."""
    rng, parent = context.rng("tasks", number), (instance,)
    few = 3 if number == 0 else number % 2
    context.put("ListClusterTasks", [_task(rng, "cluster", "main") for _ in range(few)], parent)
    context.put("ListDataSourceTasks", [_task(rng, "datasource", source) for source in sources], parent)
    changes = [{"name": "publish", "operator": rng.digits(16), "detail": rng.secret("token={}")} for _ in range(few)]
    context.put("ListTasks", [{"result": changes or "{}"}], parent)
    for node in NODE_TYPES:
        specs = [{"cpu": cpu, "mem": cpu * 4, "minDisk": 50, "maxDisk": 600} for cpu in (2, 8, 16)[: few or 1]]
        context.put("ListInstanceSpecs", specs, (instance, node))
    for kind in ("select", "push"):
        entries = [_entry(context, rng, instance, kind) for _ in range(12 if number == 0 else few)]
        context.put("ListLogs", entries, (instance, kind))
    _put_configs(context, instance, rng, number)


def _task(rng: SeededRandom, kind: str, subject: str) -> Record:
    began = epoch_s(rng.moment())
    return {
        "fsmId": f"tisplus_opensearch@{kind}_flow_fsm@{rng.digits(16)}@{subject}@{began}@{rng.digits(6)}",
        "name": subject,
        "groupType": "Table_Update",
        "status": rng.choice(("onlyPublished", "success", "failed")),
        "time": str(began),
        "type": "mra_table_config_trace_fsm",
        "user": "admin",
        "field3": "null",
        "extraAttribute": f'{{"consoleVersion":"","domain":"pre","configType":"{rng.secret()}"}}',
        "tags": [{"msg": "succeed in handling request", "tagLevel": "info"}],
        "taskNodes": [
            {"name": step, "index": 100 * index, "status": "done", "finishDate": "2024-06-07 16:43:00"}
            for index, step in enumerate(("prepare", "publish"))
        ],
    }


def _entry(context: SeedContext, rng: SeededRandom, instance: str, kind: str) -> Record:
    """Make a log entry, at the time of the page's sample."""
    path = "query" if kind == "select" else "actions/bulk"
    record: Record = {
        "requestTime": f"2024-07-02T16:{rng.integer(10, 59)}:57+08:00",
        "totalTime": f"0.{rng.integer(1, 999):03d}",
        "requestId": rng.hex(32),
        "host": f"{instance}.ha.aliyuncs.com",
        "requestUri": rng.secret(f"/vector-service/{path}?q={{}}"),
        "status": "200",
    }
    return record if context.is_older else {**record, "requestBody": rng.secret('{{"vector":[0.1],"id":"{}"}}')}


def _put_configs(context: SeedContext, instance: str, rng: SeededRandom, number: int) -> None:
    for kind, endings in (("online", ["", "_QUERY", "_CAVA"]), ("offline", ["_DICT", "_COMMON"])):
        count = (12 if kind == "online" else 3) if number == 0 else number % 3
        areas = [f"{kind.upper()}{ending}" for ending in endings]
        configs = [_config(rng, f"{kind}_config_v{turn}", areas[turn % len(areas)]) for turn in range(count)]
        context.put("ListAdvanceConfigs", configs, (instance, kind))
        for config in configs:
            context.add_name("configs", instance, config["name"])
            for directory in DIRECTORIES:
                files = [_file(directory, index) for index in range(2)]
                context.put("ListAdvanceConfigDir", files, (instance, config["name"], directory))


def _config(rng: SeededRandom, name: str, area: str) -> Record:
    return {
        "name": name,
        "advanceConfigType": area,
        "contentType": rng.choice(("FILE", "GIT", "HTTP", "ODPS")),
        "content": rng.secret('{{"url":"http://user:{}@example.invalid/plugins.tar"}}'),
        "creator": rng.digits(16),
        "desc": "Custom Description",
        "status": rng.choice(("drafting", "used", "unused", "trash")),
        "updateTime": epoch_s(rng.moment()) * 1000,
        "files": [_file("/", index) for index in range(2)],
    }


def _file(directory: str, index: int) -> Record:
    name = ("zones", "qrs.json")[index]
    path = f"{directory.rstrip('/')}/{name}"
    return {"name": name, "fullPathName": path, "isDir": index == 0, "isTemplate": index == 1}
