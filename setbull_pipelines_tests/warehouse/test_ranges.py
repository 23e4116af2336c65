"""Many days in one frame: each day is stored as if it had been published alone, or nothing is."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from pandera.errors import SchemaErrors

from setbull_pipelines import tables
from setbull_pipelines.tables.checks import Rule
from setbull_pipelines.tables.contract import Column, Kind, Table
from setbull_pipelines.warehouse import instrument_hashes
from setbull_pipelines.warehouse.errors import ContractViolation
from setbull_pipelines.warehouse.pointers import Cost, Failure, StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines.warehouse.validation import batch_of_frames
from setbull_pipelines_tests.warehouse.conftest import BARS, PROVENANCE, V1_BARS, bars

DAYS = ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]
COST = Cost(1.0, 2.0, 1, 3, 4, 5, 6, 7)
OF_PARTITIONS = {
    "inputs": {day: {"raw.candles_1min": day} for day in DAYS},
    "notes": {DAYS[2]: "exchange holiday"},
    "costs": {DAYS[1]: COST},
    "failures": {DAYS[0]: {"C": Failure("v1.bars", "no luck")}},
    "instrument_inputs": {DAYS[3]: instrument_hashes.of_mapping({"A": 7})},
}
SOURCED = StoredTable(
    "v1",
    dataclasses.replace(
        BARS,
        columns=tuple(
            dataclasses.replace(column, is_provenance=column.name == "reason")
            for column in BARS.columns
        ),
    ),
)


def by_day() -> dict[str, pd.DataFrame]:
    """Days with other instruments and prices; one of them empty, and one instrument alone on neighbouring days."""
    return {
        DAYS[0]: bars(DAYS[0], ("A",), 10.0),
        DAYS[1]: bars(DAYS[1], ("A", "B", "D"), 20.0),
        DAYS[2]: BARS.empty(),
        DAYS[3]: bars(DAYS[3], ("C", "D"), 30.0),
    }


def whole() -> pd.DataFrame:
    return pd.concat(by_day().values(), ignore_index=True)


def kept(warehouse: Warehouse, stored: StoredTable, day: str) -> dict:
    """All that is known of a day, but for when it was published and in which files it lies."""
    pointer = dataclasses.asdict(warehouse.pointer(stored, day))
    for name in ("published_at", "file", "first_row", "hashes_file", "hashes_first_row"):
        del pointer[name]
    inputs = warehouse.instrument_inputs(stored, day)
    hashes = warehouse.instrument_hashes(stored, day).to_pydict()
    return pointer | {"hashes": hashes, "from": inputs and inputs.to_pydict()}


@pytest.mark.parametrize("stored", [V1_BARS, SOURCED], ids=["plain", "with provenance"])
@pytest.mark.parametrize("order", ["by day", "by instrument", "shuffled"])
def test_a_range_is_stored_as_its_days_one_by_one(tmp_path, stored, order):
    frame = whole()
    if order == "by instrument":
        frame = frame.sort_values(["instrument_key", "timestamp"])
    elif order == "shuffled":
        frame = frame.sample(frac=1, random_state=7)
    ranged = Warehouse(tmp_path / "range")
    found = ranged.publish_range(stored, frame, DAYS, **PROVENANCE, **OF_PARTITIONS)
    single = Warehouse(tmp_path / "single")
    expected = {
        day: single.publish_many(
            stored,
            {day: rows},
            **PROVENANCE,
            **{
                name: {key: value for key, value in values.items() if key == day}
                for name, values in OF_PARTITIONS.items()
            },
        )[day]
        for day, rows in by_day().items()
    }
    assert list(found) == DAYS
    for day in DAYS:
        assert kept(ranged, stored, day) == kept(single, stored, day)
    assert found == ranged.pointers(stored)
    assert expected == single.pointers(stored)
    assert ranged.instrument_inputs(stored, DAYS[3]).to_pydict()["hash"] == [7]
    assert (found[DAYS[0]].values_hash is None) == (stored is V1_BARS)
    assert (len(ranged.files(stored)), len(single.files(stored))) == (1, 3)
    assert_frame_equal(Warehouse(ranged.root).read(stored), whole())


def test_a_range_in_any_order_of_its_days(tmp_path):
    warehouse = Warehouse(tmp_path)
    backwards = DAYS[::-1]
    found = warehouse.publish_range(V1_BARS, whole(), backwards, **PROVENANCE, **OF_PARTITIONS)
    assert list(found) == backwards
    assert [found[day].rows for day in DAYS] == [2, 6, 0, 4]
    for day, rows in by_day().items():
        assert_frame_equal(Warehouse(tmp_path).read(V1_BARS, [day]), rows)


def broken() -> dict[str, tuple[pd.DataFrame, list[str], str]]:
    good = whole()
    third = good.index == 3  # of the second day
    return {
        "row of another day": (
            good,
            DAYS[1:],
            "column trading_day: expected one of the days to be published, found 1 failing; first: 2024-01-02",
        ),
        "time of day in a date": (
            good.assign(trading_day=good["trading_day"] + pd.Timedelta(hours=1)),
            DAYS,
            "column trading_day: expected one of the days",
        ),
        "value": (
            good.assign(open=good["open"].where(~third, -1.0)),
            DAYS,
            r"column open: expected greater_than\(0\), found 1 failing; first: instrument_key=A, "
            r"timestamp=2024-01-03 09:20:00\+05:30, open=-1.0 in 2024-01-03$",
        ),
        "rule": (good.assign(volume=good["volume"].where(~third, -1)), DAYS, "volume_not_negative"),
        "null": (
            good.assign(close=good["close"].where(~third)),
            DAYS,
            "column close: expected no nulls, found 1 failing; .* in 2024-01-03$",
        ),
        "repeated key": (
            pd.concat([good, good[third]]),
            DAYS,
            "found 1 repeated; first: 2024-01-03: instrument_key=A",
        ),
        "type": (good.astype({"volume": "float64"}), DAYS, "column volume is float64"),
        "column": (good.drop(columns="close"), DAYS, r"missing columns \['close'\]"),
    }


@pytest.mark.parametrize("fault", broken())
def test_a_fault_in_one_day_leaves_all_days_as_they_were(tmp_path, fault):
    warehouse = Warehouse(tmp_path)
    frame, days, message = broken()[fault]
    inputs = {day: {} for day in days}
    with pytest.raises(ContractViolation, match=message) as raised:
        warehouse.publish_range(V1_BARS, frame, days, inputs=inputs, **PROVENANCE)
    assert str(raised.value).startswith("v1.bars")
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize("days", [["2024-01-02", "2024-01-02"], ["all"], ["2024-01-02/.."]])
def test_only_days_each_once_are_a_range(tmp_path, days):
    with pytest.raises(ValueError, match=r"each once|is not a trading day"):
        Warehouse(tmp_path).publish_range(
            V1_BARS, BARS.empty(), days, inputs={day: {} for day in days}, **PROVENANCE
        )
    assert not list(tmp_path.rglob("*"))


def test_no_days_publish_nothing(tmp_path):
    warehouse = Warehouse(tmp_path)
    assert warehouse.publish_range(V1_BARS, BARS.empty(), [], inputs={}, **PROVENANCE) == {}


# The quick look at the values decides as pandera does


def is_accepted(table: Table, frame: pd.DataFrame) -> bool:
    try:
        batch_of_frames(table, "table", {"day": frame})
    except ContractViolation:
        return False
    return True


def pandera_accepts(table: Table, frame: pd.DataFrame) -> bool:
    schema = copy.copy(table.schema)
    schema.unique = None
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors:
        return False
    return True


def all_tables() -> list[Table]:
    found = {value.name: value for value in vars(tables).values() if isinstance(value, Table)}
    return [*found.values(), BARS]


VALUES = {
    Kind.TEXT: ["minutes", "", "other", None],
    Kind.LONG_TEXT: ["", "text", None],
    Kind.TIMESTAMP: [pd.Timestamp("2024-01-02 09:15", tz="Asia/Kolkata"), pd.NaT],
    Kind.DAY: [pd.Timestamp("2024-01-02"), pd.NaT],
    Kind.FLOAT: [1.0, 0.0, -0.0, -1.0, 5.0, 6.0, np.inf, -np.inf, np.nan],
    Kind.INTEGER: [1, 0, -1, 6],
    Kind.NULLABLE_INTEGER: [1, 0, -1, 6, pd.NA],
    Kind.BOOLEAN: [True, False],
    Kind.NULLABLE_BOOLEAN: [True, False, pd.NA],
}


def columns_to_try() -> list[tuple[Table, Column]]:
    """One column of each kind with the same checks, of all tables; of one table with rules over rows all columns."""
    found = {}
    for table in (tables.CANDLES_DAILY, *all_tables()):
        for column in table.columns:
            checks = [(check.name, str(check.limit)) for check in column.checks]
            own = column.name if table is tables.CANDLES_DAILY else None
            if column.kind not in (Kind.TEXT, Kind.LONG_TEXT) or not checks or own:
                found.setdefault(str((column.kind, column.nullable, checks)), (table, column))
                if own:
                    found.setdefault(own, (table, column))
    return list(found.values())


@pytest.mark.parametrize(("table", "column"), columns_to_try(), ids=lambda part: part.name)
def test_values_are_accepted_where_pandera_accepts_them(table, column):
    """A cell of an otherwise ordinary row is given every value of its kind that a check may mind."""
    cells = {}
    for other in table.columns:
        allowed = [c.limit for c in other.checks if c.name == "isin"]
        cells[other.name] = min(allowed[0]) if allowed else VALUES[other.kind][0]
    for value in VALUES[column.kind]:
        cells[column.name] = value
        frame = pd.DataFrame(
            {
                each.name: pd.array([cells[each.name]], dtype=each.kind.pandas_dtype)
                for each in table.columns
            }
        )
        assert is_accepted(table, frame) == pandera_accepts(table, frame), value


def test_both_accept_and_refuse():
    for frame, verdict in ((bars(), True), (BARS.empty(), True), (bars().assign(open=0.0), False)):
        assert is_accepted(BARS, frame) == pandera_accepts(BARS, frame) == verdict


def test_a_check_that_is_not_known_is_asked_itself():
    even = Rule("even", lambda volumes: volumes % 2 == 0)
    columns = [
        dataclasses.replace(column, checks=(even,)) if column.name == "volume" else column
        for column in BARS.columns
    ]
    table = dataclasses.replace(BARS, columns=tuple(columns))
    assert not is_accepted(table, bars())
    assert is_accepted(table, bars().assign(volume=2))
