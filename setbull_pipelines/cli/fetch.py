"""``setbull fetch``: progress and the table of results.

Belongs here: laying out. Does not belong here: fetching (``pipeline/fetching.py``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import pandas as pd
from rich.markup import escape
from rich.table import Table as TextTable

from setbull_pipelines.cli.terminal import console, showing_progress
from setbull_pipelines.pipeline import fetching, what_to_fetch
from setbull_pipelines.pipeline.fetching import Fetched
from setbull_pipelines.pipeline.opening import now, open_warehouse
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.upstox.calls import Interval

_SHOWN = 10


def carry_out(
    instruments: pd.DataFrame,
    sessions: Mapping[Interval, int],
    settings: Settings,
    also_open: bool,
) -> Fetched:
    """Fetch, store the results and print them."""
    started = time.monotonic()
    wanted = ", ".join(
        f"{interval} candles of {count} sessions" for interval, count in sessions.items()
    )
    with showing_progress(f"{len(instruments)} instruments: {wanted}"):
        fetched = fetching.fetch(instruments, sessions, settings, now, also_open)
    store = open_warehouse(settings)
    fetching.publish_fetch(fetched, store, settings, "setbull fetch")
    _print(fetched, time.monotonic() - started, settings)
    return fetched


def refresh_master(settings: Settings) -> None:
    """Get the broker's list of instruments and tell what is in it; raises as ``what_to_fetch.refresh_instruments``."""
    listed = what_to_fetch.refresh_instruments(settings, now)
    console.print(
        f"the broker lists {listed.stocks:,} stocks, {listed.with_derivatives:,} of them with derivatives; "
        f"files new: {', '.join(listed.written) or 'none'}"
    )


def _print(fetched: Fetched, seconds: float, settings: Settings) -> None:
    summary = TextTable(title="fetched", title_justify="left", box=None)
    names = ("interval", *fetching.FETCH_STATES, "requests", "candles", "provisional", "files new")
    for name in names:
        summary.add_column(name, justify="left" if name == "interval" else "right")
    for interval, files in fetched.files.items():
        results = [result for result in fetched.results if result.interval == interval]
        states = [result.status for result in results]
        figures = [states.count(state) for state in fetching.FETCH_STATES]
        figures += [
            sum(getattr(result, name) for result in results)
            for name in ("requests", "candles", "provisional")
        ]
        summary.add_row(interval, *(f"{figure:,}" for figure in (*figures, files.written)))
        for damage in files.damaged:
            console.print(f"[yellow]damaged answer[/yellow] {escape(damage)}")
    console.print(summary)
    _print_failures(fetched)
    console.print(
        f"{seconds:.1f} s; candle files: {what_to_fetch.fetched_directory(settings)}\n"
        f"next: setbull run --input {what_to_fetch.fetched_directory(settings)}"
    )


def _print_failures(fetched: Fetched) -> None:
    failed = [result for result in fetched.results if result.status == fetching.FAILED]
    if not failed:
        return
    failures = TextTable(title="failed", title_justify="left", box=None)
    for name in ("interval", "instrument", "reason"):
        failures.add_column(name, overflow="fold")
    for result in failed[:_SHOWN]:
        failures.add_row(result.interval, escape(result.instrument_key), escape(result.reason))
    console.print(failures)
    if len(failed) > _SHOWN:
        console.print(f"and {len(failed) - _SHOWN} more, all in operations.fetches")
