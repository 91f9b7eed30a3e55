"""Reads the units of deploy/systemd as systemd does, as far as the tests need."""

from __future__ import annotations

import configparser


def unit(path):
    """A unit's sections: key → its last value."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str
    parser.read_string(path.read_text())
    return {section: dict(parser.items(section)) for section in parser.sections()}
