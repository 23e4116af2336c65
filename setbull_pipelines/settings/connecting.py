"""Settings of what lies outside: the files that come in, the broker, who gets alerts, who asks.

Belongs here: groups that ``sources/``, ``alerts/`` and ``api/`` read. Does not belong here: secrets, which are read
from environment variables where they are used, and what a computed value depends on (``computing.py``). How input
files are understood is part of what was landed, not of a code version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from annotated_types import Ge, Le

from setbull_pipelines.settings.declaring import (
    AboveZero,
    Count,
    CountOrNone,
    NotNegative,
    group,
    require,
    text_like,
    text_that,
)


def _is_timezone(name: str) -> bool:
    try:
        return not name or bool(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


def _has_a_group(pattern: str) -> bool:
    try:
        return not pattern or re.compile(pattern).groups >= 1
    except re.error:
        return False


_Word = Annotated[str, text_that(str.strip, "a text that is not blank")]
_LOOPBACK = r"(127\.0\.0\.1|localhost|\[::1\])"
_HOST = rf"(https://[^\s/?#@]+|http://{_LOOPBACK}(:\d+)?)"
_Host = Annotated[
    str, text_like(_HOST, "https:// and a host without path (http:// only for this machine)")
]


@group("input")
class InputSettings:
    """How input files are understood where they do not say it themselves.

    Each is also an option of ``setbull run`` and ``setbull check``.
    """

    columns: Mapping[_Word, _Word] = field(default_factory=dict, hash=False)
    """Expected names of columns, found = expected: ``{date = "timestamp"}``. Columns of files without a header have no
    names and are numbered from 1: ``{1 = "symbol", 2 = "date", 3 = "time"}``."""
    timezone: Annotated[
        str, text_that(_is_timezone, "the name of a time zone, such as Asia/Kolkata or UTC")
    ] = ""
    """Time zone of timestamps without offset, such as ``Asia/Kolkata``; empty: the exchange's where every row lies in
    its hours."""
    timestamp_format: Annotated[
        str,
        text_that(
            lambda text: not text or "%" in text, "signs of strptime, such as %d/%m/%Y %H:%M"
        ),
    ] = ""
    """How timestamps are written, in the format of strptime, such as ``%d/%m/%Y %H:%M``; empty: found out."""
    day_first: bool | None = None
    """Whether 02-06-2025 is a day of June; without it a day above 12 in the file decides."""
    label: Literal["", "start", "end"] = ""
    """Whether timestamps are the start or the end of bars: ``end`` shifts by one minute; empty: the start, unless
    whole sessions say otherwise."""
    interval: Literal["", "minute", "day"] = ""
    """How long bars are; empty: found out, which takes three days of an instrument that has one bar on each."""
    symbol_from: Literal["", "file name"] = ""
    """``file name``: all of it, in upper case, is the symbol; empty: the content says it, or a name of a usual form."""
    symbol_pattern: Annotated[
        str, text_that(_has_a_group, "a regular expression with one group, such as ^([A-Z]+)_")
    ] = ""
    """Regular expression for file names, whose first group is the symbol: ``^([A-Z]+)_``."""
    symbols: Mapping[_Word, _Word] = field(default_factory=dict, hash=False)
    """Symbols (or instrument keys) of single files: ``{"prices.csv" = "RELIANCE"}``."""
    separator: Annotated[
        str, text_that(lambda text: len(text) <= 1 or text == "tab", "one sign, or tab")
    ] = ""
    """What separates the fields of text files, such as ``;`` or ``tab``; empty: found out."""
    decimal: Literal["", ".", ","] = ""
    """Decimal sign of text files; empty: found out."""
    volume: Literal["", "per bar", "cumulative"] = ""
    """``cumulative``: a running total over the day, whose differences are the bars; empty: per bar, unless it never
    falls."""
    exchange: Literal["", "NSE", "BSE"] = ""
    """Where symbols are listed; empty: as the file or its name says, else NSE."""
    series: tuple[Annotated[str, text_that(str.isalnum, "a series such as EQ")], ...] = ("EQ",)
    """Series of the exchange's day files that candles are made of; add BE, SM, ST for shares in other segments."""
    unpacked_limit_mib: Count = 1024
    """The most that one compressed file may hold, in mebibytes."""

    def __post_init__(self) -> None:
        require(bool(self.series), "input.series", self.series, "one or more series, such as EQ")


