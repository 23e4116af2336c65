"""Kept answers and the candle files made of them."""

from __future__ import annotations

import gzip
import json
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.parquet
import pytest

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources.intake import take_in
from setbull_pipelines.sources.upstox.calls import DAY, MINUTE, Call
from setbull_pipelines.sources.upstox.candle_files import write_candle_files
from setbull_pipelines.sources.upstox.kept import DamagedAnswer, KeptAnswers, final_sessions
from setbull_pipelines_tests.moments import LATER
from setbull_pipelines_tests.sources.upstox.broker import (
    INFY,
    TCS,
    candle_body,
    daily_rows,
    minute_rows,
)

THURSDAY, FRIDAY = date(2026, 11, 19), date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=ZoneInfo("Asia/Kolkata"))
EVENING = NOON.replace(hour=20)


def body(rows: list[list]) -> bytes:
    return json.dumps(candle_body(rows[::-1])).encode()


def keep(kept: KeptAnswers, call: Call, rows: list[list], final: date | None, at=EVENING):
    return kept.keep(call, body(rows), len(rows), at, final)


@pytest.fixture
def kept(tmp_path: Path) -> KeptAnswers:
    return KeptAnswers(tmp_path / "responses")


def history(key: str, *days: date) -> tuple[Call, list[list]]:
    rows = [row for day in days for row in minute_rows(key, day)]
    return Call(key, MINUTE, days[0], days[-1]), rows


def running(key: str, day: date) -> Call:
    return Call(key, MINUTE, day, day, running=True)


def test_an_answer_is_kept_as_received_and_found_again(kept: KeptAnswers, tmp_path: Path) -> None:
    call, rows = history(INFY, THURSDAY, FRIDAY)
    answer = keep(kept, call, rows, FRIDAY)
    again = KeptAnswers(tmp_path / "responses")
    assert again.of(MINUTE, INFY) == [answer]
    assert again.body(answer) == body(rows)
    assert again.instruments(MINUTE) == [INFY]
    assert again.of(DAY, INFY) == again.of(MINUTE, TCS) == []
    assert set(final_sessions([answer], NSE)) == {THURSDAY, FRIDAY}
    assert answer.received_at == EVENING


def test_a_file_that_is_in_no_manifest_counts_for_nothing_and_goes(
    kept: KeptAnswers, tmp_path: Path
) -> None:
    answer = keep(kept, *history(INFY, THURSDAY), THURSDAY)
    folder = tmp_path / "responses" / MINUTE / "NSE_EQ%7CINE009A01021"
    orphan = folder / "2026-11-20_2026-11-20_history_00.json.gz"
    orphan.write_bytes(b"cut short")
    assert kept.of(MINUTE, INFY) == [answer]
    keep(kept, *history(INFY, FRIDAY), FRIDAY)
    assert not orphan.exists()
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("damage", ["lost", "other", "spoilt", "cut"])
def test_a_damaged_answer_is_removed_and_its_sessions_are_missing_again(
    kept: KeptAnswers, tmp_path: Path, damage: str
) -> None:
    answer = keep(kept, *history(INFY, THURSDAY), THURSDAY)
    (path,) = (tmp_path / "responses").rglob("*.json.gz")
    if damage == "lost":
        path.unlink()
    elif damage == "other":
        path.write_bytes(gzip.compress(body(minute_rows(TCS, THURSDAY))))
    elif damage == "spoilt":
        path.write_bytes(path.read_bytes()[:10] + b"x" * 20)
    else:
        path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DamagedAnswer, match="the next fetch asks again"):
        kept.body(answer)
    assert kept.of(MINUTE, INFY) == []


@pytest.mark.parametrize("content", ["", "{", '[{"first": 1}]', "7"])
def test_what_a_damaged_manifest_does_not_tell_is_missing(
    kept: KeptAnswers, tmp_path: Path, content: str
) -> None:
    keep(kept, *history(INFY, THURSDAY), THURSDAY)
    (manifest,) = (tmp_path / "responses").rglob("manifest.json")
    manifest.write_text(content)
    assert kept.of(MINUTE, INFY) == []
    answer = keep(kept, *history(INFY, THURSDAY), THURSDAY)
    assert kept.of(MINUTE, INFY) == [answer]


def test_of_a_running_day_only_the_last_answer_is_kept(kept: KeptAnswers, tmp_path: Path) -> None:
    keep(kept, running(INFY, FRIDAY), minute_rows(INFY, FRIDAY, 1), None, NOON)
    later = keep(kept, running(INFY, FRIDAY), minute_rows(INFY, FRIDAY, 2), None)
    assert kept.of(MINUTE, INFY) == [later]
    assert len(list((tmp_path / "responses").rglob("*.json.gz"))) == 1
    assert final_sessions([later], NSE) == {}


