"""The paths that read, asked by a real client and held against the stored tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

import httpx
import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.api import shapes
from setbull_pipelines.pipeline.serving import Serving, assignment_of, served_table
from setbull_pipelines.pipeline.serving_days import serve_one
from setbull_pipelines.rollout.stages import Stage
from setbull_pipelines.settings import RolloutSettings
from setbull_pipelines.tables.filters import PASSING_VERDICTS
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.api.answers import NOT_KNOWN, UNKNOWN, data, path_of, sentence
from setbull_pipelines_tests.api.running import PREFIX, USER, keys_of, serving
from setbull_pipelines_tests.pipeline.small_run import SmallRun, cut_back_v1, publish

ZONE = "Asia/Kolkata"


@pytest.fixture(scope="module")
def client(grouped_run: SmallRun) -> Iterator[httpx.Client]:
    with serving(grouped_run.settings) as asked:
        yield asked


@pytest.fixture
def key(grouped_run: SmallRun) -> str:
    return keys_of(grouped_run)[0]


def rounded(value: float, decimals: int) -> float | None:
    if pd.isna(value):
        return None
    exact = Decimal(repr(round(value, 9)))
    return float(exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))


def test_five_minute_candles_are_the_served_ones_with_their_indicators(
    client: httpx.Client, grouped_run: SmallRun, key: str
) -> None:
    inner = data(client.get(path_of(key, "5minute")))
    shapes.Candles.model_validate(inner)
    days = [day.isoformat() for day in grouped_run.days]
    stored = {
        table.name: grouped_run.warehouse.read(served_table(table), days, instrument_keys=[key])
        for table in (tables.CANDLES_5MIN, tables.INDICATORS_5MIN)
    }
    candles, indicators = stored["candles_5min"], stored["indicators_5min"]
    assert len(inner["data"]) == len(candles) > 100
    assert [bar["timestamp"] for bar in inner["data"]] == [
        moment.isoformat() for moment in candles["timestamp"]
    ]
    for bar, candle, values in zip(
        inner["data"], candles.itertuples(), indicators.itertuples(), strict=True
    ):
        assert bar["instrument_key"] == key
        assert bar["volume"] == candle.volume
        for name in ("open", "high", "low", "close"):
            assert bar[name] == rounded(getattr(candle, name), 2)
        for name in ("ma_9", "ema_50", "rsi", "atr", "vwap", "bb_upper", "bb_width"):
            assert bar[name] == rounded(getattr(values, name), 2), name
        assert bar["bb_width_normalized"] == rounded(values.bb_width_normalized, 4)
    lowest = grouped_run.warehouse.read(
        served_table(tables.BB_WIDTH_ALERTS), days, instrument_keys=[key]
    ).set_index("trading_day")["lowest_bb_width"]
    assert {(bar["timestamp"][:10], bar["lowest_bb_width"]) for bar in inner["data"]} == {
        (f"{day:%Y-%m-%d}", rounded(width, 2)) for day, width in lowest.items()
    }
    assert "variant" not in inner["data"][0]


def test_both_bounds_are_part_of_the_answer(
    client: httpx.Client, grouped_run: SmallRun, key: str
) -> None:
    day = grouped_run.days[-1]
    bounds = {"start": f"{day}T04:30:00Z", "end": f"{day}T10:30:00+05:30"}
    bars = data(client.get(path_of(key, "5minute"), params=bounds))["data"]
    assert bars[0]["timestamp"] == f"{day}T10:00:00+05:30"
    assert bars[-1]["timestamp"] == f"{day}T10:30:00+05:30"
    assert len(bars) == 7


def test_daily_bars_are_those_of_the_exchange(
    client: httpx.Client, grouped_run: SmallRun, key: str
) -> None:
    bars = data(client.get(path_of(key, "day")))["data"]
    days = [day.isoformat() for day in grouped_run.days]
    rows = grouped_run.warehouse.read(served_table(tables.CANDLES_DAILY), days)
    rows = rows[(rows["instrument_key"] == key) & (rows["series"] == "exchange")]
    assert [bar["close"] for bar in bars] == rows["close"].tolist()
    assert [bar["timestamp"] for bar in bars] == [f"{day}T00:00:00+05:30" for day in days]
    assert all(bar["vwap"] is None for bar in bars)


def test_several_timeframes_at_once(client: httpx.Client, grouped_run: SmallRun, key: str) -> None:
    day = grouped_run.days[-1]
    bounds = {"start": f"{day}T00:00:00+05:30", "end": f"{day}T23:59:00+05:30"}
    body = {"timeframes": ["1minute", "day", "5minute"], **bounds}
    inner = data(client.post(path_of(key, "multi"), json=body))
    shapes.MultiCandles.model_validate(inner)
    for timeframe in body["timeframes"]:
        alone = data(client.get(path_of(key, timeframe), params=bounds))["data"]
        assert inner["data"][timeframe] == alone
    minutes = grouped_run.warehouse.read(
        StoredTable("raw", tables.CANDLES_1MIN), [day.isoformat()], instrument_keys=[key]
    )
    assert len(inner["data"]["1minute"]) == len(minutes) > 300
    assert inner["data"]["1minute"][0]["rsi"] is None


@pytest.mark.parametrize("timeframe", shapes.TIMEFRAMES)
def test_an_instrument_that_is_not_known_is_told(client: httpx.Client, timeframe: str) -> None:
    assert sentence(client.get(path_of(UNKNOWN, timeframe)), 404) == NOT_KNOWN
    answer = client.post(path_of(UNKNOWN, "multi"), json={"timeframes": [timeframe]})
    assert sentence(answer, 404) == NOT_KNOWN


def test_a_known_instrument_without_a_bar_in_the_range_has_none(
    client: httpx.Client, key: str
) -> None:
    bounds = {"start": "2026-06-27T00:00:00+05:30", "end": "2026-06-28T00:00:00+05:30"}
    inner = data(client.get(path_of(key, "5minute"), params=bounds))
    assert inner == {"status": "success", "data": []}


WRONG_MOMENT = "expected a moment such as 2026-06-30T09:15:00+05:30 (in a query send + as %2B)"


@pytest.mark.parametrize(
    ("rest", "params", "expected"),
    [
        ("5minute", {"start": "yesterday"}, f"query.start: {WRONG_MOMENT}"),
        ("5minute", {"end": "2026-06-30T09:15:00"}, f"query.end: {WRONG_MOMENT}"),
        ("5minute", {"end": "1782790000"}, f"query.end: {WRONG_MOMENT}"),
        ("5minute", {"end": "0001-01-01T00:00:00+05:30"}, f"query.end: {WRONG_MOMENT}"),
        (
            "10minute",
            {},
            "path.timeframe: Input should be '1minute', '3minute', '5minute', '15minute', '30minute', '60minute', "
            "'day', 'week' or 'month'",
        ),
        (
            "day",
            {"start": "2026-06-30T00:00:00+05:30", "end": "2026-06-29T00:00:00+05:30"},
            "end: found 2026-06-29T00:00:00+05:30, expected no earlier than start 2026-06-30T00:00:00+05:30",
        ),
    ],
)
def test_wrong_questions_get_400_in_the_old_shape(
    client: httpx.Client, key: str, rest: str, params: dict[str, str], expected: str
) -> None:
    assert sentence(client.get(path_of(key, rest), params=params)) == expected


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("candles/NSE_EQ%7CINE002A01018/multi", {"timeframes": []}),
        ("candles/NSE_EQ%7CINE002A01018/multi", {"timeframes": ["hour"]}),
        ("candles/NSE_EQ%7CINE002A01018/multi", {}),
        ("candles/RELIANCE/multi", {"timeframes": ["day"]}),
        ("market/quotes", {"instrumentKeys": ["RELIANCE"]}),
        ("market/quotes", {"instrumentKeys": "NSE_EQ|INE002A01018"}),
        ("market/quotes", {"keyType": "isin"}),
        ("market/quotes", []),
        ("market/intraday-quotes", {"interval": "day"}),
        ("market/intraday-quotes", {"instrumentKeys": ["NSE_EQ|INE002A01018"] * 201}),
        ("filter-pipeline/run", {"day": "30.06.2026"}),
        ("filter-pipeline/run", {"day": "2026-06-28"}),  # a Sunday
        ("filter-pipeline/run", {"day": "2029-01-01"}),
        ("historical-data/batch-store", {"interval": "day", "fromDate": "2026-06-30"}),
        (
            "historical-data/batch-store",
            {"interval": "hour", "fromDate": "2026-06-29", "toDate": "2026-06-30"},
        ),
        (
            "historical-data/batch-store",
            {"interval": "day", "fromDate": "2026-06-30", "toDate": "2026-06-29"},
        ),
    ],
)
def test_wrong_bodies_get_400_in_the_old_shape(
    client: httpx.Client, path: str, body: object
) -> None:
    assert sentence(client.post(f"{PREFIX}/{path}", json=body, headers=USER))


def test_bad_json_and_a_missing_header_get_400(client: httpx.Client) -> None:
    path = f"{PREFIX}/market/quotes"
    json_type = {"Content-Type": "application/json"}
    assert "JSON decode error" in sentence(client.post(path, content="{", headers=USER | json_type))
    assert sentence(client.post(path, json={})) == "header.X-User-Id: Field required"


def test_paths_and_verbs_that_are_not_there_have_the_same_shape(client: httpx.Client) -> None:
    assert sentence(client.get(f"{PREFIX}/orders"), 404) == "Not Found"
    assert sentence(client.delete(f"{PREFIX}/filter-pipeline/fetch/top-10"), 405)


def test_quotes_by_key_and_by_symbol(client: httpx.Client, grouped_run: SmallRun, key: str) -> None:
    day = grouped_run.days[-1].isoformat()
    bars = grouped_run.warehouse.read(
        served_table(tables.CANDLES_5MIN), [day], instrument_keys=[key]
    )
    instruments = grouped_run.warehouse.read(StoredTable("raw", tables.INSTRUMENTS))
    symbol = instruments.set_index("instrument_key")["symbol"][key]

    def ask(**body: object) -> dict:
        inner = data(client.post(f"{PREFIX}/market/quotes", json=body, headers=USER))
        shapes.Quotes.model_validate(inner)
        return inner

    by_key = ask(instrumentKeys=[key, UNKNOWN])
    quote_of_key = by_key["data"][key]
    assert {name: quote_of_key[name] for name in ("open", "high", "low", "close")} == {
        "open": bars["open"].iloc[0],
        "high": bars["high"].max(),
        "low": bars["low"].min(),
        "close": bars["close"].iloc[-1],
    }
    assert quote_of_key["bb_width"] > 0
    assert by_key["status"] == "partial"
    assert by_key["errors"] == {UNKNOWN: NOT_KNOWN}

    by_symbol = ask(symbols=[symbol, "NOBODY"], keyType="symbol")
    assert by_symbol["data"] == {symbol: quote_of_key}
    assert by_symbol["errors"] == {
        "NOBODY": "symbol 'NOBODY' is not among the instruments; raw.instruments lists them"
    }
    assert ask(instrumentKeys=[UNKNOWN])["status"] == "error"
    assert ask() | {"timestamp": None} == {
        "status": "success",
        "timestamp": None,
        "data": {},
        "errors": {},
    }


@pytest.mark.parametrize("interval", ["1minute", "3minute", "5minute", "30minute"])
def test_intraday_quotes_are_the_newest_bars(
    client: httpx.Client, grouped_run: SmallRun, interval: str
) -> None:
    keys = keys_of(grouped_run)
    body = {"instrumentKeys": keys, "interval": interval}
    inner = data(client.post(f"{PREFIX}/market/intraday-quotes", json=body, headers=USER))
    shapes.IntradayQuotes.model_validate(inner)
    assert (inner["status"], set(inner["data"])) == ("success", set(keys))
    for key in keys:
        assert inner["data"][key] == data(client.get(path_of(key, interval)))["data"][-1]


def test_the_stocks_that_passed_come_by_rank(client: httpx.Client, grouped_run: SmallRun) -> None:
    """On the sample's last day some pass; the order is that of the report."""
    path = f"{PREFIX}/filter-pipeline/fetch/top-10"
    rows = grouped_run.warehouse.read(
        served_table(tables.FILTER_RESULTS), [grouped_run.days[-1].isoformat()]
    )
    passing = rows[rows["verdict"].isin(PASSING_VERDICTS)]
    assert len(passing) >= 2, "the sample shows nothing"
    inner = data(client.get(path))
    stored = served_table(tables.FILTER_RESULTS)
    pointer = grouped_run.warehouse.pointer(stored, grouped_run.days[-1].isoformat())
    published = datetime.fromisoformat(pointer.published_at)
    assert [(row["instrument_key"], row["mamba_count"]) for row in inner] == sorted(
        passing[["instrument_key", "mamba_count"]].itertuples(index=False, name=None),
        key=lambda each: (-each[1], each[0]),
    )
    for row in inner:
        shapes.FilteredStock.model_validate(row)
        assert (row["id"], row["created_at"]) == (None, None)
        assert datetime.fromisoformat(row["updated_at"]) == published
        assert sum(row["mamba_series"]) == row["mamba_count"]
    assert data(client.get(path, params={"limit": 1})) == inner[:1]
    assert sentence(client.get(path, params={"limit": 0})).startswith("query.limit")


