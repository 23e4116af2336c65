"""Lists of stocks with derivatives, and what they do to the minutes around the closing auction."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources import Intake, take_in
from setbull_pipelines.tables import CANDLES_1MIN, DERIVATIVE_UNDERLYINGS
from setbull_pipelines_tests.moments import LATER

BEFORE, AFTER = date(2026, 7, 31), date(2026, 8, 3)
CLOCKS = ("15:14", "15:15", "15:29", "15:30", "15:35")
UNDERLYING, OTHER, INDEX = "NSE_EQ|A", "NSE_EQ|B", "NSE_INDEX|Nifty 50"


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    rows = [
        f"{key},{day}T{clock}:00+05:30,100,100,100,100,5"
        for key in (UNDERLYING, OTHER, INDEX)
        for day in (BEFORE, AFTER)
        for clock in CLOCKS
    ]
    write(folder / "minutes.csv", "instrument_key,timestamp,open,high,low,close,volume", *rows)
    return folder


def write(path: Path, *lines: str) -> None:
    path.write_text("\n".join(lines) + "\n")


def take(folder: Path) -> Intake:
    return take_in(folder, folder.parent / "landing", SampleSettings(), LATER)


def accepted(taken: Intake, day: date, key: str) -> list[str]:
    rows = taken.load_day(day).candles_1min
    return rows.loc[rows["instrument_key"] == key, "timestamp"].dt.strftime("%H:%M").tolist()


def shapes(taken: Intake, day: date) -> dict[str, str]:
    rows = taken.load_day(day).candles_1min
    CANDLES_1MIN.schema.validate(rows)
    return dict(zip(rows["instrument_key"], rows["session_shape"], strict=True))


def test_a_listed_stock_ends_with_its_auction_and_only_from_the_first_day_on(inbox: Path) -> None:
    write(inbox / "derivatives.csv", "instrument_key,derivatives_from", f"{UNDERLYING},2024-01-01")
    taken = take(inbox)
    DERIVATIVE_UNDERLYINGS.schema.validate(taken.derivative_underlyings)
    assert accepted(taken, BEFORE, UNDERLYING) == ["15:14", "15:15", "15:29"]
    assert accepted(taken, AFTER, UNDERLYING) == ["15:14"]
    assert accepted(taken, AFTER, OTHER) == ["15:14", "15:15", "15:29"]
    assert set(shapes(taken, BEFORE).values()) == {"full"}
    assert shapes(taken, AFTER) == {UNDERLYING: "closing auction", OTHER: "full", INDEX: "full"}


def test_the_quarantine_says_what_the_auction_rows_are(inbox: Path) -> None:
    write(inbox / "derivatives.csv", "instrument_key,derivatives_from", f"{UNDERLYING},2024-01-01")
    loaded = take(inbox).load_day(AFTER)
    found = loaded.quarantine[loaded.quarantine["rule"] == "closing auction"]
    assert found["instrument_key"].tolist() == [UNDERLYING] * 2
    assert found["value"].tolist() == ["15:15", "15:29"]
    assert found["reason"].iloc[0] == (
        "Found a bar at 15:15 of a stock with derivatives, expected continuous trading; "
        "the closing auction from 15:15 to 15:35 is in the official close only."
    )
    late = loaded.quarantine[loaded.quarantine["rule"] == "post_close"]
    assert len(late) == 6  # 15:30 and 15:35 of three instruments
    assert late["reason"].str.contains("closing auction from 15:15 to 15:35").all()
    account = loaded.accounting.set_index("kind").loc["minutes"]
    assert account["received"] == account["accepted"] + account["quarantined"] == 15


def test_without_a_list_both_shapes_are_accepted_and_the_rows_say_so(inbox: Path) -> None:
    taken = take(inbox)
    assert accepted(taken, AFTER, UNDERLYING) == ["15:14", "15:15", "15:29"]
    assert shapes(taken, AFTER) == {
        UNDERLYING: "not known",
        OTHER: "not known",
        INDEX: "full",
    }
    assert set(shapes(taken, BEFORE).values()) == {"full"}


@pytest.mark.parametrize(
    ("first", "last", "shape"),
    [
        ("2026-08-03", "", "closing auction"),
        ("2026-08-04", "", "full"),
        ("2024-01-01", "2026-08-03", "closing auction"),
        ("2024-01-01", "2026-08-02", "full"),
    ],
)
def test_the_list_is_dated(inbox: Path, first: str, last: str, shape: str) -> None:
    header = "instrument_key,derivatives_from,derivatives_to"
    write(inbox / "derivatives.csv", header, f"{UNDERLYING},{first},{last}")
    assert shapes(take(inbox), AFTER)[UNDERLYING] == shape


def test_symbols_are_found_in_the_instrument_file(inbox: Path) -> None:
    header = "instrument_key,symbol,isin"
    write(inbox / "instruments.csv", header, f"{UNDERLYING},ALPHA,", f"{OTHER},BETA,")
    write(inbox / "list.csv", "symbol,derivatives_from", "ALPHA,2020-01-01")
    taken = take(inbox)
    assert taken.derivative_underlyings["instrument_key"].tolist() == [UNDERLYING]
    assert shapes(taken, AFTER)[UNDERLYING] == "closing auction"


def test_coverage_does_not_count_auction_rows(inbox: Path) -> None:
    write(inbox / "derivatives.csv", "instrument_key,derivatives_from", f"{UNDERLYING},2024-01-01")
    write(
        inbox / "again.csv",
        "instrument_key,timestamp,open,high,low,close,volume",
        f"{OTHER},{AFTER}T15:14:00+05:30,100,100,100,100,5",
    )
    taken = take(inbox)
    rows = taken.coverage.set_index("instrument_key")["rows"].to_dict()
    assert rows == {UNDERLYING: 4, OTHER: 6, INDEX: 6}
    write(
        inbox / "again.csv",
        "instrument_key,timestamp,open,high,low,close,volume",
        f"{UNDERLYING},{AFTER}T15:15:00+05:30,100,100,100,100,5",
    )
    rows = take(inbox).coverage.set_index("instrument_key")["rows"].to_dict()
    assert rows == {UNDERLYING: 4, OTHER: 6, INDEX: 6}


def test_rows_that_say_nothing_are_quarantined_with_the_reason(inbox: Path) -> None:
    write(
        inbox / "derivatives.csv",
        "instrument_key,derivatives_from,derivatives_to",
        f"{UNDERLYING},3 August 2026,",
        "NSE_INDEX|Nifty 50,2026-08-03,",
        f"{OTHER},2026-08-03,2026-08-01",
        f"{OTHER},2026-08-03",
    )
    taken = take(inbox)
    assert taken.derivative_underlyings.empty
    rejected = taken.unassigned[taken.unassigned["source"] == "derivatives.csv"]
    assert rejected["rule"].tolist() == [
        "unreadable date",
        "invalid instrument",
        "ends before it begins",
        "malformed row",
    ]
    assert rejected["reason"].iloc[0] == (
        "Found '3 August 2026' in column derivatives_from, expected a date such as 2026-08-03."
    )


def test_a_list_without_names_is_no_list(inbox: Path) -> None:
    write(inbox / "derivatives.csv", "stock,derivatives_from", "A,2026-08-03")
    files = take(inbox).files.set_index("source")
    assert files.loc["derivatives.csv", "kind"] == "rejected"
    assert "expected also instrument_key or symbol" in files.loc["derivatives.csv", "reason"]


def test_a_repeated_row_counts_once_and_a_contradicted_one_is_quarantined(inbox: Path) -> None:
    write(
        inbox / "derivatives.csv",
        "symbol,derivatives_from,derivatives_to",
        "A,2026-08-03,",
        "A,2026-08-03,",
        "A,2026-08-03,2026-09-30",
    )
    taken = take(inbox)
    (row,) = taken.derivative_underlyings.to_dict("records")
    assert (row["instrument_key"], str(row["last_day"].date())) == (UNDERLYING, "2026-09-30")
    assert taken.unassigned[["line", "rule"]].values.tolist() == [[3, "superseded"]]
    assert "line 4 says otherwise" in taken.unassigned["reason"].iloc[0]