def test_retention_counts_from_the_last_session_of_an_answer(kept: KeptAnswers) -> None:
    old = keep(kept, *history(INFY, date(2024, 1, 2)), date(2024, 1, 2))
    new = keep(kept, *history(INFY, date(2024, 1, 3), THURSDAY), THURSDAY)
    assert kept.remove_older_than(date(2024, 1, 2)) == 0
    assert kept.of(MINUTE, INFY) == [old, new]
    assert kept.remove_older_than(date(2024, 1, 3)) == 1
    assert kept.of(MINUTE, INFY) == [new]


# Candle files


def files(folder: Path) -> dict[str, list]:
    return {
        path.name: pyarrow.parquet.read_table(path).to_pylist()
        for path in sorted(folder.glob("*.parquet"))
    }


def test_minutes_become_a_file_per_session_oldest_first(kept: KeptAnswers, tmp_path: Path) -> None:
    keep(kept, *history(TCS, THURSDAY, FRIDAY), FRIDAY)
    keep(kept, *history(INFY, FRIDAY), FRIDAY)
    result = write_candle_files(kept, tmp_path / "files", MINUTE, NSE)
    assert (result.written, result.unchanged, result.damaged) == (2, 0, ())
    found = files(tmp_path / "files")
    assert list(found) == ["2026-11-19.parquet", "2026-11-20.parquet"]
    friday = found["2026-11-20.parquet"]
    assert [row["instrument_key"] for row in friday] == [INFY] * 3 + [TCS] * 3
    assert [row["timestamp"].isoformat() for row in friday[:3]] == [
        "2026-11-20T09:15:00+05:30",
        "2026-11-20T09:16:00+05:30",
        "2026-11-20T09:17:00+05:30",
    ]
    names = ("open", "high", "low", "close", "volume", "open_interest")
    assert [[row[name] for name in names] for row in friday[3:]] == [
        row[1:] for row in minute_rows(TCS, FRIDAY)
    ]


def test_daily_candles_become_a_file_per_month(kept: KeptAnswers, tmp_path: Path) -> None:
    days = [date(2026, 10, 30), THURSDAY, FRIDAY]
    rows = [row for day in days for row in daily_rows(INFY, day)]
    keep(kept, Call(INFY, DAY, days[0], days[-1]), rows, FRIDAY)
    write_candle_files(kept, tmp_path / "files", DAY, NSE)
    assert {name: len(rows) for name, rows in files(tmp_path / "files").items()} == {
        "2026-10.parquet": 1,
        "2026-11.parquet": 2,
    }


