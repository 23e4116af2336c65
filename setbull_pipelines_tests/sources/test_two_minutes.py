"""The same two minutes in many ways of writing them: each is read to the same bars, and what was understood is said.

Belongs here: whole files of one share, in JSON and as text. Does not belong here: layouts of vendors and brokers
(``layouts/``).
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from setbull_pipelines_tests.sources.reading_files import candles, keys, moments, values
from setbull_pipelines_tests.sources.two_minutes import BARS, EPOCHS, ISO, NAMES, OBJECTS, TIMES


def text_of(header: str, *columns: list) -> str:
    """A CSV of a row for each bar, whose first columns are given."""
    rows = [
        ",".join(map(str, (*(column[number] for column in columns), *bar)))
        for number, bar in enumerate(BARS)
    ]
    return "\n".join([header, *rows]) + "\n"


SERIAL = [(moment - datetime(1899, 12, 30)) / timedelta(days=1) for moment in TIMES]
MINUTES = {
    "a zone in the name of the column": (
        "ITC.csv",
        text_of(
            "timestamp (UTC),open,high,low,close,volume",
            [moment - timedelta(hours=5, minutes=30) for moment in TIMES],
        ),
        "moments are UTC, by the name 'timestamp (utc)'",
    ),
    "days of a spreadsheet": (
        "ITC.csv",
        text_of("Date,Open,High,Low,Close,Volume", [f"{number:.6f}" for number in SERIAL]),
        "days as a spreadsheet counts them",
    ),
    "clocks that lost their zero": (
        "ITC.csv",
        text_of("Date,Time,O,H,L,C,V", ["20250602"] * 2, ["91500", "91600"]),
        "date and time = timestamp",
    ),
    "t of charts": ("ITC.csv", text_of("t,o,h,l,c,v", EPOCHS), "t = timestamp"),
    "comments above the header": (
        "ITC.csv",
        "# exported by x, y\n# of NSE\n" + text_of("time,open,high,low,close,volume", ISO),
        "2 lines above the header",
    ),
    "single quotation marks": (
        "prices.csv",
        "'symbol','timestamp','open','high','low','close','volume'\n"
        + "".join(
            f"'ITC','{moment}',{','.join(map(str, bar))}\n"
            for moment, bar in zip(ISO, BARS, strict=True)
        ),
        "quoted by '",
    ),
    "spaces": (
        "ITC.txt",
        text_of(
            "date,time,open,high,low,close,volume", ["2025-06-02"] * 2, ["09:15", "09:16"]
        ).replace(",", " "),
        "separated by spaces",
    ),
    "JSON under the name of CSV": (
        "ITC.csv",
        json.dumps(OBJECTS),
        "JSON, though the name says .csv",
    ),
    "lists of a broker that nobody named": (
        "ITC.json",
        json.dumps(
            {
                "status": "SUCCESS",
                "payload": {"candles": [[e, *b] for e, b in zip(EPOCHS, BARS, strict=True)]},
            }
        ),
        "lists of moment, open, high, low, close, volume",
    ),
    "Shoonya": (
        "ITC.json",
        json.dumps(
            [
                {
                    "ssboe": str(moment),
                    **{
                        name: str(v)
                        for name, v in zip(
                            ("into", "inth", "intl", "intc", "intv"), bar, strict=True
                        )
                    },
                    "v": "99999",
                }
                for moment, bar in zip(EPOCHS, BARS, strict=True)
            ]
        ),
        "Shoonya",
    ),
    "moments beside the lists, one level up": (
        "ITC.json",
        json.dumps(
            {
                "chart": {
                    "result": [
                        {
                            "timestamp": EPOCHS,
                            "indicators": {
                                "quote": [
                                    {name: [bar[n] for bar in BARS] for n, name in enumerate(NAMES)}
                                ]
                            },
                        }
                    ]
                }
            }
        ),
        "epoch seconds",
    ),
    "an object for each moment": (
        "ITC.json",
        json.dumps(
            {
                moment: {f"{n}. {name}": str(bar[n - 1]) for n, name in enumerate(NAMES, start=1)}
                for moment, bar in zip(ISO, BARS, strict=True)
            }
        ),
        "1. open = open",
    ),
    "columns of a frame by moment": (
        "ITC.json",
        json.dumps(
            {
                name: {moment: bar[n] for moment, bar in zip(ISO, BARS, strict=True)}
                for n, name in enumerate(NAMES)
            }
        ),
        "instrument ITC from the file name",
    ),
}


@pytest.mark.parametrize("what", MINUTES)
def test_the_same_two_minutes_in_yet_another_way(what: str) -> None:
    name, text, said = MINUTES[what]
    found = candles(text, name)
    assert (found.kind, moments(found)) == ("minutes", ["2025-06-02 09:15", "2025-06-02 09:16"])
    assert values(found) == BARS
    assert keys(found) == ["NSE_EQ|ITC"]
    assert said in "; ".join(found.notes)
