"""Rules about how far the calendar reaches beyond what was received.

Belongs here: what is left of the calendar means for a check. Does not belong here: the steps and words
(``market/coverage.py``), the alert (``alerts/``), whether the calendar fits the data (``raw.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.coverage import REMINDERS, Outlook, outlook
from setbull_pipelines.quality.raw import INTAKE
from setbull_pipelines.quality.verdict import (
    TOLD_BY_OWN_ALERT,
    Judge,
    Rule,
    Verdict,
    not_judged,
)
from setbull_pipelines.settings import Settings


def _judge(is_well: Callable[[Outlook], bool]) -> Judge:
    def judge(frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings) -> Verdict:
        last = frames[INTAKE.name]["last_day"].max()
        if pd.isna(last):
            return not_judged("no row of the input has a trading day")
        found = outlook(NSE, last.date())
        passed = is_well(found)
        told = {} if passed else {TOLD_BY_OWN_ALERT: True}
        return Verdict(
            passed, found.sentence, {"days left after the input": found.days_left, **told}
        )

    return judge


RULES = (
    Rule(
        "calendar_reaches_on",
        f"The published calendar reaches more than {REMINDERS[0]} days beyond the last day of the input",
        INTAKE,
        (INTAKE,),
        _judge(lambda found: found.reached is None),
        is_error=False,
    ),
    Rule(
        "calendar_is_published",
        "The last day of the input lies before the last day that the exchange has published",
        INTAKE,
        (INTAKE,),
        _judge(lambda found: not found.is_over),
    ),
)
