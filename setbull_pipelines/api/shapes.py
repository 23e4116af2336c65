"""The answers and bodies of the API as types, from which its OpenAPI document is made.

Belongs here: names and types of JSON values, and the limits of what can be asked for. Does not belong here: finding
the values. Names are those of the replaced system, whether camelCase, snake_case or PascalCase.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints

from setbull_pipelines.market.instruments import SEGMENTS
from setbull_pipelines.tables.groups import DIRECTIONS, ENTRY_TYPES

MOST_INSTRUMENTS = 200
"""Instruments in one request."""
Timeframe = Literal[
    "1minute", "3minute", "5minute", "15minute", "30minute", "60minute", "day", "week", "month"
]
Intraday = Literal["1minute", "3minute", "5minute", "15minute", "30minute", "60minute"]
TIMEFRAMES = get_args(Timeframe)
MOST_SESSIONS = (
    dict.fromkeys(get_args(Intraday), 60)
    | {"1minute": 10, "3minute": 30}
    | dict.fromkeys(("day", "week", "month"), 750)
)
"""Sessions in one answer, by timeframe."""
MOST_ROWS = 5000
"""Rows of a page."""
_YEARS = range(1990, 2101)
"""Years of moments that are understood, so that a week before one and its time elsewhere are moments too."""
Data = TypeVar("Data")


def _moment(text: object) -> object:
    """Only RFC 3339: pydantic alone would also take numbers for seconds."""
    if isinstance(text, str) and len(text) > len("2026-06-30T"):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo is not None and moment.year in _YEARS:
            return moment
    raise ValueError(
        "expected a moment such as 2026-06-30T09:15:00+05:30 (in a query send + as %2B)"
    )


def _day(text: object) -> object:
    if isinstance(text, str) and len(text) == len("2026-06-30"):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise ValueError("expected a date such as 2026-06-30")


Moment = Annotated[datetime, BeforeValidator(_moment)]
Day = Annotated[date, BeforeValidator(_day)]
InstrumentKey = Annotated[
    str,
    StringConstraints(
        pattern=rf"^({'|'.join(SEGMENTS)})\|[^|\s]([^|\n\r\t]*[^|\s])?$", max_length=50
    ),
]
InstrumentKeys = Annotated[list[InstrumentKey], Field(max_length=MOST_INSTRUMENTS)]
Symbols = Annotated[
    list[Annotated[str, StringConstraints(min_length=1, max_length=50)]],
    Field(max_length=MOST_INSTRUMENTS),
]


def _with_example(**body: JsonValue) -> ConfigDict:
    """The configuration of a body with an example in the document."""
    return ConfigDict(json_schema_extra={"example": dict(body)})


class Envelope(BaseModel, Generic[Data]):
    """What every answer is wrapped in."""

    success: Literal[True]
    data: Data


class Error(BaseModel):
    """What went wrong, in one sentence."""

    success: Literal[False]
    error: str


class Health(BaseModel):
    """That the server answers, and when."""

    status: Literal["UP"]
    time: datetime


class Candle(BaseModel):
    """One bar. Prices and indicators in rupees with 2 decimals, ratios with 4; no value is null."""

    instrument_key: str
    timestamp: datetime
    open: float
    high: float
    low: float
    close: float
    volume: int | None
    open_interest: int | None
    time_interval: Timeframe
    ma_9: float | None
    bb_upper: float | None
    bb_middle: float | None
    bb_lower: float | None
    vwap: float | None
    ema_5: float | None
    ema_9: float | None
    ema_20: float | None
    ema_50: float | None
    atr: float | None
    rsi: float | None
    bb_width: float | None
    bb_width_normalized: float | None
    bb_width_normalized_percentage: float | None
    lowest_bb_width: float | None


class LongerCandle(Candle):
    """A bar of a timeframe that is made of stored bars when asked for: without indicators, and with its end.

    ``is_complete`` is false while more may come to it: its time is not over, or sessions of it are not stored.
    """

    ends_at: datetime
    is_complete: bool


Bars = list[LongerCandle] | list[Candle]


class Candles(BaseModel):
    """Bars of one timeframe, oldest first."""

    status: Literal["success"]
    data: Bars


class MultiCandles(BaseModel):
    """Bars by timeframe."""

    status: Literal["success"]
    data: dict[Timeframe, Bars]


class MultiBody(BaseModel):
    """Which timeframes, from when to when."""

    model_config = _with_example(
        timeframes=["5minute", "day"],
        start="2026-06-30T09:15:00+05:30",
        end="2026-06-30T15:30:00+05:30",
    )
    timeframes: Annotated[list[Timeframe], Field(min_length=1, max_length=len(TIMEFRAMES))]
    start: Moment | None = None
    end: Moment | None = None


class MarketBody(BaseModel):
    """Whose quotes."""

    model_config = _with_example(instrumentKeys=["NSE_EQ|INE002A01018"])
    instrumentKeys: InstrumentKeys = []
    symbols: Symbols = []
    keyType: Literal["symbol", "instrument_key"] = "instrument_key"
    interval: str | None = None


class IntradayBody(BaseModel):
    """The instruments whose newest bar is asked for, and its length."""

    model_config = _with_example(instrumentKeys=["NSE_EQ|INE002A01018"], interval="5minute")
    instrumentKeys: InstrumentKeys = []
    interval: Intraday = "5minute"


class Quote(BaseModel):
    """The last session so far."""

    open: float
    high: float
    low: float
    close: float
    bb_width: float | None
    lowest_bb_width: float | None


class Quotes(BaseModel):
    """Quotes by the key that was asked for; keys without one are in ``errors``."""

    status: Literal["success", "partial", "error"]
    timestamp: datetime
    data: dict[str, Quote]
    errors: dict[str, str]


class IntradayQuotes(BaseModel):
    """The newest bar of each instrument with its indicators."""

    status: Literal["success", "partial", "error"]
    timestamp: datetime
    data: dict[str, LongerCandle | Candle]
    errors: dict[str, str]


class RunBody(BaseModel):
    """Which instruments of the result to return (none: all), and the trading day (none: the last stored one)."""

    model_config = _with_example(day="2026-06-30")
    instrumentKeys: InstrumentKeys = []
    day: Day | None = None


class FilterMetrics(BaseModel):
    """How many instruments passed each stage."""

    total_stocks: int
    basic_filter_pass: int
    ema_filter_pass: int
    rsi_filter_pass: int
    mamba_filter_pass: int
    bullish_stocks: int
    bearish_stocks: int
    processing_time_ms: int


class FilterRun(BaseModel):
    """The two lists, each by rank. Their entries have the names of the replaced system."""

    bullish_stocks: list[dict[str, Any]] | None
    bearish_stocks: list[dict[str, Any]] | None
    metrics: FilterMetrics


class FilterRunAnswer(BaseModel):
    """The result of a run; while it is not there (``started``) only the run's id.

    ``unknown`` are those of the keys that were asked for which are no instrument.
    """

    status: Literal["success", "started"]
    run_id: str
    day: date
    unknown: list[str]
    data: FilterRun | None


class FilteredStock(BaseModel):
    """A stock that passed all stages. The two "moves" are mean lengths of runs in days, as they always were.

    Rows have no number and no moment of their first version here: ``id`` and ``created_at`` are null.
    """

    id: None
    symbol: str | None
    instrument_key: str
    exchange_token: str | None
    trend: str
    current_price: float
    mamba_count: int
    bullish_mamba_count: int
    bearish_mamba_count: int
    avg_mamba_move: float | None
    avg_non_mamba_move: float | None
    mamba_series: list[int] | None
    non_mamba_series: list[int] | None
    filter_date: datetime
    created_at: None
    updated_at: datetime | None


class PlannedStock(BaseModel):
    """One instrument of a group. Levels and quantities are null where nothing is planned; ``reason`` says why."""

    symbol: str | None
    instrument_key: str
    exchange_token: str | None
    isPlanned: bool
    reason: str
    direction: Literal[DIRECTIONS] | None  # type: ignore[valid-type]  # read when the model is made
    entryTime: datetime | None
    indicatorsDay: date | None
    morningRange: float | None
    dailyAtr: float | None
    atrToMorningRange: float | None
    rangeReason: str | None
    entryPrice: float | None
    stopLossPercent: float
    stopPrice: float | None
    riskPerShare: float | None
    risk: float
    quantity: int | None
    positionType: str
    levels: list[dict[str, float | None]]


class GroupPlan(BaseModel):
    """The plan of one group on one day. No order was placed."""

    id: str
    entryType: Literal[ENTRY_TYPES]  # type: ignore[valid-type]
    status: Literal["PLANNED"]
    tradingDay: date
    stocks: list[PlannedStock]


class StoreBody(BaseModel):
    """Which candles are wanted. The range says what is counted; what is read is what the source has."""

    model_config = _with_example(
        instrumentKeys=["NSE_EQ|INE002A01018"],
        interval="day",
        fromDate="2026-06-29",
        toDate="2026-06-30",
    )
    instrumentKeys: InstrumentKeys = []
    interval: Timeframe
    fromDate: Day
    toDate: Day


class StoredItem(BaseModel):
    """What is stored of one instrument after the job."""

    instrumentKey: str
    status: Literal["success", "error"]
    recordsStored: int
    message: str


class StoreResult(BaseModel):
    """Per instrument, and in total."""

    processedItems: int
    successfulItems: int
    failedItems: int
    details: list[StoredItem]


class StoreAnswer(BaseModel):
    """The outcome of the job; while it runs (``started``) no details."""

    status: Literal["success", "started"]
    run_id: str
    job: str
    data: StoreResult | None
