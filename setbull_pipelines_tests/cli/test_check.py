"""``setbull check``, and ``setbull run`` of inputs that are refused: sentences, exit codes, what can be asked then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from setbull_pipelines.cli.main import main
from setbull_pipelines.cli.reading_options import as_words
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.settings import load_settings
from setbull_pipelines_tests.documents import documented_keys
from setbull_pipelines_tests.sources.reading_files import session, table

UTC = table(*session(first="03:45", minutes=20, written="%Y-%m-%d %H:%M:%S"))
GOOD = table(*session(minutes=20))
AMBIGUOUS = table("A,02-06-2025 09:15,1,1,1,1,1")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("SETBULL_DATA_DIR", str(folder))
    for name in ("SETBULL_INPUT", "SETBULL_SETTINGS"):
        # Set and not taken away, so that what the command leaves there goes after the test.
        monkeypatch.setenv(name, "")
    return folder


def setbull(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_a_good_file_is_said_to_be_one_with_the_command_to_run_it(inbox: Path) -> None:
    path = inbox / "a b.csv"
    path.write_text(GOOD)
    result = setbull("check", path)
    assert result.exit_code == 0
    assert (
        "a b.csv: minutes candles\n  20 of 20 rows accepted, 1 days from 2025-06-02"
        in result.output
    )
    assert "first: NSE_EQ|ALPHA 2025-06-02T09:15:00+05:30 open 100.0" in result.output
    assert "filters need 250 daily bars from 2024-05-30, you have 1" in result.output
    assert f"next: setbull run --input '{path}'" in result.output


def test_some_and_nothing_accepted_have_exit_codes_of_their_own(inbox: Path) -> None:
    (inbox / "ambiguous.csv").write_text(AMBIGUOUS)
    nothing = setbull("check", inbox)
    assert nothing.exit_code == 2
    assert "ambiguous.csv: refused (ambiguous dates)" in nothing.output
    assert "[input] day_first = true (or --day-first)" in nothing.output
    assert "  [input]\n  day_first = true\n" in nothing.output
    assert f"or: setbull check {inbox} --day-first" in nothing.output
    assert "next: nothing can be run" in nothing.output
    (inbox / "good.csv").write_text(GOOD)
    some = setbull("check", inbox)
    assert some.exit_code == 1
    assert "next: without the 1 files that are refused: setbull run --input" in some.output
    everything = setbull("check", inbox, "--day-first")
    assert everything.exit_code == 0
    assert everything.output.strip().endswith("--day-first")
    assert setbull("check", inbox / "absent.csv").exit_code == 2


def test_programs_read_the_same(inbox: Path) -> None:
    (inbox / "a.csv").write_text(GOOD + "ALPHA,2025-06-02T09:35:00+05:30,1,0.5,1,1,1\n")
    (inbox / "b.csv").write_text(AMBIGUOUS)
    (inbox / "c.pdf").write_text("")
    document = json.loads(setbull("check", inbox, "--json").output)
    assert (document["received"], document["accepted"], document["exit_code"]) == (21, 20, 1)
    assert list(document) == documented_keys("`setbull check --json`")
    for file in document["files"]:
        assert list(file) == documented_keys("each of `files`")
    rows, dates, unread = (file["refusals"][0] for file in document["files"])
    assert list(rows) == documented_keys("each of `refusals`")
    assert rows == {
        "rule": "high below low",
        "count": 1,
        "file": "a.csv",
        "line": 22,
        "column": "high",
        "value": "0.5",
        "reason": "Found '0.5' in column high, expected a high that is at least the low.",
        "paste": {},
    }
    assert (dates["rule"], dates["count"], dates["value"]) == (
        "ambiguous dates",
        1,
        "02-06-2025 09:15",
    )
    assert dates["paste"] == document["paste"] == {"day_first": True}
    assert (unread["rule"], unread["file"]) == ("not read", "c.pdf")
    assert document["files"][0]["first_row"]["timestamp"] == "2025-06-02T09:15:00+05:30"


def test_holes_of_a_share_that_changed_its_series_are_named(inbox: Path) -> None:
    header = "SYMBOL, SERIES, DATE1, OPEN_PRICE, HIGH_PRICE, LOW_PRICE, CLOSE_PRICE, TTL_TRD_QNTY"
    for day, series in ((2, "EQ"), (3, "BE"), (4, "EQ"), (5, "BE")):
        row = f"ITC, {series}, 0{day}-Jun-2025, 1, 1, 1, 1, 1"
        (inbox / f"{day}.csv").write_text(
            f"{header}\n{row}\nX, EQ, 0{day}-Jun-2025, 1, 1, 1, 1, 1\n"
        )
    result = setbull("check", inbox)
    assert result.exit_code == 0
    assert "NSE_EQ|ITC has no bar on 2025-06-03, where it is in series BE" in result.output
    assert "--series EQ,BE keeps them" in result.output
    kept = setbull("check", inbox, "--series", "EQ,BE")
    assert "has no bar" not in kept.output
    assert "8 candles accepted of 8 rows" in kept.output


def test_a_run_of_which_nothing_is_accepted_leaves_tables_to_ask(
    inbox: Path, data_directory: Path
) -> None:
    (inbox / "utc.csv").write_text(UTC)
    (inbox / "ambiguous.csv").write_text(AMBIGUOUS)
    result = setbull("run", "--input", inbox)
    assert result.exit_code == 2
    assert "utc.csv: minutes candles" in result.output
    assert (
        "20 rows rejected, naive timestamp, the first in line 2: Found '2025-06-02" in result.output
    )
    assert 'setbull sql "FROM raw.quarantine"' in result.output
    asked = setbull("sql", "SELECT rule, count(*) AS rows FROM raw.quarantine GROUP BY rule")
    assert "naive timestamp" in asked.output
    assert "20" in asked.output
    kinds = setbull("sql", "SELECT source, kind FROM raw.intake ORDER BY source").output
    assert kinds.index("rejected") < kinds.index("minutes")
    other = inbox.parent / "other.csv"
    other.write_text(AMBIGUOUS)
    again = setbull("run", "--input", other)
    assert again.exit_code == 2
    assert f"the data folder keeps the results of {inbox}" in again.output
    assert "naive timestamp" in setbull("sql", "SELECT DISTINCT rule FROM raw.quarantine").output


def test_what_a_run_was_told_of_reading_holds_for_whoever_loads_the_folder(
    inbox: Path, tmp_path: Path
) -> None:
    # Nothing is accepted: what matters is what is recorded.
    (inbox / "utc.csv").write_text(AMBIGUOUS.replace(",1,1,1,1,1", ",0,0,0,0,1"))
    words = ["--day-first", "--timezone", "UTC", "--columns", "x=volume", "--series", "EQ,BE"]
    assert setbull("run", "--input", inbox, *words).exit_code == 2
    loaded = load_settings({"SETBULL_DATA_DIR": str(tmp_path / "data")})
    assert loaded.input == str(inbox)
    reading = loaded.reading
    assert (reading.day_first, reading.timezone) == (True, "UTC")
    assert (reading.columns, reading.series) == ({"x": "volume"}, ("EQ", "BE"))
    without = load_settings({"SETBULL_DATA_DIR": str(tmp_path / "data")}, with_recorded=False)
    assert without.reading.timezone == ""


def test_the_settings_file_says_it_as_well(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = inbox.parent / "settings.toml"
    settings.write_text('[input]\ntimezone = "UTC"\ncolumns = {shares = "volume"}\n')
    monkeypatch.setenv("SETBULL_SETTINGS", str(settings))
    (inbox / "a.csv").write_text(UTC.replace("volume", "shares"))
    assert setbull("check", inbox).exit_code == 0
    settings.write_text('[input]\ntimezone = "Kolkata"\n')
    assert "expected the name of a time zone" in setbull("check", inbox).output
    settings.write_text("[input]\nday_first = 1\n")
    assert (
        "setting input.day_first: found 1, expected true or false" in setbull("check", inbox).output
    )


def test_options_are_words_again() -> None:
    given = {
        "columns": {"a": "timestamp", "b c": "volume"},
        "symbols": {"x y.csv": "ITC"},
        "day_first": False,
        "series": ("EQ", "BE"),
        "timezone": "UTC",
    }
    assert as_words(given) == (
        " --columns 'a=timestamp,b c=volume' --symbol 'x y.csv=ITC' --month-first --series EQ,BE --timezone UTC"
    )


def test_daily_rows_of_which_none_is_accepted_are_told_one_by_one(inbox: Path) -> None:
    # A unit that nobody knows: no volume is made of it.
    path = inbox / "RELI Historical Data.csv"
    path.write_text(
        '"Date","Price","Open","High","Low","Vol."\n"06/13/2025","1,427.90","1,430.00","1,435.00","1,420.00","9.83X"\n'
    )
    result = setbull("check", path)
    assert result.exit_code == 2
    assert "1 rows rejected" in result.output
    assert "9.83X" in result.output


def test_days_that_have_not_been_are_said_and_not_counted_on(inbox: Path) -> None:
    future = NSE.trading_days(NSE.first_day, NSE.last_day)[-1]
    bars = [f"ITC,{day},100,101,99,100,5" for day in ("2025-06-09", "2025-06-10", future)]
    path = inbox / "a.csv"
    path.write_text(table(*bars))
    result = setbull("check", path)
    assert f"1 days of 3, from {future} to {future}, lie in the future" in result.output
    assert "filters need 250 daily bars from 2024-06-07" in result.output
