"""The exit code and the words of a command follow from what was done. One place decides; telling can't change it."""

from __future__ import annotations

import errno
import resource
import sys

import pytest

from crawler.cli.exit_state import ExitState, Interrupted
from crawler.cli.options import CommandError
from crawler.errors import (
    ConfigError,
    CredentialsError,
    OutputBusyError,
    OutputError,
    QueryError,
    UnfinishedCommitError,
    UnreachableError,
)
from crawler.snapshot import UnknownSnapshotError

ID = "20261121T020000Z-7f3a"
BROKEN, FULL = OSError(errno.EPIPE, "Broken pipe"), OSError(errno.ENOSPC, "No space left on device")
ERRORS = [
    (ConfigError("x"), 2, 2),
    (UnknownSnapshotError("x"), 2, 2),
    (OutputError("x"), 4, 4),
    (UnfinishedCommitError("x"), 4, 4),
    (OutputBusyError("x"), 11, 11),
    (CredentialsError("x"), 12, 12),
    (UnreachableError("x"), 13, 13),
    (CommandError("x"), 1, 70),
    (QueryError("x"), 1, 70),
    (RuntimeError("x"), 70, 70),
    (MemoryError(), 70, 70),
    (Interrupted(1), 129, 129),
    (Interrupted(2), 130, 130),
    (Interrupted(15), 143, 143),
    (KeyboardInterrupt(), 130, 130),
]


@pytest.mark.parametrize(("error", "code", "where_one_is_an_answer"), ERRORS)
def test_an_error_never_says_damage_or_a_difference(error, code, where_one_is_an_answer):
    """F61: `verify`, `diff` and `doctor` say something by 1, so none of their errors is 1."""
    assert ExitState().code_of(error) == code
    assert ExitState(one_is_an_answer=True).code_of(error) == where_one_is_an_answer
    assert ExitState(is_crawl=True).code_of(error) == (1 if code == 70 else code), "a crawl's 1: nothing is committed"


@pytest.mark.parametrize("error", [error for error, _, _ in ERRORS])
@pytest.mark.parametrize("done", [0, 1, 3])
def test_once_the_code_is_known_no_error_changes_it(error, done):
    """F61: P17."""
    state = ExitState(code=done, is_crawl=True, snapshot_ids=[ID])
    assert state.code_of(error) == done
    for failure in (None, BROKEN, FULL):
        assert state.final_code(state.code_of(error), failure, stdout_is_result=False) == done


@pytest.mark.parametrize(
    ("failure", "is_result", "code"),
    [(None, True, 1), (BROKEN, True, 141), (FULL, True, 4), (None, False, 1), (BROKEN, False, 1), (FULL, False, 1)],
)
def test_a_lost_result_has_a_code_of_its_own(failure, is_result, code):
    """F61: 141 where the reader has gone, 4 where stdout can't be written otherwise."""
    assert ExitState().final_code(1, failure, stdout_is_result=is_result) == code


def test_a_defect_of_a_crawl_says_what_is_committed():
    """F61: after the commit nothing says that nothing was committed."""
    crawling = ExitState()
    crawling.begin_crawl()
    assert crawling.sentence_of(RuntimeError("canary")).endswith("Please report it. Nothing was committed.")
    assert crawling.sentence_of(Interrupted(15)) == "Stopped; nothing was committed."
    crawling.commit(ID)
    for error in (RuntimeError("canary"), MemoryError("canary"), Interrupted(2), KeyboardInterrupt()):
        said = crawling.sentence_of(error)
        assert said.endswith(f"Snapshot {ID} is committed.")
        assert "othing" not in said
        assert "canary" not in said
    assert "committed" not in ExitState().sentence_of(RuntimeError("x")), "a query commits nothing and need not say so"


def test_the_second_crawl_of_a_process_has_a_code_of_its_own():
    state = ExitState()
    state.begin_crawl()
    state.code = 0
    state.commit(ID)
    state.begin_crawl()
    assert state.code_of(Interrupted(2)) == 130
    assert state.sentence_of(Interrupted(2)) == f"Stopped. Snapshot {ID} is committed."


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "ulimit -v"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "ulimit -v"),
        (ImportError("x.so: failed to map segment from shared object"), "ulimit -v"),
        (RuntimeError("can't start new thread"), "ulimit -u"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (ExceptionGroup("x", [ExceptionGroup("y", [MemoryError()])]), "ulimit -v"),
    ],
)
def test_what_the_machine_refuses_is_a_sentence_with_the_limit_to_raise(monkeypatch, error, said):
    """F66."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 30, 1 << 30))
    state = ExitState()
    sentence = state.sentence_of(error)
    assert said in sentence
    assert "defect" not in sentence
    assert state.left_running, "libraries that lack memory may crash when Python ends in order"


def test_a_missing_module_is_no_shortage_where_memory_has_no_limit(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert "Internal error (ImportError): this is a bug." in ExitState().sentence_of(ImportError("x"))


def test_a_path_that_the_locale_can_not_encode_is_bad_input(monkeypatch):
    """F63."""
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    with pytest.raises(UnicodeEncodeError) as caught:
        "/srv/\u5feb".encode("iso-8859-1")
    assert ExitState().code_of(caught.value) == 2
    assert ExitState().sentence_of(caught.value) == (
        "The path '/srv/\\u5feb' can't be encoded in this locale, whose encoding is iso8859-1; set LC_ALL=C.UTF-8."
    )
