"""The words in which people are told.

Belongs here: title and text of a message about one or several events. Does not belong here: sending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from setbull_pipelines.alerts.finding import Severity
from setbull_pipelines.alerts.ledger import RAISED, RECOVERED, REMINDER, Alert

_SHOWN = 20
"""Events written out in one message; the rest is counted."""
_MOMENT = "%Y-%m-%d %H:%M %Z"
_PREFIX = {RAISED: "", REMINDER: "still: ", RECOVERED: "recovered: "}


@dataclass(frozen=True)
class Message:
    """What a channel is given. ``severity`` is that of the worst event; None when all of them are recoveries."""

    title: str
    body: str
    severity: Severity | None


def compose(events: Sequence[tuple[str, Alert]], ui_address: str) -> Message:
    """One message about ``events``, each a notice's event with its alert; the worst comes first."""
    ordered = sorted(events, key=_order)
    event, worst = ordered[0]
    title = f"setbull: {_PREFIX[event]}{worst.title}"
    if len(ordered) > 1:
        title = f"setbull: {len(ordered)} alerts, first: {_PREFIX[event]}{worst.title}"
    parts = [_text(event, alert, ui_address) for event, alert in ordered[:_SHOWN]]
    if len(ordered) > _SHOWN:
        parts.append(f"and {len(ordered) - _SHOWN} more: setbull alerts list")
    return Message(title, "\n\n".join(parts) + "\n", None if event == RECOVERED else worst.severity)


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
