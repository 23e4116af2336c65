"""Intake: remembering files, revisions of a bar, known instruments, and the account of every row."""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources import Intake, take_in, understanding
from setbull_pipelines.sources.landing import open_landing
from setbull_pipelines.tables import (
    ACCOUNTING,
    CANDLES_1MIN,
    CANDLES_DAILY_HISTORY,
    COVERAGE,
    INSTRUMENTS,
    INTAKE,
    QUARANTINE,
    REVISIONS,
)
from setbull_pipelines_tests.moments import LATER

HEADER = "instrument_key,timestamp,open,high,low,close,volume"
DAY = date(2025, 6, 2)
NEXT_DAY = date(2025, 6, 3)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def take(folder: Path) -> Intake:
    return take_in(folder, folder.parent / "landing", SampleSettings(), LATER)


def landings(inbox: Path) -> list[Path]:
    return [path for path in (inbox.parent / "landing").iterdir() if path.is_dir()]


def bar(key: str = "NSE_EQ|A", minute: str = "09:15", price: str = "100", day: str = "02") -> str:
    return f"{key},2025-06-{day}T{minute}:00+05:30,{price},{price},{price},{price},10"


def write_csv(path: Path, *rows: str, header: str = HEADER) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")


def account(taken: Intake, day: date, kind: str) -> dict[str, int]:
    accounting = taken.load_day(day).accounting.set_index("kind")
    return accounting.loc[kind].drop("trading_day").to_dict()


def test_the_last_statement_about_a_bar_counts_and_every_row_is_accounted_for(inbox: Path) -> None:
    write_csv(inbox / "a.csv", bar(price="100"), bar(price="101"), bar(minute="09:16"))
    write_csv(inbox / "b/a.csv", bar(price="102.0"), bar(price="102"))
    taken = take(inbox)
    loaded = taken.load_day(DAY)
    first = loaded.candles_1min.iloc[0]
    assert (first["close"], first["source"]) == (102.0, "b/a.csv")
    quarantine = loaded.quarantine
    assert quarantine[["source", "line", "rule"]].values.tolist() == [
        ["a.csv", 2, "superseded"],
    ]
    assert "in line 3 of the same file" in quarantine["reason"].iloc[0]
    assert json.loads(quarantine["record"].iloc[0])["close"] == "100.0"
    (revision,) = loaded.revisions.itertuples()
    assert (revision.old_close, revision.new_close) == (101.0, 102.0)
    assert (revision.old_source, revision.new_source) == ("a.csv", "b/a.csv")
    assert revision.changed == "open, high, low, close"
    assert account(taken, DAY, "minutes") == {
        "received": 5,
        "accepted": 2,
        "quarantined": 1,
        "duplicates_ignored": 1,
        "superseded": 1,
    }
    assert taken.coverage["rows"].tolist() == [2]


def test_a_revision_back_to_the_first_value_ignores_the_first_row(inbox: Path) -> None:
    write_csv(inbox / "a.csv", bar(price="100"), bar(price="101"), bar(price="100"))
    taken = take(inbox)
    assert account(taken, DAY, "minutes")["duplicates_ignored"] == 1
    assert taken.load_day(DAY).quarantine["line"].tolist() == [3]


