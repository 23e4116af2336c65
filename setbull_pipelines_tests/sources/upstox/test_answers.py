"""What an answer must be, on recorded bodies and on bodies with one fault each."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from setbull_pipelines.sources.upstox.answers import (
    CutShort,
    InvalidAnswer,
    error_message,
    read_answer,
)
from setbull_pipelines.sources.upstox.calls import DAY, MINUTE, Call
from setbull_pipelines_tests.sources.upstox.broker import candle_body

KEY = "NSE_EQ|INE002A01018"
MINUTES = Call(KEY, MINUTE, date(2026, 8, 1), date(2026, 8, 31))
NEWEST = ["2026-08-03T09:16:00+05:30", 101.0, 102.5, 100.5, 102, 20, 0]
OLDEST = ["2026-08-03T09:15:00+05:30", 100.0, 101.5, 99.5, 101, 10, 0]


def body(*rows: object) -> bytes:
    return json.dumps(candle_body(list(rows))).encode()


@pytest.fixture
def recorded(shared_data: Path) -> Path:
    return shared_data / "market" / "upstox_responses"


def test_recorded_minutes_of_a_share_with_few_trades(recorded: Path) -> None:
    candles = read_answer((recorded / "hist_1m_sme_sparse.json").read_bytes(), MINUTES)
    assert len(candles) == 1719
    assert str(candles.moments[0]) == "2026-08-27T15:29:00.000000"
    assert len(set(candles.days)) == 7
    assert int((candles.values[:, 4] > 0).sum()) == 14


def test_recorded_daily_candles_and_an_empty_answer(recorded: Path) -> None:
    call = Call(KEY, DAY, date(2026, 9, 8), date(2026, 9, 23))
    candles = read_answer((recorded / "hist_1d_2026-09-08_22.json").read_bytes(), call)
    assert (str(candles.days[0]), list(candles.values[0])) == (
        "2026-09-22",
        [1247.6, 1251.9, 1237.4, 1240.4, 10684376, 0],
    )
    assert len(read_answer((recorded / "empty_200.json").read_bytes(), call)) == 0


@pytest.mark.parametrize("name", ["err_400_udapi100011", "err_400_udapi1148"])
def test_recorded_errors_are_told_with_code_and_message(recorded: Path, name: str) -> None:
    found = error_message((recorded / f"{name}.json").read_bytes())
    assert found in {"UDAPI100011: Invalid Instrument key", "UDAPI1148: Invalid date range"}


def test_the_example_of_the_documentation_is_put_in_order(recorded: Path) -> None:
    call = Call(KEY, DAY, date(2025, 1, 1), date(2025, 12, 31))
    candles = read_answer((recorded / "doc_v3_historical_example.json").read_bytes(), call)
    assert len(candles) > 1
    assert (candles.moments[:-1] > candles.moments[1:]).all()


def test_the_order_of_candles_and_equal_ones_do_not_matter() -> None:
    expected = read_answer(body(NEWEST, OLDEST), MINUTES)
    for rows in ([OLDEST, NEWEST], [NEWEST, OLDEST, NEWEST], [OLDEST, OLDEST, NEWEST]):
        found = read_answer(body(*rows), MINUTES)
        assert found.moments.tolist() == expected.moments.tolist()
        assert found.values.tolist() == expected.values.tolist()
    other = [*NEWEST[:4], 101.5, *NEWEST[5:]]
    assert len(read_answer(body(NEWEST, other, OLDEST), MINUTES)) == 3


def test_offsets_without_a_colon_and_values_that_lack_are_read() -> None:
    without = read_answer(body(changed(0, "2026-08-03T09:16:00+0530")), MINUTES)
    assert without.moments.tolist() == read_answer(body(NEWEST), MINUTES).moments.tolist()
    values = read_answer(body(changed(6, None), OLDEST), MINUTES).values
    assert np.isnan(values).tolist() == [[False] * 5 + [True], [False] * 6]
    assert len(read_answer(body(changed(6, None), changed(6, None)), MINUTES)) == 1


def test_a_candle_beyond_the_asked_days_stops_no_other() -> None:
    beyond = changed(0, "2026-09-01T09:15:00+05:30")
    found = read_answer(body(beyond, NEWEST, OLDEST), MINUTES)
    assert found.moments.tolist() == read_answer(body(NEWEST, OLDEST), MINUTES).moments.tolist()


def test_integer_and_float_prices_may_be_mixed() -> None:
    candles = read_answer(body(NEWEST, OLDEST), MINUTES)
    assert candles.values.tolist() == [
        [101, 102.5, 100.5, 102, 20, 0],
        [100, 101.5, 99.5, 101, 10, 0],
    ]


def changed(position: int, value: object) -> list:
    return [value if n == position else old for n, old in enumerate(NEWEST)]


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (b"", "0 bytes that are not JSON"),
        (body(NEWEST)[:-9], "not JSON .* expected a whole answer"),
        (b"<html>gateway</html>", "not JSON"),
        (b"[]", r"found \[\], expected an object"),
        (b'{"status": "success"}', "found None as data"),
        (
            b'{"status": "success", "data": {"candles": {}}}',
            "expected an object with a list of candles",
        ),
        (b'{"status": "error", "errors": [{"errorCode": "X1", "message": "no"}]}', "X1: no"),
        (b'{"status": "error", "errors": 7}', "found an error"),
        (body(NEWEST[:6]), "as candle 1, expected .timestamp, open"),
        (body("candle"), "as candle 1"),
        (body(NEWEST, OLDEST, changed(0, 7)), "found 7 as the timestamp of candle 3"),
        (body(changed(0, "2026-08-03T09:16:00")), "expected one like 2025-06-09T09:15:00.05:30"),
        (body(changed(0, "2026-08-03T03:46:00+00:00")), "as the timestamp of candle 1"),
        (body(changed(0, "2026-13-03T09:16:00+05:30")), "impossible timestamp"),
        (body(changed(1, "101.0")), "found '101.0' as open of candle 1, expected a finite number"),
        (body(changed(5, True)), "found True as volume"),
        (body(changed(6, float("inf"))), "found inf as open interest"),
        (body(changed(0, "2026-09-01T09:16:00+05:30")), "candle of 2026-09-01, expected only days"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(found: bytes, sentence: str) -> None:
    with pytest.raises(InvalidAnswer, match=sentence) as refusal:
        read_answer(found, MINUTES)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 400


def test_a_body_that_ends_early_is_told_from_one_that_is_wrong() -> None:
    with pytest.raises(CutShort):
        read_answer(body(NEWEST)[:40], MINUTES)


def test_minutes_are_no_daily_candles() -> None:
    with pytest.raises(
        InvalidAnswer, match="daily candle of 2026-08-03T09:16:00, expected midnight"
    ):
        read_answer(body(NEWEST), Call(KEY, DAY, MINUTES.first, MINUTES.last))
