"""The reader of SDK packages: both generations of generated code, installed and as a wheel, and hostile ones."""

from __future__ import annotations

import importlib
import zipfile

import pytest

from crawler.catalog.sdk import open_package
from crawler.catalog.sdk.check import tree_of
from crawler.errors import ConfigError
from crawler.extras import install_command
from tests.support.sdk_packages import TRAP, Call, install, package_files, wheel

ANSWER = {
    "Roles": {"Role": [{"RoleName": ("str", "The name.\nIt is unique."), "Size": "int", "Labels": "Dict[str, str]"}]},
    "IsTruncated": "bool",
    "Any": "Any",
    "Plain": "dict",
    "Names": "List[List[str]]",
    "Rate": "float",
}
LIST_ROLES = Call(
    "ListRoles",
    ANSWER,
    query={"Marker": ("str", "The marker."), "Name": ("str", "The name.\nThis parameter is required.")},
)
SET_ROLE = Call(
    "SetRole", {"RequestId": "str"}, body={"Name": "str"}, path="/roles/{role_name}/x", method="PUT", style="ROA"
)


@pytest.fixture(params=["new", "old"])
def is_new(request):
    return request.param == "new"


@pytest.fixture(params=["installed", "wheel"])
def opened(request, tmp_path, monkeypatch):
    """Open a package that has these files."""

    def open_it(files):
        if request.param == "wheel":
            return open_package(str(wheel(tmp_path / "shop-1.2.3-py3-none-any.whl", files)))
        install(tmp_path, files)
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
        return open_package("alibabacloud-shop20200101")

    return open_it


def test_an_operation_is_read_whole(opened, is_new):
    sdk = opened(package_files([LIST_ROLES, SET_ROLE], is_new=is_new))
    assert (sdk.package, sdk.version, sdk.product, sdk.rule) == (
        "alibabacloud_shop20200101",
        "1.2.3",
        "shop",
        "regional",
    )
    assert sdk.api_version == "2020-01-01"
    assert sdk.hosts == {"cn-hangzhou": "shop.cn-hangzhou.aliyuncs.com", "cn-beijing": "shop.cn-beijing.aliyuncs.com"}
    assert list(sdk.calls) == ["ListRoles", "SetRole"]
    call = sdk.calls["ListRoles"]
    assert (call.method, call.style, call.path, call.version) == ("POST", "RPC", "/", "2020-01-01")
    assert {name: found.is_required for name, found in call.query.items()} == {"Marker": False, "Name": True}
    assert call.query["Marker"].comment == "The marker."
    assert tree_of(call.answer) == {
        "Roles": {"Role": [{"RoleName": "string", "Size": "integer", "Labels": {"*": "string"}}]},
        "IsTruncated": "boolean",
        "Any": "json",
        "Plain": {"*": "json"},
        "Names": [["string"]],
        "Rate": "number",
    }
    role = call.answer.named["Roles"].node.named["Role"].node.item
    assert role.named["RoleName"].comment == "The name.\nIt is unique."
    other = sdk.calls["SetRole"]
    assert (other.path, other.path_parameters) == ("/roles/{role_name}/x", ("role_name",))
    assert (list(other.body), other.has_whole_body, list(other.query)) == (["Name"], False, [])


def test_a_query_that_is_the_whole_model_has_all_its_fields(tmp_path):
    call = Call("ListRoles", ANSWER, query={"Marker": "str", "Name": "str"}, whole_query=True)
    sdk = open_package(str(wheel(tmp_path / "a.whl", package_files([call]))))
    assert list(sdk.calls["ListRoles"].query) == ["Marker", "Name"]


def test_a_product_without_a_map_of_hosts_has_none(tmp_path):
    sdk = open_package(str(wheel(tmp_path / "a.whl", package_files([LIST_ROLES], hosts={}, rule="central"))))
    assert (sdk.hosts, sdk.rule) == ({}, "central")


def test_a_request_through_a_products_gateway_is_marked(tmp_path):
    sdk = open_package(str(wheel(tmp_path / "a.whl", package_files([Call("ListRoles", ANSWER, sends="execute")]))))
    assert sdk.calls["ListRoles"].is_own_gateway


