"""Layouts of candle files: how vendors, brokers and the exchange name and order their columns, one file each.

Belongs here: finding the layout that a file has. Does not belong here: what is particular to one (the modules beside
this one), reading bytes (``reading.py``), judging rows (``candle_files.py``).

A layout is a module of this package with ``NAME``, ``recognises(names, sample)``, ``as_rows(rows)``, which gives the
columns the names of ``candle_files.KNOWN_COLUMNS``, and ``identity(path)``: the symbol or key that a path of this
layout names, or None. Every module of this package is found. At most one may recognise a file; ``plain`` is tried last.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Protocol, cast

from setbull_pipelines.sources.raw_rows import RawRows

Sample = Sequence[Mapping[str, str | None]]
_LAST = "plain"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d|\d{9,19}(?:\.\d+)?$")


class Layout(Protocol):
    """What a module of this package offers."""

    NAME: str

    def recognises(self, names: Sequence[str], sample: Sample) -> bool:
        """Whether a file with these columns, in lower case, and these first rows is of this layout."""

    def as_rows(self, rows: RawRows) -> RawRows:
        """The rows under the names of candle files; raises UnreadableFile for what cannot be used."""

    def identity(self, path: str) -> str | None:
        """The symbol or key that the path of such a file names."""


@cache
def all_layouts() -> tuple[Layout, ...]:
    """The layouts by name, the general one last."""
    names = sorted(
        (module.name for module in pkgutil.iter_modules(__path__)),
        key=lambda name: (name == _LAST, name),
    )
    return tuple(cast(Layout, module) for module in map(_module, names))


def modules() -> list[ModuleType]:
    """The modules of the layouts, whose code decides what was read."""
    return [cast(ModuleType, layout) for layout in all_layouts()]


def begins_with_a_moment(sample: Sample, column: str) -> bool:
    """Whether values without names can be a candle's: the first is a moment, or nothing is there to contradict."""
    first = (sample[0].get(column) or "") if sample else ""
    return not sample or bool(_MOMENT.match(first))


def layout_of(rows: RawRows) -> Layout | None:
    """The layout of a file; None where it holds no candles."""
    names, sample = rows.names, rows.sample()
    for layout in all_layouts():
        if layout.recognises(names, sample):
            return layout
    return None


def identities(path: str) -> tuple[str, ...]:
    """All that any layout finds in a path: files with equal bytes and different ones are read apart."""
    return tuple(sorted({found for layout in all_layouts() if (found := layout.identity(path))}))


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")
