"""A disk that loses power: it records all operations, and replays them without some that weren't flushed.

Each operation on names (a folder made, a file created, moved or removed) either reached the disk or didn't, in any
order. It is certain once the folder that it adds to or removes from was flushed; a move, once its target folder was.
Content is certain up to the last flush of its file; beyond that, any of it may be missing or zeros.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crawler.snapshot.disk import Disk
from crawler.snapshot.layout import parent


@dataclass
class Content:
    """The bytes written to a file since it was made, and how many of them were flushed."""

    data: bytearray = field(default_factory=bytearray)
    flushed: int = 0


@dataclass
class Step:
    """One operation on names."""

    kind: str
    path: str
    to: str = ""
    content: Content | None = None

    @property
    def folders(self) -> set[str]:
        """Return the folders whose flush makes the step certain: for a move, the target folder."""
        return {parent(self.to or self.path)}


Record = tuple[str, object]


class RecordingDisk(Disk):
    """Does all operations except flushing, and records them in order. It ignores the lock."""

    def __init__(self, root: Path) -> None:
        self.records: list[Record] = []
        self._contents: dict[int, Content] = {}
        super().__init__(root)

    def make_folder(self, path):
        made = super().make_folder(path)
        if made:
            self.records.append(("step", Step("mkdir", path)))
        return made

    def create(self, path):
        fd = super().create(path)
        content = self._contents[fd] = Content()
        self.records.append(("step", Step("create", path, content=content)))
        return fd

    def write(self, fd, path, data):
        super().write(fd, path, data)
        self.records.append(("write", (self._contents[fd], bytes(data))))

    def fsync(self, fd, path):
        self.records.append(("flush", self._contents[fd]))

    def fsync_folder(self, path):
        assert self.is_folder(path), path
        self.records.append(("flush_folder", path))

    def rename(self, source, destination):
        super().rename(source, destination)
        self.records.append(("step", Step("rename", source, destination)))

    def link(self, source, destination):
        made = super().link(source, destination)
        if made:
            self.records.append(("step", Step("link", source, destination)))
        return made

    def unlink(self, path):
        if self.has(path):
            super().unlink(path)
            self.records.append(("step", Step("unlink", path)))

    def remove_folder(self, path):
        if self.has(path):
            super().remove_folder(path)
            self.records.append(("step", Step("rmdir", path)))


@dataclass
class Loss:
    """The disk at one moment: certain content, and operations that may be lost."""

    sure: list[bool]
    steps: list[Step]
    sizes: dict[int, tuple[int, int]]

    @property
    def open_steps(self) -> list[int]:
        """Return the steps that may be lost."""
        return [number for number, is_sure in enumerate(self.sure) if not is_sure]


def losses(records: Sequence[Record]) -> Iterator[Loss]:
    """Yield the disk after each number of records, from none to all. `sizes`: by content, (flushed, written) bytes."""
    steps: list[Step] = []
    sure: list[bool] = []
    sizes: dict[int, tuple[int, int]] = {}
    yield Loss([], [], {})
    for kind, what in records:
        if kind == "step":
            steps.append(what)
            sure.append(False)
        elif kind == "write":
            content, data = what
            flushed, written = sizes.get(id(content), (0, 0))
            sizes[id(content)] = flushed, written + len(data)
        elif kind == "flush":
            written = sizes.get(id(what), (0, 0))[1]
            sizes[id(what)] = written, written
        else:
            for number, step in enumerate(steps):
                if not sure[number] and moved(what, steps[number:]) & step.folders:
                    _make_sure(number, steps, sure)
        yield Loss(list(sure), list(steps), dict(sizes))


def _make_sure(number: int, steps: Sequence[Step], sure: list[bool]) -> None:
    """Make a step certain, with the steps that it depends on: a removed folder was empty, a moved file had been made,
    and a new name didn't exist before.
    """
    sure[number] = True
    step = steps[number]
    for earlier in reversed(range(number)):
        before = steps[earlier]
        if step.kind == "rmdir":
            needed = before.kind in ("unlink", "rmdir") and before.path.startswith(f"{step.path}/")
        elif step.kind in ("rename", "link"):
            needed = step.path in (before.path, before.to)
        else:
            needed = before.path == step.path
        if needed and not sure[earlier]:
            _make_sure(earlier, steps, sure)


def moved(folder: str, since: Sequence[Step]) -> set[str]:
    """Return the names that a folder had since these steps began: it or a folder above may have been renamed."""
    names = {folder}
    for step in reversed(since):
        if step.kind == "rename":
            names |= {step.path + name.removeprefix(step.to) for name in names if f"{name}/".startswith(f"{step.to}/")}
    return names


def fill_in(records: Sequence[Record]) -> None:
    """Fill each content with all bytes ever written to it."""
    for kind, what in records:
        if kind == "write":
            content, data = what
            content.data += data


def choices(loss: Loss, dice: random.Random, at_most: int) -> Iterator[set[int]]:
    """Yield sets of steps to lose: none, all, each alone, all but each, and random ones; without repetition."""
    may = loss.open_steps
    wanted: list[set[int]] = [set(), set(may)]
    wanted += [{one} for one in may] + [set(may) - {one} for one in may]
    wanted += [{one for one in may if dice.random() < 0.5} for _ in range(at_most)]
    known: set[frozenset[int]] = set()
    for lost in wanted:
        if frozenset(lost) not in known and len(known) < at_most:
            known.add(frozenset(lost))
            yield lost


def replay(base: Path, to: Path, loss: Loss, lost: set[int], cut: Callable[[int, int], tuple[int, int]]) -> Path:
    """Return the output after the power is back. A step on a lost file is lost, too.

    `cut` returns, for (flushed, written) bytes, how many exist and how many of these aren't zeros.
    """
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(base, to, copy_function=os.link, ignore=shutil.ignore_patterns("lock"))
    for number, step in enumerate(loss.steps):
        if number in lost:
            continue
        path = to / step.path
        match step.kind:
            case "mkdir" if path.parent.is_dir() and not path.exists():
                path.mkdir()
            case "create" if path.parent.is_dir() and not path.exists():
                path.write_bytes(_content(step, loss, cut))
            case "unlink" if path.is_file():
                path.unlink()
            case "rmdir" if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
            case "rename" if path.exists() and (to / step.to).parent.is_dir():
                _move(path, to / step.to)
            case "link" if path.exists() and (to / step.to).parent.is_dir() and not (to / step.to).exists():
                os.link(path, to / step.to)
    return to


def _move(path: Path, target: Path) -> None:
    if target.is_dir() and any(target.iterdir()):
        return
    path.rename(target)


def _content(step: Step, loss: Loss, cut: Callable[[int, int], tuple[int, int]]) -> bytes:
    assert step.content is not None
    flushed, written = loss.sizes.get(id(step.content), (0, 0))
    if flushed == written:
        return bytes(step.content.data[:written])
    there, real = cut(flushed, written)
    return bytes(step.content.data[:real]) + bytes(there - real)


# Possible states of bytes that weren't flushed: missing, all there, only the length there, half of them.
CUTS: tuple[Callable[[int, int], tuple[int, int]], ...] = (
    lambda flushed, written: (flushed, flushed),
    lambda flushed, written: (written, written),
    lambda flushed, written: (written, flushed),
    lambda flushed, written: ((flushed + written) // 2,) * 2,
)
