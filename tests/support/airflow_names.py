"""Airflow's few names that deploy/airflow uses, so that its files load without Airflow: tasks stay plain functions."""

from __future__ import annotations

import importlib.util
import sys
import types
from dataclasses import dataclass, field
from typing import Any


class FailedError(Exception):
    """AirflowException: another attempt."""


class FailedForGoodError(FailedError):
    """AirflowFailException: no other attempt."""


class SkippedError(Exception):
    """AirflowSkipException."""


@dataclass
class Task:
    """A task as the DAG declares it: function, settings, what it is called or mapped with, what comes after it."""

    function: Any
    settings: dict[str, Any]
    called: tuple[Any, ...] | None = None
    constant: dict[str, Any] = field(default_factory=dict)
    mapped: dict[str, Any] = field(default_factory=dict)
    then: Task | None = None

    def __call__(self, *arguments):
        self.called = arguments
        return self

    def partial(self, **arguments):
        self.constant = arguments
        return self

    def expand(self, **arguments):
        self.mapped = arguments
        return self

    def __rshift__(self, other):
        self.then = other
        return other


def load_dag(path, monkeypatch):
    """Import a DAG's file. Returns the module, the settings of its DAG, and its tasks by name."""
    settings, tasks = {}, {}

    def task(**given):
        def declare(function):
            tasks[function.__name__] = Task(function, given)
            return tasks[function.__name__]

        return declare

    def dag(**given):
        settings.update(given)
        return lambda function: function

    for name, names in {
        "airflow": {},
        "airflow.sdk": {"dag": dag, "task": task},
        "airflow.sdk.exceptions": {
            "AirflowException": FailedError,
            "AirflowFailException": FailedForGoodError,
            "AirflowSkipException": SkippedError,
        },
    }.items():
        module = types.ModuleType(name)
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, settings, tasks