def test_a_file_written_again_corrects_itself_and_keeps_what_it_no_longer_says(
    inbox: Path,
) -> None:
    """Rows that are put into quarantine for what is known of instruments have the same number in both contents."""
    universe = "instrument_key,symbol,tick_size_paise"
    write_csv(inbox / "universe.csv", "NSE_EQ|A,A,5", header=universe)
    stranger = bar("NSE_EQ|B", "09:20")
    write_csv(inbox / "a.csv", stranger, bar(price="100"), bar(minute="09:16"), bar(price="x"))
    take(inbox)
    write_csv(inbox / "a.csv", stranger, bar(price="101"))
    taken = take(inbox)
    day = taken.load_day(DAY)
    QUARANTINE.schema.validate(day.quarantine)
    assert day.candles_1min["close"].tolist() == [101.0, 100.0]
    assert (day.candles_1min["source"] == "a.csv").all()
    assert day.candles_1min["ingested_at"].is_monotonic_decreasing
    assert day.revisions[["old_close", "new_close"]].values.tolist() == [[100.0, 101.0]]
    assert day.quarantine["line"].tolist() == [2, 2]
    assert day.quarantine["source"].iloc[0] == "a.csv"
    assert day.quarantine["source"].iloc[1].startswith("a.csv (its content of 2027-01-04T")
    assert account(taken, DAY, "minutes") == {
        "received": 5,
        "accepted": 2,
        "quarantined": 2,
        "duplicates_ignored": 0,
        "superseded": 1,
    }
    assert len(taken.files) == 2
    (inbox / "a.csv").unlink()
    write_csv(inbox / "c.csv", bar(price="99"))
    assert take(inbox).load_day(DAY).candles_1min["close"].tolist() == [99.0]


def test_null_open_interest_equals_null_but_not_zero(inbox: Path) -> None:
    header = HEADER + ",open_interest"
    write_csv(inbox / "a.csv", bar() + ",", bar() + ",", bar() + ",0", header=header)
    taken = take(inbox)
    assert account(taken, DAY, "minutes") == {
        "received": 3,
        "accepted": 1,
        "quarantined": 2,
        "duplicates_ignored": 0,
        "superseded": 0,
    }


