"""`catalog scaffold` as a user runs it: the files, the text, the refusals, and the tables in the other commands."""

from __future__ import annotations

import json
import re
import stat

import pytest

from tests.support import command_server
from tests.support.commands import ENVIRON, acs_inventory
from tests.support.sdk_packages import TRAP, Call, package_files, wheel

SHOPS = Call("ListShops", {"Shops": [{"ShopId": "str", "Secret": "str"}]}, query={"RegionId": "str"})
CARTS = Call("ListCarts", {"Carts": [{"CartId": "str"}]}, query={"ShopId": ("str", "This parameter is required.")})


@pytest.fixture
def scaffold(tmp_path):
    """Run the command on a package of these calls in an empty folder; return the code and both outputs."""
    (tmp_path / "sdk").mkdir()
    path = wheel(tmp_path / "sdk" / "shop-1.2.3-py3-none-any.whl", package_files([SHOPS, CARTS]))

    def run(*arguments, package=str(path), env=None):
        return acs_inventory("catalog", "scaffold", package, *arguments, cwd=tmp_path, env=env)

    return run


def test_all_lists_of_a_package_are_written_and_the_next_steps_are_told(scaffold, tmp_path):
    code, out, err = scaffold()
    assert (code, err) == (0, "")
    folder = tmp_path / "tables" / "shop" / "2020-01-01"
    assert sorted(found.name for found in folder.iterdir()) == ["carts.toml", "product.toml", "shops.toml"]
    marks = sum(found.read_text().count("# check:") for found in folder.iterdir())
    assert f"the {marks} marked lines (`# check:`)" in out
    assert "extra = [" in out
    for command in re.findall(r"acs-inventory .*--config FILE", out):
        assert "shop_shops" in command
    assert stat.S_IMODE((folder / "product.toml").stat().st_mode) & 0o600 == 0o600


def test_the_tables_are_known_to_other_commands_with_a_warning_of_their_marks(scaffold, tmp_path):
    scaffold("ListShops", "--to", "mine")
    config = tmp_path / "config.toml"
    config.write_text('[[accounts]]\nid = "1000000000000001"\n[catalog]\nextra = ["mine"]\n')
    code, out, err = acs_inventory("tables", "shop_shops", "--config", "config.toml", cwd=tmp_path)
    assert code == 0
    assert "string secret" in out
    assert re.search(r"mine/shop/2020-01-01/shops\.toml: \d+ values are marked `# check:`", err)
    code, out, _ = acs_inventory("policy", "--table", "shop_shops", "--config", "config.toml", cwd=tmp_path)
    assert (code, "shop:ListShops" in out) == (0, True)


def test_a_named_operation_brings_its_parent_and_a_program_gets_json(scaffold, tmp_path):
    code, out, _ = scaffold("ListCarts", "--json")
    assert code == 0
    value = json.loads(out)
    assert value["tables"] == ["shop_carts", "shop_shops"]
    assert value["added"] == ["shop_shops"]
    assert value["files"] == ["product.toml", "carts.toml", "shops.toml"]
    assert (value["package"], value["version"]) == ("alibabacloud_shop20200101", "1.2.3")
    assert value["folder"] == "tables/shop/2020-01-01"
    assert value["kept"] == []


def test_a_file_that_exists_is_replaced_only_if_the_user_says_so(scaffold, tmp_path):
    scaffold("ListShops")
    file = tmp_path / "tables" / "shop" / "2020-01-01" / "shops.toml"
    first = file.read_bytes()
    file.write_text("mine")
    code, out, err = scaffold("ListShops")
    assert (code, out) == (2, "")
    assert err == "acs-inventory: tables/shop/2020-01-01/shops.toml exists already; --overwrite replaces it\n"
    assert file.read_text() == "mine"
    code, _, _ = scaffold("ListShops", "--overwrite")
    assert (code, file.read_bytes()) == (0, first)