def test_a_group_is_answered_with_its_plan(client: httpx.Client, grouped_run: SmallRun) -> None:
    inner = data(client.post(f"{PREFIX}/groups/morning/execute"))
    shapes.GroupPlan.model_validate(inner)
    plan = grouped_run.warehouse.read(
        StoredTable("served", tables.GROUP_EXECUTION_PLAN), [grouped_run.days[-1].isoformat()]
    )
    rows = plan[plan["group_id"] == "morning"]
    assert inner["tradingDay"] == grouped_run.days[-1].isoformat()
    assert [stock["entryPrice"] for stock in inner["stocks"]] == rows["entry_price"].tolist()
    assert [stock["direction"] for stock in inner["stocks"]] == ["LONG", "SHORT"]
    assert [level["level"] for level in inner["stocks"][0]["levels"]] == [1, 1.25, 1.5, 1.75, 2]
    bands = data(client.post(f"{PREFIX}/groups/bands/execute"))
    assert bands["stocks"][0]["isPlanned"] is False
    assert bands["stocks"][0]["quantity"] is None

    day = grouped_run.days[0].isoformat()
    earlier = data(client.post(f"{PREFIX}/groups/morning/execute", params={"day": day}))
    assert earlier["tradingDay"] == day
    assert "is not in the plan of" in sentence(client.post(f"{PREFIX}/groups/x/execute"), 404)
    absent = client.post(f"{PREFIX}/groups/morning/execute", params={"day": "2026-01-05"})
    assert sentence(absent, 404).endswith("run: setbull run --from 2026-01-05 --to 2026-01-05")