def test_files_are_read_once_and_their_landings_outlive_the_file(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv(inbox / "a.csv", bar())
    write_csv(inbox / "b.csv", bar(minute="09:16"))
    seen: list[tuple[str, int, int]] = []
    take_in(
        inbox, inbox.parent / "landing", SampleSettings(), LATER, lambda *step: seen.append(step)
    )
    assert seen == [("a.csv", 1, 2), ("b.csv", 2, 2)]
    monkeypatch.setattr(understanding, "read_rows", lambda *_: pytest.fail("read again"))
    (inbox / "b.csv").rename(inbox / "c.csv")
    assert take(inbox).load_day(DAY).candles_1min["source"].tolist() == ["a.csv", "c.csv"]
    (inbox / "c.csv").unlink()
    taken = take(inbox)
    assert taken.files["source"].tolist() == ["a.csv"]
    assert len(taken.load_day(DAY).candles_1min) == 1
    assert len(landings(inbox)) == 2


def test_a_damaged_landing_is_read_again(inbox: Path) -> None:
    write_csv(inbox / "a.csv", bar())
    take(inbox)
    (folder,) = landings(inbox)
    os.truncate(folder / "candles.parquet", 10)
    assert open_landing(folder) is None
    assert len(take(inbox).load_day(DAY).candles_1min) == 1
    assert open_landing(folder) is not None


def test_a_failure_while_landing_leaves_nothing_behind(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv(inbox / "a.csv", bar())

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("setbull_pipelines.sources.landing_writing.os.rename", fail)
    with pytest.raises(OSError, match="disk full"):
        take(inbox)
    assert landings(inbox) == []


def test_an_instrument_file_decides_which_instruments_are_known(inbox: Path) -> None:
    write_csv(inbox / "keys.csv", bar("NSE_EQ|INE002A01018"), bar("NSE_EQ|INE999X01010"))
    symbol_header = HEADER.replace("instrument_key", "symbol")
    write_csv(
        inbox / "symbols.csv",
        bar("RELIANCE", "09:16"),
        bar("NOBODY", "09:16"),
        header=symbol_header,
    )
    write_csv(
        inbox / "universe.csv",
        "NSE_EQ|INE002A01018,RELIANCE,5",
        "NSE_EQ|INE467B01029,TCS,-5",
        header="instrument_key,symbol,tick_size_paise",
    )
    taken = take(inbox)
    loaded = taken.load_day(DAY)
    assert loaded.candles_1min["instrument_key"].tolist() == ["NSE_EQ|INE002A01018"] * 2
    assert loaded.quarantine[["source", "rule", "value"]].values.tolist() == [
        ["keys.csv", "unknown instrument", "NSE_EQ|INE999X01010"],
        ["symbols.csv", "unknown instrument", "NSE_EQ|NOBODY"],
    ]
    assert taken.coverage[["instrument_key", "rows"]].values.tolist() == [
        ["NSE_EQ|INE002A01018", 2]
    ]
    assert taken.instruments[["symbol", "tick_size", "source"]].values.tolist() == [
        ["RELIANCE", 0.05, "universe.csv"]
    ]
    assert taken.unassigned[["source", "line", "rule", "value"]].values.tolist() == [
        ["universe.csv", 3, "not positive", "-5"]
    ]
    files = taken.files.set_index("source")
    assert files.loc["universe.csv", ["received", "assigned", "unassigned"]].tolist() == [2, 1, 1]


def test_without_an_instrument_file_candles_name_the_instruments(inbox: Path) -> None:
    header = HEADER + ",symbol"
    write_csv(
        inbox / "a.csv",
        bar("NSE_EQ|INE002A01018") + ",OLDNAME",
        bar("NSE_EQ|INE002A01018", "09:16") + ",RELIANCE",
        bar("NSE_INDEX|NIFTY50") + ",",
        header=header,
    )
    instruments = take(inbox).instruments
    INSTRUMENTS.schema.validate(instruments)
    assert instruments["symbol"].tolist() == ["RELIANCE", "NIFTY50"]
    assert instruments["isin"].iloc[0] == "INE002A01018"
    assert instruments[["name", "tick_size", "lot_size"]].isna().all(axis=None)
    assert set(instruments["source"]) == {"candles"}


def test_days_and_ranges_hold_the_same_rows(inbox: Path) -> None:
    write_csv(inbox / "a.csv", bar(), bar(day="03"), bar("NSE_EQ|B", day="03"), bar(price="x"))
    write_csv(inbox / "d.csv", "NSE_EQ|A,2025-06-04,1,1,1,1,1")
    taken = take(inbox)
    days = [DAY, NEXT_DAY, date(2025, 6, 4), date(2025, 6, 5)]
    together = taken.load_days(days)
    for day in days:
        alone = taken.load_day(day)
        for name in ("candles_1min", "candles_daily_history", "quarantine", "accounting"):
            pd.testing.assert_frame_equal(getattr(alone, name), getattr(together[day], name))
    in_one = taken.load_range(days)
    for name in ("candles_1min", "candles_daily_history", "quarantine", "accounting", "revisions"):
        frame = getattr(in_one, name)
        assert frame["trading_day"].is_monotonic_increasing
        parts = [getattr(together[day], name) for day in days]
        pd.testing.assert_frame_equal(
            frame.reset_index(drop=True), pd.concat(parts, ignore_index=True)
        )
    assert [len(together[day].candles_1min) for day in days] == [1, 2, 0, 0]
    assert len(together[date(2025, 6, 4)].candles_daily_history) == 1
    assert (taken.first_day, taken.last_day) == (DAY, date(2025, 6, 4))
    assert taken.days("minutes") == [DAY, NEXT_DAY]


def lines_of(quarantine: pd.DataFrame) -> list[tuple[str, int]]:
    return list(zip(quarantine["source"], quarantine["line"], strict=True))


PRICES = st.sampled_from(["100", "101", "0", "-1", "abc", "", "nan", "inf", "1e3", "99.95"])
ROWS = st.tuples(
    st.sampled_from(["NSE_EQ|A", "NSE_EQ|B", "", "nonsense"]),
    st.sampled_from(
        [
            "2025-06-02T09:15:00+05:30",
            "2025-06-02T03:46:00Z",
            "2025-06-02T09:15:30+05:30",
            "2025-06-03T09:15:00+05:30",
            "2025-06-03T15:30:00+05:30",
            "2025-06-01T09:15:00+05:30",
            "2025-06-02 09:15",
            "2025-06-02",
            "2025-06-03T00:00:00+05:30",
            "garbage",
            "",
        ]
    ),
    PRICES,
    PRICES,
    st.sampled_from(["10", "0", "-1", "1.5", ""]),
    st.sampled_from(["", "0", "5", "-5", "x"]),
).map(lambda row: f"{row[0]},{row[1]},{row[2]},{row[3]},{row[2]},{row[2]},{row[4]},{row[5]}")


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    files=st.lists(st.lists(ROWS | st.just("1,2"), min_size=1, max_size=25), min_size=1, max_size=3)
)
def test_every_received_row_is_accepted_quarantined_or_an_equal_duplicate(
    files: list[list[str]],
) -> None:
    with TemporaryDirectory() as place:
        inbox = Path(place) / "inbox"
        inbox.mkdir()
        for number, rows in enumerate(files):
            write_csv(inbox / f"{number}.csv", *rows, header=HEADER + ",open_interest")
        taken = take(inbox)
        listed = taken.files
        assert listed["received"].tolist() == [len(rows) for rows in files]
        assert (listed["received"] == listed["assigned"] + listed["unassigned"]).all()
        assert listed["unassigned"].sum() == len(taken.unassigned)
        days = taken.load_days(sorted({*taken.days("minutes"), *taken.days("daily")}))
        rejected_lines = Counter(lines_of(taken.unassigned))
        received = 0
        for day in days.values():
            CANDLES_1MIN.schema.validate(day.candles_1min)
            CANDLES_DAILY_HISTORY.schema.validate(day.candles_daily_history)
            QUARANTINE.schema.validate(day.quarantine)
            ACCOUNTING.schema.validate(day.accounting)
            count = day.accounting.set_index("kind")
            REVISIONS.schema.validate(day.revisions)
            parts = count[["accepted", "quarantined", "duplicates_ignored", "superseded"]]
            parts = parts.sum(axis=1)
            assert (count["received"] == parts).all()
            assert count.loc["minutes", "accepted"] == len(day.candles_1min)
            assert count.loc["daily", "accepted"] == len(day.candles_daily_history)
            assert count["quarantined"].sum() == len(day.quarantine)
            assert count["superseded"].sum() == len(day.revisions)
            rejected_lines.update(lines_of(day.quarantine))
            received += int(count["received"].sum())
        assert received == listed["assigned"].sum()
        assert set(rejected_lines.values()) <= {1}
        accepted = sum(
            len(day.candles_1min) + len(day.candles_daily_history) for day in days.values()
        )
        assert taken.coverage["rows"].sum() == accepted
        INTAKE.schema.validate(listed)
        COVERAGE.schema.validate(taken.coverage)
        INSTRUMENTS.schema.validate(taken.instruments)


def test_small_letters_in_lists_actions_and_candles_are_one_share(inbox: Path) -> None:
    minutes = "symbol,timestamp,open,high,low,close,volume"
    row = "2025-06-02T09:15:00+05:30,100,100,100,100,10"
    (inbox / "a.csv").write_text(f"{minutes}\nitc,{row}\nTcs,{row}\n")
    (inbox / "universe.csv").write_text("symbol,isin,tick_size\nItc,INE154A01025,0.05\ntcs,,0.05\n")
    (inbox / "actions.csv").write_text("symbol,ex_date,kind,ratio\nitc,2025-06-02,split,2\n")
    (inbox / "derivatives.csv").write_text("symbol,derivatives_from\ntcs,2025-01-01\n")
    taken = take(inbox)
    assert sorted(taken.coverage["instrument_key"]) == ["NSE_EQ|INE154A01025", "NSE_EQ|TCS"]
    assert taken.load_day(DAY).quarantine.empty
    assert taken.corporate_actions["instrument_key"].tolist() == ["NSE_EQ|INE154A01025"]
    assert taken.derivative_underlyings["instrument_key"].tolist() == ["NSE_EQ|TCS"]
