"""Files of a lake have the modes of `[output] umask`, whatever the umask of the process (T14)."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from crawler.snapshot import LakeSettings
from crawler.snapshot.lake.modes import output_umask
from tests.support.lakes import FORMATS, Local
from tests.support.snapshot_fakes import NEW, OLD

OWN_FOLDERS = ("_iceberg", "_delta_log", "_lake")


@pytest.fixture(params=[0o000, 0o077])
def process_umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def lake_paths(root):
    """Return the folders that only lakes make, with everything below them."""
    tops = [path for path in root.rglob("*") if path.name in OWN_FOLDERS]
    return [path for top in tops for path in (top, *top.rglob("*"))]


@pytest.mark.parametrize("kind", FORMATS)
async def test_every_file_of_a_lake_has_the_mode_of_the_output(tmp_path, kind, process_umask):
    """T14: the log, the catalog, the metadata and the record; neither open to others nor closed to the group."""
    lake = Local(kind, tmp_path / "out", umask=0o027)
    await lake.crawl(OLD)
    await lake.crawl(NEW)
    found = lake_paths(lake.root)
    assert len(found) > 4
    for path in found:
        assert stat.S_IMODE(path.stat().st_mode) & 0o777 == (0o750 if path.is_dir() else 0o640), path
    assert os.umask(process_umask) == process_umask


@pytest.mark.parametrize(("kind", "above"), [("iceberg", "_iceberg"), ("delta", "fc_functions")])
async def test_the_group_of_a_folder_is_passed_on_as_mkdir_does(tmp_path, kind, above):
    """T14: the group that may read the output gets the folders of the lake, too."""
    lake = Local(kind, tmp_path / "out", umask=0o027)
    (lake.root / above).mkdir(parents=True)
    (lake.root / above).chmod(0o2750)
    await lake.crawl()
    below = [path for path in (lake.root / above).rglob("*") if path.is_dir() and "_date=" not in str(path)]
    assert below
    assert all(path.stat().st_mode & stat.S_ISGID for path in below)


def test_two_lakes_at_once_do_not_mix_their_umasks(tmp_path):
    """T14: the process has one umask, which the second block gets after the first."""
    before = os.umask(0o022)
    seen, inside, may_end = [], threading.Event(), threading.Event()

    def first():
        with output_umask(LakeSettings("delta", tmp_path, umask=0o077)):
            inside.set()
            may_end.wait(10)
            (tmp_path / "first").touch(0o666)

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(10)
    second = threading.Thread(target=lambda: seen.append(touch_second(tmp_path)))
    second.start()
    may_end.set()
    thread.join()
    second.join()
    assert stat.S_IMODE((tmp_path / "first").stat().st_mode) == 0o600
    assert seen == [0o660]
    assert os.umask(before) == 0o022


def touch_second(folder):
    with output_umask(LakeSettings("delta", folder, umask=0o007)):
        (folder / "second").touch(0o666)
    return stat.S_IMODE((folder / "second").stat().st_mode)
