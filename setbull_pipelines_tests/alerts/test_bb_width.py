"""When band-width alerts are told, how many of them, and once: moments passed in, values by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from setbull_pipelines.alerts.bb_width import BandAlert, MonitoredSession, of_bb_width
from setbull_pipelines.alerts.finding import Finding
from setbull_pipelines.alerts.ledger import NOTED, Ledger, record
from setbull_pipelines.settings import AlertSettings

DAY = date(2026, 6, 30)
BAR = timedelta(minutes=5)
SETTINGS = AlertSettings()


def clock(text: str, day: date = DAY) -> datetime:
    """A moment of the day, exchange time."""
    hours, minutes = map(int, text.split(":"))
    return datetime(day.year, day.month, day.day, hours, minutes, tzinfo=ZoneInfo("Asia/Kolkata"))


def alert(key: str, closed_at: str, distance: float = 0.05) -> BandAlert:
    return BandAlert(key, "threshold", clock(closed_at), 1.19119, 1.19, distance)


def session(*alerts: BandAlert, published_at: str = "16:31") -> MonitoredSession:
    return MonitoredSession(DAY, clock("9:15"), clock("15:30"), clock(published_at), alerts)


def told(moment: datetime, *alerts: BandAlert, settings: AlertSettings = SETTINGS) -> list[Finding]:
    return list(of_bb_width(session(*alerts), BAR, settings, moment))


def test_in_session_hours_each_alert_is_told_with_its_numbers() -> None:
    (found,) = told(clock("11:00"), alert("NSE_EQ|A", "10:20"))
    assert found.key == "bb_width NSE_EQ|A 2026-06-30"
    assert found.title == "NSE_EQ|A: band width threshold"
    assert found.message == (
        "width 1.1912 rupees at 10:20, +0.05 % from the lowest of the look-back, 1.1900"
    )
    assert found.link.endswith(
        "/assets/served/bb_width_alerts?view=partitions&partition=2026-06-30"
    )


@pytest.mark.parametrize(
    ("moment", "keys"),
    [
        (clock("9:14"), []),
        (clock("9:15"), ["bb_width A 2026-06-30", "bb_width B 2026-06-30"]),
        # The last bar ends with the session, so that it is known after the close only.
        (clock("15:35"), ["bb_width A 2026-06-30", "bb_width B 2026-06-30"]),
        (clock("15:36"), ["bb_width session 2026-06-30"]),
        (clock("9:20", date(2026, 7, 1)), ["bb_width session 2026-06-30"]),
        (clock("12:00", date(2026, 7, 4)), ["bb_width session 2026-06-30"]),
        (clock("12:00").astimezone(UTC), ["bb_width A 2026-06-30", "bb_width B 2026-06-30"]),
    ],
)
def test_outside_session_hours_the_latest_available_day_is_told_at_once(
    moment: datetime, keys: list[str]
) -> None:
    # Stored after the close, in every case: before the open only the alerts themselves would be old.
    known = replace(session(alert("A", "10:20"), alert("B", "15:30")), published_at=clock("15:31"))
    assert [found.key for found in of_bb_width(known, BAR, SETTINGS, moment)] == keys


def test_a_session_that_is_known_in_part_is_not_summed_up() -> None:
    known = session(alert("A", "10:20"), published_at="15:20")
    assert list(of_bb_width(known, BAR, SETTINGS, clock("18:00"))) == []


def test_a_session_without_alerts_is_no_news() -> None:
    assert told(clock("18:00")) == told(clock("11:00")) == []


def test_the_sum_names_the_nearest_to_their_lowest_width() -> None:
    many = [alert(f"K{number:02}", "10:20", distance=20 - number) for number in range(12)]
    (found,) = told(clock("18:00"), *many)
    assert found.title == "band-width alerts of 12 instruments on 2026-06-30"
    assert found.message.startswith(
        "nearest to their lowest width first: K11 threshold (+9.00 %), K10 threshold (+10.00 %)"
    )
    assert found.message.endswith("K02 threshold (+18.00 %) and 2 more")


def test_only_watched_instruments_are_told() -> None:
    watching = AlertSettings(bb_width_instruments=("B",))
    both = alert("A", "10:20"), alert("B", "10:25")
    assert [found.key for found in told(clock("11:00"), *both, settings=watching)] == [
        "bb_width B 2026-06-30"
    ]
    (found,) = told(clock("18:00"), *both, settings=watching)
    assert found.title == "band-width alerts of 1 instrument on 2026-06-30"


def test_symbols_are_what_people_name_and_read() -> None:
    tcs = replace(alert("NSE_EQ|INE467B01029", "10:20"), symbol="TCS")
    both = tcs, alert("NSE_EQ|INE002A01018", "10:25")
    for named in ("TCS", "tcs", "NSE_EQ|INE467B01029"):
        watching = AlertSettings(bb_width_instruments=(named,))
        (found,) = told(clock("11:00"), *both, settings=watching)
        assert found.title == "TCS: band width threshold"
        assert found.key == "bb_width NSE_EQ|INE467B01029 2026-06-30"


def test_no_more_than_a_number_an_hour_by_the_time_of_their_bars() -> None:
    settings = AlertSettings(bb_width_per_hour=2)
    alerts = [
        alert(key, at)
        for key, at in (("D", "11:20"), ("A", "10:20"), ("B", "10:20"), ("C", "11:15"))
    ]
    found = told(clock("12:00"), *alerts, settings=settings)
    # C would be the third of the hour from 10:20 on; D comes an hour after A and B.
    assert [finding.key.split()[1] for finding in found] == ["A", "B", "D"]


def test_an_instrument_is_told_once_per_session_whatever_later_looks_say() -> None:
    ledger = Ledger()
    looks = (
        (clock("10:21"), [alert("A", "10:20")]),
        (clock("10:26"), [alert("A", "10:20"), alert("B", "10:25")]),
        # A corrected candle moved the first alert to a later bar.
        (clock("10:31"), [alert("A", "10:30"), alert("B", "10:25")]),
        (clock("16:40"), [alert("A", "10:30"), alert("B", "10:25")]),
        (clock("16:50"), [alert("A", "10:30")]),
    )
    for moment, alerts in looks:
        ledger = record(ledger, told(moment, *alerts), SETTINGS, moment)
    assert [(found.key, found.state, found.occurrences) for found in ledger.alerts] == [
        ("bb_width A 2026-06-30", NOTED, 1),
        ("bb_width B 2026-06-30", NOTED, 1),
        ("bb_width session 2026-06-30", NOTED, 1),
    ]
    assert len(ledger.notices) == 3
