"""The chart of a stock as one HTML document that needs no network.

Belongs here: filling the template, the embedded data, the words about agreement. Does not belong here: what the bars
say (``stock_chart``), what is marked (``chart_marks``), how it looks (``chart.html``, ``chart.css``, ``chart.js``
beside this module), where it goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from setbull_pipelines.reporting.chart_marks import actions_in, gaps_in, refused_rows
from setbull_pipelines.reporting.document import (
    chart_library,
    embedded,
    part,
    policy_of,
    template_of,
)
from setbull_pipelines.reporting.stock_chart import (
    DAY,
    FIVE_MINUTES,
    Difference,
    Frame,
    Session,
    StockChart,
    choices,
    drawn_columns,
    frame_of,
    label_of,
)
from setbull_pipelines.tables.operations import COMPONENTS
from setbull_pipelines.tables.reconciliation import DIVERGED, NOT_COMPARABLE, PASS

if TYPE_CHECKING:
    from jinja2 import Template

_NAMES = {DAY: "Daily", FIVE_MINUTES: "5 minutes"}
_LONG_GAP = 5
"""Minutes in a row from which a gap is marked among the candles; shorter ones are counted in the table."""


def html_chart(chart: StockChart) -> str:
    """Return the page as one document; the same rows give the same text."""
    frames = [frame_of(chart, timeframe) for timeframe in chart.bars]
    gaps, refused = gaps_in(chart.minutes, chart.minute_days), refused_rows(chart.quarantined)
    actions = actions_in(chart.corporate_actions)
    missing: Counter[date] = Counter()
    for gap in gaps:
        missing[gap.day] += gap.minutes
    rejected = Counter(row.day for row in refused)
    library, script = chart_library(), part("drawing.js") + part("chart.js")
    data = {
        "frames": {frame.timeframe: frame.data for frame in frames},
        "summaries": {frame.timeframe: frame.summary for frame in frames},
        "columns": {
            column.name: [label_of(column.name), column.unit or ""]
            for frame in frames
            for column in drawn_columns(frame.timeframe)
        },
        "choices": {choice.name: [choice.columns, choice.is_level] for choice in choices()},
        "sessions": [_told(session) for session in chart.sessions],
        "components": COMPONENTS,
        "worst": _worst(frames),
        "actions": [[each.day, each.words, each.price_ratio, each.share_ratio] for each in actions],
        "gaps": [[gap.time, gap.minutes, gap.words] for gap in gaps if gap.minutes >= _LONG_GAP],
        "refused": [[f"{row.day}", row.time, row.words] for row in refused],
        "missing": {f"{day}": count for day, count in missing.items()},
    }
    return _template().render(
        chart=chart,
        policy=policy_of(library, script),
        style=part("page.css") + part("chart.css"),
        library=library,
        script=script,
        frames=frames,
        names=_NAMES,
        differing=[
            (frame, each, _largest(each))
            for frame in frames
            for each in frame.agreement.differences
        ],
        choices=choices(),
        columns=list(
            dict.fromkeys(
                column.name for frame in frames for column in drawn_columns(frame.timeframe)
            )
        ),
        label_of=label_of,
        sessions=list(reversed(chart.sessions)),
        last=_last_told(chart.sessions),
        worst_state=worst_state,
        components=COMPONENTS,
        missing=missing,
        rejected=rejected,
        actions=actions,
        data=embedded(data),
    )


def worst_state(session: Session) -> str | None:
    """The state of V1 against V2 over all tables of a session: diverged before not comparable before pass."""
    found = set(session.states.values())
    return next((state for state in (DIVERGED, NOT_COMPARABLE, PASS) if state in found), None)


def _told(session: Session) -> dict[str, object]:
    """A session for the strip beneath the chart."""
    return {
        "day": f"{session.day}",
        "verdict": session.verdict,
        "reason": session.reason,
        "state": worst_state(session),
        "stages": [session.stages.get(component) for component in COMPONENTS],
        "served": [session.served.get(component) for component in COMPONENTS],
        "report": session.report,
        "differences": session.differences,
    }


def _last_told(sessions: Sequence[Session]) -> Session | None:
    """The last session that has a verdict."""
    return next((session for session in reversed(sessions) if session.verdict), None)


def _worst(frames: Sequence[Frame]) -> Mapping[str, str]:
    """By timeframe the column that differs the most: what is compared when the page opens."""
    return {
        frame.timeframe: frame.agreement.differences[0].column
        for frame in frames
        if frame.agreement.differences
    }


def _largest(difference: Difference) -> str:
    """How far V2 is from V1, in words."""
    if difference.largest is None or difference.relative is None:
        return "null on one side"
    unit = f" {difference.unit}" if difference.unit and difference.unit != "0 to 100" else ""
    return f"by up to {difference.largest:.4g}{unit} ({100 * difference.relative:.3g} %)"


@cache
def _template() -> Template:
    return template_of("chart.html", {})
