"""The dated table of the exchange: which days NSE was closed, and which days had unusual hours.

Belongs here: dates, hours and where each of them is known from, as plain constants. Does not belong
here: rules over the table (``calendar.py``), files, a clock. Every Monday to Friday inside the
coverage that is in neither table is a regular session.

Hours are those of the continuous cash market; pre-open and closing sessions are outside them.
Halts inside published hours (2017-07-10, 2020-03-13, 2020-03-23) change no row: their minutes are
simply untraded. The closing auction is one row for all days: it shortens the continuous session of
stocks with derivatives only, and which those are is an input (``raw.derivative_underlyings``).

Days after PUBLISHED_UNTIL are provisional: the exchange has not published them, only the holidays that are certain
are closed, and the movable feasts of the year are sessions until somebody enters them. To extend the coverage without
a release, name a file (``calendar_file.py``); with one, add the next year's rows from the exchange's circulars, then
move PUBLISHED_UNTIL, and LAST_DAY to the end of the next provisional year.
"""

from __future__ import annotations

from datetime import date, time
from typing import Literal, NamedTuple

TIMEZONE = "Asia/Kolkata"
FIRST_DAY = date(2015, 1, 1)
PUBLISHED_UNTIL = date(2026, 12, 31)
"""The last day of the last year whose holidays the exchange has published."""
LAST_DAY = date(2027, 12, 31)

Hours = tuple[tuple[time, time], ...]
SessionKind = Literal["regular", "special", "muhurat", "drill", "outage"]


class ClosedDay(NamedTuple):
    """A weekday without trading."""

    day: date
    name: str
    source: str


class UnusualSession(NamedTuple):
    """A trading day off the Monday to Friday pattern or with other than the regular hours.

    ``hours`` are (start, end) pairs in order; empty when the exchange has announced the day but no
    hours are known here. Nothing is guessed: the hours of 2025 moved from evening to afternoon.
    """

    day: date
    hours: Hours
    kind: SessionKind
    source: str


class ClosingAuction(NamedTuple):
    """From ``first_day`` on, continuous trading of stocks with derivatives ends at ``start``.

    An auction at one price follows until ``end``; its price is the official close.
    """

    first_day: date
    start: time
    end: time
    source: str


SessionShape = Literal["full", "closing auction", "not known"]
FULL: SessionShape = "full"
"""Continuous trading to the end of the session."""
CLOSING_AUCTION: SessionShape = "closing auction"
"""Continuous trading to the start of the closing auction."""
SHAPE_NOT_KNOWN: SessionShape = "not known"
"""Nobody says whether the stock has derivatives: the hours of ``full``, which lose no minute, are assumed."""
SESSION_SHAPES = (FULL, CLOSING_AUCTION, SHAPE_NOT_KNOWN)

REGULAR_HOURS: Hours = ((time(9, 15), time(15, 30)),)
DRILL_HOURS: Hours = ((time(9, 15), time(10, 0)), (time(11, 30), time(12, 30)))
HOURS_NOT_KNOWN: Hours = ()

CALENDARS = "exchange_calendars XBOM 4.13.2, pandas_market_calendars NSE 5.5.0"
CALENDARS_AND_BARS = f"{CALENDARS}; no daily bars"
CIRCULAR_2026 = "NSE/CMTR/71775 of 2025-12-12, exchange_calendars XBOM 4.13.2"
MARKET_CALENDAR = "pandas_market_calendars NSE 5.5.0"
MARKET_CALENDAR_AND_BARS = f"{MARKET_CALENDAR}; observed in daily bars"
PRESS = "exchange announcement as reported by the press"
PRESS_AND_BARS = f"{PRESS}; observed in daily bars"

REGULAR_SOURCE = "Monday to Friday, in neither table"
PROVISIONAL = "provisional: not published by NSE"
PROVISIONAL_FIXED_DATE = f"{PROVISIONAL}; closed on this date in every year of this table"
PROVISIONAL_GOOD_FRIDAY = f"{PROVISIONAL}; two days before Easter by the Gregorian reckoning"

