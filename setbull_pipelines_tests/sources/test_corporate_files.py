"""Files of corporate actions and aliases: what is kept, what is quarantined, which of two rows counts."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources import take_in
from setbull_pipelines_tests.moments import LATER
from setbull_pipelines_tests.sources.action_files import take, with_candles, write

BY_KEY = "instrument_key,ex_date,kind,ratio"
SPLIT = "NSE_EQ|INE066A01021,2020-08-24,split,10"


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    return with_candles(tmp_path / "inbox")


def test_actions_are_known_by_their_columns(inbox: Path) -> None:
    write(
        inbox / "actions.csv",
        BY_KEY,
        SPLIT,
        "NSE_EQ|INE002A01018,2024-10-28,Bonus,2",
        "NSE_EQ|INE154A01025,2025-01-06,demerger,1.06",
        "NSE_EQ|INE075A01022,2024-12-03,bonus,4/3",
    )
    taken = take(inbox)
    assert taken.corporate_actions.drop(columns="source").values.tolist() == [
        ["NSE_EQ|INE002A01018", pd.Timestamp("2024-10-28"), "bonus", 2.0],
        ["NSE_EQ|INE066A01021", pd.Timestamp("2020-08-24"), "split", 10.0],
        ["NSE_EQ|INE075A01022", pd.Timestamp("2024-12-03"), "bonus", 4 / 3],
        ["NSE_EQ|INE154A01025", pd.Timestamp("2025-01-06"), "demerger", 1.06],
    ]
    assert set(taken.corporate_actions["source"]) == {"actions.csv"}
    files = taken.files.set_index("source")
    assert files.loc["actions.csv", ["kind", "received"]].tolist() == ["corporate_actions", 4]
    assert taken.instrument_aliases.empty
    # Read back from the landing, not from the file.
    pd.testing.assert_frame_equal(take(inbox).corporate_actions, taken.corporate_actions)


def test_a_symbol_finds_its_key_in_the_universe(inbox: Path) -> None:
    write(inbox / "universe.csv", "symbol,isin", "EICHERMOT,INE066A01021")
    rows = ("EICHERMOT,2020-08-24,split,10", "UNLISTED,2020-08-24,split,2")
    write(inbox / "actions.csv", "symbol,ex_date,kind,ratio", *rows)
    assert take(inbox).corporate_actions["instrument_key"].tolist() == [
        "NSE_EQ|INE066A01021",
        "NSE_EQ|UNLISTED",
    ]


@pytest.mark.parametrize(
    ("row", "rule", "column", "sentence"),
    [
        (
            "EICHERMOT,2020-08-24,split,10",
            "invalid instrument",
            "instrument_key",
            "Found 'EICHERMOT' in column instrument_key, expected SEGMENT|IDENTIFIER, such as NSE_EQ|INE002A01018.",
        ),
        ("NSE_EQ|A,24-08-2020,split,10", "unreadable date", "ex_date", "Found '24-08-2020'"),
        ("NSE_EQ|A,,split,10", "unreadable date", "ex_date", "Found no value in column ex_date"),
        ("NSE_EQ|A,2020-08-24,merger,10", "unknown kind", "kind", "split, bonus, demerger, spec"),
        ("NSE_EQ|A,2020-08-24,split,1:10", "not a ratio", "ratio", "a 1:2 split is 2"),
        ("NSE_EQ|A,2020-08-24,split,1/0", "not a ratio", "ratio", "Found '1/0'"),
        ("NSE_EQ|A,2020-08-24,split,nan", "not a ratio", "ratio", "Found 'nan'"),
        ("NSE_EQ|A,2020-08-24,split,1e999999999", "not a ratio", "ratio", "Found '1e999999999'"),
        ("NSE_EQ|A,2020-08-24,split,-2", "not a ratio", "ratio", "Found '-2'"),
        ("NSE_EQ|A,2020-08-24,split,0", "impossible ratio", "ratio", "Found '0'"),
        ("NSE_EQ|A,2020-08-24,split,1", "impossible ratio", "ratio", "not 1"),
        ("NSE_EQ|A,2020-08-24,split,1001", "impossible ratio", "ratio", "at most 1000"),
        ("NSE_EQ|A,2020-08-24,split", "malformed row", None, "Found 3 fields, expected 4"),
    ],
)
def test_a_bad_row_is_quarantined_with_its_reason_and_the_good_row_goes_on(
    row: str, rule: str, column: str | None, sentence: str, inbox: Path
) -> None:
    write(inbox / "actions.csv", BY_KEY, row, SPLIT)
    taken = take(inbox)
    assert taken.corporate_actions["instrument_key"].tolist() == ["NSE_EQ|INE066A01021"]
    (found,) = taken.unassigned.to_dict("records")
    assert (found["source"], found["line"], found["rule"]) == ("actions.csv", 2, rule)
    assert found["column"] == column or (column is None and pd.isna(found["column"]))
    assert sentence in found["reason"]


def test_the_last_row_for_one_fact_counts_and_an_equal_one_is_no_fault(inbox: Path) -> None:
    other = SPLIT.replace(",10", ",5")
    write(inbox / "a.csv", BY_KEY, other, SPLIT)
    write(inbox / "b.csv", BY_KEY, SPLIT)
    taken = take(inbox)
    assert taken.corporate_actions[["ratio", "source"]].values.tolist() == [[10.0, "b.csv"]]
    (found,) = taken.unassigned.to_dict("records")
    assert (found["source"], found["line"], found["rule"]) == ("a.csv", 2, "superseded")
    assert "in line 2 of b.csv" in found["reason"]
    assert json.loads(found["record"])["ratio"] == "5.0"
    files = taken.files.set_index("source")[["received", "assigned", "unassigned"]]
    assert files.loc["a.csv"].tolist() == [2, 1, 1]


def test_aliases_link_an_old_key_to_the_one_that_took_its_place(inbox: Path) -> None:
    write(
        inbox / "aliases.csv",
        "old_instrument_key,new_instrument_key,from_date",
        "NSE_EQ|INE066A01013,NSE_EQ|INE066A01021,2020-08-24",
        "NSE_EQ|A,NSE_EQ|A,2020-08-24",
        "NSE_EQ|A,nonsense,2020-08-24",
        "NSE_EQ|A,NSE_EQ|B,soon",
    )
    taken = take(inbox)
    assert taken.instrument_aliases.values.tolist() == [
        ["NSE_EQ|INE066A01013", "NSE_EQ|INE066A01021", pd.Timestamp("2020-08-24"), "aliases.csv"]
    ]
    assert taken.unassigned["rule"].tolist() == [
        "invalid instrument",
        "invalid instrument",
        "unreadable date",
    ]


def test_the_sample_announces_its_split(tmp_path: Path) -> None:
    actions = take_in(None, tmp_path / "long", SampleSettings(), LATER).corporate_actions
    assert actions[["kind", "ratio", "source"]].values.tolist() == [
        ["split", 5.0, "generated sample"]
    ]
    short = SampleSettings(daily_sessions=5, minute_sessions=1)
    assert take_in(None, tmp_path / "short", short, LATER).corporate_actions.empty


def test_of_two_aliases_of_one_key_the_last_counts(inbox: Path) -> None:
    header = "old_instrument_key,new_instrument_key,from_date"
    rows = ("NSE_EQ|A,NSE_EQ|B,2020-08-24", "NSE_EQ|A,NSE_EQ|C,2020-08-24")
    write(inbox / "aliases.csv", header, *rows)
    taken = take(inbox)
    assert taken.instrument_aliases["instrument_key"].tolist() == ["NSE_EQ|C"]
    assert taken.unassigned[["line", "rule"]].values.tolist() == [[2, "superseded"]]
