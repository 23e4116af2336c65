"""Fetching candles from the broker: workers, what becomes of each instrument, and the files that intake reads.

Belongs here: the order of asking, storing and making files, and the stored results. Does not belong here: which
instruments and sessions (``what_to_fetch.py``), paths, limits and answers of the API (``sources/upstox/``), reading
candle files (``raw.py``), Dagster.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.disk import replace_durably, writer_lock
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.progress import Progress, logger
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.pipeline.what_to_fetch import Clock, fetched_directory, kept_directory
from setbull_pipelines.settings import (
    UPSTOX_TOKEN_VARIABLE,
    Settings,
    UpstoxSettings,
    fingerprint,
)
from setbull_pipelines.sources.upstox.budget import RequestBudget, limits_of
from setbull_pipelines.sources.upstox.calls import (
    INTERVALS,
    MINUTE,
    Call,
    CallFailed,
    Interval,
    TokenRefused,
    calls_for,
)
from setbull_pipelines.sources.upstox.candle_files import CandleFiles, write_candle_files
from setbull_pipelines.sources.upstox.kept import KeptAnswers, final_sessions
from setbull_pipelines.sources.upstox.planning import (
    Segment,
    last_final_session,
    missing_segments,
    running_session,
    wanted_sessions,
)
from setbull_pipelines.tables.operations import FETCH_STATES
from setbull_pipelines.warehouse.pointers import WHOLE, Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

if TYPE_CHECKING:
    from setbull_pipelines.sources.upstox.client import UpstoxClient

STORED = StoredTable("operations", tables.FETCHES)
SUCCESS, SKIPPED, FAILED = FETCH_STATES
_LONGEST_WINDOW = timedelta(minutes=30)
_WORTH_TELLING_SECONDS = 10.0
_INSTRUMENTS_FILE = "instruments.parquet"


class FetchStopped(RuntimeError):
    """The fetch ended before every instrument was asked for; what was received is kept."""


@dataclass
class FetchResult:
    """What became of one instrument and interval."""

    interval: Interval
    instrument_key: str
    wanted: tuple[date, date]
    segments: list[Segment] = field(default_factory=list)
    reason: str | None = None
    requests: int = 0
    candles: int = 0
    provisional: int = 0
    finished_at: datetime | None = None

    @property
    def status(self) -> str:
        """``success``, ``skipped`` (nothing was missing) or ``failed``."""
        if self.reason is not None:
            return FAILED
        return SUCCESS if self.segments else SKIPPED


@dataclass(frozen=True)
class Fetched:
    """The results of a fetch, in the order of intervals and instruments; ``stopped`` says why it ended early."""

    results: tuple[FetchResult, ...]
    files: Mapping[Interval, CandleFiles]
    stopped: str | None

    def count(self, status: str) -> int:
        """How many instruments have the status, each interval counted by itself."""
        return sum(result.status == status for result in self.results)


def fetching_code_version() -> str:
    """Code version of everything that decides what is fetched and kept."""
    return code_version(
        "sources/upstox", "market", "tables", "pipeline/fetching.py", "pipeline/what_to_fetch.py"
    )


def fetch(
    instruments: pd.DataFrame,
    sessions: Mapping[Interval, int],
    settings: Settings,
    now: Clock,
    also_open: bool = False,
) -> Fetched:
    """Ask for everything that is missing of the last ``sessions`` of each interval, and make candle files of it.

    ``instruments`` is ``raw.instruments`` without the source. ``also_open`` asks for the session under way too, which
    is provisional. The token is taken from the environment. Waits while another fetch of this data folder is
    running. Raises ``InvalidToken`` and ``OutsideCoverage`` before anything is asked.
    """
    root = kept_directory(settings)
    root.mkdir(parents=True, exist_ok=True)
    with writer_lock(root):
        run = _FetchRun(settings.upstox, KeptAnswers(root), now, also_open)
        results, stopped = run.carry_out(list(instruments["instrument_key"]), sessions)
        files = {
            interval: write_candle_files(
                run.kept, fetched_directory(settings) / interval, interval, NSE
            )
            for interval in sessions
        }
        _list_instruments(instruments, fetched_directory(settings))
    return Fetched(tuple(results), files, stopped)


def _list_instruments(instruments: pd.DataFrame, folder: Path) -> None:
    """Add the instruments to the list beside the candle files: intake has symbols from it, and refuses others."""
    path = folder / _INSTRUMENTS_FILE
    if path.exists():
        before = pd.read_parquet(path)
        others = before[~before["instrument_key"].isin(instruments["instrument_key"])]
        instruments = pd.concat([others, instruments]) if len(others) else instruments
    data = instruments.sort_values("instrument_key").to_parquet(index=False)
    replace_durably(path, data)


class _FetchRun:
    """One fetch: its plan, its workers and what they share."""

    def __init__(
        self, settings: UpstoxSettings, kept: KeptAnswers, now: Clock, also_open: bool
    ) -> None:
        self.kept = kept
        self._settings, self._now, self._also_open = settings, now, also_open
        self._stop = threading.Event()

    def carry_out(
        self, instruments: Sequence[str], sessions: Mapping[Interval, int]
    ) -> tuple[list[FetchResult], str | None]:
        # Imported here: the HTTP library takes longer to load than all definitions of the project should.
        from setbull_pipelines.sources.upstox.client import UpstoxClient

        moment = self._now()
        wanted = {
            interval: wanted_sessions(NSE, moment, count, self._settings.settle_minutes)
            for interval, count in sessions.items()
        }
        results = [
            FetchResult(interval, key, (wanted[interval][0], wanted[interval][-1]))
            for interval in sessions
            for key in dict.fromkeys(instruments)
        ]
        budget = RequestBudget(
            limits_of(self._settings), time.monotonic, self._sleep, self._sent_before(moment)
        )
        progress = Progress("fetching", len(results), "instruments")
        stopped = None
        token = os.environ.get(UPSTOX_TOKEN_VARIABLE)
        with (
            UpstoxClient(self._settings, token, budget, self._sleep) as client,
            ThreadPoolExecutor(self._settings.concurrency) as workers,
        ):
            work = [
                workers.submit(self._fetch_one, result, wanted[result.interval], client)
                for result in results
            ]
            try:
                for done in as_completed(work):
                    try:
                        done.result()
                    except TokenRefused as error:
                        stopped = stopped or str(error)
                    progress.advance()
            finally:
                # Also after Ctrl-C: nobody waits for a pause of half an hour to end.
                self._stop.set()
        return results, stopped

    def _fetch_one(self, result: FetchResult, wanted: Sequence[date], client: UpstoxClient) -> None:
        def count_request() -> None:
            result.requests += 1

        try:
            if self._stop.is_set():
                raise FetchStopped("not asked for: the fetch was stopped before")
            final = self._final(result)
            version = self._settings.api_version
            for segment in reversed(missing_segments(wanted, final)):
                result.segments.append(segment)
                for call in calls_for(
                    result.instrument_key, result.interval, segment.first, segment.last, version
                ):
                    self._ask(result, call, client, count_request)
            if result.interval == MINUTE:
                self._ask_for_today(result, client, count_request)
        except TokenRefused as error:
            self._stop.set()
            result.reason = str(error)
            raise
        except (CallFailed, FetchStopped) as error:
            result.reason = str(error)
        except OSError as error:
            result.reason = f"{result.instrument_key}: an answer could not be stored ({error})"
        finally:
            result.finished_at = self._now()

    def _ask_for_today(
        self, result: FetchResult, client: UpstoxClient, count_request: Callable[[], None]
    ) -> None:
        segment = running_session(NSE, self._now(), self._final(result), self._also_open)
        if segment:
            result.segments.append(segment)
            call = Call(
                result.instrument_key, result.interval, segment.first, segment.last, running=True
            )
            self._ask(result, call, client, count_request)

    def _final(self, result: FetchResult) -> set[date]:
        return set(final_sessions(self.kept.of(result.interval, result.instrument_key), NSE))

    def _ask(
        self,
        result: FetchResult,
        call: Call,
        client: UpstoxClient,
        count_request: Callable[[], None],
    ) -> None:
        body, candles = client.ask(call, count_request)
        received_at = self._now()
        final_until = last_final_session(
            NSE, call, candles, received_at, self._settings.settle_minutes
        )
        self.kept.keep(call, body, len(candles), received_at, final_until)
        result.candles += len(candles)
        result.provisional += len(candles) if call.running else 0

    def _sleep(self, seconds: float) -> None:
        if seconds >= _WORTH_TELLING_SECONDS:
            logger.info("fetching: waiting %.0f s for the limits of the broker", seconds)
        if self._stop.wait(seconds):
            raise FetchStopped("stopped while waiting")

    def _sent_before(self, moment: datetime) -> list[float]:
        """Requests of an earlier process that still count, on the clock of the budget."""
        received = self.kept.received_since(moment - _LONGEST_WINDOW)
        return [time.monotonic() - (moment - at).total_seconds() for at in received]


def received_until(warehouse: Warehouse, settings: Settings) -> date | None:
    """The last session whose minutes enough instruments were asked for, with success; None before the first fetch.

    Enough are so many that the others do not make the day stale (``quality.maximum_stale_share``).
    """
    if warehouse.pointer(STORED, WHOLE) is None:
        return None
    rows = warehouse.read(STORED, [WHOLE])
    minutes = rows[rows["interval"] == MINUTE]
    wanted_to = minutes.loc[minutes["status"] != FAILED, "wanted_to"].sort_values(ascending=False)
    enough = math.ceil(len(minutes) * (1 - settings.quality.maximum_stale_share))
    if not 0 < enough <= len(wanted_to):
        return None
    return wanted_to.iloc[enough - 1].date()


def publish_fetch(
    fetched: Fetched, warehouse: Warehouse, settings: Settings, run_id: str
) -> Pointer:
    """Put the results in the place of earlier ones of the same instruments."""
    frame = STORED.table.conform(_frame(fetched.results))
    if warehouse.pointer(STORED, WHOLE) is not None:
        before = warehouse.read(STORED, [WHOLE])
        key = list(STORED.table.key)
        others = ~before.set_index(key).index.isin(frame.set_index(key).index)
        frame = STORED.table.conform(pd.concat([before[others], frame], ignore_index=True))
    return warehouse.publish(
        STORED,
        WHOLE,
        frame,
        code_version=fetching_code_version(),
        settings_hash=fingerprint(settings.upstox),
        inputs={},
        run_id=run_id,
    )


def _frame(results: Iterable[FetchResult]) -> pd.DataFrame:
    records = [
        {
            "interval": result.interval,
            "instrument_key": result.instrument_key,
            "status": result.status,
            "reason": result.reason,
            "segments": "; ".join(map(str, result.segments)) or None,
            "requests": result.requests,
            "candles": result.candles,
            "provisional": result.provisional,
            "wanted_from": result.wanted[0],
            "wanted_to": result.wanted[1],
            "finished_at": pd.Timestamp(result.finished_at),
        }
        for result in results
    ]
    return pd.DataFrame(records, columns=STORED.table.column_names)


def remove_expired(settings: Settings, today: date) -> int:
    """Remove answers beyond ``upstox.retention_days`` and the candles made of them; returns how many answers."""
    root = kept_directory(settings)
    if not root.is_dir():
        return 0
    with writer_lock(root):
        kept = KeptAnswers(root)
        removed = kept.remove_older_than(today - timedelta(days=settings.upstox.retention_days))
        if removed:
            for interval in INTERVALS:
                write_candle_files(kept, fetched_directory(settings) / interval, interval, NSE)
    return removed
