"""The sweeps know every boundary of the product, so that a new one cannot be forgotten."""

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Protocol

import pytest
from sqlalchemy import Connection

import anb
import anb_worker
from anb.jobs import Jobs
from anb.storage import Storage
from tests.faults import crashes, steps


def methods(port: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(port, inspect.isfunction) if not name.startswith("_")} - {
        name for name, _ in inspect.getmembers(Protocol, inspect.isfunction)
    }


def modules(package: ModuleType) -> list[ModuleType]:
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [
        importlib.import_module(each.name)
        for each in found
        if "migrations" not in each.name and not each.name.endswith("__main__")
    ]


def fills_a_transaction(function: object) -> bool:
    if not inspect.isfunction(function):
        return False
    first = next(iter(inspect.signature(function).parameters.values()), None)
    return first is not None and first.annotation is Connection


def transactions() -> set[str]:
    """Every public function of the product whose first argument is a connection."""
    return {
        f"{module.__name__}.{name}"
        for package in (anb, anb_worker)
        for module in modules(package)
        for name, function in vars(module).items()
        if not name.startswith("_") and fills_a_transaction(function) and function.__module__ == module.__name__
    }


@pytest.mark.parametrize(
    ("port", "known", "harmless"),
    [
        (Storage, steps.STORAGE_STEPS, steps.STORAGE_HARMLESS),
        (Jobs, steps.JOBS_STEPS, steps.JOBS_HARMLESS),
    ],
)
def test_every_method_of_a_port_is_a_step_or_harmless(port, known, harmless):
    assert methods(port) == {*known, *harmless}


def test_every_transaction_is_a_step_or_listed_with_a_reason():
    known = {f"{module}.{name}" for module, names in steps.COMMITS.items() for name in names}
    elsewhere = {
        name for name in transactions() if any(f"{name}.".startswith(f"{e}.") for e in steps.COMMITS_ELSEWHERE)
    }

    assert transactions() == known | elsewhere


def test_the_sweeps_let_a_process_die_at_every_step():
    assert {(step.name, step.side) for step in crashes.EVERY} == set(steps.all_steps())
