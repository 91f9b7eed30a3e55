"""Words of wire names and actions: how a name is compared with another one."""

from __future__ import annotations

import re

from crawler.catalog.columns import snake_case

_VERB = re.compile(r"[A-Z][a-z]+(?=[A-Z0-9]|\Z)")


def plain(name: str) -> str:
    """Return a name without case and punctuation, to compare: `next_token` and `NextToken` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def words(name: str) -> list[str]:
    """Return the words of a name in small letters: `rootCaCertBase64` → root, ca, cert, base64."""
    return [word for word in snake_case(name).split("_") if word]


def verb(action: str) -> str:
    """Return the verb of an action: `List` of `ListRoles`."""
    found = _VERB.match(action)
    return found[0] if found else ""


def noun(action: str) -> str:
    """Return an action without its verb: `PoliciesForRole`."""
    return action.removeprefix(verb(action)) or action


def stem(action: str) -> str:
    """Return the plain singular of an action's noun, without a version at its end: `cluster` of DescribeClustersV1."""
    return plain(singular(re.sub(r"V\d+$", "", noun(action))))


def singular(name: str) -> str:
    """Return the last word of a plural in the singular: `policies` → `policy`, `addresses` → `address`."""
    for ending, replacement in (("ies", "y"), ("sses", "ss"), ("ses", "s"), ("xes", "x"), ("ches", "ch")):
        if name.lower().endswith(ending) and len(name) > len(ending) + 1:
            return name[: -len(ending)] + replacement
    return name[:-1] if name.lower().endswith("s") and not name.lower().endswith(("ss", "us")) else name


def camel_case(python: str) -> str:
    """Return a name of Python as a placeholder of letters: `function_name` → `functionName`, `key_2` → `key`."""
    first, *rest = [re.sub(r"[^a-z]", "", part) for part in python.lower().split("_") if part] or [""]
    return first + "".join(part.capitalize() for part in rest)
