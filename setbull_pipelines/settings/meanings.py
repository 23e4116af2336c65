"""What settings mean, in the words that stand beside them in the source.

Belongs here: reading these words, for ``docs/settings.md`` and ``setbull settings``. Does not belong here: the words,
laying them out.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple, get_type_hints

from setbull_pipelines.settings.declaring import words_of


class Setting(NamedTuple):
    """One setting of a group as a reader sees it."""

    name: str
    default: Any
    allowed: str
    meaning: str


def settings_of(group: Any) -> list[Setting]:
    """The settings of a group with the values of ``group``, in the order of the source."""
    types = get_type_hints(type(group), include_extras=True)
    words = _words_beside(sys.modules[type(group).__module__])[type(group).__name__]
    return [
        Setting(item.name, getattr(group, item.name), words_of(types[item.name]), words[item.name])
        for item in dataclasses.fields(group)
    ]


def purpose_of(group: Any) -> str:
    """What a group of settings is for."""
    return inspect.cleandoc(type(group).__doc__ or "")


def reader_of(group: Any) -> str:
    """Who reads a group: the name of its module."""
    return type(group).__module__.rpartition(".")[2]


@cache
def _words_beside(module: ModuleType) -> dict[str, dict[str, str]]:
    """The text that stands alone after each attribute of each class, on one line."""
    found: dict[str, dict[str, str]] = {}
    for made in ast.parse(inspect.getsource(module)).body:
        if isinstance(made, ast.ClassDef):
            found[made.name] = {
                attribute.target.id: " ".join(words.value.value.split())
                for attribute, words in zip(made.body, made.body[1:], strict=False)
                if isinstance(attribute, ast.AnnAssign)
                and isinstance(attribute.target, ast.Name)
                and isinstance(words, ast.Expr)
                and isinstance(words.value, ast.Constant)
                and isinstance(words.value.value, str)
            }
    return found
