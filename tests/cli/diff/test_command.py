"""`diff`: the snapshots that it compares, its exit codes, and its output for people and programs."""

from __future__ import annotations

import json
import re
import sys

import pyarrow as pa
import pytest
from markdown_it import MarkdownIt

from crawler.audit.diff.comparison import Difference, TableChanges
from crawler.cli.diff import markdown as differing_markdown
from crawler.cli.diff import text as differing
from crawler.cli.main import main
from crawler.cli.markdown import code_text
from crawler.emulator.data.seeded import DESCRIPTIONS
from crawler.snapshot import Status
from tests.support.diff_fakes import FIRST, HERE, SECOND, Night, Scope, schema_of, write
from tests.support.hostile_rows import FORMULAS

FIRST_NIGHT, SECOND_NIGHT, THIRD_NIGHT = "20261119T020000Z-00aa", "20261120T020000Z-00bb", "20261121T020000Z-00cc"
SCHEMAS = {
    "fc_functions": schema_of(
        "function_name",
        pa.field("memory_size", pa.int64()),
        pa.field("environment_variables", pa.map_(pa.string(), pa.string())),
    ),
    "fc_layers": schema_of("layer_name"),
}


def night(functions, layers=("common",), status=Status.COMPLETE):
    rows = [{"function_name": name, "memory_size": size} for name, size in functions.items()]
    scopes = [
        Scope(rows, table="fc_functions"),
        Scope([{"layer_name": name} for name in layers], table="fc_layers", account=SECOND, status=status),
    ]
    return Night(SCHEMAS, scopes)


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Three nights: on the second a function came, one went and one changed; on the third an account was denied."""
    folder = tmp_path_factory.mktemp("command") / "snapshots"
    write(folder, FIRST_NIGHT, night({"goes": 128, "stays": 512}))
    write(folder, SECOND_NIGHT, night({"comes": 128, "stays": 1024}))
    write(folder, THIRD_NIGHT, night({"comes": 128, "stays": 1024}, status=Status.DENIED))
    return folder


@pytest.fixture
def run(monkeypatch, capsys):
    """The exit code, stdout and stderr of the command, run in this process."""

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["acs-inventory", "diff", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return command


def test_json_has_the_promised_shape_and_nothing_more(run, output):
    code, out, err = run(FIRST_NIGHT, SECOND_NIGHT, "--output", output, "--json")
    assert (code, err) == (0, "")
    where = {"account_id": FIRST, "region_id": HERE}
    assert json.loads(out) == {
        "from": FIRST_NIGHT,
        "to": SECOND_NIGHT,
        "tables": {
            "fc_functions": {
                "added": [{**where, "function_name": "comes"}],
                "removed": [{**where, "function_name": "goes"}],
                "changed": [
                    {"key": {**where, "function_name": "stays"}, "columns": {"memory_size": [512, 1024]}},
                ],
                "unknown_scopes": [],
            },
            "fc_layers": {"added": [], "removed": [], "changed": [], "unknown_scopes": []},
        },
    }
    assert run(FIRST_NIGHT, SECOND_NIGHT, "--output", output, "--format", "json")[1] == out


@pytest.mark.parametrize(
    ("named", "pair"),
    [
        ((), (SECOND_NIGHT, THIRD_NIGHT)),
        ((FIRST_NIGHT,), (FIRST_NIGHT, THIRD_NIGHT)),
        ((THIRD_NIGHT, FIRST_NIGHT), (THIRD_NIGHT, FIRST_NIGHT)),
        (("latest",), (SECOND_NIGHT, THIRD_NIGHT)),
    ],
)
def test_the_newest_two_are_compared_unless_others_are_named(run, output, named, pair):
    # `latest` is the newest complete snapshot: the second.
    code, out, _ = run(*named, "--output", output, "--json")
    found = json.loads(out)
    assert (code, found["from"], found["to"]) == (0, *pair)


@pytest.mark.parametrize(
    ("pair", "code"),
    [
        pytest.param((SECOND_NIGHT, SECOND_NIGHT), 0, id="the same"),
        pytest.param((FIRST_NIGHT, SECOND_NIGHT), 1, id="different"),
        pytest.param((SECOND_NIGHT, THIRD_NIGHT), 3, id="unknown"),
        pytest.param((FIRST_NIGHT, THIRD_NIGHT), 1, id="different counts for more than unknown"),
    ],
)
@pytest.mark.parametrize("style", ["table", "json", "markdown"])
def test_the_exit_code_tells_where_it_is_asked_to(run, output, pair, code, style):
    assert run(*pair, "--output", output, "--format", style, "--exit-code")[0] == code
    assert run(*pair, "--output", output, "--format", style)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nonsense"], 2, "unknown snapshot ID 'nonsense'"),
        (["../../etc"], 2, "unknown snapshot ID '../../etc'"),
        ([FIRST_NIGHT, "\x1b[31m"], 2, r"unknown snapshot ID '\x1b[31m'"),
        ([THIRD_NIGHT], 2, "is the newest snapshot; give an older one"),
        (["20200101T000000Z-0000"], 2, "has no snapshot 20200101T000000Z-0000"),
        (["--table", "fc_funktions"], 2, "'fc_funktions' matches no table of these snapshots"),
    ],
)
def test_bad_input_is_one_sentence(run, output, arguments, code, said):
    found, out, err = run(*arguments, "--output", output)
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert said in err


def test_a_snapshot_from_the_future_is_older_than_those_of_the_right_clock(run, tmp_path):
    """F96: the default pair isn't the wrong way round after a crawl whose clock was hours ahead."""
    future = "29991120T020000Z-00aa"
    write(tmp_path / "out", future, night({"goes": 128}))
    write(tmp_path / "out", FIRST_NIGHT, night({"comes": 128}))
    assert run("--output", tmp_path / "out")[1].startswith(f"{future} (complete) → {FIRST_NIGHT} (complete)")