@pytest.mark.parametrize("action", ["DescribeClustersV1", "DescribeSSL", "DescribeUserLOA"])
def test_a_method_without_an_underscore_before_its_ending_is_read(tmp_path, action):
    """The generator writes `describe_clusters_v1with_options`."""
    files = package_files([Call(action, ANSWER)])
    files["client.py"] = files["client.py"].replace("_with_options(", "with_options(")
    assert list(open_package(str(wheel(tmp_path / "a.whl", files))).calls) == [action]


# --- models that don't end ---

LOOP = """
class Folder(DaraModel):
    def __init__(self, name: str = None, folders: List[main_models.Folder] = None):
        self.name = name
        self.folders = folders

    def from_map(self, m=None):
        if m.get('name') is not None:
            self.name = m.get('name')
        if m.get('folders') is not None:
            self.folders = m.get('folders')
"""


def test_a_model_that_contains_itself_ends_as_json(tmp_path):
    call = Call("ListFolders", {"Folders": "List[main_models.Folder]"})
    sdk = open_package(str(wheel(tmp_path / "a.whl", package_files([call], more_models=LOOP))))
    folder = sdk.calls["ListFolders"].answer.named["Folders"].node.item
    assert tree_of(folder) == {"name": "string", "folders": ["json"]}
    assert folder.named["folders"].node.item.is_cut


def doubling(levels):
    """Return models whose tree has twice as many nodes at each level."""
    text = ""
    for level in range(levels):
        kind = f"main_models.M{level + 1}" if level + 1 < levels else "str"
        text += (
            f"class M{level}(DaraModel):\n    def __init__(self, a: {kind} = None, b: {kind} = None):\n"
            "        self.a = a\n        self.b = b\n\n    def from_map(self, m=None):\n"
            "        if m.get('a') is not None:\n            self.a = m.get('a')\n"
            "        if m.get('b') is not None:\n            self.b = m.get('b')\n\n"
        )
    return text


def count(tree):
    return 1 + sum(count(found) for found in (tree.values() if isinstance(tree, dict) else []))


def test_a_tree_that_doubles_at_each_level_ends(tmp_path):
    call = Call("ListAll", {"All": "main_models.M0"})
    sdk = open_package(str(wheel(tmp_path / "a.whl", package_files([call], more_models=doubling(35)))))
    assert 10_000 < count(tree_of(sdk.calls["ListAll"].answer)) < 100_000


def test_lists_in_lists_end(tmp_path):
    kind = "List[" * 60 + "str" + "]" * 60
    sdk = open_package(str(wheel(tmp_path / "a.whl", package_files([Call("ListAll", {"All": kind})]))))
    node, depth = sdk.calls["ListAll"].answer.named["All"].node, 0
    while node.item is not None:
        node, depth = node.item, depth + 1
    assert node.is_cut
    assert depth < 60


# --- packages that are none ---


def refused(name):
    with pytest.raises(ConfigError) as caught:
        open_package(str(name)).calls  # noqa: B018
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_package_is_a_sentence():
    assert refused("alibabacloud_no1") == (
        f"the SDK package alibabacloud_no1 isn't installed; run: {install_command('alibabacloud-no1')}"
    )
    assert refused("no_such_sdk").startswith("the SDK package no_such_sdk isn't installed; name an installed package")


@pytest.mark.parametrize("name", ["", "..", "a b", "-rf", "x" * 300, "a\x1b[31m"])
def test_a_name_that_none_can_have_is_refused(name):
    assert "isn't the name of a package; name an installed package" in refused(name)


def test_an_installed_package_that_is_no_sdk_is_refused():
    assert "isn't an official SDK: it has no client.py with a class Client" in refused("click")


@pytest.mark.parametrize("metadata", [None, b"", b"Name: x\n", b"Version: \xff\n", b"Version: a b\n"])
def test_an_installed_package_without_a_version_is_refused(tmp_path, monkeypatch, metadata):
    install(tmp_path, package_files([LIST_ROLES]))
    [described] = tmp_path.glob("*.dist-info/METADATA")
    described.unlink() if metadata is None else described.write_bytes(metadata)
    monkeypatch.syspath_prepend(tmp_path)
    expected = "the SDK package alibabacloud_shop20200101 is damaged: its METADATA has no version"
    assert refused("alibabacloud-shop20200101") == expected


