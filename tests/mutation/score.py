"""Prints the results of the last `mutmut run` by module, as a table: `python tests/mutation/score.py`.

equivalent.toml lists each mutant that no test can tell from the code, by its change, with the reason. Fails if a mutant
wasn't run, if fewer than nine in ten of a module's other mutants were killed, or if equivalent.toml names one that
isn't there or was killed.
"""

from __future__ import annotations

import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import orig_function_and_class_names_from_key

EQUIVALENT = Path(__file__).with_name("equivalent.toml")
LEAST_SHARE = 0.9
# A run of the tests detects a mutant that ends its process or never ends.
KILLED = {"killed", "timeout", "segfault"}


@dataclass(frozen=True)
class Change:
    """A mutant, identified by its change; blanks and line ends don't count."""

    where: str
    was: str
    becomes: str


def change_of(path: Path, mutant: str) -> Change:
    function, cls = orig_function_and_class_names_from_key(mutant)
    lines = get_diff_for_mutant(mutant, path=path).splitlines()[2:]  # without the names of files
    sides = (" ".join(" ".join(line[1:] for line in lines if line[:1] == sign).split()) for sign in "-+")
    return Change(f"{path}: {cls + '.' if cls else ''}{function}", *sides)


def reasons() -> dict[Change, str]:
    entries = tomllib.loads(EQUIVALENT.read_text())["equivalent"]
    return {Change(entry["where"], entry["was"], entry["becomes"]): entry["reason"] for entry in entries}


def main() -> int:
    known, found, problems = reasons(), set(), []
    print("| module | mutants | killed | equivalent | survived | score |\n| --- | --- | --- | --- | --- | --- |")
    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        counts: Counter[str] = Counter()
        for mutant, code in data.exit_code_by_key.items():
            status = "killed" if status_by_exit_code[code] in KILLED else status_by_exit_code[code]
            change = None if status == "killed" else change_of(path, mutant)
            if change in known:
                status = "equivalent"
                found.add(change)
            elif change is not None:
                problems.append(f"{status}: {change.where}\n  - {change.was}\n  + {change.becomes}")
            counts[status] += 1
        total, others = counts.total(), counts.total() - counts["equivalent"]
        share = counts["killed"] / others if others else 1.0
        left = others - counts["killed"]
        print(f"| `{path}` | {total} | {counts['killed']} | {counts['equivalent']} | {left} | {share:.1%} |")
        if share < LEAST_SHARE or counts["not checked"]:
            problems.insert(0, f"{path}: fewer than {LEAST_SHARE:.0%} were killed, or some weren't run")
    stale = [
        f"no such survivor: {change.where}\n  - {change.was}\n  + {change.becomes}" for change in known.keys() - found
    ]
    print(*problems, *stale, sep="\n", file=sys.stderr)
    return 1 if stale or any("fewer than" in problem for problem in problems) else 0


if __name__ == "__main__":
    sys.exit(main())
