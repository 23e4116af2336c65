"""Which dataclasses of a room can be changed once they are made.

Belongs here: finding them. Does not belong here: which of them may be (the tests of each room).
"""

from __future__ import annotations

from dataclasses import is_dataclass
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType


def changeable(room: ModuleType) -> set[str]:
    """Module and name of the dataclasses of ``room`` that are not frozen, without the room's own name."""
    prefix = f"{room.__name__}."
    names = [module.name for module in walk_packages(room.__path__, prefix)]
    return {
        f"{name.removeprefix(prefix)}.{value.__name__}"
        for name in names
        for value in vars(import_module(name)).values()
        if isinstance(value, type) and is_dataclass(value) and value.__module__ == name
        if not value.__dataclass_params__.frozen
    }
