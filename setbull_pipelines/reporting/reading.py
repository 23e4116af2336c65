"""A written report read back: what it says of every instrument.

Belongs here: parsing the document without the code that made it. Does not belong here: judging what was read
(``quality/daily_report.py``).
"""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pandas as pd

from setbull_pipelines.tables.report import DAILY_REPORT, REPEATED

_EVERY_STOCK = "all"
_ABSENT = "\N{EN DASH}"
_MARK = '<script type="application/json" id="data">'


class IllegalReport(ValueError):
    """The document does not say what it should; the message tells where."""


class _Tables(HTMLParser):
    """The cells of every table of stocks: per table id and instrument, per column the text and the exact number."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, dict[str, dict[str, tuple[str, str | None]]]] = {}
        self._rows: dict[str, dict[str, tuple[str, str | None]]] = {}
        self._row: dict[str, tuple[str, str | None]] = {}
        self._column: str | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes if name != "data-v"}
        if tag == "table" and "id" in found:
            self._rows = self.tables.setdefault(found["id"], {})
        elif tag == "tr" and "data-key" in found:
            if found["data-key"] in self._rows:
                raise IllegalReport(f"{found['data-key']} has two rows in one list, expected one")
            self._row = self._rows.setdefault(found["data-key"], {})
        elif tag == "td" and "data-c" in found:
            self._column = found["data-c"]
            self._row[self._column] = ("", dict(attributes).get("data-v"))

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self._column = None

    def handle_data(self, text: str) -> None:
        if self._column:
            before, exact = self._row[self._column]
            self._row[self._column] = (before + text, exact)


def read_report(document: str) -> pd.DataFrame:
    """Return the rows of ``DAILY_REPORT`` that the document says.

    Raises IllegalReport when a number as people read it is not the rounding of the exact one beside it, or two
    lists say different things of a stock.
    """
    parser = _Tables()
    parser.feed(document)
    start = document.index(_MARK) + len(_MARK)
    data = json.loads(document[start : document.index("</script>", start)])
    lists = {
        key: (name, _number(name, key, "rank", *cells["rank"]))
        for name in ("bullish", "bearish")
        for key, cells in parser.tables[name].items()
    }
    every = parser.tables[_EVERY_STOCK]
    for table, listed in parser.tables.items():
        for key, cells in listed.items():
            differing = [name for name in cells if cells[name] != every[key].get(name, cells[name])]
            if differing:
                raise IllegalReport(
                    f"table {table}, {key}: found other {', '.join(differing)} than in table {_EVERY_STOCK}"
                )
    rows = []
    for key, cells in every.items():
        row = {
            name: _number(_EVERY_STOCK, key, name, text, exact)
            if exact is not None
            else (None if text == _ABSENT else text)
            for name, (text, exact) in cells.items()
        }
        name, rank = lists.get(key, (None, None))
        rows.append(
            {column.name: row[column.name] for column in REPEATED}
            | {"instrument_key": key, "variant": row["variant"], "list": name, "rank": rank}
            | {"has_chart": "daily" in data["stocks"][key]}
        )
    frame = pd.DataFrame(rows, columns=DAILY_REPORT.column_names)
    return DAILY_REPORT.conform(frame.assign(trading_day=pd.Timestamp(data["day"])))


def _number(table: str, key: str, column: str, text: str, exact: str | None) -> float | None:
    if text == _ABSENT and exact == "":
        return None
    if exact is None:
        raise IllegalReport(
            f"table {table}, {key}: found {column} {text!r} without the exact number"
        )
    number, is_percent = float(exact), text.endswith(" %")
    read = text.removesuffix(" %").replace(",", "")
    decimals = len(read.partition(".")[2])
    if f"{number * (100 if is_percent else 1):.{decimals}f}" != read:
        raise IllegalReport(
            f"table {table}, {key}: found {column} {text!r} beside {exact}, expected its rounding"
        )
    return number
