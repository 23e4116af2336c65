"""The log of live bars: what readers are sent of a session under way, and of what is corrected afterwards.

Belongs here: which events follow from what is served, their numbers, keeping and reading the log. Does not belong here:
sending (``candle_receivers``, ``api/stream.py``), which variant serves (``serving``), Dagster, a clock.

The log is derived from the stored served tables and from itself, so that nothing is sent that is not stored, and a
process that is killed loses nothing: the next one finds the same difference. A session has a log once it was refreshed
while it traded; from then on every change of its served bars is an event. A number is given with the commit that stores
its event, and commits of the log come one after the other: a reader that knows the number of its last event misses
nothing and gets nothing twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date

import numpy as np
import pandas as pd
import pyarrow.compute as compute

from setbull_pipelines import disk, tables
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.running import AS_OF, require_same_moment
from setbull_pipelines.pipeline.serving import read_served, source_of_served
from setbull_pipelines.pipeline.shown import as_shown
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.settings import Settings, fingerprint
from setbull_pipelines.tables.live import CANDLE, OF_BAR, OF_NEWEST, REMOVAL, REVISION
from setbull_pipelines.warehouse import encoding
from setbull_pipelines.warehouse.errors import DamagedPartition, MissingPartition
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

logger = logging.getLogger(__name__)

EVENTS = StoredTable("operations", tables.CANDLE_EVENTS)
READ = (tables.CANDLES_5MIN, tables.INDICATORS_5MIN, tables.BB_WIDTH_ALERTS)
"""The served tables that events are made of."""
LAST = "last event"
"""Name among the inputs of a partition: the number of the last event when it was published."""
_BAR = ["instrument_key", "timestamp"]
_ALWAYS, _NEWEST = ([column.name for column in columns] for columns in (OF_BAR, OF_NEWEST))


def events_code_version() -> str:
    """Code version of everything that decides which events there are."""
    return code_version("tables", "pipeline/candle_events.py", "pipeline/shown.py")


def last_event(warehouse: Warehouse) -> int:
    """The number of the last event; 0 before the first. DamagedPartition where it cannot be told."""
    pointers = [warehouse.pointer(EVENTS, key) for key in warehouse.partitions(EVENTS)]
    return max((_last(pointer) for pointer in pointers if pointer), default=0)


def kept_after(warehouse: Warehouse) -> int:
    """The number after which all events are kept."""
    outdated = set(warehouse.outdated(EVENTS))
    pointers = warehouse.pointers(EVENTS).items()
    return max(
        (_last(each) for key, each in pointers if each.evicted_at or key in outdated), default=0
    )


def before_newest(warehouse: Warehouse) -> int:
    """The number of the last event before the first of the newest session."""
    with_rows = [key for key, pointer in warehouse.pointers(EVENTS).items() if pointer.place]
    if not with_rows:
        return last_event(warehouse)
    return int(warehouse.read(EVENTS, with_rows[-1:], ["event_id"])["event_id"].min()) - 1


def record(
    days: Sequence[date],
    warehouse: Warehouse,
    settings: Settings,
    run_id: str,
    is_under_way: bool = False,
) -> Iterator[PartitionResult]:
    """Bring the log to what is served now: of all sessions that have one, and of ``days`` whose session is under way.

    Results come in the order of days. MissingPartition for one of ``days`` that is not served whole, or whose tables
    were served as of different moments; other sessions that cannot be read are left as they are.
    """
    asked = {day.isoformat() for day in days}
    logged = {key for key, pointer in warehouse.pointers(EVENTS).items() if not pointer.evicted_at}
    logged -= set(warehouse.outdated(EVENTS))
    for key in sorted(logged | (asked if is_under_way else set())):
        try:
            with _writing(warehouse):
                result = _record(key, warehouse, settings, run_id)
        except MissingPartition as error:
            if key in asked:
                raise
            logger.warning("%s %s stays as it is: %s", EVENTS.name, key, error)
            continue
        yield result
    _forget(warehouse, settings.live.sessions_kept)


def events_after(
    warehouse: Warehouse,
    number: int,
    at_most: int | None = None,
    instrument_keys: Collection[str] | None = None,
) -> pd.DataFrame:
    """The events after a number, in their order; of all instruments or of some, ``at_most`` the first of them.

    Raises MissingPartition where some of them are not kept any more, DamagedPartition.
    """
    if (kept := kept_after(warehouse)) > number:
        raise MissingPartition(
            f"events after {number}: those up to {kept} are not kept any more; read the candles, and go on after "
            f"event {kept}"
        )
    pointers = {
        key: each for key, each in warehouse.pointers(EVENTS).items() if _last(each) > number
    }
    # A commit meanwhile must not show its events before those that were stored earlier and read before it.
    until = max(map(_last, pointers.values()), default=number)
    rows = warehouse.read_arrow(EVENTS, pointers, instrument_keys=instrument_keys)
    ids = rows.column("event_id")
    rows = rows.filter(compute.and_(compute.greater(ids, number), compute.less_equal(ids, until)))
    rows = rows.sort_by("event_id").slice(0, at_most)
    return encoding.to_frame(list(EVENTS.table.columns), rows)


def events_of(known: pd.DataFrame, bars: pd.DataFrame, number: int) -> pd.DataFrame:
    """The events that lead from what was sent of a session to what is served of it, numbered after ``number``.

    ``known`` is the log of the session, ``bars`` what :func:`bars_of` gives, one row per bar.
    """
    sent = known.drop_duplicates(_BAR, keep="last").reset_index(drop=True)
    at_bar, at_sent = _places(bars, sent)
    is_sent = np.isin(np.arange(len(bars)), at_bar)
    is_other = ~is_sent
    is_other[at_bar] = ~_same(bars.iloc[at_bar], sent.iloc[at_sent])
    revisions = np.zeros(len(bars), dtype=np.int64)
    revisions[at_bar] = sent["revision"].to_numpy(dtype=np.int64)[at_sent]
    newest = sent.groupby("instrument_key")["timestamp"].max().reindex(bars["instrument_key"])
    is_next = ~is_sent & ~(bars["timestamp"].array <= newest.array)
    changed = bars.assign(event=np.where(is_next, CANDLE, REVISION), revision=revisions + 1).drop(
        columns="is_newest"
    )[is_other]
    gone = np.setdiff1d(np.flatnonzero(sent["event"] != REMOVAL), at_sent)
    removed = sent.iloc[gone].assign(event=REMOVAL, revision=lambda rows: rows["revision"] + 1)
    for name in (*_ALWAYS, *_NEWEST):
        removed[name] = EVENTS.table.empty()[name].reindex(removed.index)
    events = pd.concat([changed, removed[changed.columns]] if len(gone) else [changed])
    events = events.sort_values(["timestamp", "instrument_key"], ignore_index=True)
    return EVENTS.table.conform(events.assign(event_id=number + 1 + np.arange(len(events))))


def bars_of(candles: pd.DataFrame, values: pd.DataFrame, widths: pd.DataFrame) -> pd.DataFrame:
    """The served bars of a session as events show them: with indicators and, where it speaks of them, the monitor's
    state (``is_newest``)."""
    bars = candles.merge(
        values.drop(columns=["trading_day", "variant"]), on=_BAR, how="left", validate="one_to_one"
    )
    state = ["last_band", "alert_bar", "lowest_bb_width", "alert_rule", *_NEWEST]
    bars = bars.merge(
        widths[["instrument_key", *state]], on="instrument_key", how="left", validate="many_to_one"
    )
    is_newest = (bars["timestamp"] == bars["last_band"]).to_numpy()
    bars["alert_rule"] = bars["alert_rule"].where(bars["timestamp"] == bars["alert_bar"])
    for name in _NEWEST:
        bars[name] = bars[name].where(is_newest)
    return as_shown(bars[[*_BAR, "trading_day", *_ALWAYS, *_NEWEST]]).assign(is_newest=is_newest)


def _record(key: str, warehouse: Warehouse, settings: Settings, run_id: str) -> PartitionResult:
    started, day = time.perf_counter(), date.fromisoformat(key)
    inputs = _inputs(key, warehouse, settings)
    stored = warehouse.pointer(EVENTS, key)
    if stored and _without_number(stored) == inputs and warehouse.verify(EVENTS, key):
        return PartitionResult(day, {EVENTS.table.name: stored}, cached=True)
    before, known = _known(key, warehouse)
    candles, values, widths = (
        read_served(table, [day], warehouse, settings.rollout) for table in READ
    )
    last = last_event(warehouse)
    events = events_of(known, bars_of(candles, values, widths), last)
    inputs |= {LAST: str(last + len(events) if len(events) or not before else _last(before))}
    if before and events.empty:
        pointer = warehouse.confirm(EVENTS, key, inputs)
    else:
        rows = pd.concat([known, events], ignore_index=True) if len(known) else events
        pointer = warehouse.publish(
            EVENTS,
            key,
            rows,
            code_version=events_code_version(),
            settings_hash=fingerprint(),
            inputs=inputs,
            run_id=run_id,
            note=None if len(rows) else "no rows: no bar has closed yet",
        )
    seconds = time.perf_counter() - started
    return PartitionResult(day, {EVENTS.table.name: pointer}, cached=False, seconds=seconds)


def _known(key: str, warehouse: Warehouse) -> tuple[Pointer | None, pd.DataFrame]:
    """The log of a session, and None with an empty one where it begins: all of its bars are sent, perhaps again."""
    pointer = warehouse.pointer(EVENTS, key)
    if pointer is None or pointer.evicted_at or key in warehouse.outdated(EVENTS):
        return None, EVENTS.table.empty()
    try:
        return pointer, warehouse.read(EVENTS, [key])
    except DamagedPartition as error:
        logger.warning("all bars of %s are sent again, since what was sent is lost: %s", key, error)
        return None, EVENTS.table.empty()


def _inputs(key: str, warehouse: Warehouse, settings: Settings) -> dict[str, str]:
    sources = [source_of_served(table, settings.rollout) for table in READ]
    pointers = {stored.name: warehouse.pointer(stored, key) for stored in sources}
    found = {name: pointer for name, pointer in pointers.items() if pointer is not None}
    if missing := sorted(pointers.keys() - found.keys()):
        raise MissingPartition(
            f"{EVENTS.name} {key} needs {missing[0]}, which was never served; run: setbull run --from {key} --to {key}"
        )
    first, *others = found.items()
    moment = {name: mark for name, mark in first[1].inputs.items() if name == AS_OF}
    for name, pointer in others:
        require_same_moment(first[0], name, pointer, moment, key)
    return {name: pointer.content_hash for name, pointer in found.items()} | moment


def _last(pointer: Pointer) -> int:
    return int(pointer.inputs[LAST])


def _without_number(pointer: Pointer) -> dict[str, str]:
    return {name: text for name, text in pointer.inputs.items() if name != LAST}


def _places(bars: pd.DataFrame, sent: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The rows of both that are of the same bar, by their positions."""
    keys, _ = pd.factorize(pd.concat([bars["instrument_key"], sent["instrument_key"]]))
    moments, distinct = pd.factorize(pd.concat([bars["timestamp"], sent["timestamp"]]))
    of_bar = keys * len(distinct) + moments
    _, at_bar, at_sent = np.intersect1d(
        of_bar[: len(bars)], of_bar[len(bars) :], assume_unique=True, return_indices=True
    )
    return at_bar, at_sent


