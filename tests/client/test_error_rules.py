"""The rules file, the project's own and a user's."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from crawler.catalog import load_catalog
from crawler.client.error_rules import CLASSES, load_rules
from crawler.errors import CatalogError, DeniedError, FatalError, ThrottledError, UnsupportedError, VanishedError

ERRORS_TOML = Path(__file__).parents[2] / "schemas" / "errors.toml"
RULES = load_rules(ERRORS_TOML)


def test_every_group_of_the_rules_file_says_where_it_comes_from():
    blocks = ERRORS_TOML.read_text("utf-8").split("\n[[rules]]\n")
    assert len(blocks) - 1 == len(tomllib.loads(ERRORS_TOML.read_text("utf-8"))["rules"]) == len(RULES.rules)
    for before in blocks[:-1]:
        comment = before.rpartition("\n\n")[2]
        assert comment.startswith("#")
        assert "Source:" in comment
        assert "checked 20" in comment


def test_the_rules_file_uses_every_class():
    assert {rule.error for rule in RULES.rules} == set(CLASSES.values())


def test_f90_every_parent_of_a_list_has_codes_that_say_that_it_is_gone():
    """F90: each rule for a gone parent names the parent, and each kind of parent that rows give has a rule."""
    gone = [rule for rule in RULES.rules if rule.error is VanishedError]
    assert all(rule.parents and rule.products for rule in gone)
    catalog = load_catalog()
    for operation in catalog.operations.values():
        bound = {name for parent in operation.parents for name in parent.bind if name in operation.path_parameters}
        kinds = dict(zip(operation.path_parameters, operation.parent_kinds, strict=False))
        for name in bound:
            assert any(operation.product in rule.products and kinds[name] in rule.parents for rule in gone), name


@pytest.fixture
def written(tmp_path):
    def write(text, name="mine.toml"):
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return write


def test_a_users_file_is_asked_first_and_leaves_the_rest(written):
    mine = written(
        '[[rules]]\nclass = "unsupported"\ncodes = ["User.NotActivated", "App[1]*"]\nproducts = ["opensearch"]\n'
        '[[rules]]\nclass = "fatal"\ncodes = ["throttling.?ser"]\nstatuses = [400]\nmessage = "FOR\\\\s+GOOD"\n'
    )
    rules = load_rules(ERRORS_TOML, mine)
    assert rules.error_type("opensearch", "User.NotActivated", "", 400) is UnsupportedError
    assert rules.error_type("opensearch", "App[1].x", "", 400) is UnsupportedError
    assert rules.error_type("opensearch", "App1.x", "", 400) is FatalError
    assert rules.error_type("fc", "User.NotActivated", "", 400) is FatalError
    assert rules.error_type("fc", "Throttling.User", "gone for  good", 400) is FatalError
    assert rules.error_type("fc", "Throttling.User", "gone for good", 429) is ThrottledError
    assert rules.error_type("fc", "Throttling.User", "", 400) is ThrottledError


def test_the_last_file_wins_and_within_a_file_the_first_rule(written):
    first = written('[[rules]]\nclass = "denied"\ncodes = ["X"]\n', "first.toml")
    second = written(
        '[[rules]]\nclass = "vanished"\ncodes = ["X"]\n[[rules]]\nclass = "fatal"\ncodes = ["*"]\n', "second.toml"
    )
    assert load_rules(first, second).error_type("fc", "X", "", 400) is VanishedError
    assert load_rules(second, first).error_type("fc", "X", "", 400) is DeniedError
    assert load_rules().error_type("fc", "X", "", 429) is ThrottledError


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[rule]]\nclass = "fatal"\n', 'rule isn\'t a known key: did you mean "rules"?'),
        ('[[rules]]\nclas = "fatal"\ncodes = ["X"]\n', 'rules[0].clas isn\'t a known key: did you mean "class"?'),
        (
            '[[rules]]\nclass = "throtle"\ncodes = ["X"]\n',
            'rules[0].class is "throtle", but must be a class: did you mean "throttle"?',
        ),
        ('[[rules]]\ncodes = ["X"]\n', "rules[0].class is missing: it must be one of throttle, transient"),
        ('[[rules]]\nclass = 3\ncodes = ["X"]\n', "rules[0].class is 3, but must be one of throttle, transient"),
        ('[[rules]]\nclass = "fatal"\n', "codes is missing: it must be a list of texts, with at least one error code"),
        ('[[rules]]\nclass = "fatal"\ncodes = [""]\n', "at least one error code"),
        ('[[rules]]\nclass = "fatal"\ncodes = "X"\n', 'codes is "X", but must be a list of texts'),
        (
            '[[rules]]\nclass = "fatal"\ncodes = ["X"]\nstatuses = [true]\n',
            "statuses[0] is true, but must be a list of whole numbers",
        ),
        (
            '[[rules]]\nclass = "fatal"\ncodes = ["X"]\nproducts = [1]\n',
            "products[0] is 1, but must be a list of texts",
        ),
        (
            '[[rules]]\nclass = "fatal"\ncodes = ["X"]\nmessage = 1\n',
            "message is 1, but must be text: a regular expression",
        ),
        (
            '[[rules]]\nclass = "fatal"\ncodes = ["X"]\nmessage = "("\n',
            'message is "(", but must be a regular expression: missing )',
        ),
        ("rules = 3\n", "rules is 3, but must be a list of tables, each under [[rules]]"),
        ("[[rules]\n", "not a readable TOML file"),
    ],
)
def test_a_malformed_file_is_refused_with_its_name_and_what_is_known(written, text, says):
    path = written(text)
    with pytest.raises(CatalogError) as caught:
        load_rules(ERRORS_TOML, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)


def test_a_missing_or_unreadable_file_is_refused_with_its_name(tmp_path):
    with pytest.raises(CatalogError, match=r"none\.toml: not a readable TOML file: No such file"):
        load_rules(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    with pytest.raises(CatalogError, match=r"latin\.toml: not a readable TOML file"):
        load_rules(tmp_path / "latin.toml")
