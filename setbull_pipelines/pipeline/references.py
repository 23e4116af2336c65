"""Facts about instruments that reach over days: where series begin, corporate actions, keys that took others' place.

Belongs here: what of them a step is given on a day, and the hashes by which a new fact recomputes just the days it
touches. Does not belong here: adjusting prices (``variants/``, twice), reading files (``sources/``), Dagster.

Keys are joined here, before a variant sees the rows, because instruments that fail are found by computing halves of
them: the history of a former key must be in the same half as its successor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.pipeline.steps import Step
from setbull_pipelines.pipeline.versions import combined
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.columns import MINUTES
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

_HISTORY_START_COLUMNS = ["instrument_key", "series", "first_trading_day"]
_OF_MINUTES = (tables.CANDLES_5MIN.name, tables.BB_WIDTH_DAILY.name)
"""Tables that are looked back at and begin with the first minutes."""
REFERENCES = (tables.CORPORATE_ACTIONS, tables.INSTRUMENT_ALIASES)
"""The raw tables behind every step whose look-back is adjusted."""
_MOST_KNOWN = 50
"""Each can be a few hundred kilobytes for a whole exchange."""


_LAST: WeakKeyDictionary[Warehouse, tuple[list[str], References]] = WeakKeyDictionary()


def facts_version(warehouse: Warehouse) -> str:
    """Changes with the stored corporate actions and aliases; empty where intake was never published."""
    pointers = [warehouse.pointer(StoredTable("raw", table), WHOLE) for table in REFERENCES]
    return combined(pointer.content_hash for pointer in pointers) if all(pointers) else ""


class FactsTakenIn:
    """What intake knows of the facts, before it is published, to make :class:`References` of."""

    def __init__(
        self, coverage: pd.DataFrame, actions: pd.DataFrame, aliases: pd.DataFrame
    ) -> None:
        names = (tables.COVERAGE.name, *(table.name for table in REFERENCES))
        self._frames = dict(zip(names, (coverage, actions, aliases), strict=True))

    def read(self, stored: StoredTable, partitions: Iterable[str]) -> pd.DataFrame:
        """As the warehouse reads it."""
        return self._frames[stored.table.name]


def references_of(warehouse: Warehouse) -> References:
    """The facts stored now. Every step of a run asks for them, so that the last ones are kept while they are stored.

    Raises MissingPartition where intake was never published.
    """
    versions = [
        pointer.content_hash
        for table in (tables.COVERAGE, *REFERENCES)
        if (pointer := warehouse.pointer(StoredTable("raw", table), WHOLE))
    ]
    known = _LAST.get(warehouse)
    if known is None or known[0] != versions:
        known = _LAST[warehouse] = versions, References(warehouse)
    return known[1]


class References:
    """The stored facts, and the part of them that is known on a day: nothing later than it plays a role."""

    def __init__(self, facts: Warehouse | FactsTakenIn) -> None:
        def read(table: Table) -> pd.DataFrame:
            return facts.read(StoredTable("raw", table), [WHOLE])

        self.history_starts = read(tables.COVERAGE)[_HISTORY_START_COLUMNS]
        stored = set(self.history_starts["instrument_key"])
        actions, aliases = (read(table).drop(columns="source") for table in REFERENCES)
        aliases = aliases[aliases["old_instrument_key"].isin(stored)]
        stored |= set(aliases["instrument_key"])
        self._actions = actions[actions["instrument_key"].isin(stored)]
        # In this order each alias is applied once: a chain is followed, a circle ends.
        self._aliases = aliases.sort_values(["from_date", "old_instrument_key"])
        links = self._aliases[["old_instrument_key", "instrument_key", "from_date"]]
        self._links = list(links.itertuples(index=False, name=None))
        self._history_starts_hash = _hash_of(self.history_starts)
        self._alias_dates = np.sort(self._aliases["from_date"].to_numpy("datetime64[us]"))
        self._ex_dates = np.sort(self._actions["ex_date"].to_numpy("datetime64[us]"))
        self._known: dict[tuple, object] = {}
        self._first_days: dict[str, date] = {}

    def first_day(self, table: Table) -> date:
        """The first stored session of a table that is looked back at; ``date.max`` where nothing is stored of it."""
        if table.name not in self._first_days:
            starts = self.history_starts
            if table.name in _OF_MINUTES:
                starts = starts[starts["series"] == MINUTES]
            found = starts["first_trading_day"].min().date() if len(starts) else date.max
            self._first_days[table.name] = found
        return self._first_days[table.name]

    def frames(self, step: Step, day: pd.Timestamp) -> dict[str, pd.DataFrame]:
        """The frames beside a step's inputs, under the keys of ``day``."""
        frames = {}
        if step.needs_history_starts:
            frames["history_starts"] = self._history_starts_on(day)
        if step.is_adjusted:
            frames["corporate_actions"] = self._actions_on(day)
        return frames

    def aliases_in_force(self, day: pd.Timestamp) -> int:
        """How many keys have taken another's place by ``day``; days with as many have the same."""
        return _until(self._alias_dates, day)

    def actions_between(self, first: pd.Timestamp, last: pd.Timestamp) -> dict[date, set[str]]:
        """By ex-date after ``first`` and up to ``last``: the instruments, under the keys of ``last``."""
        if _until(self._ex_dates, first) == _until(self._ex_dates, last):
            return {}
        actions = self._actions_on(last)
        found: dict[date, set[str]] = {}
        for action in actions[actions["ex_date"] > first].itertuples():
            found.setdefault(action.ex_date.date(), set()).add(action.instrument_key)
        return found

    def hashes(self, step: Step, first: pd.Timestamp, day: pd.Timestamp) -> dict[str, str]:
        """Hashes of what the step uses on ``day`` of these facts, with a look-back to ``first``.

        An action on or before the first day of the window divides no bar of it.
        """
        hashes = {}
        if step.needs_history_starts:
            hashes["history_starts"] = self._history_starts_hash
        if step.is_adjusted:
            ex_date = self._actions["ex_date"]
            hashes["corporate_actions"] = self._once(
                ("actions", *self._actions_inside(first, day)),
                lambda: _hash_of(self._actions[(first < ex_date) & (ex_date <= day)]),
            )
            hashes["instrument_aliases"] = self._once(
                ("aliases", self.aliases_in_force(day)), lambda: _hash_of(self._aliases_on(day))
            )
        return hashes

    def instrument_hashes(
        self, step: Step, first: pd.Timestamp, day: pd.Timestamp
    ) -> Mapping[str, int]:
        """What :meth:`hashes` says of all instruments, of each one that there are facts about, as a number."""
        in_force = self.aliases_in_force(day)
        name = ("facts", in_force, step.needs_history_starts, step.is_adjusted)
        if step.is_adjusted:
            name += self._actions_inside(first, day)
        return self._once(name, lambda: self._instrument_hashes(step, first, day))

    def _instrument_hashes(
        self, step: Step, first: pd.Timestamp, day: pd.Timestamp
    ) -> dict[str, int]:
        facts: list[dict[str, int]] = []
        if step.needs_history_starts:
            facts.append(
                self._once(
                    ("starts by instrument", self.aliases_in_force(day)),
                    lambda: _by_instrument(self._history_starts_on(day)),
                )
            )
        if step.is_adjusted:
            actions = self._actions_on(day)
            facts.append(_by_instrument(actions[first < actions["ex_date"]]))
            aliases = self._aliases_on(day)
            ends = [
                self.current_key(key, pd.Timestamp.min, day) for key in aliases["instrument_key"]
            ]
            continued = pd.Series(ends, index=aliases.index, dtype="str")
            facts.append(_by_instrument(aliases, continued))
        return {key: sum(fact.get(key, 0) for fact in facts) for key in set().union(*facts)}

    def hash_about_all(self, day: pd.Timestamp, first_row: str | None) -> int:
        """What decides of all instruments which are new listings: the first day of each series, of a window."""
        earliest = self._once(
            ("earliest", self.aliases_in_force(day)),
            lambda: self._history_starts_on(day).groupby("series")["first_trading_day"].min(),
        )
        return int(combined([f"{first_row}", *map("{}={}".format, earliest.index, earliest)]), 16)

    def renamed(self, session: pd.Timestamp, day: pd.Timestamp) -> dict[str, str]:
        """Keys whose rows of ``session`` are found under another key on ``day``, and that key."""
        links = [(old, new) for old, new, from_date in self._links if session < from_date <= day]
        found = {}
        for former, _ in links:
            key = former
            for old, new in links:
                key = new if key == old else key
            found[former] = key
        return found

    def under_current_keys(self, rows: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
        """Rows of a former key, from before its end, as rows of the key of ``day``.

        A day (of a series) that the key of ``day`` has itself is not mixed with one of the former key.
        """
        for alias in self._aliases_on(day).itertuples():
            is_former = (rows["instrument_key"] == alias.old_instrument_key) & (
                rows["trading_day"] < alias.from_date
            )
            if not is_former.any():
                continue
            bar_day = [name for name in ("series", "trading_day") if name in rows.columns]
            own = rows.loc[rows["instrument_key"] == alias.instrument_key, bar_day]
            has_own = pd.MultiIndex.from_frame(rows[bar_day]).isin(pd.MultiIndex.from_frame(own))
            keys = rows["instrument_key"].mask(is_former, alias.instrument_key)
            rows = rows.assign(instrument_key=keys)[~(is_former & has_own)].reset_index(drop=True)
        return rows

    def current_key(self, key: str, session: pd.Timestamp, day: pd.Timestamp) -> str:
        """The key under which a row of ``key`` on ``session`` is found on ``day``."""
        for alias in self._aliases_on(day).itertuples():
            if key == alias.old_instrument_key and session < alias.from_date:
                key = alias.instrument_key
        return key

    def with_former_keys(self, keys: Iterable[str], day: pd.Timestamp) -> set[str]:
        """The keys and those whose history they continue on ``day``."""
        found = set(keys)
        for alias in self._aliases_on(day).iloc[::-1].itertuples():
            if alias.instrument_key in found:
                found.add(alias.old_instrument_key)
        return found

    def _aliases_on(self, day: pd.Timestamp) -> pd.DataFrame:
        # They are sorted by the day from which they are in force.
        return self._aliases.iloc[: self.aliases_in_force(day)]

    def _history_starts_on(self, day: pd.Timestamp) -> pd.DataFrame:
        in_force = self.aliases_in_force(day)
        if not in_force:
            return self.history_starts
        return self._once(("starts", in_force), lambda: self._renamed_history_starts(day))

    def _renamed_history_starts(self, day: pd.Timestamp) -> pd.DataFrame:
        starts = self.history_starts
        keys = [
            self.current_key(key, start, day)
            for key, start in zip(
                starts["instrument_key"], starts["first_trading_day"], strict=True
            )
        ]
        renamed = starts.assign(instrument_key=pd.Series(keys, index=starts.index, dtype="str"))
        return renamed.groupby(["instrument_key", "series"], as_index=False).min()

    def _actions_on(self, day: pd.Timestamp) -> pd.DataFrame:
        """An action counts for the key of ``day``, whichever key it was stated for; its own statement goes first."""
        name = ("actions on", self.aliases_in_force(day), _until(self._ex_dates, day))
        return self._once(name, lambda: self._renamed_actions(day))

    def _renamed_actions(self, day: pd.Timestamp) -> pd.DataFrame:
        actions = self._actions[self._actions["ex_date"] <= day]
        if not self.aliases_in_force(day):
            return actions
        current = [
            self.current_key(key, pd.Timestamp.min, day) for key in actions["instrument_key"]
        ]
        renamed = actions.assign(
            is_renamed=actions["instrument_key"] != current,
            instrument_key=pd.Series(current, index=actions.index, dtype="str"),
        ).sort_values("is_renamed", kind="stable")
        return renamed.drop_duplicates(["instrument_key", "ex_date", "kind"]).drop(
            columns="is_renamed"
        )

    def _actions_inside(self, first: pd.Timestamp, day: pd.Timestamp) -> tuple[int, int]:
        """Equal for windows with the same actions after their first day."""
        return _until(self._ex_dates, first), _until(self._ex_dates, day)

    def _once(self, name: tuple, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, made once: facts change on few days, and every day of a run asks for them."""
        if name not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[name] = make()
        return self._known[name]


def _until(days: np.ndarray, day: pd.Timestamp) -> int:
    return int(np.searchsorted(days, day.to_datetime64(), side="right"))


def _by_instrument(rows: pd.DataFrame, keys: pd.Series | None = None) -> dict[str, int]:
    """The sum of the hashes of each instrument's rows; ``keys`` says whose they are, where the rows do not."""
    found: dict[str, int] = {}
    whose = rows["instrument_key"] if keys is None else keys
    for key, row in zip(whose, rows.itertuples(index=False), strict=True):
        found[key] = found.get(key, 0) + int(combined(["|".join(map(str, row))]), 16)
    return found


def _hash_of(rows: pd.DataFrame) -> str:
    return combined("|".join(map(str, row)) for row in rows.itertuples(index=False))
