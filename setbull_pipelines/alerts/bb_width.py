"""What the band-width monitor says, as news: each alert while its session trades, afterwards one line per session.

Belongs here: when which alerts are sent, how many, and their words. Does not belong here: finding them (``variants/``),
reading tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from setbull_pipelines.alerts.finding import Finding, Says, Severity
from setbull_pipelines.settings import AlertSettings

_ASSET = "served/bb_width_alerts"
_HOUR = timedelta(hours=1)
_NAMED = 10


@dataclass(frozen=True)
class BandAlert:
    """The alert of one instrument in one session. Widths are rupees, the distance percent."""

    instrument_key: str
    rule: str
    closed_at: datetime
    """End of its bar, with zone."""
    width: float
    lowest: float
    distance: float
    symbol: str | None = None

    @property
    def name(self) -> str:
        """What people call the instrument; its key where it has no symbol."""
        return self.symbol or self.instrument_key

    def is_one_of(self, named: Collection[str]) -> bool:
        """Whether its key is in ``named``, or its symbol, in whichever case."""
        symbols = {text.casefold() for text in named}
        return self.instrument_key in named or (self.symbol or "").casefold() in symbols


@dataclass(frozen=True)
class MonitoredSession:
    """The latest available session of the monitor."""

    day: date
    opens_at: datetime
    closes_at: datetime
    published_at: datetime
    """When what is known of it was stored; before its close it is known in part."""
    alerts: tuple[BandAlert, ...]


def of_bb_width(
    session: MonitoredSession, bar: timedelta, settings: AlertSettings, moment: datetime
) -> Iterator[Finding]:
    """News of ``session`` at a ``moment``.

    From its open until one ``bar`` after its close (the last bar ends with it) every alert is sent by itself;
    afterwards, once it was stored after its close, all are sent together. Instruments that nobody watches are left
    out. Keys are the same at every look, so that nothing is sent twice.
    """
    watched = settings.bb_width_instruments
    alerts = [
        alert
        for alert in sorted(
            session.alerts, key=lambda alert: (alert.closed_at, alert.instrument_key)
        )
        if not watched or alert.is_one_of(watched)
    ]
    if session.opens_at <= moment <= session.closes_at + bar:
        for alert in _at_most(settings.bb_width_per_hour, alerts):
            yield _of_alert(alert, session.day, settings.ui_address)
    elif alerts and session.closes_at <= min(session.published_at, moment):
        yield _of_session(alerts, session, settings.ui_address)


def _at_most(per_hour: int, alerts: Iterable[BandAlert]) -> list[BandAlert]:
    """The alerts without those that would be more than ``per_hour`` in the hour up to them."""
    told: list[BandAlert] = []
    for alert in alerts:
        begin = alert.closed_at - _HOUR
        if len(told) < per_hour or told[-per_hour].closed_at <= begin:
            told.append(alert)
    return told


def _of_alert(alert: BandAlert, day: date, ui_address: str) -> Finding:
    return _news(
        f"bb_width {alert.instrument_key} {day}",
        f"{alert.name}: band width {alert.rule}",
        f"width {alert.width:.4f} rupees at {alert.closed_at:%H:%M}, {alert.distance:+.2f} % from the lowest of the "
        f"look-back, {alert.lowest:.4f}",
        alert.closed_at,
        day,
        ui_address,
    )


def _of_session(alerts: Sequence[BandAlert], session: MonitoredSession, ui_address: str) -> Finding:
    instruments = "1 instrument" if len(alerts) == 1 else f"{len(alerts):,} instruments"
    nearest = sorted(alerts, key=lambda alert: (abs(alert.distance), alert.instrument_key))
    named = ", ".join(
        f"{alert.name} {alert.rule} ({alert.distance:+.2f} %)" for alert in nearest[:_NAMED]
    )
    more = f" and {len(alerts) - _NAMED:,} more" if len(alerts) > _NAMED else ""
    return _news(
        f"bb_width session {session.day}",
        f"band-width alerts of {instruments} on {session.day}",
        f"nearest to their lowest width first: {named}{more}",
        session.closes_at,
        session.day,
        ui_address,
    )


def _news(
    key: str, title: str, message: str, observed_at: datetime, day: date, ui_address: str
) -> Finding:
    return Finding(
        key=key,
        kind="bb_width",
        says=Says.CHANGED,
        severity=Severity.INFO,
        title=title,
        message=message,
        link=f"{ui_address}/assets/{_ASSET}?view=partitions&partition={day}",
        observed_at=observed_at,
        asset=_ASSET,
        trading_day=day,
    )
