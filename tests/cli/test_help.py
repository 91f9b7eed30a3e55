"""Help texts, usage errors and colours: one style in all commands, and no line that is cut."""

from __future__ import annotations

import io
import re
import shlex

import click
import pytest
from click.testing import CliRunner

from crawler.cli import terminal
from crawler.cli.echo import say_error, warn
from crawler.cli.help_texts import EXAMPLES, commands_below
from crawler.cli.main import whole_command
from crawler.cli.options import CommonOptions
from tests.support.commands import acs_inventory
from tests.support.shown_commands import parse
from tests.support.terminals import Terminal, on_screen

ROOT = whole_command()
COMMANDS = dict(commands_below(ROOT))


def help_of(name, width):
    done = CliRunner().invoke(ROOT, [*name.split(), "--help"], terminal_width=width, obj=CommonOptions())
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", COMMANDS)
def test_no_line_of_a_help_text_is_cut(name, width):
    text = help_of(name, width)
    assert "..." not in re.sub(r"\[?[A-Z]+\]?\.\.\.", "", text)
    examples = {f"    {line}" for line in EXAMPLES[name]}
    lines = [line for line in text.splitlines() if line not in examples]
    fixed = {line for line in lines if re.match(r"  (-\w, )?--", line) or line.startswith("Usage: ")}
    assert max(len(line) for line in lines if line not in fixed) <= width


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if isinstance(command, click.Group)])
def test_each_command_has_its_whole_first_sentence_in_the_list_of_commands(name):
    listed = " ".join(help_of(name, 60).split())
    for below in COMMANDS[name].commands.values():
        assert below.short_help in listed
        assert listed.count(f" {below.name} ") >= 1


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_begins_with_a_verb_and_has_an_example(name):
    command = COMMANDS[name]
    if name:
        first = command.short_help.split()[0]
        assert first[0].isupper()
        assert first not in {"The", "A", "All", "Each"}
        assert not first.endswith("s"), "a verb such as List"
    assert f"\n    {EXAMPLES[name][0]}" in help_of(name, 100)


@pytest.mark.parametrize("line", [line for name in COMMANDS for line in EXAMPLES[name]])
def test_each_example_is_a_command_line_that_the_program_takes(line):
    program, *words = shlex.split(re.sub(r'^eval "\$\((.*)\)"$', r"\1", line))
    assert program == "acs-inventory"
    assert parse(words)


def test_examples_are_of_commands_that_exist_or_are_about_to():
    assert EXAMPLES.keys() - COMMANDS.keys() <= {"findings"}


def test_help_of_a_command_is_that_of_its_option(tmp_path):
    for words in (["crawl"], ["snapshots", "prune"], []):
        assert acs_inventory("help", *words, cwd=tmp_path) == acs_inventory(*words, "--help", cwd=tmp_path)
    code, out, err = acs_inventory("help", "tabels", cwd=tmp_path)
    assert (code, out) == (2, "")
    assert "Did you mean 'tables'?" in err
    assert acs_inventory("help", "crawl", "x", cwd=tmp_path)[0] == 2


@pytest.mark.parametrize(
    ("arguments", "said", "see"),
    [
        (["crawl", "--no-such"], "No such option '--no-such'", "See `acs-inventory crawl --help`."),
        (["crawl", "--dry-run"], "No such option '--dry-run'", "`acs-inventory plan` shows what a crawl would do."),
        (["tabels"], "Did you mean 'tables'?", "See `acs-inventory --help`."),
        (["snapshots", "lst"], "Did you mean 'list'?", "See `acs-inventory snapshots --help`."),
        (["diff", "--format", "markdwon"], "Did you mean 'markdown'?", "See `acs-inventory diff --help`."),
        (["export", "--to", "x.csv"], "Missing argument 'TABLE...'.", "See `acs-inventory export --help`."),
        (["crawl", "--shard", "0/2"], "--shard and --run belong together", "See `acs-inventory crawl --help`."),
    ],
)
def test_usage_errors_have_the_style_of_all_errors(tmp_path, arguments, said, see):
    code, out, err = acs_inventory(*arguments, cwd=tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith("acs-inventory: ")
    assert err.count("\n") == 1
    assert said in err
    assert err.endswith(f"{see}\n")
    code, _, err = acs_inventory("--log-format", "json", *arguments, cwd=tmp_path)
    assert (code, len(err.splitlines())) == (2, 1)


def said(stream, monkeypatch):
    monkeypatch.setattr("sys.stderr", stream)
    say_error("a sentence.")
    warn(CommonOptions(), "another one")
    return stream.getvalue()


@pytest.fixture(autouse=True)
def auto(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    yield
    terminal.choose_color("auto")


def test_errors_and_warnings_have_colours_on_a_terminal_only(monkeypatch):
    plain = "acs-inventory: a sentence.\nacs-inventory: warning: another one\n"
    assert said(io.StringIO(), monkeypatch) == plain
    colored = said(Terminal(), monkeypatch)
    assert colored.count("\x1b[1;31m") == colored.count("\x1b[1;33m") == 1
    monkeypatch.setenv("NO_COLOR", "1")
    assert said(Terminal(), monkeypatch) == plain
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert said(Terminal(), monkeypatch) == plain
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in said(io.StringIO(), monkeypatch)


def test_color_option_comes_before_the_environment(tmp_path):
    def out(*arguments, NO_COLOR="", **environ):  # noqa: N803 - the name of the variable
        environ["NO_COLOR"] = NO_COLOR
        return acs_inventory("tables", "fc_functions", *arguments, cwd=tmp_path, env=environ)[1]

    assert "\x1b[" not in out()
    assert "\x1b[" in out("--color", "always")
    assert "\x1b[" in out("--color=always", NO_COLOR="1")
    assert "\x1b[" not in out("--color", "never", FORCE_COLOR="1")
    assert re.sub(r"\x1b\[[0-9;]*m", "", out("--color", "always")) == out()


def test_long_error_is_broken_between_words_on_a_terminal_and_nowhere_else(monkeypatch):
    sentence = "The configuration /a/path/that/is/longer/than/the/line/of/this/terminal/config.toml isn't readable."
    lines = on_screen(monkeypatch, 60, lambda: say_error(sentence), "stderr").splitlines()
    assert lines == ["acs-inventory: The configuration", *sentence.split(" ", 2)[2].split(" ", 1)]
    assert on_screen(monkeypatch, None, lambda: say_error(sentence), "stderr") == f"acs-inventory: {sentence}\n"
