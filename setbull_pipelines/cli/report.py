"""The result of a run as text: counts, verdicts, filter results, where to look.

Belongs here: reading the finished tables and laying them out. Does not belong here: executing.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import pandas as pd
from rich.markup import escape
from rich.table import Table as TextTable

from setbull_pipelines import tables
from setbull_pipelines.cli.run import Outcome
from setbull_pipelines.cli.session import session_lines
from setbull_pipelines.cli.terminal import console, tell
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.daily_reports import report_path
from setbull_pipelines.pipeline.look_back import partitions_behind
from setbull_pipelines.pipeline.metrics import METRICS, CacheUse, cache_use
from setbull_pipelines.pipeline.opening import catalog_path, open_warehouse, warehouse_root
from setbull_pipelines.pipeline.references import references_of
from setbull_pipelines.pipeline.serving import SERVED_SCHEMA, served_table
from setbull_pipelines.pipeline.stage_decisions import stages_in_force
from setbull_pipelines.reconciliation.report import divergence_hint
from setbull_pipelines.tables.filters import (
    RANK_ORDER,
    STAGES,
    VERDICT_BEARISH,
    VERDICT_BULLISH,
    VERDICTS,
)
from setbull_pipelines.tables.reconciliation import DIVERGED, NOT_COMPARABLE, PASS, RECONCILED
from setbull_pipelines.warehouse.pointers import UNASSIGNED, WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

_RESULTS = served_table(tables.FILTER_RESULTS)
_ACCOUNTING = StoredTable("raw", tables.ACCOUNTING)
_SHOWN = 15
_FILES_SHOWN = 6
_WIDE, _WIDEST = 102, 120
"""Columns of a window that has room for the rows of each variant, and for headings in one line."""
_HEADING_WIDTH = 11


def print_report(outcome: Outcome) -> None:
    """Print everything a user wants to know after a run."""
    warehouse = open_warehouse(outcome.settings)
    days = [day.isoformat() for day in outcome.asked.days]
    behind = dict(
        partitions_behind(
            outcome.asked.days,
            stages_in_force(warehouse, outcome.settings.rollout),
            outcome.settings,
            references_of(warehouse),
        )
    )
    _unchanged(outcome)
    _intake(warehouse, [day.isoformat() for day in behind[_ACCOUNTING]])
    _reconciliation(warehouse, days)
    _session(outcome, warehouse)
    _filters(warehouse, days)
    _checks(outcome)
    _alerts(outcome)
    _time(outcome)
    _cache(outcome, warehouse, behind)
    _places(outcome)


def _unchanged(outcome: Outcome) -> None:
    if earlier := outcome.unchanged_since:
        found = earlier.state.partitions
        console.print(
            f"nothing has changed since the run that ended {earlier.ended:%Y-%m-%d %H:%M}: {found:,} of {found:,} "
            "partitions are up to date (100 %), nothing was computed; its results and checks:"
        )


def _grid(title: str, columns: Iterable[str]) -> TextTable:
    """A table whose first column alone may be broken into lines: no number or date is cut in a narrow window."""
    grid = TextTable(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    for position, name in enumerate(columns):
        if position == 0:
            grid.add_column(name, overflow="fold")
        else:
            lines = [name] if console.width >= _WIDEST else textwrap.wrap(name, _HEADING_WIDTH)
            grid.add_column("\n".join(lines), justify="right", no_wrap=True)
    return grid


def _intake(warehouse: Warehouse, days: list[str]) -> None:
    files = warehouse.read(StoredTable("raw", tables.INTAKE), [WHOLE])
    accounting = warehouse.read(_ACCOUNTING, days)
    quarantine = StoredTable("raw", tables.QUARANTINE)
    rules = warehouse.read(quarantine, [*days, UNASSIGNED], ["rule"])["rule"].value_counts()
    grid = _grid(
        "\nfiles", ("file", "kind", "rows", "without a trading day", "first day", "last day")
    )
    for row in files.head(_FILES_SHOWN).itertuples():
        grid.add_row(
            escape(row.source),
            row.kind,
            f"{row.received:,}",
            f"{row.unassigned:,}",
            f"{row.first_day:%Y-%m-%d}" if pd.notna(row.first_day) else "-",
            f"{row.last_day:%Y-%m-%d}" if pd.notna(row.last_day) else "-",
        )
    console.print(grid)
    if len(files) > _FILES_SHOWN:
        console.print(f"  and {len(files) - _FILES_SHOWN:,} more (table raw.intake)")
    for row in files[files["reason"].notna()].itertuples():
        # The reason for a rejected file begins with its name, that for ignored columns does not.
        console.print(
            f"  {escape(row.source)}: {escape(row.reason.removeprefix(f'{row.source}: '))}"
        )
    totals = accounting[
        ["received", "accepted", "quarantined", "duplicates_ignored", "superseded"]
    ].sum()
    console.print(
        f"\nrows of these days and their history: {totals['received']:,} received = "
        f"[green]{totals['accepted']:,} accepted[/green] + {totals['quarantined']:,} quarantined + "
        f"{totals['duplicates_ignored']:,} equal duplicates ignored + {totals['superseded']:,} corrected"
    )
    for rule, count in rules.items():
        console.print(f"  quarantined, {escape(str(rule))}: {count:,} (table raw.quarantine)")


def _reconciliation(warehouse: Warehouse, days: list[str]) -> None:
    summary = warehouse.read(SUMMARY, days)
    counted = {"rows V1": "v1", "rows V2": "v2", "served": SERVED_SCHEMA}
    if console.width < _WIDE:
        counted = {}
    columns = ("table", *counted, "verdict", PASS, DIVERGED, NOT_COMPARABLE)
    grid = _grid("\nV1 against V2", (*columns, "cells compared", "cells unequal"))
    for table in tables.COMPUTED_TABLES:
        name = table.name
        rows = summary[summary["table_name"] == name]
        states = rows["state"].value_counts()
        worst = next(state for state in (DIVERGED, NOT_COMPARABLE, PASS) if states.get(state, 0))
        colour = {PASS: "green", DIVERGED: "red", NOT_COMPARABLE: "yellow"}[worst]
        grid.add_row(
            name,
            *(_rows(warehouse, schema, table, days) for schema in counted.values()),
            f"[{colour}]{worst}[/{colour}]",
            *(f"{states.get(state, 0)} days" for state in (PASS, DIVERGED, NOT_COMPARABLE)),
            f"{rows['cells_compared'].sum():,}",
            f"{rows['cells_unequal'].sum():,}",
        )
    console.print(grid)
    if not counted:
        console.print(f"  a window of {_WIDE} columns shows the rows of each as well")
    diverged = summary[summary["state"] == DIVERGED]
    for row in diverged.head(_SHOWN).itertuples():
        console.print(
            f"  [red]{row.table_name} {row.trading_day:%Y-%m-%d}[/red]: {escape(row.reason)}"
        )
    if len(diverged):
        # The first table of the pipeline on the first day: what comes after can be its consequence.
        first = diverged[diverged["trading_day"] == diverged["trading_day"].min()]
        table = next(name for name in RECONCILED if (first["table_name"] == name).any())
        console.print(f"  {divergence_hint(table, first['trading_day'].iloc[0])}")


def _rows(warehouse: Warehouse, schema: str, table: tables.Table, days: list[str]) -> str:
    """How many rows a table has on these days; empty where it is not served."""
    if schema == SERVED_SCHEMA and table.name not in tables.SERVED:
        return ""
    stored = served_table(table) if schema == SERVED_SCHEMA else StoredTable(schema, table)
    return f"{sum(pointer.rows for pointer in warehouse.pointers(stored, days).values()):,}"


def _session(outcome: Outcome, warehouse: Warehouse) -> None:
    console.print()
    for line in session_lines(warehouse, outcome.asked.days[-1], outcome.settings):
        console.print(escape(line))


def _filters(warehouse: Warehouse, days: list[str]) -> None:
    results = warehouse.read(_RESULTS, days)
    by_day = results.groupby(["trading_day", "verdict"], observed=True).size().unstack(fill_value=0)
    grid = _grid("\nfilter verdicts per day", ("day", *VERDICTS))
    for day, row in by_day.tail(_SHOWN).iterrows():
        grid.add_row(f"{day:%Y-%m-%d}", *(f"{row.get(verdict, 0):,}" for verdict in VERDICTS))
    console.print(grid)
    last = results[results["trading_day"] == results["trading_day"].max()]
    if last.empty:
        console.print("no instrument has a daily bar: no filter results")
        return
    day = last["trading_day"].iloc[0]
    stopped = last["stopped_at"].value_counts()
    console.print(
        f"\nfunnel of {day:%Y-%m-%d}: {len(last)} instruments, stopped at "
        + ", ".join(f"{stage} {stopped.get(stage, 0)}" for stage in STAGES)
    )
    symbols = warehouse.read(StoredTable("raw", tables.INSTRUMENTS), [WHOLE])
    names = symbols.set_index("instrument_key")["symbol"]
    for verdict, colour in ((VERDICT_BULLISH, "green"), (VERDICT_BEARISH, "red")):
        chosen = last[last["verdict"] == verdict].sort_values(
            list(RANK_ORDER), ascending=list(RANK_ORDER.values())
        )
        console.print(f"\n[bold {colour}]{verdict}: {len(chosen)}[/bold {colour}]")
        for row in chosen.head(_SHOWN).itertuples():
            symbol = names.get(row.instrument_key, row.instrument_key)
            console.print(f"  [bold]{escape(str(symbol))}[/bold] ({escape(row.instrument_key)})")
            for stage in STAGES:
                console.print(f"    {stage:<6}{escape(getattr(row, f'{stage}_reason'))}")
        if len(chosen) > _SHOWN:
            console.print(f"  and {len(chosen) - _SHOWN} more in {_RESULTS.name}")


def _checks(outcome: Outcome) -> None:
    passed = len(outcome.checks) - len(outcome.failed_checks) - len(outcome.warnings)
    console.print(
        f"\nchecks: [green]{passed} passed[/green], {len(outcome.warnings)} warn, "
        f"{len(outcome.failed_checks)} failed"
    )
    for colour, checks in (("yellow", outcome.warnings), ("red", outcome.failed_checks)):
        for check in checks:
            name = f"{check.asset_key.to_user_string()} {check.check_name}"
            console.print(f"  [{colour}]{name}[/{colour}]: {escape(check.description or '')}")


def _use_of_look_back(
    outcome: Outcome, warehouse: Warehouse, behind: Mapping[StoredTable, Sequence[date]]
) -> CacheUse:
    """Which partitions of earlier sessions the run made, and which it found up to date."""
    made, asked = Counter(), 0
    for stored, all_days in behind.items():
        days = [day.isoformat() for day in all_days if day not in outcome.asked.days]
        for pointer in warehouse.pointers(stored, days).values():
            asked += 1
            made.update([pointer.published_because] if pointer.run_id in outcome.run_ids else [])
    return CacheUse(asked, asked - made.total(), made)


def _cache(
    outcome: Outcome, warehouse: Warehouse, behind: Mapping[StoredTable, Sequence[date]]
) -> None:
    if outcome.unchanged_since:
        return  # said at the top; what the metrics tell is about the run that computed
    days = [day.isoformat() for day in outcome.asked.days]
    used = cache_use(warehouse.read(METRICS, days)) + _use_of_look_back(outcome, warehouse, behind)
    computed = ", ".join(f"{count:,} {why}" for why, count in sorted(used.computed.items()))
    console.print(
        f"cache: {used.asked:,} partitions asked for, {used.up_to_date:,} up to date "
        f"({used.hit_rate or 0:.1%})" + (f"; computed: {computed}" if computed else "")
    )


def _alerts(outcome: Outcome) -> None:
    console.print()
    for line in outcome.alerts:
        console.print(escape(line))


def _time(outcome: Outcome) -> None:
    took = ", ".join(f"{work} {seconds:.1f} s" for work, seconds in outcome.seconds.items())
    console.print(f"\ntime: {took}")


def _places(outcome: Outcome) -> None:
    if outcome.disk:
        console.print(outcome.disk)
    tell(
        f"tables: {warehouse_root(outcome.settings)} (Parquet), {catalog_path(outcome.settings)} (DuckDB views)"
    )
    tell("ask:    setbull sql \"SELECT * FROM served.filter_results WHERE verdict <> 'rejected'\"")
    tell(f"report: {report_path(outcome.settings, outcome.asked.days[-1])}")
    tell("look:   make ui (or: setbull ui), then open http://127.0.0.1:3000")
