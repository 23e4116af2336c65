"""The words of messages.

Belongs here: title and text of a message about one or several events. Does not belong here: sending.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from setbull_pipelines.alerts.finding import Severity
from setbull_pipelines.alerts.ledger import NOTED, RAISED, RECOVERED, REMINDER, Alert, Ledger

_SHOWN = 20
"""Events written out in one message; the rest is counted."""
_MOMENT = "%Y-%m-%d %H:%M %Z"
_PREFIX = {RAISED: "", REMINDER: "still: ", RECOVERED: "recovered: "}
_COUNTED_AS = {RAISED: "new", REMINDER: "still open", RECOVERED: "recovered"}


@dataclass(frozen=True)
class Message:
    """What a channel is given. ``severity`` is that of the worst event; None when all of them are recoveries."""

    title: str
    body: str
    severity: Severity | None


def compose(
    events: Sequence[tuple[str, Alert]], ui_address: str, standing: str | None = None
) -> Message:
    """One message about ``events``, each a notice's event with its alert; the worst comes first.

    ``standing`` says what else is open (:func:`how_things_stand`). Before several events come their counts.
    """
    ordered = sorted(events, key=_order)
    event, worst = ordered[0]
    title = f"setbull: {_PREFIX[event]}{worst.title}"
    if len(ordered) > 1:
        title = f"setbull: {len(ordered)} alerts, first: {_PREFIX[event]}{worst.title}"
    parts = [_text(event, alert, ui_address) for event, alert in ordered[:_SHOWN]]
    if len(ordered) > _SHOWN:
        parts.append(f"and {len(ordered) - _SHOWN} more: setbull alerts list")
    if standing and len(ordered) > 1:
        parts.insert(0, f"{_counted(ordered)}\n{standing}")
    elif standing:
        parts.append(standing)
    return Message(title, "\n\n".join(parts) + "\n", None if event == RECOVERED else worst.severity)


def how_things_stand(ledger: Ledger, moment: datetime, ui_address: str) -> str:
    """What is open at a moment, counted, and where it is listed."""
    severities = Counter(alert.severity for alert in ledger.open)
    counts = ", ".join(
        f"{severities[severity]} {severity.label}"
        for severity in reversed(Severity)
        if severity in severities
    )
    muted = sum(ledger.muted(alert, moment) is not None for alert in ledger.open)
    known = sum(ledger.acknowledged(alert) is not None for alert in ledger.open)
    beside = [f"{muted} muted"] * bool(muted) + [f"{known} acknowledged"] * bool(known)
    of_them = f" (of them {', '.join(beside)})" if beside else ""
    return f"open now: {counts or 'nothing'}{of_them}; all: {ui_address}/assets/operations/alerts"


def _counted(events: Sequence[tuple[str, Alert]]) -> str:
    words = Counter(
        "news" if alert.state == NOTED else _COUNTED_AS[event] for event, alert in events
    )
    return ", ".join(
        f"{words[word]} {word}" for word in (*_COUNTED_AS.values(), "news") if words[word]
    )


def _order(item: tuple[str, Alert]) -> tuple[bool, int, int]:
    event, alert = item
    return event == RECOVERED, -alert.severity.value, alert.number


def _text(event: str, alert: Alert, ui_address: str) -> str:
    lines = [
        f"{_PREFIX[event]}{alert.title}",
        f"severity: {alert.severity.label}, alert {alert.number}",
    ]
    if event == RECOVERED:
        lines.append(
            f"wrong since {alert.first_seen:{_MOMENT}}, well at {alert.recovered_at:{_MOMENT}}"
        )
        run_id = alert.recovered_by
    else:
        lines.append(f"reason: {alert.message}")
        run_id = alert.run_id
    if alert.occurrences > 1:
        lines.append(f"seen {alert.occurrences} times since {alert.first_seen:{_MOMENT}}")
    if run_id:
        lines.append(f"run: {ui_address}/runs/{run_id}")
    if alert.asset:
        lines.append(f"asset: {alert.link}")
    return "\n".join(lines)
