"""The daily report as one HTML document that needs no network.

Belongs here: filling the template, the embedded data. Does not belong here: what is counted (``content``), how it looks
(``page.html``, ``page.css``, ``page.js`` beside this module), scripts and escaping (``document``), where the file goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd

from setbull_pipelines.reporting.answer import NOT_REAL, answer_of
from setbull_pipelines.reporting.charts import daily_columns, intraday_columns
from setbull_pipelines.reporting.content import (
    ALL_COLUMNS,
    METRICS,
    MONITOR_COLUMNS,
    PASSING_COLUMNS,
    TOP_COLUMNS,
    WIDTH_COLUMNS,
    Stored,
    funnel,
    monitor_rows,
    ranked,
    stock_rows,
    top_rows,
    width_rows,
)
from setbull_pipelines.reporting.document import (
    chart_library,
    embedded,
    part,
    policy_of,
    template_of,
)
from setbull_pipelines.tables.actions import GENUINE
from setbull_pipelines.tables.filters import PASSING_VERDICTS, STAGES
from setbull_pipelines.tables.reconciliation import DIVERGED, STATES
from setbull_pipelines.tables.sequence_analysis import SEQUENCE_ANALYSIS

if TYPE_CHECKING:
    from jinja2 import Template

OVERVIEW_NAME = "index.html"
"""The page of all sessions, which lies beside the reports."""
_LINKS = '<nav id="neighbours" aria-label="Sessions">'
ABSENT = "\N{EN DASH}"

Neighbours = tuple[str | None, str | None]
"""The sessions before and after that have a report."""


@dataclass(frozen=True)
class Export:
    """A list as a file."""

    label: str
    name: str
    address: str


def html_page(stored: Stored, made_from: str, neighbours: Neighbours = (None, None)) -> str:
    """Return the report as one document; the same rows give the same text.

    ``neighbours`` are the sessions before and after whose reports are there.
    """
    rows = stock_rows(stored)
    rows = rows.assign(address=addresses(rows))
    widths, monitor = width_rows(stored, rows), monitor_rows(stored, rows)
    library, script = chart_library(), part("drawing.js") + part("page.js")
    lists = {
        verdict: ranked(rows[rows["verdict"] == verdict]).to_dict("records")
        for verdict in PASSING_VERDICTS
    }
    answer = answer_of(rows, stored.earlier)
    return _template().render(
        day=pd.Timestamp(stored.day),
        made_from=made_from,
        policy=policy_of(library, script),
        style=part("page.css"),
        library=library,
        script=script,
        verdicts=rows["verdict"].value_counts().to_dict(),
        profile=", ".join(rows["profile"].unique()),
        stages=funnel(stored.filter_results),
        answer=answer,
        told_shortly=(NOT_REAL if stored.is_generated else "") + answer.headline,
        address=dict(zip(rows["instrument_key"], rows["address"], strict=True)),
        exports=_exports(stored, lists),
        mamba_day=stored.mamba_day,
        is_generated=stored.is_generated,
        differences=stored.differences,
        links=links_to(*neighbours),
        lists=lists,
        passing_columns=PASSING_COLUMNS,
        top=top_rows(rows).to_dict("records"),
        top_columns=TOP_COLUMNS,
        stocks=rows.to_dict("records"),
        all_columns=ALL_COLUMNS,
        accounting=stored.accounting.to_dict("records"),
        quarantined=list(stored.quarantined.items()),
        failures=stored.failures.to_dict("records"),
        reconciliation=stored.reconciliation.to_dict("records"),
        states=[(state, int((stored.reconciliation["state"] == state).sum())) for state in STATES],
        diverged=DIVERGED,
        variants=stored.variants,
        widths=None if widths is None else widths.to_dict("records"),
        width_columns=WIDTH_COLUMNS,
        monitor=None if monitor is None else monitor.to_dict("records"),
        monitor_columns=MONITOR_COLUMNS,
        removed=stored.removed,
        data=embedded(_stock_data(stored, rows)),
    )


def links_to(previous: str | None, following: str | None) -> str:
    """The links of a report to its neighbours and to the page of all sessions, an element of their own.

    A report is written before the one after it, so that this part of it is replaced then: see :func:`relinked`.
    """
    before = f'<a rel="prev" href="{previous}.html">← {previous}</a>' if previous else ""
    after = f'<a rel="next" href="{following}.html">{following} →</a>' if following else ""
    return f'{_LINKS}{before} <a href="{OVERVIEW_NAME}">All sessions</a> {after}</nav>'


def relinked(document: str, neighbours: Neighbours) -> str:
    """A written report with other neighbours; nothing else of it changes."""
    start = document.index(_LINKS)
    end = document.index("</nav>", start) + len("</nav>")
    return document[:start] + links_to(*neighbours) + document[end:]


def addresses(rows: pd.DataFrame) -> pd.Series:
    """What stands after ``#`` in the address of each stock: its symbol, or its key where several have the symbol."""
    return rows["symbol"].where(~rows["symbol"].duplicated(keep=False), rows["instrument_key"])


