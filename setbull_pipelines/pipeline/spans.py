"""Rows of several days in memory: read once, given day by day or together, and results taken apart by day.

Belongs here: slices of what was read, which days one call of a step can compute, which instruments it cannot. Does not
belong here: calling the step (``computing``), which partitions a day needs (``windows``).

One call for several days gives each of them the rows of a call of its own, for one of two reasons. A day follows from
its own rows alone. Or the windows of the days begin with the same session and values run from there: a later bar
changes no earlier one. Where prices or key of an instrument change between the days, only
those days go together that see the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from setbull_pipelines.pipeline.choosing import Chosen
from setbull_pipelines.pipeline.windows import Windows
from setbull_pipelines.settings import Settings

Outputs = tuple[pd.DataFrame, ...]


class Rows:
    """The windows of some days, read once, of some instruments or of all (None)."""

    def __init__(
        self, windows: Windows, days: Collection[date], instruments: Collection[str] | None
    ) -> None:
        self._windows = windows
        self._frames = {
            item.table.name: windows.read(item, days, instruments) for item in windows.step.inputs
        }
        # Partitions follow each other in the order of their sessions.
        self._days = {name: _days_of(frame) for name, frame in self._frames.items()}

    def __len__(self) -> int:
        return sum(map(len, self._frames.values()))

    def between(self, first: date, last: date) -> dict[str, pd.DataFrame]:
        """By table, the rows from the beginning of the window of ``first`` to ``last``."""
        found = {}
        for item, start in zip(self._windows.step.inputs, self._windows.starts(first), strict=True):
            name = item.table.name
            frame, days = self._frames[name], self._days[name]
            begin = np.searchsorted(days, np.datetime64(start, "D"))
            end = np.searchsorted(days, np.datetime64(last, "D"), side="right")
            is_all = begin == 0 and end == len(frame)
            found[name] = frame if is_all else frame.iloc[begin:end].reset_index(drop=True)
        return found

    def on(self, day: date) -> int:
        """Rows of the day itself."""
        moment = np.datetime64(day, "D")
        bounds = [np.searchsorted(days, [moment, moment + 1]) for days in self._days.values()]
        return int(sum(end - begin for begin, end in bounds))


def rows_of_windows(
    frames: Mapping[str, pd.DataFrame], days: Sequence[date], windows: Windows
) -> Iterator[tuple[date, Counter[str]]]:
    """How many of the rows, which are in the order of their days, are in the window of each day, by table."""
    own = {name: _days_of(frame) for name, frame in frames.items()}
    for day in days:
        last = np.datetime64(day, "D")
        found = Counter()
        for item, start in zip(windows.step.inputs, windows.starts(day), strict=True):
            name = item.table.name
            end = np.searchsorted(own[name], last, side="right")
            found[name] = int(end - np.searchsorted(own[name], np.datetime64(start, "D")))
        yield day, found


def by_day(outputs: Outputs, days: Sequence[date]) -> list[Outputs]:
    """The rows of each of ``days``, in the order given; those of other days are left out."""
    of_tables = []
    for frame in outputs:
        own = _days_of(frame)
        order = np.argsort(own, kind="stable")
        wanted = np.array(days, "datetime64[D]")
        begins = np.searchsorted(own[order], wanted)
        ends = np.searchsorted(own[order], wanted, side="right")
        sorted_frame = frame.take(order)
        of_tables.append(
            [
                sorted_frame.iloc[begin:end].reset_index(drop=True)
                for begin, end in zip(begins, ends, strict=True)
            ]
        )
    return list(zip(*of_tables, strict=True))


def of_days(outputs: Outputs, days: Sequence[date]) -> Outputs:
    """The rows of ``days``, in the order that they have."""
    wanted = np.array(days, "datetime64[D]")
    found = []
    for frame in outputs:
        chosen = np.isin(_days_of(frame), wanted)
        found.append(frame if chosen.all() else frame[chosen])
    return tuple(found)


def days_with_rows(outputs: Outputs) -> set[date]:
    """The days that have a row in any of the frames."""
    return {day for frame in outputs for day in np.unique(_days_of(frame)).tolist()}


def groups(days: Sequence[Chosen], windows: Windows, settings: Settings) -> list[list[Chosen]]:
    """``days`` in groups that one call can compute, each in order; most often alone, where windows slide."""
    step, found = windows.step, {}
    for chosen in days:
        failed = frozenset(chosen.failures)
        if step.is_of_own_rows(settings):
            name = (failed,)
        elif step.gives_days_since:
            in_force = windows.references.aliases_in_force(pd.Timestamp(chosen.day))
            name = (failed, in_force, *windows.starts(chosen.day))
        else:
            name = (chosen.day,)
        found.setdefault(name, []).append(chosen)
    return list(found.values())


@dataclass(frozen=True)
class Call:
    """One call for several days of a group."""

    days: list[date]
    left_out: frozenset[str]
    """Instruments that are not given."""
    not_taken: frozenset[str]
    """Instruments whose rows are not taken from the result."""


def calls(
    days: Sequence[date],
    frames: Mapping[str, pd.DataFrame],
    anchor: str | None,
    windows: Windows,
) -> list[Call]:
    """How a group of days is computed: one call for all instruments but those that an action changes meanwhile.

    Those are computed in stretches from one such action to the next. The anchor tells what a new listing is, and is
    given to every call.
    """
    changed = _actions_between(days, windows) if windows.step.is_adjusted else {}
    late = frozenset(key for keys in changed.values() for key in keys)
    there = set()
    if late:
        there = {key for frame in frames.values() for key in frame["instrument_key"].unique()}
    late &= there
    if not late:
        return [Call(list(days), frozenset(), frozenset())]
    others = there - late
    found = []
    if others:
        found.append(Call(list(days), late - {anchor}, late))
    cuts = sorted(day for day, keys in changed.items() if keys & late)
    for begin, end in zip([date.min, *cuts], [*cuts, date.max], strict=True):
        stretch = [day for day in days if begin <= day < end]
        if stretch:
            found.append(Call(stretch, others - {anchor}, others))
    return found


def _actions_between(days: Sequence[date], windows: Windows) -> dict[date, set[str]]:
    """The instruments with a corporate action after the first of ``days``, by its ex-date."""
    first, last = pd.Timestamp(days[0]), pd.Timestamp(days[-1])
    return windows.references.actions_between(first, last)


def _days_of(frame: pd.DataFrame) -> np.ndarray:
    return frame["trading_day"].to_numpy("datetime64[us]").astype("datetime64[D]")
