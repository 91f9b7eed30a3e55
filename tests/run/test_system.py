"""The machine's parts: the folders of the user's state, in surroundings that name them oddly or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.run.system import System

HOME = Path("/home/ann")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/var/state", "/var/state/acs-inventory"),
        ("", "/home/ann/.local/state/acs-inventory"),
        ("rel/state", "/home/ann/.local/state/acs-inventory"),
        ("./state", "/home/ann/.local/state/acs-inventory"),
    ],
)
def test_state_folder_is_that_of_xdg_unless_it_is_relative(given, expected):
    """F77: the key of a relative folder would be another one in each working folder."""
    assert System(environ={"XDG_STATE_HOME": given}, home=HOME).state_folder == Path(expected)
    assert System(environ={}, home=HOME).state_folder == HOME / ".local/state/acs-inventory"


def test_user_without_a_home_has_a_system_all_the_same(monkeypatch):
    """F76: a container may run as a user that no list has, without HOME."""

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("crawler.local_files.pwd.getpwuid", unknown)
    assert System(environ={}).home == Path("/nonexistent")