def test_only_files_of_changed_sessions_are_written_again(
    kept: KeptAnswers, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    keep(kept, *history(INFY, THURSDAY), THURSDAY)
    write_candle_files(kept, folder, MINUTE, NSE)
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    keep(kept, *history(INFY, FRIDAY), FRIDAY)
    result = write_candle_files(kept, folder, MINUTE, NSE)
    assert (result.written, result.unchanged) == (1, 1)
    assert (folder / "2026-11-19.parquet").stat().st_ino == before["2026-11-19.parquet"]


def test_the_final_form_takes_the_place_of_the_provisional_one(
    kept: KeptAnswers, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    early = [[*row[:4], row[4] + 0.5, *row[5:]] for row in minute_rows(INFY, FRIDAY)]
    keep(kept, running(INFY, FRIDAY), early, None, NOON)
    # The question about history that brought nothing of today does not hide it.
    keep(kept, Call(INFY, MINUTE, FRIDAY, FRIDAY), [], None)
    write_candle_files(kept, folder, MINUTE, NSE)
    assert [row["close"] for row in files(folder)["2026-11-20.parquet"]] == [r[4] for r in early]
    keep(kept, *history(INFY, FRIDAY), FRIDAY)
    keep(kept, running(INFY, FRIDAY), early, None)
    assert write_candle_files(kept, folder, MINUTE, NSE).written == 1
    final = [row[4] for row in minute_rows(INFY, FRIDAY)]
    assert [row["close"] for row in files(folder)["2026-11-20.parquet"]] == final


def test_damage_is_told_and_its_candles_come_back_with_the_same_answer(
    kept: KeptAnswers, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    keep(kept, *history(INFY, FRIDAY), FRIDAY)
    keep(kept, *history(TCS, FRIDAY), FRIDAY)
    (path,) = (tmp_path / "responses").glob("*/NSE_EQ%7CINE009A01021/*.json.gz")
    path.write_bytes(b"x")
    result = write_candle_files(kept, folder, MINUTE, NSE)
    assert len(result.damaged) == 1
    assert {row["instrument_key"] for row in files(folder)["2026-11-20.parquet"]} == {TCS}
    keep(kept, *history(INFY, FRIDAY), FRIDAY)
    assert write_candle_files(kept, folder, MINUTE, NSE).written == 1
    assert len(files(folder)["2026-11-20.parquet"]) == 6


def test_expired_and_unreadable_files_and_leftovers_go(kept: KeptAnswers, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    keep(kept, *history(INFY, THURSDAY), THURSDAY)
    keep(kept, *history(INFY, FRIDAY), FRIDAY)
    write_candle_files(kept, folder, MINUTE, NSE)
    (folder / ".writing-2026-11-19.parquet").write_bytes(b"cut short")
    (folder / "2026-11-20.parquet").write_bytes(b"PAR1 spoilt")
    kept.remove_older_than(FRIDAY)
    assert write_candle_files(kept, folder, MINUTE, NSE).written == 1
    assert [path.name for path in folder.iterdir()] == ["2026-11-20.parquet"]
    assert len(files(folder)["2026-11-20.parquet"]) == 3


def test_candles_of_a_running_session_are_provisional_until_history_confirms_them(
    kept: KeptAnswers, tmp_path: Path
) -> None:
    """Although both files are taken in long after the close; the other instrument is final at once."""
    inbox, landing = tmp_path / "files", tmp_path / "landing"
    keep(kept, running(INFY, FRIDAY), minute_rows(INFY, FRIDAY), None, NOON)
    keep(kept, *history(TCS, FRIDAY), FRIDAY)
    write_candle_files(kept, inbox, MINUTE, NSE)
    day = take_in(inbox, landing, SampleSettings(), LATER).load_day(FRIDAY)
    by_key = day.candles_1min.groupby("instrument_key")["state"].unique().map(list).to_dict()
    assert by_key == {INFY: ["provisional"], TCS: ["final"]}
    corrected = minute_rows(INFY, FRIDAY)
    corrected[0][5] += 10
    keep(kept, Call(INFY, MINUTE, FRIDAY, FRIDAY), corrected, FRIDAY)
    assert write_candle_files(kept, inbox, MINUTE, NSE).written == 1
    day = take_in(inbox, landing, SampleSettings(), LATER).load_day(FRIDAY)
    assert set(day.candles_1min["state"]) == {"final"}
    (revision,) = day.revisions.itertuples()
    assert (revision.instrument_key, revision.changed) == (INFY, "volume")
    assert (revision.old_state, revision.new_state) == ("provisional", "final")


def test_the_same_candles_from_history_make_the_file_again(
    kept: KeptAnswers, tmp_path: Path
) -> None:
    keep(kept, running(INFY, FRIDAY), minute_rows(INFY, FRIDAY), None, NOON)
    write_candle_files(kept, tmp_path / "files", MINUTE, NSE)
    keep(kept, *history(INFY, FRIDAY), FRIDAY)
    assert write_candle_files(kept, tmp_path / "files", MINUTE, NSE).written == 1


def test_many_sessions_are_written_with_few_files_open(kept: KeptAnswers, tmp_path: Path) -> None:
    days = NSE.trading_days(date(2026, 7, 1), FRIDAY)
    assert len(days) > 64
    for key in (INFY, TCS):
        keep(kept, *history(key, *days), FRIDAY)
    assert write_candle_files(kept, tmp_path / "files", MINUTE, NSE).written == len(days)
    assert {len(rows) for rows in files(tmp_path / "files").values()} == {6}


def test_intake_reads_the_files_and_judges_each_candle(kept: KeptAnswers, tmp_path: Path) -> None:
    call, rows = history(INFY, FRIDAY)
    rows[1][2] = rows[1][3] - 5  # a high below the low
    rows[2][5] = 12.5  # a fraction of a share
    keep(kept, call, rows, FRIDAY)
    write_candle_files(kept, tmp_path / "files" / MINUTE, MINUTE, NSE)
    daily = [row for day in (THURSDAY, FRIDAY) for row in daily_rows(INFY, day)]
    keep(kept, Call(INFY, DAY, THURSDAY, FRIDAY), daily, FRIDAY)
    write_candle_files(kept, tmp_path / "files" / DAY, DAY, NSE)
    intake = take_in(tmp_path / "files", tmp_path / "landing", SampleSettings(), LATER)
    assert list(intake.files["source"]) == ["1minute/2026-11-20.parquet", "day/2026-11.parquet"]
    assert set(intake.files["kind"]) == {"minutes", "daily"}
    day = intake.load_day(FRIDAY)
    assert list(day.candles_1min["close"]) == [rows[0][4]]
    assert sorted(day.quarantine["rule"]) == ["fractional volume", "high below low"]
    assert list(day.candles_daily_history["volume"]) == [33]
    assert list(day.candles_1min["open_interest"]) == [0]
