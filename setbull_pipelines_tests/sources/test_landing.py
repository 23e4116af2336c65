"""Landed files that were damaged: what is told of them is what was read, or one sentence."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources import NoInput, replay, take_in
from setbull_pipelines.sources.landing import DamagedLanding, open_landing

NOW = datetime(2025, 6, 5, tzinfo=UTC)
DAYS = [date(2025, 6, 2), date(2025, 6, 3), date(2025, 6, 4)]
FLIPS = {"candles.parquet": 10}
FLIPS_OF_OTHERS = 2


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """Two candle files, instruments, corporate actions; one row of no use in each candle file."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    prices = random.Random(6)
    for number, days in enumerate((DAYS[:2], DAYS[2:])):
        rows = ["instrument_key,timestamp,open,high,low,close,volume"]
        for day in days:
            for key in ("NSE_EQ|A", "NSE_EQ|B"):
                for minute in range(15, 55):
                    price = prices.randrange(10_000, 20_000) / 100
                    at = f"{day}T09:{minute}:00+05:30"
                    rows.append(f"{key},{at},{price},{price},{price},{price},{minute}")
        rows.append(f"NSE_EQ|A,{days[0]}T10:00:00+05:30,x,1,1,1,1")
        (folder / f"{number}.csv").write_text("\n".join(rows) + "\n")
    (folder / "universe.csv").write_text(
        "instrument_key,symbol,tick_size_paise\nNSE_EQ|A,A,5\nNSE_EQ|B,B,5\n"
    )
    (folder / "actions.csv").write_text(
        "instrument_key,ex_date,kind,ratio\nNSE_EQ|A,2025-06-03,split,2\n"
    )
    return folder


def landing(inbox: Path) -> Path:
    return inbox.parent / "landing"


def take(inbox: Path):
    return take_in(inbox, landing(inbox), SampleSettings(), NOW)


def told(taken) -> list[pd.DataFrame]:
    """Everything that is said of the input, except when it arrived."""
    days = taken.load_days(DAYS)
    of_days = [
        frame
        for day in DAYS
        for frame in (
            days[day].candles_1min,
            days[day].candles_daily_history,
            days[day].quarantine,
            days[day].accounting,
        )
    ]
    whole = [
        taken.files,
        taken.instruments,
        taken.coverage,
        taken.corporate_actions,
        taken.unassigned,
    ]
    return of_days + whole


def is_same(found: list[pd.DataFrame], expected: list[pd.DataFrame]) -> bool:
    return all(one.equals(other) for one, other in zip(found, expected, strict=True))


def flips(folder: Path) -> list[tuple[Path, int, int]]:
    """Bits of every file below ``folder`` by path, byte and bit; of one content the same ones every time."""
    chosen = random.Random(13)
    return [
        (path, chosen.randrange(path.stat().st_size), chosen.randrange(8))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.stat().st_size
        for _ in range(FLIPS.get(path.name, FLIPS_OF_OTHERS))
    ]


def flip(path: Path, byte: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[byte] ^= 1 << bit
    path.write_bytes(data)


def after_a_flip(path: Path, byte: int, bit: int, taken) -> list[pd.DataFrame] | str:
    """What is told while a bit of a file is another one, or the sentence that refuses it."""
    before = path.read_bytes()
    flip(path, byte, bit)
    try:
        return told(taken())
    except (NoInput, DamagedLanding) as error:
        return str(error)
    finally:
        path.write_bytes(before)


def test_a_flipped_bit_anywhere_in_the_landing_is_repaired_from_the_input(inbox: Path) -> None:
    expected = told(take(inbox))
    candidates = flips(landing(inbox))
    assert {"candles.parquet", "coverage.parquet", "facts.parquet"} < {
        path.name for path, *_ in candidates
    }
    for path, byte, bit in candidates:
        found = after_a_flip(path, byte, bit, lambda: take(inbox))
        if path.name.startswith("arrivals-"):
            # Only the journal cannot be made again from the input.
            assert str(path) in found
        else:
            assert not isinstance(found, str), found
            assert is_same(found, expected), (path.name, byte, bit)


def test_without_the_input_a_flipped_bit_is_one_sentence_and_never_another_price(
    inbox: Path,
) -> None:
    take(inbox)

    def replayed():
        return replay(inbox, landing(inbox), NOW + timedelta(days=1))

    expected = told(replayed())
    refused = []
    for path, byte, bit in flips(landing(inbox)):
        found = after_a_flip(path, byte, bit, replayed)
        if isinstance(found, str):
            assert str(path if path.suffix == ".parquet" else path.parent) in found
            assert "restore" in found
            refused.append(path.name)
        else:
            assert is_same(found, expected), (path.name, byte, bit)
    assert refused.count("candles.parquet") == 2 * FLIPS["candles.parquet"]


def test_days_of_other_files_are_read_although_one_file_is_damaged(inbox: Path) -> None:
    take(inbox)
    later = datetime(2025, 6, 6, tzinfo=UTC)
    expected = replay(inbox, landing(inbox), later)
    (damaged,) = [
        path
        for path in landing(inbox).rglob("candles.parquet")
        if open_landing(path.parent).days["trading_day"].dt.date.isin(DAYS[2:]).any()
    ]
    flip(damaged, damaged.stat().st_size // 2, 3)
    taken = replay(inbox, landing(inbox), later)
    for day in DAYS[:2]:
        assert taken.load_day(day).candles_1min.equals(expected.load_day(day).candles_1min)
    with pytest.raises(DamagedLanding, match=r"candles\.parquet"):
        taken.load_day(DAYS[2])


def test_an_input_whose_bytes_changed_by_themselves_does_not_count_as_written_again(
    inbox: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules change, so that every file is read again; one of them is no longer what it was, and says so."""
    monkeypatch.setattr("setbull_pipelines.sources.known_contents._SETTLED_NANOSECONDS", -1)
    expected = told(take(inbox))
    monkeypatch.setattr(
        "setbull_pipelines.sources.landed_files.reading_fingerprint", lambda more: "other"
    )
    path = inbox / "0.csv"
    status = path.stat()
    real = Path.read_bytes
    damaged = path.read_bytes().replace(b",17\n", b",97\n")
    monkeypatch.setattr(Path, "read_bytes", lambda self: damaged if self == path else real(self))
    assert is_same(told(take(inbox)), expected)
    assert "0.csv: its bytes are no longer those that were read" in caplog.text
    assert path.stat() == status


def test_a_landing_of_a_version_without_hashes_still_counts(inbox: Path) -> None:
    expected = told(take(inbox))
    (inbox / "0.csv").write_bytes((inbox / "0.csv").read_bytes().replace(b",17\n", b",18\n"))
    corrected = told(take(inbox))
    assert not is_same(corrected, expected)
    for manifest in landing(inbox).rglob("manifest.json"):
        content = json.loads(manifest.read_text())["content"]
        del content["hashes"]
        manifest.write_text(json.dumps(content))
    journal = next(landing(inbox).glob("arrivals-*"))
    journal.write_text(json.dumps(json.loads(journal.read_text())["content"]))
    assert is_same(told(take(inbox)), corrected)