def answers(client: httpx.Client, keys: list[str]) -> list[object]:
    """What a reader sees on every path that reads, without the moments of the answer and of the last serving."""
    found = [client.get(f"{PREFIX}/filter-pipeline/fetch/top-10").json()]
    for row in found[0]["data"]:
        del row["updated_at"]
    for key in keys:
        found += [client.get(path_of(key, each)).json() for each in ("5minute", "day")]
    found += [client.get(path_of(keys[0], each)).json() for each in ("30minute", "week")]
    for path in ("dashboard-data", "alerts/history", "stats", "statistics"):
        inner = client.get(f"{PREFIX}/bbw/{path}").json()
        del inner["timestamp"]
        if path == "dashboard-data":
            assert len(inner["data"]) >= 1, "the sample shows nothing"
            for row in inner["data"]:
                del row["last_updated"]
        found.append(inner)
    for path in ("quotes", "intraday-quotes"):
        inner = client.post(
            f"{PREFIX}/market/{path}", json={"instrumentKeys": keys}, headers=USER
        ).json()
        del inner["data"]["timestamp"]
        found.append(inner)
    found.append(client.post(f"{PREFIX}/groups/morning/execute").json())
    assert all(each["success"] for each in found)
    return found


def test_readers_cannot_tell_v1_from_v2(
    grouped_run: SmallRun, client: httpx.Client, tmp_path
) -> None:
    run = grouped_run.copy(tmp_path / "data")
    keys = keys_of(run)
    served_from_v1 = answers(client, keys)
    for table in tables.COMPUTED_TABLES:
        if table.name in tables.SERVED:
            assignment = assignment_of(table, Stage.FULL, run.warehouse, RolloutSettings())
            list(serve_one(table, run.days, Serving(assignment, run.days), run.warehouse, "to v2"))
    rows = run.warehouse.read(served_table(tables.INDICATORS_5MIN))
    assert set(rows["variant"]) == {"v2"}
    with serving(run.settings) as of_v2:
        assert answers(of_v2, keys) == served_from_v1
    killed = replace(run.settings, rollout=RolloutSettings(kill=True))
    with serving(killed) as of_v1:
        assert answers(of_v1, keys) == served_from_v1


