"""What people did about alerts: muted some until a day, acknowledged one.

Belongs here: the record of such an act, what it covers, and when it ends. Does not belong here: storing it
(``pipeline/alert_delivery.py``), what follows for messages (``ledger.py``).

An act changes which messages are sent and nothing else. The rollout reads comparisons and its own log, never an
alert: what is muted here is rolled back there all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

from setbull_pipelines.alerts.finding import Severity
from setbull_pipelines.errors import SetbullError
from setbull_pipelines.tables.operations import ACT_SUBJECTS, ACTS

MUTED, ACKNOWLEDGED = ACTS
ONE_ALERT, CHECK, TABLE = ACT_SUBJECTS


class NoSuchSubject(SetbullError, ValueError):
    """What an act was to be about is no alert, check or table; the message says what was expected."""


class NotMuted(SetbullError, ValueError):
    """A mute that is refused; the message says why and what to do."""


@dataclass(frozen=True)
class Act:
    """A row of ``operations.alert_acts``."""

    number: int
    act: str
    subject: str
    """What ``name`` is: the key of one alert, a check, or a table."""
    name: str
    actor: str
    reason: str | None
    recorded_at: datetime
    alert: int | None = None
    """The number of the alert that the person named."""
    muted_until: datetime | None = None

    def covers(self, key: str, asset: str | None) -> bool:
        """Whether it is about the alert with this key, about this asset."""
        if self.subject == ONE_ALERT:
            return key == self.name
        if self.subject == CHECK:
            return _check_of(key) == self.name
        return asset is not None and self.name in (asset, asset.rpartition("/")[2])


@dataclass(frozen=True)
class Subject:
    """What a person named: one alert, a check in all tables, or a table."""

    subject: str
    name: str
    alert: int | None = None


def muting(
    acts: Iterable[Act], key: str, asset: str | None, severity: Severity, moment: datetime
) -> Act | None:
    """The mute in force for an alert at a moment, the one that ends last; None where it is not muted.

    Of one subject the last mute counts. A critical alert is never muted.
    """
    if severity is Severity.CRITICAL:
        return None
    in_force = [
        act for act in mutes_in_force(acts, moment) if act.covers(key, asset) and act.muted_until
    ]
    return max(in_force, key=lambda act: (act.muted_until, act.number), default=None)


def mutes_in_force(acts: Iterable[Act], moment: datetime) -> list[Act]:
    """The mutes that have not ended at a moment, the last one of each subject."""
    last = {(act.subject, act.name): act for act in acts if act.act == MUTED}
    return [act for act in last.values() if act.muted_until and act.muted_until > moment]


def was_muted(acts: Iterable[Act], key: str, asset: str | None) -> bool:
    """Whether any mute was ever about the alert."""
    return any(act.act == MUTED and act.covers(key, asset) for act in acts)


def acknowledging(acts: Iterable[Act], alert: int) -> Act | None:
    """The last act by which somebody took notice of the alert with this number."""
    found = [act for act in acts if act.act == ACKNOWLEDGED and act.alert == alert]
    return found[-1] if found else None


def named(
    text: str, key_of: Callable[[int], str | None], checks: Collection[str], tables: Collection[str]
) -> Subject:
    """What a person means by ``text``: the number of an alert, a check or a table. Raises NoSuchSubject.

    A table is named as ``candles_5min`` in all lanes, or as ``v2.candles_5min`` in one.
    """
    if text.isdigit():
        key = key_of(int(text))
        if key is None:
            raise NoSuchSubject(
                f"found no alert {text}, expected a number that setbull alerts list shows"
            )
        return Subject(ONE_ALERT, key, int(text))
    if text in checks:
        return Subject(CHECK, text)
    name = text.replace(".", "/")
    if name in tables:
        return Subject(TABLE, name)
    near = get_close_matches(text, [*checks, *tables], n=3)
    raise NoSuchSubject(
        f"found {text!r}, expected the number of an alert, the name of a check or that of a table"
        + (f", such as {', '.join(near)}" if near else "")
    )


def _check_of(key: str) -> str | None:
    """The check in the key of an alert about one; None in other keys."""
    kind, *rest = key.split(" ")
    return rest[1] if kind == "check" and len(rest) > 1 else None
