"""T21, F02, F43: any bytes from outside have a documented result.

`corpus` holds the seeds and the inputs that once failed; each file is tried on every run.
"""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.fuzz_targets import CORPUS, ROOT, TARGETS

SEEDS = {name: sorted((CORPUS / name).iterdir()) for name in TARGETS}
# Texts that break parsers, inserted anywhere.
SNIPPETS = [
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"9" * 400,
    b"1e999",
    b"[" * 100,
    b'{"a":',
    b"null",
    b'""',
    b"${",
    b"\r\n",
]


@pytest.mark.parametrize(
    "path", [path for seeds in SEEDS.values() for path in seeds], ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_the_corpus_is_read_or_refused(path):
    """T21, F02, F43."""
    TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_a_corpus():
    assert all(len(seeds) >= 3 for seeds in SEEDS.values())


@st.composite
def mutated(draw, name):
    """A file of the corpus with a few pieces cut out, doubled or put in."""
    data = draw(st.sampled_from(SEEDS[name])).read_bytes()
    for _ in range(draw(st.integers(1, 4))):
        first, second = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        piece = draw(st.sampled_from([b"", data[first:second][:200] * 2, *SNIPPETS]) | st.binary(max_size=8))
        data = data[:first] + piece + data[min(second, first + draw(st.integers(0, 12))) :]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_like_the_corpus_is_read_or_refused(name):
    """T21, F02, F43."""

    @settings(max_examples=examples(60))
    @given(mutated(name))
    def run(data):
        TARGETS[name](data)

    run()


HOSTILE = """
import sys; sys.path[:0] = ["."]
from tests.support.fuzz_targets import TARGETS
for name, data in [
    ("page", b'\\0{"functions":' + b"[" * 10**6),
    ("page", b'\\0{"functions":[' + b'{"a":' * 10**6),
    ("page", b'\\0{"functions":[{"functionName":"a",' + b",".join(b'"k%d":1' % n for n in range(2 * 10**4)) + b"}]}"),
    ("page", b'\\0{"functions":[{"functionName":"a","memorySize":' + b"9" * 10**5 + b"}]}"),
    ("page", b'\\0{"functions":[{"functionName":"a","x":"' + b"\\\\" * 10**6),
    ("error", b"\\0\\0" + b"[" * 10**6),
    ("error", b"\\0\\0" + b'{"Code":' * 10**6),
    ("error", b"\\1\\0" + b'{"Code":"' + b"a" * 10**7 + b'"}'),
    ("headers", b"9" * 10**6 + b"\\n" + b"TimeLeft:1," * 10**5),
    ("manifest", b'{"format":' * 10**6),
    ("config", b"a = " + b"[" * 10**5),
]:
    TARGETS[name](data)
"""


def test_what_is_beyond_all_measure_is_refused_soon():
    """T21: a depth of a million, names by ten thousands, 10^5 digits; 30 s of CPU for all together."""
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (30, 30)),
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.trust
@pytest.mark.parametrize("name", TARGETS)
def test_two_minutes_of_coverage_guided_fuzzing_find_nothing(name, tmp_path):
    """T21, F02, F43: atheris, two minutes a target."""
    done = subprocess.run(
        [sys.executable, "tests/support/fuzz_targets.py", name, "120", str(tmp_path), str(CORPUS / name)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={
            "PYTHONPATH": ":".join(path for path in sys.path if path),
            "PATH": "/usr/bin:/bin",
            "TMPDIR": str(tmp_path),
        },
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "number_of_executed_units" in done.stderr