NSE_CLOSING_AUCTION = ClosingAuction(
    date(2026, 8, 3),
    time(15, 15),
    time(15, 35),
    "NSE/CMTR/74466 of 2026-05-29; stocks with derivatives on at least one exchange",
)

CLOSED_DAYS: tuple[ClosedDay, ...] = (
    ClosedDay(date(2015, 1, 26), "Republic Day", CALENDARS),
    ClosedDay(date(2015, 2, 17), "Mahashivratri", CALENDARS),
    ClosedDay(date(2015, 3, 6), "Holi", CALENDARS),
    ClosedDay(date(2015, 4, 2), "Mahavir Jayanti", CALENDARS),
    ClosedDay(date(2015, 4, 3), "Good Friday", CALENDARS),
    ClosedDay(date(2015, 4, 14), "Ambedkar Jayanti", CALENDARS),
    ClosedDay(date(2015, 5, 1), "Maharashtra Day", CALENDARS),
    ClosedDay(date(2015, 9, 17), "Ganesh Chaturthi", CALENDARS),
    ClosedDay(date(2015, 9, 25), "Bakri Id", CALENDARS),
    ClosedDay(date(2015, 10, 2), "Gandhi Jayanti", CALENDARS),
    ClosedDay(date(2015, 10, 22), "Dussehra", CALENDARS),
    ClosedDay(date(2015, 11, 12), "Diwali Balipratipada", CALENDARS),
    ClosedDay(date(2015, 11, 25), "Guru Nanak Jayanti", CALENDARS),
    ClosedDay(date(2015, 12, 25), "Christmas", CALENDARS),
    ClosedDay(date(2016, 1, 26), "Republic Day", CALENDARS),
    ClosedDay(date(2016, 3, 7), "Mahashivratri", CALENDARS),
    ClosedDay(date(2016, 3, 24), "Holi", CALENDARS),
    ClosedDay(date(2016, 3, 25), "Good Friday", CALENDARS),
    ClosedDay(date(2016, 4, 14), "Ambedkar Jayanti", CALENDARS),
    ClosedDay(date(2016, 4, 15), "Ram Navami", CALENDARS),
    ClosedDay(date(2016, 4, 19), "Mahavir Jayanti", CALENDARS),
    ClosedDay(date(2016, 7, 6), "Id-ul-Fitr", CALENDARS),
    ClosedDay(date(2016, 8, 15), "Independence Day", CALENDARS),
    ClosedDay(date(2016, 9, 5), "Ganesh Chaturthi", CALENDARS),
    ClosedDay(date(2016, 9, 13), "Bakri Id", CALENDARS),
    ClosedDay(date(2016, 10, 11), "Dussehra", CALENDARS),
    ClosedDay(date(2016, 10, 12), "Muharram", CALENDARS),
    ClosedDay(date(2016, 10, 31), "Diwali Balipratipada", CALENDARS),
    ClosedDay(date(2016, 11, 14), "Guru Nanak Jayanti", CALENDARS),
    ClosedDay(date(2017, 1, 26), "Republic Day", CALENDARS),
    ClosedDay(date(2017, 2, 24), "Mahashivratri", CALENDARS),
    ClosedDay(date(2017, 3, 13), "Holi", CALENDARS),
    ClosedDay(date(2017, 4, 4), "Ram Navami", CALENDARS),
    ClosedDay(date(2017, 4, 14), "Ambedkar Jayanti, Good Friday", CALENDARS),
    ClosedDay(date(2017, 5, 1), "Maharashtra Day", CALENDARS),
    ClosedDay(date(2017, 6, 26), "Id-ul-Fitr", CALENDARS),
    ClosedDay(date(2017, 8, 15), "Independence Day", CALENDARS),
    ClosedDay(date(2017, 8, 25), "Ganesh Chaturthi", CALENDARS),
    ClosedDay(date(2017, 10, 2), "Gandhi Jayanti", CALENDARS),
    ClosedDay(date(2017, 10, 20), "Diwali Balipratipada", CALENDARS),
    ClosedDay(date(2017, 12, 25), "Christmas", CALENDARS),
    ClosedDay(date(2018, 1, 26), "Republic Day", CALENDARS),
    ClosedDay(date(2018, 2, 13), "Mahashivratri", CALENDARS),
    ClosedDay(date(2018, 3, 2), "Holi", CALENDARS),
    ClosedDay(date(2018, 3, 29), "Mahavir Jayanti", CALENDARS),
    ClosedDay(date(2018, 3, 30), "Good Friday", CALENDARS),
    ClosedDay(date(2018, 5, 1), "Maharashtra Day", CALENDARS),
    ClosedDay(date(2018, 8, 15), "Independence Day", CALENDARS),
    ClosedDay(date(2018, 8, 22), "Bakri Id", CALENDARS),
    ClosedDay(date(2018, 9, 13), "Ganesh Chaturthi", CALENDARS),
    ClosedDay(date(2018, 9, 20), "Muharram", CALENDARS),
    ClosedDay(date(2018, 10, 2), "Gandhi Jayanti", CALENDARS),
    ClosedDay(date(2018, 10, 18), "Dussehra", CALENDARS),
    ClosedDay(date(2018, 11, 8), "Diwali Balipratipada", CALENDARS),
    ClosedDay(date(2018, 11, 23), "Guru Nanak Jayanti", CALENDARS),
    ClosedDay(date(2018, 12, 25), "Christmas", CALENDARS),
    ClosedDay(date(2019, 3, 4), "Mahashivratri", CALENDARS),
    ClosedDay(date(2019, 3, 21), "Holi", CALENDARS),
    ClosedDay(date(2019, 4, 17), "Mahavir Jayanti", CALENDARS),
    ClosedDay(date(2019, 4, 19), "Good Friday", CALENDARS),
    ClosedDay(date(2019, 4, 29), "Parliamentary elections", CALENDARS),
    ClosedDay(date(2019, 5, 1), "Maharashtra Day", CALENDARS),
    ClosedDay(date(2019, 6, 5), "Id-ul-Fitr", CALENDARS),
    ClosedDay(date(2019, 8, 12), "Bakri Id", CALENDARS),
    ClosedDay(date(2019, 8, 15), "Independence Day", CALENDARS),
    ClosedDay(date(2019, 9, 2), "Ganesh Chaturthi", CALENDARS),
    ClosedDay(date(2019, 9, 10), "Muharram", CALENDARS),
    ClosedDay(date(2019, 10, 2), "Gandhi Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2019, 10, 8), "Dussehra", CALENDARS_AND_BARS),
    ClosedDay(date(2019, 10, 21), "Maharashtra Assembly elections", CALENDARS_AND_BARS),
    ClosedDay(date(2019, 10, 28), "Diwali Balipratipada", CALENDARS_AND_BARS),
    ClosedDay(date(2019, 11, 12), "Guru Nanak Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2019, 12, 25), "Christmas", CALENDARS_AND_BARS),
    ClosedDay(date(2020, 2, 21), "Mahashivratri", CALENDARS_AND_BARS),
    ClosedDay(date(2020, 3, 10), "Holi", CALENDARS_AND_BARS),
    ClosedDay(date(2020, 4, 2), "Ram Navami", CALENDARS_AND_BARS),
    ClosedDay(date(2020, 4, 6), "Mahavir Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2020, 4, 10), "Good Friday", CALENDARS_AND_BARS),
    ClosedDay(date(2020, 4, 14), "Ambedkar Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2020, 5, 1), "Maharashtra Day", CALENDARS_AND_BARS),
    ClosedDay(date(2020, 5, 25), "Id-ul-Fitr", CALENDARS_AND_BARS),
    ClosedDay(date(2020, 10, 2), "Gandhi Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2020, 11, 16), "Diwali Balipratipada", CALENDARS_AND_BARS),
    ClosedDay(date(2020, 11, 30), "Guru Nanak Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2020, 12, 25), "Christmas", CALENDARS_AND_BARS),
    ClosedDay(date(2021, 1, 26), "Republic Day", CALENDARS_AND_BARS),
    ClosedDay(date(2021, 3, 11), "Mahashivratri", CALENDARS_AND_BARS),
    ClosedDay(date(2021, 3, 29), "Holi", CALENDARS_AND_BARS),
    ClosedDay(date(2021, 4, 2), "Good Friday", CALENDARS_AND_BARS),
    ClosedDay(date(2021, 4, 14), "Ambedkar Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2021, 4, 21), "Ram Navami", CALENDARS_AND_BARS),
    ClosedDay(date(2021, 5, 13), "Id-ul-Fitr", CALENDARS_AND_BARS),
    ClosedDay(date(2021, 7, 21), "Bakri Id", CALENDARS_AND_BARS),
    ClosedDay(date(2021, 8, 19), "Muharram", CALENDARS_AND_BARS),
    ClosedDay(date(2021, 9, 10), "Ganesh Chaturthi", CALENDARS_AND_BARS),
    ClosedDay(date(2021, 10, 15), "Dussehra", CALENDARS_AND_BARS),
    ClosedDay(date(2021, 11, 5), "Diwali Balipratipada", CALENDARS_AND_BARS),
    ClosedDay(date(2021, 11, 19), "Guru Nanak Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2022, 1, 26), "Republic Day", CALENDARS_AND_BARS),
    ClosedDay(date(2022, 3, 1), "Mahashivratri", CALENDARS_AND_BARS),
    ClosedDay(date(2022, 3, 18), "Holi", CALENDARS_AND_BARS),
    ClosedDay(date(2022, 4, 14), "Ambedkar Jayanti, Mahavir Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2022, 4, 15), "Good Friday", CALENDARS_AND_BARS),
    ClosedDay(date(2022, 5, 3), "Id-ul-Fitr", CALENDARS_AND_BARS),
    ClosedDay(date(2022, 8, 9), "Muharram", CALENDARS_AND_BARS),
    ClosedDay(date(2022, 8, 15), "Independence Day", CALENDARS_AND_BARS),
    ClosedDay(date(2022, 8, 31), "Ganesh Chaturthi", CALENDARS_AND_BARS),
    ClosedDay(date(2022, 10, 5), "Dussehra", CALENDARS_AND_BARS),
    ClosedDay(date(2022, 10, 26), "Diwali Balipratipada", CALENDARS_AND_BARS),
    ClosedDay(date(2022, 11, 8), "Guru Nanak Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2023, 1, 26), "Republic Day", CALENDARS_AND_BARS),
    ClosedDay(date(2023, 3, 7), "Holi", CALENDARS_AND_BARS),
    ClosedDay(date(2023, 3, 30), "Ram Navami", CALENDARS_AND_BARS),
    ClosedDay(date(2023, 4, 4), "Mahavir Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2023, 4, 7), "Good Friday", CALENDARS_AND_BARS),
    ClosedDay(date(2023, 4, 14), "Ambedkar Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2023, 5, 1), "Maharashtra Day", CALENDARS_AND_BARS),
    ClosedDay(date(2023, 6, 29), "Bakri Id", CALENDARS_AND_BARS),
    ClosedDay(date(2023, 8, 15), "Independence Day", CALENDARS_AND_BARS),
    ClosedDay(date(2023, 9, 19), "Ganesh Chaturthi", CALENDARS_AND_BARS),
    ClosedDay(date(2023, 10, 2), "Gandhi Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2023, 10, 24), "Dussehra", CALENDARS_AND_BARS),
    ClosedDay(date(2023, 11, 14), "Diwali Balipratipada", CALENDARS_AND_BARS),
    ClosedDay(date(2023, 11, 27), "Guru Nanak Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2023, 12, 25), "Christmas", CALENDARS_AND_BARS),
    ClosedDay(date(2024, 1, 22), "Special holiday, Ram temple consecration", CALENDARS_AND_BARS),
    ClosedDay(date(2024, 1, 26), "Republic Day", CALENDARS_AND_BARS),
    ClosedDay(date(2024, 3, 8), "Mahashivratri", CALENDARS_AND_BARS),
    ClosedDay(date(2024, 3, 25), "Holi", CALENDARS_AND_BARS),
    ClosedDay(date(2024, 3, 29), "Good Friday", CALENDARS_AND_BARS),
    ClosedDay(date(2024, 4, 11), "Id-ul-Fitr", CALENDARS_AND_BARS),
    ClosedDay(date(2024, 4, 17), "Ram Navami", CALENDARS_AND_BARS),
    ClosedDay(date(2024, 5, 1), "Maharashtra Day", CALENDARS_AND_BARS),
    ClosedDay(date(2024, 5, 20), "Parliamentary elections", CALENDARS_AND_BARS),
    ClosedDay(date(2024, 6, 17), "Bakri Id", CALENDARS_AND_BARS),
    ClosedDay(date(2024, 7, 17), "Muharram", CALENDARS_AND_BARS),
    ClosedDay(date(2024, 8, 15), "Independence Day", CALENDARS_AND_BARS),
    ClosedDay(date(2024, 10, 2), "Gandhi Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2024, 11, 15), "Guru Nanak Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2024, 11, 20), "Maharashtra Assembly elections", CALENDARS_AND_BARS),
    ClosedDay(date(2024, 12, 25), "Christmas", CALENDARS_AND_BARS),
    ClosedDay(date(2025, 2, 26), "Mahashivratri", CALENDARS_AND_BARS),
    ClosedDay(date(2025, 3, 14), "Holi", CALENDARS_AND_BARS),
    ClosedDay(date(2025, 3, 31), "Id-ul-Fitr", CALENDARS_AND_BARS),
    ClosedDay(date(2025, 4, 10), "Mahavir Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2025, 4, 14), "Ambedkar Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2025, 4, 18), "Good Friday", CALENDARS_AND_BARS),
    ClosedDay(date(2025, 5, 1), "Maharashtra Day", CALENDARS_AND_BARS),
    ClosedDay(date(2025, 8, 15), "Independence Day", CALENDARS_AND_BARS),
    ClosedDay(date(2025, 8, 27), "Ganesh Chaturthi", CALENDARS_AND_BARS),
    ClosedDay(date(2025, 10, 2), "Gandhi Jayanti, Dussehra", CALENDARS_AND_BARS),
    ClosedDay(date(2025, 10, 22), "Diwali Balipratipada", CALENDARS_AND_BARS),
    ClosedDay(date(2025, 11, 5), "Guru Nanak Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2025, 12, 25), "Christmas", CALENDARS_AND_BARS),
    ClosedDay(date(2026, 1, 15), "Maharashtra municipal elections", CALENDARS_AND_BARS),
    ClosedDay(date(2026, 1, 26), "Republic Day", CALENDARS_AND_BARS),
    ClosedDay(date(2026, 3, 3), "Holi", CALENDARS_AND_BARS),
    ClosedDay(date(2026, 3, 26), "Ram Navami", CALENDARS_AND_BARS),
    ClosedDay(date(2026, 3, 31), "Mahavir Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2026, 4, 3), "Good Friday", CALENDARS_AND_BARS),
    ClosedDay(date(2026, 4, 14), "Ambedkar Jayanti", CALENDARS_AND_BARS),
    ClosedDay(date(2026, 5, 1), "Maharashtra Day", CALENDARS_AND_BARS),
    ClosedDay(date(2026, 5, 28), "Bakri Id", CALENDARS_AND_BARS),
    ClosedDay(date(2026, 6, 26), "Muharram", CALENDARS_AND_BARS),
    ClosedDay(date(2026, 9, 14), "Ganesh Chaturthi", CIRCULAR_2026),
    ClosedDay(date(2026, 10, 2), "Gandhi Jayanti", CIRCULAR_2026),
    ClosedDay(date(2026, 10, 20), "Dussehra", CIRCULAR_2026),
    ClosedDay(date(2026, 11, 10), "Diwali Balipratipada", CIRCULAR_2026),
    ClosedDay(date(2026, 11, 24), "Guru Nanak Jayanti", CIRCULAR_2026),
    ClosedDay(date(2026, 12, 25), "Christmas", CIRCULAR_2026),
    # 1 May, 15 August, 2 October and 25 December 2027 fall on weekends.
    ClosedDay(date(2027, 1, 26), "Republic Day", PROVISIONAL_FIXED_DATE),
    ClosedDay(date(2027, 3, 26), "Good Friday", PROVISIONAL_GOOD_FRIDAY),
    ClosedDay(date(2027, 4, 14), "Ambedkar Jayanti", PROVISIONAL_FIXED_DATE),
)

UNUSUAL_SESSIONS: tuple[UnusualSession, ...] = (
    UnusualSession(date(2015, 2, 28), REGULAR_HOURS, "special", f"Union Budget; {PRESS}"),
    UnusualSession(date(2015, 11, 11), ((time(17, 45), time(18, 45)),), "muhurat", MARKET_CALENDAR),
    UnusualSession(date(2016, 10, 30), ((time(18, 30), time(19, 30)),), "muhurat", PRESS),
    UnusualSession(date(2017, 10, 19), ((time(18, 30), time(19, 30)),), "muhurat", MARKET_CALENDAR),
    UnusualSession(date(2018, 11, 7), ((time(17, 30), time(18, 30)),), "muhurat", MARKET_CALENDAR),
    UnusualSession(date(2019, 10, 27), ((time(18, 15), time(19, 15)),), "muhurat", PRESS_AND_BARS),
    UnusualSession(date(2020, 2, 1), REGULAR_HOURS, "special", f"Union Budget; {PRESS_AND_BARS}"),
    UnusualSession(
        date(2020, 11, 14),
        ((time(18, 15), time(19, 15)),),
        "muhurat",
        "observed in one-minute and daily bars",
    ),
    # Cash orders were still matched for about three minutes after the announced halt.
    UnusualSession(
        date(2021, 2, 24),
        ((time(9, 15), time(11, 40)), (time(15, 45), time(17, 0))),
        "outage",
        "NSE statements of the day, pandas_market_calendars NSE 5.5.0; observed in daily bars",
    ),
    UnusualSession(date(2021, 11, 4), ((time(18, 15), time(19, 15)),), "muhurat", MARKET_CALENDAR),
    UnusualSession(
        date(2022, 10, 24), ((time(18, 15), time(19, 15)),), "muhurat", MARKET_CALENDAR_AND_BARS
    ),
    UnusualSession(date(2023, 11, 12), ((time(18, 15), time(19, 15)),), "muhurat", PRESS_AND_BARS),
    UnusualSession(
        date(2024, 1, 20),
        REGULAR_HOURS,
        "special",
        f"in place of Monday 2024-01-22; {PRESS_AND_BARS}",
    ),
    UnusualSession(date(2024, 3, 2), DRILL_HOURS, "drill", PRESS_AND_BARS),
    UnusualSession(date(2024, 5, 18), DRILL_HOURS, "drill", PRESS_AND_BARS),
    UnusualSession(
        date(2024, 11, 1), ((time(18, 0), time(19, 0)),), "muhurat", MARKET_CALENDAR_AND_BARS
    ),
    UnusualSession(date(2025, 2, 1), REGULAR_HOURS, "special", f"Union Budget; {PRESS_AND_BARS}"),
    UnusualSession(
        date(2025, 10, 21), ((time(13, 45), time(14, 45)),), "muhurat", MARKET_CALENDAR_AND_BARS
    ),
    UnusualSession(
        date(2026, 2, 1),
        REGULAR_HOURS,
        "special",
        "Union Budget; NSE circular of 2026-01-16; observed in daily bars",
    ),
    UnusualSession(
        date(2026, 11, 8),
        HOURS_NOT_KNOWN,
        "muhurat",
        "NSE/CMTR/71775 of 2025-12-12: session announced, hours to be notified later",
    ),
)
