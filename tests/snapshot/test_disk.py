"""The local disk: modes (F73), files that are not regular (F72), folders without end."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from crawler.errors import OutputError
from crawler.snapshot import check_output, disk, limits
from crawler.snapshot.disk import Disk, make_folders, remove_tree, write_file
from tests.support.odd_files import ODD, ends_within, put
from tests.support.snapshot_fakes import write_snapshot


@pytest.fixture
def place(tmp_path):
    """An output whose folder has the set-group-ID bit, as a folder that a group shares."""
    tmp_path.chmod(0o2770)
    opened = Disk(tmp_path, 0o027)
    yield opened
    opened.close_root()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_has_the_set_group_id_bit_of_the_one_above(place, tmp_path):
    """F73: without it, the files of a shared output belong to another group than the folder's."""
    make_folders(place, "a/b")
    write_file(place, "a/b/x", b"x")
    assert (mode(tmp_path / "a"), mode(tmp_path / "a/b"), mode(tmp_path / "a/b/x")) == (0o2750, 0o2750, 0o640)


def test_output_that_preflight_makes_has_the_bit_too(tmp_path):
    """F73"""
    tmp_path.chmod(0o2770)
    check_output(tmp_path / "c/out", umask=0o027)
    assert {mode(tmp_path / path) for path in ("c", "c/out", "c/out/_staging")} == {0o2750}


async def test_every_file_and_folder_of_a_snapshot_has_the_modes_of_the_umask(tmp_path):
    """F73, whatever the process's umask."""
    tmp_path.chmod(0o2770)
    before = os.umask(0o177)
    try:
        await write_snapshot(tmp_path / "out", umask=0o027)
    finally:
        os.umask(before)
    found = {(path.is_dir(), mode(path)) for path in (tmp_path / "out").rglob("*")}
    assert found == {(True, 0o2750), (False, 0o640)}


def test_bit_is_not_put_at_risk_where_the_mode_is_right_already(place, monkeypatch):
    """F73: the kernel takes the bit from a folder whose mode a user outside of the group sets."""
    monkeypatch.setattr(os, "fchmod", lambda fd, mode: pytest.fail("set without need"))
    before = os.umask(0o022)
    try:
        place.make_folder("a")
    finally:
        os.umask(before)


@pytest.mark.parametrize("step", ["make_folder", "create", "open_for_update"])
@pytest.mark.parametrize(("number", "says_modes"), [(errno.EPERM, True), (errno.EOPNOTSUPP, True), (errno.EIO, False)])
def test_file_system_without_modes_is_named_as_that(tmp_path, monkeypatch, step, number, says_modes):
    """F73: the remedy is another file system, which "Operation not permitted" does not say."""

    def refuse(fd, mode):
        raise OSError(number, os.strerror(number))

    opened = Disk(tmp_path)
    monkeypatch.setattr(os, "fchmod", refuse)
    with pytest.raises(OutputError, match=r"can't set the mode of x to 0[67]00: ") as caught:
        getattr(opened, step)("x")
    assert ("keeps no modes" in str(caught.value)) == says_modes
    with pytest.raises(OutputError, match=r"can't set the mode of .*out"):
        check_output(tmp_path / "out")
    opened.close_root()


@pytest.mark.parametrize("kind", ODD)
def test_file_that_is_not_regular_is_refused_by_a_crawl(place, tmp_path, kind):
    """F72"""
    put(tmp_path / "x", kind)
    with (
        ends_within(5),
        pytest.raises(OutputError, match=f"x is {kind}, not a regular file; remove it from {tmp_path}"),
    ):
        place.read("x", 100)


@pytest.mark.parametrize("kind", ODD)
def test_lock_that_is_not_a_regular_file_is_refused(place, tmp_path, kind):
    """F72"""
    put(tmp_path / "lock", kind)
    with ends_within(5), pytest.raises(OutputError, match="lock"):
        place.open_for_update("lock")


@pytest.mark.parametrize("path", ["../x", "a/../../x", "a/./x", "a//x", "..", "/etc"])
def test_path_that_leaves_the_root_is_refused_by_every_step(place, tmp_path, path):
    """T32: names of files come from manifests and journals, which anyone who can write there may have made."""
    (tmp_path / "a").mkdir()
    for step in (
        place.stat,
        place.unlink,
        place.create,
        place.make_folder,
        place.open_for_reading,
        place.remove_folder,
    ):
        with pytest.raises(OutputError, match="is not a path below the output"):
            step(path)


def test_folder_with_too_many_names_or_levels_is_refused(place, tmp_path, monkeypatch):
    """F72"""
    monkeypatch.setattr(disk, "FOLDER_NAMES", 3)
    for name in "abcd":
        (tmp_path / name).touch()
    with pytest.raises(OutputError, match="has more than 3 names"):
        place.names("")
    monkeypatch.setattr(disk, "FOLDER_NAMES", limits.FOLDER_NAMES)
    (tmp_path / "_staging" / "/".join("x" * 100)).mkdir(parents=True)
    with pytest.raises(OutputError, match="_staging/x has folders nested more than 64 deep; remove it"):
        remove_tree(place, "_staging/x")