def test_the_kill_switch_works_at_once_and_is_refused_where_v1_is_a_sample(
    copied_run: SmallRun,
) -> None:
    """The same running server shows V1's rows as soon as its settings say so."""
    run, day = copied_run, copied_run.days[-1]
    key = keys_of(run)[0]
    stored = served_table(tables.CANDLES_5MIN)
    rows = run.warehouse.read(stored, [day.isoformat()])
    publish(run.warehouse, stored, day.isoformat(), rows.assign(volume=rows["volume"] + 1))
    current = [run.settings]
    with serving(lambda: current[0]) as client:
        before = data(client.get(path_of(key, "5minute")))["data"][-1]["volume"]
        current[0] = replace(run.settings, rollout=RolloutSettings(kill=True))
        assert data(client.get(path_of(key, "5minute")))["data"][-1]["volume"] == before - 1
        cut_back_v1(run, tables.CANDLES_5MIN, Stage.SAMPLED, day)
        refusal = sentence(client.get(path_of(key, "5minute")), 503)
        assert refusal.startswith(f"v1.candles_5min {day} cannot be served to all")


def test_nothing_stored_is_said(tmp_path, small_run: SmallRun) -> None:
    with serving(replace(small_run.settings, data_directory=tmp_path)) as client:
        for timeframe in ("1minute", "day", "week"):
            answer = client.get(path_of("NSE_EQ|INE002A01018", timeframe))
            assert "is not among the instruments" in sentence(answer, 404)
        assert data(client.get(f"{PREFIX}/filter-pipeline/fetch/top-10")) is None
        body = {"instrumentKeys": ["NSE_EQ|INE002A01018"]}
        inner = data(client.post(f"{PREFIX}/market/quotes", json=body, headers=USER))
        assert inner["errors"] == {"NSE_EQ|INE002A01018": "no bars are stored"}
        assert sentence(client.post(f"{PREFIX}/groups/a/execute"), 404).startswith(
            "nothing is planned"
        )