@group("upstox")
class UpstoxSettings:
    """How candles are fetched from the Upstox API. The token is in ``SETBULL_UPSTOX_TOKEN`` only."""

    base_url: _Host = "https://api.upstox.com"
    """Where the broker's API answers."""
    api_version: Literal["v3", "v2"] = "v3"
    """``v2`` is deprecated by the broker, but still answered."""
    instruments: str = ""
    """File (CSV or the broker's JSON list) of the instruments to fetch; empty: name it with --instruments, or take
    the broker's list."""
    instruments_url: Annotated[
        str,
        text_like(
            rf"{_HOST}/[^\s?#@]+", "https:// and the path of a file (http:// only for this machine)"
        ),
    ] = "https://assets.upstox.com/market-quote/instruments/exchange/NSE.json.gz"
    """The broker's list of all instruments of the exchange, gzipped JSON."""
    refresh_instruments: bool = False
    """Whether every fetch begins with that list; without upstox.instruments its stocks are what is fetched."""
    days: int = 50
    """Sessions of 1-minute candles that are kept complete, counted back from the last closed one."""
    daily_days: int = 600
    """Sessions of daily candles that are kept complete, counted back from the last closed one; one call holds ten
    years."""
    concurrency: Count = 5
    """Requests under way at the same time, each of another instrument."""
    requests_per_second: Count = 50
    """The broker's limit of requests per user in a second; lower it when another program uses the same account."""
    requests_per_minute: Count = 500
    """The broker's limit of requests per user in a minute."""
    requests_per_half_hour: Count = 2000
    """The broker's limit of requests per user in 30 minutes."""
    attempts: Count = 6
    """Attempts of one request, the first included; only failures that can pass are tried again."""
    first_retry_seconds: AboveZero = 1.0
    """Wait before the second attempt; every further wait is twice as long, with jitter."""
    longest_wait_seconds: AboveZero = 1800.0
    """A longer wait, asked for by the broker, fails the instrument."""
    timeout_seconds: AboveZero = 30.0
    """For one attempt, from connecting to the last byte."""
    settle_minutes: CountOrNone = 30
    """After the close of a session its candles count as final: the closing auction ends after the session."""
    retention_days: int = 900
    """Calendar days that responses are kept, counted from their last session."""

    def __post_init__(self) -> None:
        for name in ("days", "daily_days"):
            # Two of three calendar days are sessions, so that what is fetched does not expire at once.
            most = self.retention_days * 2 // 3
            require(
                1 <= getattr(self, name) <= most,
                f"upstox.{name}",
                getattr(self, name),
                f"1 to {most}, two thirds of upstox.retention_days ({self.retention_days})",
            )


LOG_CHANNEL = "log"
Severity = Literal["info", "warning", "error", "critical"]
SEVERITIES = get_args(Severity)
"""Severities of alerts, the mildest first."""
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_FUNCTION = re.compile(r"([A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*)?")