def test_one_table_more_keeps_the_product_that_a_person_has_confirmed(scaffold, tmp_path):
    scaffold("ListShops")
    product = tmp_path / "tables" / "shop" / "2020-01-01" / "product.toml"
    product.write_text(re.sub(" # check:.*", "", product.read_text()))
    before = product.read_bytes()
    (product.parent / "shops.toml").rename(tmp_path / "shops.toml")
    code, out, _ = scaffold("ListCarts")
    assert code == 0
    assert product.read_bytes() == before
    assert "Kept, since it exists: product.toml" in out


def test_overwrite_replaces_only_what_is_named(scaffold, tmp_path):
    """F151: what a person has confirmed isn't lost by one table more."""
    scaffold()
    folder = tmp_path / "tables" / "shop" / "2020-01-01"
    for name in ("product.toml", "shops.toml", "carts.toml"):
        (folder / name).write_text("mine")
    assert scaffold("ListCarts", "--overwrite")[0] == 0
    assert [(folder / name).read_text() == "mine" for name in ("product.toml", "shops.toml", "carts.toml")] == [
        True,
        True,
        False,
    ]
    assert scaffold("--overwrite")[0] == 0
    assert not any(found.read_text() == "mine" for found in folder.iterdir())


def test_a_parent_that_exists_is_kept_and_only_the_table_is_added(scaffold, tmp_path):
    scaffold("ListShops")
    parent = tmp_path / "tables" / "shop" / "2020-01-01" / "shops.toml"
    parent.write_text(parent.read_text().replace(" # check: found by names", ""))
    before = parent.read_bytes()
    code, _, _ = scaffold("ListCarts")
    assert code == 0
    assert parent.read_bytes() == before
    assert (parent.parent / "carts.toml").exists()


def test_nothing_is_written_through_a_link_or_into_a_file(scaffold, tmp_path):
    (tmp_path / "tables").write_text("a file")
    code, _, err = scaffold("ListShops")
    assert code == 2
    assert "tables/shop/2020-01-01 can't be written" in err
    target = tmp_path / "target.toml"
    target.write_text("other")
    folder = tmp_path / "more" / "shop" / "2020-01-01"
    folder.mkdir(parents=True)
    (folder / "shops.toml").symlink_to(target)
    assert scaffold("ListShops", "--to", "more")[0] == 2
    assert scaffold("ListShops", "--to", "more", "--overwrite")[0] == 0
    assert target.read_text() == "other"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ListShop",), "has no action 'ListShop'; did you mean ListShops?"),
        (("DescribeNothing",), "has no action 'DescribeNothing'"),
    ],
)
def test_a_wrong_action_is_one_sentence_and_exit_2(scaffold, arguments, message):
    code, out, err = scaffold(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("package", ["no-such-sdk", "click", "missing.whl", "../x", "a\x1b[31m"])
def test_what_is_no_sdk_package_is_one_sentence_and_exit_2(scaffold, package):
    code, out, err = scaffold(package=package)
    assert (code, out) == (2, "")
    assert "\x1b" not in err
    assert 1 <= err.count("\n") <= 3


def test_nothing_of_the_package_is_run(scaffold, tmp_path):
    assert TRAP in package_files([SHOPS])["client.py"]
    assert scaffold()[0] == 0


@pytest.mark.parametrize("width", [60, 120])
def test_the_text_fits_a_terminal(scaffold, width, tmp_path):
    """A line that may be copied isn't broken, however long it is."""
    package = next((tmp_path / "sdk").iterdir())
    environ = {**ENVIRON, "HOME": str(tmp_path), "COLUMNS": str(width), "TERM": "xterm"}
    code, screen = command_server.on_terminal(["catalog", "scaffold", package], cwd=tmp_path, env=environ)
    assert code == 0
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen).replace("\r\n", "\n").split("\n")
    assert max(len(line) for line in lines if not line.startswith("   ")) <= width
    assert any(line.strip() == "acs-inventory crawl --table shop_shops --config FILE" for line in lines)
    assert any("to confirm" in line for line in lines)
