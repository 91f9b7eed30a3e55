"""One mistake has one exit code in every command: an unknown snapshot, table, account or file is 2."""

from __future__ import annotations

import pytest

from tests.support.commands import acs_inventory, emulated

UNKNOWN = "20200101T000000Z-0000"
SQL = "SELECT 1"

# Arguments of each command that reads a snapshot; SNAPSHOT stands for its name.
BY_SNAPSHOT = [
    ["query", SQL, "--snapshot", "SNAPSHOT"],
    ["export", "fc_layers", "--to", "x.csv", "--snapshot", "SNAPSHOT"],
    ["report", "--to", "x.html", "--snapshot", "SNAPSHOT"],
    ["snapshots", "show", "SNAPSHOT"],
    ["snapshots", "verify", "SNAPSHOT"],
    ["diff", "SNAPSHOT", "latest"],
    ["diff", "latest", "SNAPSHOT"],
]
# TABLE stands for the name of a table.
BY_TABLE = [
    ["query", "FROM TABLE"],
    ["export", "TABLE", "--to", "x.csv"],
    ["diff", "--table", "TABLE"],
    ["tables", "TABLE"],
    ["policy", "--table", "TABLE"],
]
CRAWLS = ["crawl", "plan"]
READERS = [
    ["query", SQL],
    ["export", "fc_layers", "--to", "x.csv"],
    ["report", "--to", "x.html"],
    ["diff"],
    ["snapshots", "list"],
    ["snapshots", "show", "latest"],
    ["snapshots", "verify"],
    ["snapshots", "prune", "--keep-last", "1"],
    ["snapshots", "watch"],
]
BY_CONFIG = [["crawl"], ["plan"], ["doctor"], ["snapshots", "commit", "x"], *READERS]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with a configuration of a served cloud, and two snapshots in `out`."""
    folder = tmp_path_factory.mktemp("mistakes")
    with emulated(folder, "", ["--accounts", "1"]) as config:
        lines = [line for line in config.read_text().splitlines() if not line.startswith(("tables", "regions"))]
        text = "\n".join(lines).replace("[crawl]\n", '[crawl]\ntables = ["fc_layers"]\nregions = ["cn-hangzhou"]\n')
        config.write_text(text)
        for _ in range(2):
            assert acs_inventory("crawl", "--config", config, "--output", folder / "out", cwd=folder)[0] == 0
        yield folder, config


def refused(arguments, folder, *named):
    """Run a command that is a mistake: exit code 2, nothing on stdout, one sentence that names what is wrong."""
    code, out, err = acs_inventory(*arguments, cwd=folder)
    assert (code, out) == (2, ""), (code, out, err)
    sentence = err.strip().splitlines()[-1]
    for name in named:
        assert name in err, err
    assert len(err.strip().splitlines()) == 1 or err.startswith("Usage:"), err
    return sentence


def ids(arguments):
    return " ".join(map(str, arguments))


@pytest.mark.parametrize("arguments", BY_SNAPSHOT, ids=ids)
@pytest.mark.parametrize("name", [UNKNOWN, "nonsense"])
def test_an_unknown_snapshot(site, arguments, name):
    given = [name if argument == "SNAPSHOT" else argument for argument in arguments]
    refused([*given, "--output", "out"], site[0], name)


@pytest.mark.parametrize("arguments", BY_TABLE, ids=ids)
def test_an_unknown_table(site, arguments):
    given = [argument.replace("TABLE", "fc_nonsense") for argument in arguments]
    place = [] if given[0] in {"tables", "policy"} else ["--output", "out"]
    refused([*given, *place], site[0], "fc_nonsense")


@pytest.mark.parametrize("command", CRAWLS)
@pytest.mark.parametrize(
    ("option", "value"), [("--account", "1000000000009999"), ("--region", "xx-nowhere"), ("--table", "fc_nonsense")]
)
def test_an_unknown_part_of_the_cloud(site, command, option, value):
    refused([command, "--config", site[1], option, value, "--quiet"], site[0], value)


@pytest.mark.parametrize("arguments", BY_CONFIG, ids=ids)
def test_a_configuration_that_is_missing(site, arguments):
    refused([*arguments, "--config", "nofile.toml"], site[0], "nofile.toml")


@pytest.mark.parametrize("arguments", READERS, ids=ids)
def test_an_output_that_is_missing(site, arguments):
    refused([*arguments, "--output", "nowhere"], site[0], "nowhere")


@pytest.mark.parametrize(
    "arguments", [["export", "fc_layers", "--to", "nodir/x.csv"], ["report", "--to", "nodir/x.html"]], ids=ids
)
def test_a_file_in_a_folder_that_is_missing(site, arguments):
    refused([*arguments, "--output", "out"], site[0], "nodir")


@pytest.mark.parametrize("option", ["--nonsense"])
@pytest.mark.parametrize("arguments", [*BY_CONFIG, *BY_TABLE, ["demo"], ["emulate"]], ids=ids)
def test_an_unknown_option(site, arguments, option):
    refused([*arguments, option], site[0], option)