@group("alerts")
class AlertSettings:
    """Who gets which alerts, how often, and how long a channel that is down is tried again."""

    channels: tuple[
        Annotated[
            str,
            text_that(
                lambda name: name == LOG_CHANNEL or _VARIABLE.fullmatch(name),
                f"'{LOG_CHANNEL}' or names of environment variables in capitals; a URL belongs into the variable",
            ),
        ],
        ...,
    ] = (LOG_CHANNEL,)
    """``log``, or names of environment variables that each hold the Apprise URL of a receiver: URLs are secrets."""
    minimum_severity: Severity = "info"
    """Milder alerts are kept in the table and sent nowhere."""
    repeat_hours: AboveZero = 24.0
    """An open alert that is seen again is sent again no earlier than this after its last notice."""
    morning: Annotated[
        str, text_like(r"(([01]\d|2[0-3]):[0-5]\d)?", "a time such as '08:30', or nothing")
    ] = ""
    """Exchange time of the one message a day with what has changed since the last one. Empty: all is sent at once."""
    at_once_severity: Severity = "critical"
    """From this severity on alerts do not wait for the morning. Band-width alerts never do."""
    attempts: Annotated[int, Ge(1), Le(20)] = 12
    """Attempts after which a notice is given up; with the waits between them that is after almost three days."""
    first_retry_seconds: float = 60.0
    """Wait before the second attempt; every further wait is twice as long."""
    timeout_seconds: AboveZero = 15.0
    """A receiver that takes longer counts as down."""
    stale_after_hours: AboveZero = 4.0
    """How long after its close a session may be without a reconciliation."""
    ui_address: Annotated[
        str,
        text_like(
            r"https?://[^\s?#]*[^\s?#/]",
            "an address like http://127.0.0.1:3000, without a slash at its end",
        ),
    ] = "http://127.0.0.1:3000"
    """Where the links of a message lead."""
    bb_width_instruments: tuple[str, ...] = ()
    """Keys or symbols of instruments whose band-width alerts are sent; empty: all. The tables have all in any case."""
    bb_width_per_hour: Count = 100
    """Most band-width alerts sent of an hour, by the time of their bars; the others are in the table only."""

    def __post_init__(self) -> None:
        require(
            len(set(self.channels)) == len(self.channels),
            "alerts.channels",
            self.channels,
            "each channel only once",
        )
        # A notice is reserved for this long while it is being sent.
        require(
            self.timeout_seconds < self.first_retry_seconds,
            "alerts.first_retry_seconds",
            self.first_retry_seconds,
            f"more than alerts.timeout_seconds ({self.timeout_seconds})",
        )


@group("live")
class LiveSettings:
    """Who is sent the closed bars of a session under way. Readers of the API's stream need no setting."""

    receivers: tuple[
        Annotated[
            str,
            text_that(
                _VARIABLE.fullmatch,
                "names of environment variables in capitals; an address belongs into the variable",
                is_shown=False,
            ),
        ],
        ...,
    ] = ()
    """Names of environment variables that each hold the address of a webhook, http:// or https://."""
    on_candle_close: Annotated[
        str, text_that(_FUNCTION.fullmatch, "a function as module:name, or nothing")
    ] = ""
    """Function that is called with every event, as ``module:name``; empty: none."""
    sessions_kept: Count = 5
    """Sessions whose events are kept: so long a reader or receiver can be away and miss nothing."""

    def __post_init__(self) -> None:
        require(
            len(set(self.receivers)) == len(self.receivers),
            "live.receivers",
            self.receivers,
            "each receiver only once",
        )


@group("api")
class ApiSettings:
    """The read API. Host and port are options of ``setbull api``."""

    token_variable: Annotated[
        str, text_like(r"[A-Z][A-Z0-9_]*", "the name of an environment variable", is_shown=False)
    ] = "SETBULL_API_TOKEN"
    """Environment variable that holds the token callers must send; while it is empty none is asked for, and the API
    answers on this machine only."""
    dagster_url: _Host = "http://127.0.0.1:3000"
    """Webserver that jobs are started through, that of ``setbull ui``; it must work on the same data folder."""
    wait_seconds: NotNegative = 25.0
    """A request that starts a job waits so long for its end before it answers with the run's id."""
    requests_per_second: Count = 200
    """Requests of one address that are answered, with ten seconds' worth at once; those beyond get 429. Read when the
    API starts."""
    public_url: Annotated[
        str,
        text_like(
            r"(https?://[^\s/?#@]+)?", "https:// or http:// and a host without path, or nothing"
        ),
    ] = ""
    """Where people reach ``setbull api``, such as http://127.0.0.1:8000; with it the UI's entries of reports and
    divergences are links to its pages. Empty: they name files and commands."""
