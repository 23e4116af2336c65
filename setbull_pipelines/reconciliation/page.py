"""The report of one table and day as a single HTML file, for people without the user interface.

Belongs here: the frame around the Markdown of ``report``: title, verdict, links, names of stocks, the table of
instruments that can be filtered. Does not belong here: the contents (``report``), how it looks (``page.html``,
``page.css``, ``page.js`` beside this module), where the file goes (``cli``), where links lead (``pipeline``).

The file holds its pictures and asks nobody: its content security policy allows the one script inside it, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pandas as pd
from markdown_it import MarkdownIt

from setbull_pipelines.reconciliation.report import Findings, markdown_report, row_name
from setbull_pipelines.tables.reconciliation import RECONCILIATION_INSTRUMENTS

if TYPE_CHECKING:
    from jinja2 import Template

_HEADING = re.compile(r"<h4>(.*?)</h4>\n?")
_TAG = re.compile(r"(<[^>]*>)")
_MOST_ROWS = 500
"""Rows of the table of instruments: more are asked for by SQL."""


@dataclass(frozen=True)
class Around:
    """What is beside the page: the names of stocks, and addresses."""

    symbols: Mapping[str, str] = field(default_factory=dict)
    """By instrument key."""
    charts: Mapping[str, str] = field(default_factory=dict)
    """The chart of a stock, by instrument key, where there is one."""
    report: str | None = None
    overview: str | None = None


def html_page(findings: Findings, around: Around = Around()) -> str:
    """Return the whole report as one HTML document: verdict, causes, pictures, columns, inputs, instruments."""
    # Raw HTML stays text: reasons and keys come from data.
    text = MarkdownIt("commonmark", {"html": False}).enable("table")
    verdict = findings.verdict.iloc[0]
    named = _Named(findings, around)
    body = text.render(markdown_report(named.in_pictures(findings), with_pictures=True))
    body = body.replace("<table>", '<div class="scroll" tabindex="0"><table>')
    body = body.replace("<p><img ", '<p tabindex="0"><img ')
    body = named.in_text(body.replace("</table>", "</table></div>"))
    _, *found = _HEADING.split(body)
    sections = [
        (heading.lower().replace(" ", "-"), heading, part)
        for heading, part in zip(found[::2], found[1::2], strict=True)
    ]
    differing = findings.instruments.sort_values(
        ["cells_unequal", "instrument_key", "column_name"], ascending=[False, True, True]
    )
    script = _part("page.js")
    return _template().render(
        title=f"{findings.table.name}, {findings.trading_day:%Y-%m-%d}",
        day=f"{findings.trading_day:%Y-%m-%d}",
        policy=_policy(script),
        style=_part("page.css"),
        script=script,
        around=around,
        state=verdict["state"],
        counts=(
            f"{verdict['rows_v1']:,} rows in V1, {verdict['rows_v2']:,} in V2; "
            f"{verdict['cells_unequal']:,} of {verdict['cells_compared']:,} compared cells differ."
        ),
        columns=list(dict.fromkeys(differing["column_name"].astype(str))),
        instruments=[
            (key, around.symbols.get(key)) for key in sorted(set(differing["instrument_key"]))
        ],
        headings=[(name, heading) for name, heading, _ in sections]
        + ([("instruments-heading", "Instruments")] if len(differing) else []),
        sections=sections,
        whole=body,
        rows=list(_rows(findings, differing.head(_MOST_ROWS), named)),
        more=max(0, len(differing) - _MOST_ROWS),
        stored=RECONCILIATION_INSTRUMENTS[findings.table.name].name,
    )


class _Named:
    """Instrument keys with the symbol beside them, which leads to the chart where there is one."""

    def __init__(self, findings: Findings, around: Around) -> None:
        frames = (findings.instruments, findings.cells, findings.windows, findings.decisions)
        self.around = around
        keys = {
            str(key)
            for frame in frames
            if frame is not None
            for key in frame["instrument_key"].unique()
        }
        # The longest first: a key can be the beginning of another one.
        escaped = sorted(map(escape, keys), key=len, reverse=True)
        self._keys = re.compile("|".join(map(re.escape, escaped))) if keys else None
        self._by_text = {escape(key): key for key in keys}

    def in_text(self, document: str) -> str:
        """Every key outside of tags."""
        if self._keys is None:
            return document
        parts = _TAG.split(document)
        parts[::2] = [self._keys.sub(self._replaced, part) for part in parts[::2]]
        return "".join(parts)

    def _replaced(self, found: re.Match[str]) -> str:
        return self.shown(self._by_text[found[0]])

    def shown(self, key: str) -> str:
        """One key as HTML."""
        symbol, chart = self.around.symbols.get(key), self.around.charts.get(key)
        text = escape(symbol or key)
        name = f'<a href="{escape(chart)}">{text}</a>' if chart else text
        data = f'data-key="{escape(key)}" data-symbol="{escape(symbol or "")}"'
        beside = f' <span class="key">{escape(key)}</span>' if symbol else ""
        return f'<span class="named" {data}>{name}{beside}</span>'

    def in_pictures(self, findings: Findings) -> Findings:
        """The findings with names where pictures say keys, which are all that pictures are drawn of."""
        symbols = self.around.symbols

        def named(frame: pd.DataFrame) -> pd.DataFrame:
            keys = frame["instrument_key"].astype(str)
            names = [f"{symbols[key]} ({key})" if key in symbols else key for key in keys]
            return frame.assign(instrument_key=names)

        return replace(findings, instruments=named(findings.instruments), bars=named(findings.bars))


def _rows(findings: Findings, differing: pd.DataFrame, named: _Named) -> Iterator[dict[str, Any]]:
    """The rows of the table of instruments, each with the first cell in time."""
    cells = findings.cells[findings.cells["role"] == "first"]
    first = {(row.instrument_key, row.column_name): row for row in cells.itertuples()}
    for row in differing.itertuples():
        cell = first.get((row.instrument_key, row.column_name))
        yield {
            "instrument": named.shown(str(row.instrument_key)),
            "column": row.column_name,
            "unequal": row.cells_unequal,
            "compared": row.cells_compared,
            "first": "" if cell is None else row_name(cell.row_key).partition(", ")[2],
            "v1": "" if cell is None else _value(cell.v1),
            "v2": "" if cell is None else _value(cell.v2),
            "relative": ""
            if cell is None or pd.isna(cell.relative_difference)
            else f"{cell.relative_difference:.3g}",
        }


def _value(text: object) -> str:
    return "null" if pd.isna(text) else str(text)


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _part(name: str) -> str:
    return (files("setbull_pipelines.reconciliation") / name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    # Loading the library takes time that loading the definitions must not pay.
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_part("page.html"))
