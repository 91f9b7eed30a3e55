"""`config init`, `config check` and `config schema`."""

from __future__ import annotations

import json
import os
import re
import tomllib

import pytest

from crawler.config.example import example_text
from tests.support.commands import acs_inventory

KEYS = {"PROD_ACCESS_KEY_ID": "LTAI0001", "PROD_ACCESS_KEY_SECRET": "canary"}


def test_init_writes_the_example_for_this_user_only_and_never_over_a_file(tmp_path):
    code, out, err = acs_inventory("config", "init", cwd=tmp_path)
    assert (code, err) == (0, "")
    assert "acs-inventory config check\n" in out
    path = tmp_path / "config.toml"
    assert path.read_text() == example_text()
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("mine")
    code, _, err = acs_inventory("config", "init", cwd=tmp_path)
    assert code == 2
    assert "config.toml already exists; name another path with --to, or use --overwrite" in err
    assert path.read_text() == "mine"
    path.chmod(0o644)
    code, out, _ = acs_inventory("config", "init", "--overwrite", cwd=tmp_path)
    assert (code, path.read_text(), path.stat().st_mode & 0o777) == (0, example_text(), 0o600)
    code, out, _ = acs_inventory("config", "init", "--to", "other.toml", cwd=tmp_path)
    assert (code, (tmp_path / "other.toml").exists()) == (0, True)
    assert "acs-inventory config check --config other.toml\n" in out
    code, out, _ = acs_inventory("config", "init", "--to", "-", cwd=tmp_path)
    assert (code, out) == (0, example_text())
    assert sorted(os.listdir(tmp_path)) == ["config.toml", "other.toml"]


def test_example_in_the_help_of_init_works_for_a_user_without_any_folder(tmp_path):
    """The file of all working folders needs an absolute output: the next steps say so, and name no --config."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    path = home / ".config" / "acs-inventory" / "config.toml"
    env = {**KEYS, "HOME": str(home), "XDG_CONFIG_HOME": ""}
    code, out, err = acs_inventory("config", "init", "--to", str(path), cwd=elsewhere, env=env)
    assert (code, err, path.read_text()) == (0, "", example_text())
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert "Set [output] uri: an absolute path or the URI of a bucket." in out
    assert "acs-inventory config check\n" in out
    code, out, _ = acs_inventory("config", "check", cwd=elsewhere, env=env)
    assert (code, "write an absolute path" in out) == (1, True)
    path.write_text(re.sub(r"(?m)^# uri = .*", f'uri = "{home}/snapshots"', example_text(), count=1))
    assert acs_inventory("config", "check", cwd=elsewhere, env=env)[0] == 0
    code, _, err = acs_inventory("config", "init", "--to", "gone/config.toml", cwd=elsewhere, env=env)
    assert (code, "gone is not a folder" in err) == (2, True)


def test_example_of_init_is_valid_with_its_two_variables(tmp_path):
    acs_inventory("config", "init", cwd=tmp_path)
    code, out, err = acs_inventory("config", "check", cwd=tmp_path, env=KEYS)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == str(tmp_path / "config.toml")
    assert "1 account, 53 tables, into " in out
    code, out, _ = acs_inventory("config", "check", cwd=tmp_path)
    assert code == 1
    assert "needs the environment variable PROD_ACCESS_KEY_ID, which isn't set" in out


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[crawl]\nconcurency = 1", 'did you mean "concurrency"?'),
        ('[crawl]\ntables = ["fc_funktions"]', "did you mean 'fc_functions'"),
        ('[crawl]\ndetails = ["nope"]', "'nope'"),
        ("[rate_limits]\nfd = { rate = 1 }", "names no product"),
        ('[tls]\nca_file = "gone.pem"', "a file that can be read"),
        ("this isn't TOML", "isn't TOML"),
    ],
)
def test_check_finds_what_a_crawl_would_refuse(tmp_path, text, problem):
    (tmp_path / "mine.toml").write_text(f'{text}\n[[accounts]]\nid = "1000000000000001"\n')
    code, out, _ = acs_inventory("config", "check", "-c", "mine.toml", "--json", cwd=tmp_path)
    value = json.loads(out)
    assert (code, value["is_valid"], value["path"]) == (1, False, str(tmp_path / "mine.toml"))
    assert problem in value["problems"][0]
    assert acs_inventory("config", "check", "-c", "mine.toml", cwd=tmp_path)[0] == 1


def test_check_without_a_file_is_wrong_usage(tmp_path):
    for arguments in ((), ("--config", "gone.toml")):
        code, out, err = acs_inventory("config", "check", *arguments, cwd=tmp_path)
        assert (code, out) == (2, "")
        assert err.startswith("acs-inventory: ")


def test_check_names_the_output_that_the_command_line_gives(tmp_path):
    (tmp_path / "mine.toml").write_text('[[accounts]]\nid = "1000000000000001"\n')
    code, out, _ = acs_inventory("config", "check", "-c", "mine.toml", "-o", "s3://bucket/x", "--json", cwd=tmp_path)
    assert (code, json.loads(out)["output"]) == (0, "s3://bucket/x")


def test_schema_is_printed_and_written_beside_the_example_whose_first_line_names_it(tmp_path):
    code, out, _ = acs_inventory("config", "schema", cwd=tmp_path)
    assert (code, json.loads(out)["title"]) == (0, "Configuration of acs-inventory")
    name = example_text().splitlines()[0].removeprefix("#:schema ./")
    assert acs_inventory("config", "schema", "--to", name, cwd=tmp_path)[:2] == (0, "")
    assert (tmp_path / name).read_text() == out
    assert tomllib.loads(example_text())
