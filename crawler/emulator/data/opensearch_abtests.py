"""Seeded A/B tests of an app group: scenes, groups, experiments and white lists (opensearch 2017-12-25).

Fields: the response models of alibabacloud-opensearch20171225 5.2.0; shapes of values: the pages of the four operations
(https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22): IDs are strings on older pages and
integers on the newest, a scene's values strings, lists or JSON in strings, an experiment's parameters once an integer,
a white list once a list in a list; names contain colons; the creation may be later than the last change.
"""

from __future__ import annotations

from crawler.emulator.data.opensearch_context import SeedContext
from crawler.emulator.data.seeded import SeededRandom, epoch_s
from crawler.emulator.records import Record

PARAMETERS = ("first_formula_name", "formula_name", "qp_chain_name", "cate_predict_model")


def put(context: SeedContext, group: str, count: int) -> None:
    """Put `count` scenes with their child lists; the first has at least one record in each."""
    rng = context.rng("abtest", group)
    scenes = [_scene(context, rng) for _ in range(count)]
    context.put("ListABTestScenes", scenes, (group,))
    for number, scene in enumerate(scenes):
        parent = (group, str(scene["id"]))
        tests = [_group(context, rng) for _ in range(rng.integer(1, 2) if number == 0 else rng.integer(0, 1))]
        context.put("ListABTestGroups", tests, parent)
        for turn, test in enumerate(tests):
            _put_experiments(context, rng, (*parent, test["id"]), 2 if turn == 0 else rng.integer(0, 1))


def _put_experiments(context: SeedContext, rng: SeededRandom, parent: tuple[str, ...], count: int) -> None:
    is_odd = not context.fits_sdk_models and not context.is_older
    experiments = [_experiment(context, rng, is_odd=is_odd and number == 1) for number in range(count)]
    context.put("ListABTestExperiments", experiments, parent)
    for number, experiment in enumerate(experiments):
        dividers: list[object] = [rng.hex(8).upper() for _ in range(rng.integer(0, 3) if number else 2)]
        if context.is_older and number == 0:
            dividers = [["D77D0DAF", 133_738_165_014]]
        context.put("ListABTestFixedFlowDividers", dividers, (*parent, str(experiment["id"])))


def _identity(context: SeedContext, rng: SeededRandom) -> int | str:
    text = rng.digits(5)
    return text if context.is_older else int(text)


def _named(rng: SeededRandom) -> Record:
    moment = rng.moment()
    updated = epoch_s(moment)
    return {
        "name": f"test_{moment:%Y-%m-%d_%H:%M:%S}{rng.integer(1, 9)}",
        "created": updated + rng.integer(-9, 1),
        "updated": updated,
    }


def _scene(context: SeedContext, rng: SeededRandom) -> Record:
    value = f"tag{rng.integer(1, 9)}"
    values: list[object] = [value, "组"] if context.fits_sdk_models else [[value]]
    if context.is_older:
        values = [f'["{value}"]']
    return {"id": _identity(context, rng), **_named(rng), "status": rng.integer(0, 1), "values": values}


def _group(context: SeedContext, rng: SeededRandom) -> Record:
    record: Record = {"id": rng.digits(5), **_named(rng), "status": rng.integer(0, 1)}
    return context.drop_optional("ab group", rng, record, "status", "updated")


def _experiment(context: SeedContext, rng: SeededRandom, *, is_odd: bool) -> Record:
    parameters = {} if is_odd else {name: rng.secret("rank-{}") for name in PARAMETERS[: rng.integer(1, 4)]}
    record: Record = {
        "id": _identity(context, rng),
        **_named(rng),
        "online": rng.chance(0.5),
        "traffic": rng.integer(0, 100),
        "params": parameters or rng.integer(1, 99),
    }
    return context.drop_optional("experiment", rng, record, "traffic", "online")