def _exports(stored: Stored, lists: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Export]:
    """The lists as files, which the links of the page hold in themselves."""
    exports = []
    for verdict, rows in lists.items():
        if not rows:
            continue
        columns = ["symbol", "instrument_key", *(shown.column for shown in PASSING_COLUMNS)]
        table = pd.DataFrame(rows)[columns].to_csv(index=False, lineterminator="\r\n")
        # The form that TradingView imports.
        watched = ",".join(
            f"{row['instrument_key'].partition('|')[0].partition('_')[0]}:{row['symbol']}"
            for row in rows
        )
        name = f"{verdict}-{stored.day}"
        exports += [
            Export(f"{verdict}, CSV", f"{name}.csv", f"data:text/csv;charset=utf-8,{quote(table)}"),
            Export(
                f"{verdict}, watchlist",
                f"{name}.txt",
                f"data:text/plain;charset=utf-8,{quote(watched)}",
            ),
        ]
    return exports


def shown(value: Any, digits: int | None, is_ratio: bool = False) -> str:
    """A value as readers see it, a ratio in percent; a dash where there is none."""
    if pd.isna(value):
        return ABSENT
    if is_ratio:
        return f"{value * 100:,.{digits}f} %"
    return str(value) if digits is None else f"{value:,.{digits}f}"


def exact(value: Any) -> str:
    """A number so that nothing is lost, for sorting and checking; empty where there is none."""
    return "" if pd.isna(value) else repr(float(value))


def points(values: Sequence[float]) -> str:
    """A line through the values in a box 100 wide and 20 high, as SVG has it: 0 is the bottom, the highest the top."""
    step, scale = 100 / max(len(values) - 1, 1), 20 / (max(values) or 1)
    return " ".join(
        f"{number * step:.1f},{20 - value * scale:.1f}" for number, value in enumerate(values)
    )


def _stock_data(stored: Stored, rows: pd.DataFrame) -> dict[str, object]:
    """What the page of a stock shows besides the lists: stages, metrics, moves, and the bars of its charts."""
    sessions = sorted(stored.candles_daily["trading_day"].unique())
    daily = daily_columns(stored.candles_daily, stored.indicators_daily, sessions)
    intraday = intraday_columns(stored.candles_5min, stored.indicators_5min)
    metrics = stored.sequence_analysis.set_index("instrument_key")[list(METRICS)].to_dict("index")
    moves = _moves(stored.moves_daily)
    actions = dict(list(stored.corporate_actions.groupby("instrument_key")))
    stocks = {}
    for row in rows.to_dict("records"):
        key = row["instrument_key"]
        stock = {
            "symbol": row["symbol"],
            "address": row["address"],
            "name": _or_none(row["name"]),
            "verdict": row["verdict"],
            "stages": [
                [stage, _or_none(row[f"{stage}_passed"]), _or_none(row[f"{stage}_reason"])]
                for stage in STAGES
            ],
        }
        if key in daily:
            stock["daily"] = daily[key]
            stock["metrics"] = {name: _or_none(metrics.get(key, {}).get(name)) for name in METRICS}
            stock["moves"] = moves.get(key, [])
            stock["actions"] = [
                [f"{action.ex_date:%Y-%m-%d}", _words_of(action)]
                for action in (actions[key].itertuples() if key in actions else ())
                if action.ex_date <= pd.Timestamp(stored.day)
            ]
        if key in intraday:
            stock["minutes"] = intraday[key]
        stocks[key] = stock
    return {
        "day": stored.day.isoformat(),
        "sessions": [f"{session:%Y-%m-%d}" for session in sessions],
        "metrics": {
            name: [SEQUENCE_ANALYSIS.column(name).description, SEQUENCE_ANALYSIS.column(name).unit]
            for name in METRICS
        },
        "stocks": stocks,
    }


def _moves(moves_daily: pd.DataFrame) -> dict[str, list[list[object]]]:
    """The moves of each instrument, in their order."""
    moves: dict[str, list[list[object]]] = {}
    for move in moves_daily.itertuples():
        told = [f"{move.move_day:%Y-%m-%d}", round(move.move_percent, 2)]
        flags = [bool(move.is_bullish), bool(move.is_mamba)]
        moves.setdefault(move.instrument_key, []).append(told + flags)
    return moves


def _words_of(action: Any) -> str:
    """A corporate action in the list of a stock."""
    return "the price really moved" if action.kind == GENUINE else f"{action.kind} {action.ratio:g}"


def _or_none(value: object) -> object:
    return None if pd.isna(value) else value


@cache
def _template() -> Template:
    return template_of("page.html", {"shown": shown, "exact": exact, "points": points})