def test_one_snapshot_is_not_enough(run, tmp_path):
    write(tmp_path / "one", FIRST_NIGHT, night({}))
    code, out, err = run("--output", tmp_path / "one")
    assert (code, out) == (4, "")
    assert "diff needs two snapshots; " in err
    assert " has only one." in err
    (tmp_path / "none").mkdir()
    assert " has none." in run("--output", tmp_path / "none")[2]


def test_a_file_that_is_damaged_or_gone_is_said_to_be(run, tmp_path):
    for snapshot_id in (FIRST_NIGHT, SECOND_NIGHT):
        write(tmp_path, snapshot_id, night({"a": 1}))
    [part] = tmp_path.glob(f"fc_functions/*/snapshot={SECOND_NIGHT}/**/*.parquet")
    size = part.stat().st_size
    part.write_bytes(b"PAR1 no more")
    code, _, err = run("--output", tmp_path, "--exit-code")
    assert code == 4
    assert f"has 12 bytes, its manifest says {size}; run `snapshots verify {SECOND_NIGHT}`" in err
    part.unlink()
    assert run("--output", tmp_path, "--exit-code")[0] == 4


def test_people_see_counts_changes_and_what_nobody_knows(run, output):
    code, out, _ = run(FIRST_NIGHT, "--output", output)
    assert code == 0
    assert out.startswith(f"{FIRST_NIGHT} (complete) → {THIRD_NIGHT} (partial)")
    assert re.search(r"fc_functions +1 +1 +1 *\n", out)
    assert re.search(r"fc_layers +1 *\n", out)
    assert f"{FIRST} in {HERE}" in out
    assert re.search(r"\+ comes\n +- goes\n +~ stays\n +memory_size +512 → 1024", out)
    assert "Changes unknown: 1 scope\n" in out
    assert "complete → denied" in out
    assert out.splitlines()[-1] == "1 added, 1 removed, 1 changed in 2 tables."


def test_quiet_leaves_the_exit_code(run, output):
    assert run(FIRST_NIGHT, "--output", output, "--quiet", "--exit-code") == (1, "", "")
    assert json.loads(run(FIRST_NIGHT, "--output", output, "--quiet", "--json")[1])["from"] == FIRST_NIGHT


def test_no_difference_is_a_sentence_too(run, output):
    assert run(SECOND_NIGHT, SECOND_NIGHT, "--output", output)[1].endswith("No differences in 2 tables.\n")
    out = run(SECOND_NIGHT, THIRD_NIGHT, "--output", output)[1]
    assert out.endswith("No known differences in 2 tables.\n")


def test_only_the_tables_that_are_asked_for_are_compared(run, output):
    found = json.loads(run(FIRST_NIGHT, "--output", output, "--table", "fc_l*", "--json")[1])
    assert list(found["tables"]) == ["fc_layers"]


HOSTILE = [
    *DESCRIPTIONS,
    *FORMULAS,
    "`",
    "``|`",
    "a|b",
    "[x](http://e.invalid)",
    "![x](y)",
    "<img src=x>",
    "| --- |",
    "\\|",
    "*a* _b_",
]


def hostile_changes():
    where = {"account_id": FIRST, "region_id": HERE}
    found = [
        Difference("changed", {**where, "name": text}, {f"variables.{text}": (text, [text, {"x": text}])})
        for text in HOSTILE
    ]
    return [
        TableChanges("fc_functions", {"changed": len(found)}, found, [], {}, {f"a.{HOSTILE[0]}": "its type differs"})
    ]