def _same(bars: pd.DataFrame, sent: pd.DataFrame) -> np.ndarray:
    """Whether each bar has the values that were sent. What is said of the newest bar counts only while it is said."""
    same = np.ones(len(bars), dtype=bool)
    is_of_newest = bars["is_newest"].to_numpy()
    for name in (*_ALWAYS, *_NEWEST):
        equal = _equal(bars[name], sent[name])
        same &= equal if name in _ALWAYS else equal | ~is_of_newest
    return same


def _equal(found: pd.Series, expected: pd.Series) -> np.ndarray:
    left, right = found.reset_index(drop=True), expected.reset_index(drop=True)
    equal = (left == right).fillna(False) | (left.isna() & right.isna())
    result: np.ndarray = equal.to_numpy(dtype=bool)
    return result


def _forget(warehouse: Warehouse, kept: int) -> None:
    """Give up the rows of all sessions but the newest."""
    there: Mapping[str, Pointer] = {
        key: each for key, each in warehouse.pointers(EVENTS).items() if each.place
    }
    for key in sorted(there)[:-kept]:
        try:
            warehouse.evict(EVENTS, key)
        except DamagedPartition as error:
            logger.warning("%s", error)


@contextmanager
def _writing(warehouse: Warehouse) -> Iterator[None]:
    """Keep other writers of the log out from reading it to publishing it: numbers are given one after the other."""
    directory = warehouse.root.joinpath(*EVENTS.key)
    directory.mkdir(parents=True, exist_ok=True)
    with disk.writer_lock(directory):
        yield