def test_the_version_is_missing_also_where_a_backport_of_importlib_metadata_was_loaded(tmp_path, monkeypatch):
    """It answers for all distributions once it is imported, as OpenTelemetry and Dask do, and has errors of its own."""
    import importlib_metadata

    install(tmp_path, package_files([LIST_ROLES]))
    [described] = tmp_path.glob("*.dist-info/METADATA")
    described.unlink()
    monkeypatch.syspath_prepend(tmp_path)
    [found] = importlib_metadata.distributions(name="alibabacloud-shop20200101", path=[str(tmp_path)])
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: found)
    expected = "the SDK package alibabacloud_shop20200101 is damaged: its METADATA has no version"
    assert refused("alibabacloud-shop20200101") == expected


def test_a_missing_wheel_is_a_sentence(tmp_path):
    assert refused(tmp_path / "x.whl").endswith("x.whl can't be read: No such file or directory")
    assert "can't be read: is a folder" in refused(f"{tmp_path}/")


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "x.whl").write_bytes(b"no archive")
    assert refused(tmp_path / "x.whl").endswith("isn't a wheel: it can't be read as a zip archive")


def test_a_wheel_without_one_client_is_refused(tmp_path):
    files = package_files([LIST_ROLES])
    path = wheel(tmp_path / "x.whl", {"setup.py": ""})
    assert "isn't a wheel of an official SDK: it has no one PACKAGE/client.py" in refused(path)
    with zipfile.ZipFile(wheel(path, files), "a") as archive:
        archive.writestr("second/client.py", "")
    assert "it has no one PACKAGE/client.py" in refused(path)


def test_a_wheel_without_a_version_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        archive.writestr("shop/client.py", "")
    assert "its METADATA has no version" in refused(tmp_path / "x.whl")


def test_a_wheels_files_outside_of_its_folder_are_never_written_or_read(tmp_path):
    path = wheel(tmp_path / "x.whl", package_files([LIST_ROLES]))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../outside/client.py", TRAP)
        archive.writestr("/absolute/client.py", TRAP)
        archive.writestr("alibabacloud_shop20200101/models/../../evil.py", TRAP)
    assert list(open_package(str(path)).calls) == ["ListRoles"]
    assert [found.name for found in tmp_path.iterdir()] == ["x.whl"]


def test_a_file_that_grows_when_it_is_unpacked_is_refused(tmp_path):
    files = package_files([LIST_ROLES]) | {"client.py": "#" * (33 << 20)}
    path = wheel(tmp_path / "x.whl", files)
    assert path.stat().st_size < 1 << 20
    assert refused(path).endswith("client.py is larger than 32 MB")


def test_a_damaged_member_is_refused(tmp_path):
    path = wheel(tmp_path / "x.whl", package_files([LIST_ROLES]))
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("alibabacloud_shop20200101/client.py")
    start = info.header_offset + 30 + len(info.filename)
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)
    assert "client.py can't be read" in refused(path)


@pytest.mark.parametrize("text", ["class Client(:", "x = '\0'", "x = " + "(" * 5000, "x = " + "-" * 100_000 + "1"])
def test_a_client_that_is_no_python_is_refused(tmp_path, text):
    path = wheel(tmp_path / "x.whl", package_files([LIST_ROLES]) | {"client.py": text})
    assert "alibabacloud_shop20200101/client.py isn't Python that can be parsed" in refused(path)


def test_models_that_are_no_python_are_refused(tmp_path):
    files = package_files([LIST_ROLES])
    path = wheel(tmp_path / "x.whl", files | {"models/_list_roles_response.py": "class ("})
    with pytest.raises(ConfigError, match=r"models/_list_roles_response.py isn't Python that can be parsed"):
        open_package(str(path)).calls["ListRoles"].answer  # noqa: B018


def test_a_model_that_is_missing_is_a_type_of_its_name(tmp_path):
    call = Call("ListRoles", {"Roles": ["main_models.Nowhere"]})
    sdk = open_package(str(wheel(tmp_path / "x.whl", package_files([call]))))
    assert tree_of(sdk.calls["ListRoles"].answer) == {"Roles": ["Nowhere"]}