def manifests(output):
    from crawler.snapshot import read_manifest

    return read_manifest(output, FIRST_NIGHT), read_manifest(output, SECOND_NIGHT)


def test_nothing_from_data_steers_a_terminal(capsys, output):
    """T26."""
    differing.print_differences(*manifests(output), hostile_changes())
    out = capsys.readouterr().out
    assert [character for character in out if not character.isprintable() and character != "\n"] == []
    assert "<script>alert('inventory')</script>" in out


def test_nothing_from_data_is_markdown(output):
    """T25: each value is the text of one code span, in the cell where it belongs."""
    page = differing_markdown.page(*manifests(output), hostile_changes())
    assert [character for character in page if not character.isprintable() and character != "\n"] == []
    tokens = MarkdownIt("commonmark").enable("table").parse(page)
    kinds = {child.type for token in tokens if token.type == "inline" for child in token.children}
    assert kinds == {"text", "code_inline"}
    assert {token.type for token in tokens} & {"html_block", "fence", "code_block"} == set()
    body = [token for token in tokens if token.type == "inline" and token.level == 4]
    rows = [body[start : start + 6] for start in range(5 + 5 + 6, len(body), 6)]
    shown = [[child.content for cell in row for child in cell.children if child.type == "code_inline"] for row in rows]
    expected = [[code_text(text) for text in _cells(one)] for one in hostile_changes()[0].shown]
    assert sorted(shown) == sorted(expected)


def _cells(difference):
    [(path, (old, new))] = difference.columns.items()
    values = [differing.value_text(value, 200) for value in (old, new)]
    return ["fc_functions", differing.key_text(difference.key, 200), path, *values]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ("null", '"null"'),
        (True, "true"),
        ("true", '"true"'),
        (512, "512"),
        ("512", '"512"'),
        ("-1.5e3", '"-1.5e3"'),
        ("", '""'),
        ("python3.12", "python3.12"),
        ("two words", '"two words"'),
        ("2026-11-21T02:00:00Z", "2026-11-21T02:00:00Z"),
        ("3.10-alpine", "3.10-alpine"),
        ("订单", '"订单"'),
        ({"a": [1, None]}, '{"a": [1, null]}'),
        ("x" * 100, "x" * 79 + "…"),
    ],
)
def test_a_value_can_be_taken_for_no_other(value, text):
    assert differing.value_text(value) == text


def test_every_table_has_its_share_of_what_is_shown():
    where = {"account_id": FIRST, "region_id": HERE}
    few, many = (
        TableChanges(
            table,
            {"added": number},
            [Difference("added", {**where, "name": f"{n}"}) for n in range(number)],
            [],
            {},
            {},
        )
        for table, number in (("few", 3), ("many", 400))
    )
    shown = differing.choose([few, many], 20)
    assert [sum(one.table == table for one in shown) for table in ("few", "many")] == [3, 17]
    assert differing.rest_text([few, many], shown).startswith("… and 383 more;")
    assert differing.rest_text([few], differing.choose([few], 20)) == ""


def test_differences_of_short_lived_resources_are_counted_apart_unless_their_table_is_named(run, tmp_path):
    keys = ("service_name", "function_name", "instance_id")
    schemas = {"fc_layers": schema_of("layer_name"), "fc2_instances": schema_of(*keys)}

    def night_with(layer, instances):
        rows = [{"service_name": "s", "function_name": "f", "instance_id": name} for name in instances]
        return Night(schemas, [Scope([{"layer_name": layer}], table="fc_layers"), Scope(rows, table="fc2_instances")])

    folder = tmp_path / "snapshots"
    write(folder, FIRST_NIGHT, night_with("a", ["c-old-1", "c-old-2"]))
    write(folder, SECOND_NIGHT, night_with("b", ["c-new-1"]))
    for style in ("table", "markdown"):
        code, out, _ = run("--output", folder, "--format", style, "--exit-code")
        assert code == 1
        assert "1 added, 1 removed in 1 table." in out
        assert "3 differences of resources that exist for minutes not listed; --table fc2_instances lists them." in out
        assert "c-new-1" not in out
        mark = "| `" if style == "markdown" else " "
        assert out.index(f"{mark}fc_layers") < out.index(f"{mark}fc2_instances")
    _, out, _ = run("--output", folder, "--table", "fc2_instances")
    assert "c-new-1" in out
    assert "exist for minutes" not in out
    _, out, _ = run("--output", folder, "--json")
    assert [row["instance_id"] for row in json.loads(out)["tables"]["fc2_instances"]["added"]] == ["c-new-1"]
