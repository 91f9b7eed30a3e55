"""F72: only regular files are opened, whatever lies in their place, and only up to a bound."""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from pathlib import Path

import pytest

from crawler.local_files import (
    UnfitFileError,
    expand_home,
    home_folder,
    open_below,
    open_folder,
    open_regular,
    read_at_most,
    reason_of,
    xdg_folder,
)
from tests.support.odd_files import ODD, ends_within, put


def read(fd, limit=100):
    try:
        return read_at_most(fd, limit)
    finally:
        os.close(fd)


@pytest.mark.parametrize("kind", ODD)
def test_file_that_is_not_regular_is_named_by_its_kind_and_never_waited_for(tmp_path, kind):
    """F72"""
    put(tmp_path / "x", kind)
    with ends_within(5), pytest.raises(UnfitFileError, match=f"is {kind}, not a regular file"):
        open_regular(tmp_path / "x")
    with ends_within(5), pytest.raises(UnfitFileError, match=f"is {kind}, not a regular file"):
        open_below(tmp_path, "x")


def test_device_is_refused_and_so_is_a_link_to_one_where_links_may_be():
    with pytest.raises(UnfitFileError, match="is a device"):
        open_regular("/dev/zero")
    link = "/proc/self/fd/0"
    assert os.path.islink(link)
    with pytest.raises(UnfitFileError, match="is a symbolic link"):
        open_regular(link)


def test_link_to_a_regular_file_is_followed_only_where_it_may_be(tmp_path):
    (tmp_path / "x").write_text("content")
    (tmp_path / "link").symlink_to("x")
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "zero").symlink_to("/dev/zero")
    assert read(open_regular(tmp_path / "link", may_be_link=True)) == b"content"
    with pytest.raises(UnfitFileError, match="is a symbolic link"):
        open_regular(tmp_path / "link")
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "lost", may_be_link=True)
    with pytest.raises(UnfitFileError, match="is a device"):
        open_regular(tmp_path / "zero", may_be_link=True)


def test_file_is_read_whole_or_not_at_all(tmp_path):
    """F72: a size that the file system does not know, such as that of a file of /proc, is no way around the bound."""
    (tmp_path / "x").write_bytes(b"x" * 100)
    assert read(open_below(tmp_path, "x")) == b"x" * 100
    with pytest.raises(UnfitFileError, match="is larger than 99 bytes"):
        read(open_below(tmp_path, "x"), 99)
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with ends_within(5), pytest.raises(UnfitFileError, match="is larger than 100 bytes"):
        read(open_below(tmp_path, "huge"))
    assert Path("/proc/self/status").stat().st_size == 0
    assert read(open_regular("/proc/self/status"), 100_000).startswith(b"Name:")
    with pytest.raises(UnfitFileError, match="is larger than 10 bytes"):
        read(open_regular("/proc/self/status"), 10)


@pytest.mark.parametrize("path", ["../x", "a/../../x", "./x", "a//x", "/etc/passwd", "a/."])
def test_path_that_could_leave_its_root_is_refused(tmp_path, path):
    (tmp_path / "root/a").mkdir(parents=True)
    (tmp_path / "x").write_text("")
    with pytest.raises(UnfitFileError, match="is not a path below"):
        open_below(tmp_path / "root", path)


def test_no_link_on_the_way_is_followed_but_the_root_may_be_one(tmp_path):
    (tmp_path / "real/a").mkdir(parents=True)
    (tmp_path / "real/a/x").write_text("content")
    (tmp_path / "root").symlink_to("real")
    (tmp_path / "real/b").symlink_to("a")
    (tmp_path / "real/f").write_text("")
    assert read(open_below(tmp_path / "root", "a/x")) == b"content"
    with pytest.raises(UnfitFileError, match="can't be reached: b is a symbolic link, not a folder"):
        open_below(tmp_path / "root", "b/x")
    with pytest.raises(UnfitFileError, match="can't be reached: f is a file, not a folder"):
        open_folder(tmp_path / "root", "f")
    with pytest.raises(FileNotFoundError):
        open_below(tmp_path / "root", "c/x")


def test_no_descriptor_is_left_open(tmp_path):
    put(tmp_path / "x", "a named pipe")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        for path in ("x", "../x", "y", "x/y"):
            with suppress(OSError):
                open_below(tmp_path, path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_reason_is_a_sentence_for_every_error():
    assert reason_of(UnfitFileError("is a socket")) == "is a socket"
    assert reason_of(PermissionError(13, "x")) == "Permission denied"
    assert reason_of(OSError("no number")) == "OSError"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("~", "/home/ann"),
        ("~/x/~", "/home/ann/x/~"),
        ("~root/x", str(Path(pwd.getpwnam("root").pw_dir) / "x")),
        ("~no-such-user/x", "~no-such-user/x"),
        ("a/~/x", "a/~/x"),
        ("./~", "./~"),
        ("", ""),
    ],
)
def test_a_leading_tilde_is_a_home_folder_as_in_a_shell(path, expected):
    assert expand_home(path, {"HOME": "/home/ann"}) == expected


def test_home_without_a_variable_is_that_of_the_list_of_users_or_none(monkeypatch):
    """F76: a container may run as a user that no list has."""
    assert home_folder({}) == home_folder({"HOME": ""}) == Path("~").expanduser()
    assert home_folder({"HOME": "rel"}) == home_folder({}), "a relative one is another folder in each working directory"

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr("crawler.local_files.pwd.getpwuid", unknown)
    assert home_folder({}) == Path("/nonexistent")


@pytest.mark.parametrize(
    ("given", "expected"), [("/state", "/state"), ("rel/state", "/h/d"), ("", "/h/d"), ("~/s", "/h/d")]
)
def test_relative_xdg_folder_is_ignored(given, expected):
    assert xdg_folder("XDG_STATE_HOME", "d", {"XDG_STATE_HOME": given, "HOME": "/h"}) == Path(expected)
