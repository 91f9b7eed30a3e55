"""Parses fault rules from TOML or JSON. Errors name the rule, the problem, and the accepted values."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from typing import Any, get_args, get_type_hints

import orjson

from crawler.emulator.faults import effects
from crawler.emulator.faults.effects import Effect
from crawler.errors import ConfigError

EFFECTS: Mapping[str, type[Effect]] = {
    "throttle": effects.Throttle,
    "error": effects.Error,
    "echo": effects.Echo,
    "deny": effects.Deny,
    "delay": effects.Delay,
    "drop": effects.Drop,
    "refuse": effects.Refuse,
    "truncate": effects.Truncate,
    "body": effects.Body,
    "html": effects.HtmlFault,
    "slow": effects.Slow,
    "redirect": effects.Redirect,
    "repeat-token": effects.RepeatToken,
    "page": effects.PageFault,
}
GLOBS = ("account", "region", "product", "action")
SELECTORS = (*GLOBS, "page", "nth", "times", "effect")


def read_rules(text: str, source: str) -> list[dict[str, Any]]:
    """Return the validated fields of each rule of a script. Raises `ConfigError`."""
    try:
        found = orjson.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (orjson.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{source} is neither TOML nor a JSON object: {error}.") from None
    unknown = sorted(set(found) - {"rules"})
    if unknown:
        raise ConfigError(f'{source}: unknown key "{unknown[0]}"; a script has [[rules]] only.')
    rules = found.get("rules", [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise ConfigError(f"{source}: rules is a list of tables, each starting with [[rules]].")
    return [_read(rule, f"{source}, rule {number}") for number, rule in enumerate(rules, start=1)]


def _read(rule: Mapping[str, Any], where: str) -> dict[str, Any]:
    name = rule.get("effect")
    kind = EFFECTS.get(name) if isinstance(name, str) else None
    if kind is None:
        keys = get_close_matches("effect", [key for key in rule if key not in SELECTORS], n=1)
        if keys and "effect" not in rule:
            raise ConfigError(f'{where}: unknown key "{keys[0]}"; did you mean "effect"?')
        found = (
            f"is {name!r}{_nearest(name, tuple(EFFECTS))}"
            if isinstance(name, str)
            else f"is missing; known are {', '.join(EFFECTS)}."
        )
        raise ConfigError(f"{where}: effect {found}")
    own = {key: value for key, value in rule.items() if key not in SELECTORS}
    for key in GLOBS:
        _require(isinstance(rule.get(key, ""), str), where, key, "text, a glob")
    times = rule.get("times")
    _require(times is None or (_is_integer(times) and times >= 1), where, "times", "an integer from 1")
    return {
        "effect": _effect(kind, own, where),
        **{key: rule[key] for key in GLOBS if key in rule},
        **{key: _numbers(rule, key, where) for key in ("page", "nth")},
        "times": times,
    }


def _effect(kind: type[Effect], own: Mapping[str, Any], where: str) -> Effect:
    hints = get_type_hints(kind)
    values = {}
    for key, value in own.items():
        if key not in hints:
            raise ConfigError(f'{where}: unknown key "{key}"{_nearest(key, (*hints, *SELECTORS))}')
        is_text = hints[key] is bytes and isinstance(value, str)
        values[key] = value.encode() if is_text else value
        _require(_fits(values[key], hints[key]), where, key, _accepted(hints[key]))
    missing = [item.name for item in fields(kind) if item.default is MISSING and item.name not in values]
    if missing:
        raise ConfigError(f"{where}: {missing[0]} is missing; it is {_accepted(hints[missing[0]])}.")
    return kind(**values)


def _numbers(rule: Mapping[str, Any], key: str, where: str) -> tuple[int, ...]:
    found = rule.get(key, [])
    numbers = found if isinstance(found, list) else [found]
    _require(all(_is_integer(number) and number >= 1 for number in numbers), where, key, "an integer from 1, or a list")
    return tuple(numbers)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _fits(value: object, hint: Any) -> bool:
    if hint is object:
        return True
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    if hint is int or hint == int | None:
        return _is_integer(value)
    choices = get_args(hint)
    return value in choices if choices else isinstance(value, hint)


def _accepted(hint: Any) -> str:
    named = {float: "seconds, 0 or more", int: "an integer", str: "text", bytes: "text", bool: "true or false"}
    return named.get(hint) or ("an integer" if hint == int | None else " or ".join(map(repr, get_args(hint))))


def _require(is_valid: bool, where: str, key: str, accepted: str) -> None:
    if not is_valid:
        raise ConfigError(f"{where}: {key} is {accepted}.")


def _nearest(key: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(key, known, n=1)
    return f'; did you mean "{near[0]}"?' if near else f"; known are {', '.join(known)}."
