"""Publication of raw tables: every row received is in a table or in the quarantine, and counted."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline import raw
from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.landing import DamagedLanding
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines.warehouse.pointers import UNASSIGNED, WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.calendars import amended
from setbull_pipelines_tests.pipeline.small_run import IN_FULL

MONDAY, TUESDAY, WEDNESDAY = date(2025, 6, 2), date(2025, 6, 3), date(2025, 6, 4)
DAYS = (MONDAY, TUESDAY, WEDNESDAY)
HEADER = "instrument_key,timestamp,open,high,low,close,volume"
GOOD = [
    f"NSE_EQ|INE002A01018,{MONDAY}T09:{minute}:00+05:30,100,101,99,100.5,1000"
    for minute in range(15, 25)
]
TUESDAY_ROWS = [
    f"NSE_EQ|INE002A01018,{TUESDAY}T09:15:00+05:30,100,101,99,100.5,1000",
    f"NSE_EQ|INE002A01018,{TUESDAY}T09:16:00+05:30,100,90,99,100.5,1000",  # high below low
    f"NSE_EQ|INE002A01018,{TUESDAY}T09:17:00+05:30,100,101,99,100.5,-5",  # negative volume
    f"NSE_EQ|INE002A01018,{TUESDAY}T18:00:00+05:30,100,101,99,100.5,1000",  # after the close
    f"NSE_EQ|INE002A01018,{TUESDAY}T09:15:00+05:30,100,101,99,100.5,1000",  # says the same again
]
WITHOUT_DAY = [
    "NSE_EQ|INE002A01018,2025-06-01T09:15:00+05:30,100,101,99,100.5,1000",  # a Sunday
    "NSE_EQ|INE002A01018,yesterday,100,101,99,100.5,1000",
]
ROWS = [*GOOD, *TUESDAY_ROWS, *WITHOUT_DAY]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "minutes.csv").write_text("\n".join([HEADER, *ROWS]) + "\n")
    return Settings(data_directory=tmp_path / "data", input=str(inbox))


@pytest.fixture
def warehouse(settings: Settings) -> Warehouse:
    return Warehouse(settings.data_directory / "warehouse")


def publish_days(settings: Settings, warehouse: Warehouse) -> dict[date, bool]:
    """Publish everything and tell for which days nothing was done."""
    intake = raw.read_sources(settings)
    raw.publish_intake(intake, warehouse, settings, "test")
    results = raw.RawDays(intake, warehouse, settings, "test").over(DAYS)
    return {result.day: result.cached for result in results}


def stored_rows(warehouse: Warehouse, table: tables.Table, day: date) -> int:
    return len(warehouse.read(StoredTable("raw", table), [day.isoformat()]))


def test_every_row_received_is_stored_quarantined_or_an_equal_duplicate(
    settings: Settings, warehouse: Warehouse
) -> None:
    publish_days(settings, warehouse)
    counted = {
        day: warehouse.read(StoredTable("raw", tables.ACCOUNTING), [day.isoformat()])
        .set_index("kind")
        .loc["minutes", ["received", "accepted", "quarantined", "duplicates_ignored"]]
        .tolist()
        for day in (MONDAY, TUESDAY)
    }
    assert counted == {MONDAY: [10, 10, 0, 0], TUESDAY: [5, 1, 3, 1]}
    for day in (MONDAY, TUESDAY):
        _, accepted, quarantined, _ = counted[day]
        assert stored_rows(warehouse, tables.CANDLES_1MIN, day) == accepted
        assert stored_rows(warehouse, tables.QUARANTINE, day) == quarantined
    unassigned = warehouse.read(StoredTable("raw", tables.QUARANTINE), [UNASSIGNED])
    received = sum(counts[0] for counts in counted.values())
    assert received + len(unassigned) == len(ROWS)
    (file,) = warehouse.read(StoredTable("raw", tables.INTAKE), [WHOLE]).itertuples()
    assert (file.received, file.assigned, file.unassigned) == (len(ROWS), 15, 2)


def test_the_quarantine_names_the_line_of_every_row(
    settings: Settings, warehouse: Warehouse
) -> None:
    publish_days(settings, warehouse)
    quarantine = warehouse.read(
        StoredTable("raw", tables.QUARANTINE), [TUESDAY.isoformat(), UNASSIGNED]
    )
    header_and_good = 1 + len(GOOD)
    assert sorted(quarantine["line"]) == [header_and_good + row for row in (2, 3, 4, 6, 7)]
    assert quarantine["reason"].str.len().gt(10).all()


def test_a_day_without_rows_says_so(settings: Settings, warehouse: Warehouse) -> None:
    publish_days(settings, warehouse)
    pointer = warehouse.pointer(StoredTable("raw", tables.CANDLES_1MIN), WEDNESDAY.isoformat())
    assert pointer.rows == 0
    assert pointer.note == "no rows: the source has no candles_1min rows for 2025-06-04"


def test_the_same_sources_are_not_published_twice_and_a_new_file_is(
    settings: Settings, warehouse: Warehouse
) -> None:
    assert publish_days(settings, warehouse) == dict.fromkeys(DAYS, False)
    assert publish_days(settings, warehouse) == dict.fromkeys(DAYS, True)
    row = f"NSE_EQ|INE002A01018,{WEDNESDAY}T09:15:00+05:30,100,101,99,100.5,1000"
    Path(settings.input, "more.csv").write_text(f"{HEADER}\n{row}\n")
    publish_days(settings, warehouse)
    assert stored_rows(warehouse, tables.CANDLES_1MIN, WEDNESDAY) == 1


def test_a_day_that_a_new_file_leaves_alone_keeps_its_bytes(
    settings: Settings, warehouse: Warehouse
) -> None:
    publish_days(settings, warehouse)
    stored = StoredTable("raw", tables.CANDLES_1MIN)
    before = warehouse.pointer(stored, MONDAY.isoformat()).content_hash
    row = f"NSE_EQ|INE002A01018,{WEDNESDAY}T09:15:00+05:30,100,101,99,100.5,1000"
    Path(settings.input, "more.csv").write_text(f"{HEADER}\n{row}\n")
    publish_days(settings, warehouse)
    assert warehouse.pointer(stored, MONDAY.isoformat()).content_hash == before


def test_a_file_of_corporate_actions_publishes_no_day_again(
    settings: Settings, warehouse: Warehouse
) -> None:
    assert publish_days(settings, warehouse) == dict.fromkeys(DAYS, False)
    inbox = Path(settings.input)
    header = "instrument_key,ex_date,kind,ratio"
    (inbox / "actions.csv").write_text(f"{header}\nNSE_EQ|INE002A01018,{TUESDAY},bonus,2\n")
    assert publish_days(settings, warehouse) == dict.fromkeys(DAYS, True)
    stored = warehouse.read(StoredTable("raw", tables.CORPORATE_ACTIONS), [WHOLE])
    assert stored["ratio"].tolist() == [2.0]
    assert stored_rows(warehouse, tables.CANDLES_1MIN, MONDAY) == len(GOOD)


def test_a_damaged_landing_costs_only_the_days_that_need_it(
    settings: Settings, warehouse: Warehouse
) -> None:
    inbox = Path(settings.input)
    (inbox / "wednesday.csv").write_text(
        f"{HEADER}\nNSE_EQ|INE002A01018,{WEDNESDAY}T09:15:00+05:30,100,101,99,100.5,1000\n"
    )
    intake = raw.read_sources(settings)
    (inbox / "minutes.csv").unlink()
    (damaged,) = [
        path
        for path in settings.data_directory.glob("landing/*/candles.parquet")
        if f'"{MONDAY}"' in (path.parent / "manifest.json").read_text()
    ]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(DamagedLanding, match=f"2 days from {MONDAY} to {TUESDAY}.*{damaged}"):
        list(raw.RawDays(intake, warehouse, settings, "test").over(DAYS))
    assert stored_rows(warehouse, tables.CANDLES_1MIN, WEDNESDAY) == 1
    assert warehouse.partitions(StoredTable("raw", tables.CANDLES_1MIN)) == [str(WEDNESDAY)]


def test_a_row_of_the_calendar_file_makes_its_day_out_of_date_and_no_other(
    settings: Settings, warehouse: Warehouse
) -> None:
    assert not any(publish_days(settings, warehouse).values())
    assert stored_rows(warehouse, tables.CANDLES_1MIN, TUESDAY) == 1
    with amended(f"{TUESDAY},special,09:15-15:30 18:00-19:00,an evening session"):
        assert publish_days(settings, warehouse) == {MONDAY: True, TUESDAY: False, WEDNESDAY: True}
        assert stored_rows(warehouse, tables.CANDLES_1MIN, TUESDAY) == 2
        assert all(publish_days(settings, warehouse).values())
    assert publish_days(settings, warehouse) == {MONDAY: True, TUESDAY: False, WEDNESDAY: True}
    assert stored_rows(warehouse, tables.CANDLES_1MIN, TUESDAY) == 1


@pytest.mark.parametrize("variant", [V1, V2], ids=lambda variant: variant.name)
def test_other_hours_of_the_same_minutes_make_other_bars(
    variant: Variant, settings: Settings, warehouse: Warehouse
) -> None:
    """No row of the minutes changes, so that the hours alone must make the bars out of date."""
    stored = StoredTable(variant.name, tables.CANDLES_5MIN)

    def first_bars() -> dict[date, tuple[bool, str]]:
        publish_days(settings, warehouse)
        run = StepRun(STEPS[0], variant, warehouse, settings, "test", IN_FULL)
        return {
            result.day: (
                result.cached,
                f"{warehouse.read(stored, [result.day.isoformat()])['timestamp'].min():%H:%M}",
            )
            for result in run.over([MONDAY, TUESDAY])
        }

    assert first_bars() == {MONDAY: (False, "09:15"), TUESDAY: (False, "09:15")}
    with amended(f"{TUESDAY},special,09:13-15:30,an early opening"):
        assert first_bars() == {MONDAY: (True, "09:15"), TUESDAY: (False, "09:13")}
    assert first_bars() == {MONDAY: (True, "09:15"), TUESDAY: (False, "09:15")}
