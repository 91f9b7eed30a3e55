"""Seeded A/B tests of an app group: scenes, groups, experiments and white lists (opensearch 2017-12-25).

Fields: the response models of alibabacloud-opensearch20171225 5.2.0; shapes of values: the pages of the four operations
(https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22): IDs are strings on older pages and
integers on the newest, a scene's values strings, lists or JSON in strings, an experiment's parameters once an integer,
a white list once a list in a list; names hold colons; what was made may be newer than its last change.
"""

from __future__ import annotations

from crawler.emulator.data.opensearch_context import Record, SeedContext
from crawler.emulator.data.seeded import SeededRandom, epoch_s

PARAMETERS = ("first_formula_name", "formula_name", "qp_chain_name", "cate_predict_model")


def put(spot: SeedContext, group: str, count: int) -> None:
    """`count` scenes with what is below them: at least one of each in the first."""
    dice = spot.dice("abtest", group)
    scenes = [_scene(spot, dice) for _ in range(count)]
    spot.put("ListABTestScenes", scenes, (group,))
    for number, scene in enumerate(scenes):
        parent = (group, str(scene["id"]))
        tests = [_group(spot, dice) for _ in range(dice.integer(1, 2) if number == 0 else dice.integer(0, 1))]
        spot.put("ListABTestGroups", tests, parent)
        for turn, test in enumerate(tests):
            _put_experiments(spot, dice, (*parent, test["id"]), 2 if turn == 0 else dice.integer(0, 1))


def _put_experiments(spot: SeedContext, dice: SeededRandom, parent: tuple[str, ...], count: int) -> None:
    is_odd = not spot.is_plain and not spot.is_older
    experiments = [_experiment(spot, dice, is_odd=is_odd and number == 1) for number in range(count)]
    spot.put("ListABTestExperiments", experiments, parent)
    for number, experiment in enumerate(experiments):
        dividers: list[object] = [dice.hex(8).upper() for _ in range(dice.integer(0, 3) if number else 2)]
        if spot.is_older and number == 0:
            dividers = [["D77D0DAF", 133_738_165_014]]
        spot.put("ListABTestFixedFlowDividers", dividers, (*parent, str(experiment["id"])))


def _identity(spot: SeedContext, dice: SeededRandom) -> int | str:
    text = dice.digits(5)
    return text if spot.is_older else int(text)


def _named(dice: SeededRandom) -> Record:
    moment = dice.moment()
    updated = epoch_s(moment)
    return {
        "name": f"test_{moment:%Y-%m-%d_%H:%M:%S}{dice.integer(1, 9)}",
        "created": updated + dice.integer(-9, 1),
        "updated": updated,
    }


def _scene(spot: SeedContext, dice: SeededRandom) -> Record:
    value = f"tag{dice.integer(1, 9)}"
    values: list[object] = [value, "组"] if spot.is_plain else [[value]]
    if spot.is_older:
        values = [f'["{value}"]']
    return {"id": _identity(spot, dice), **_named(dice), "status": dice.integer(0, 1), "values": values}


def _group(spot: SeedContext, dice: SeededRandom) -> Record:
    record: Record = {"id": dice.digits(5), **_named(dice), "status": dice.integer(0, 1)}
    return spot.thin("ab group", dice, record, "status", "updated")


def _experiment(spot: SeedContext, dice: SeededRandom, *, is_odd: bool) -> Record:
    parameters = {} if is_odd else {name: dice.secret("rank-{}") for name in PARAMETERS[: dice.integer(1, 4)]}
    record: Record = {
        "id": _identity(spot, dice),
        **_named(dice),
        "online": dice.chance(0.5),
        "traffic": dice.integer(0, 100),
        "params": parameters or dice.integer(1, 99),
    }
    return spot.thin("experiment", dice, record, "traffic", "online")
