"""What ``setbull run`` says, and leaves to be asked, where rows or files of the input are not used.

Belongs here: the report before a run, and the tables of an input from which nothing was accepted. Does not belong here:
the report itself (``check.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from setbull_pipelines.cli.check import lines_of, report_on
from setbull_pipelines.cli.home import claim
from setbull_pipelines.cli.terminal import tell
from setbull_pipelines.pipeline.catalog import refresh_catalog
from setbull_pipelines.pipeline.opening import open_warehouse
from setbull_pipelines.pipeline.raw import RawDays, publish_intake
from setbull_pipelines.settings import SOURCE_FILE, Settings, recorded_source
from setbull_pipelines.sources.intake import Intake
from setbull_pipelines.sources.moments import DAILY, MINUTES

_SENTENCES = 10
_LITTLE = 0.9
"""Where a smaller share of the received rows was accepted, a run begins with the report."""


def tell_what_was_understood(intake: Intake, settings: Settings, given: Mapping[str, Any]) -> None:
    """What was taken for granted of files; the whole report where one was refused or little of the rows accepted."""
    if settings.input is None:
        return
    received = int(intake.files["received"].sum())
    accepted = sum(intake.landed_rows().values())
    is_refused = (intake.files["kind"] == "rejected").any()
    if is_refused or accepted < _LITTLE * received:
        tell("\n".join(lines_of(report_on(settings.input, intake, settings, given))))
        return
    # What is plain needs no words.
    told = intake.files[intake.files["taken_for"].str.contains("; ", regex=False, na=False)]
    for taken_for, files in list(told.groupby("taken_for", sort=False))[:_SENTENCES]:
        first, more = files["source"].iloc[0], len(files) - 1
        tell(f"{first}{f' and {more} more files' if more else ''}: {taken_for}")


def with_nothing_accepted(intake: Intake, settings: Settings, given: Mapping[str, Any]) -> str:
    """Tell why nothing was accepted, and make the tables that can be asked about it; returns the last sentence."""
    report = report_on(settings.input or "", intake, settings, given)
    tell("\n".join(lines_of(report)))
    record = settings.data_directory / SOURCE_FILE
    before = recorded_source(settings.data_directory)[0]
    if record.exists() and before != settings.input:
        return (
            "no row of the input was accepted, for the reasons above; the data folder keeps the results of "
            f"{before or 'the generated sample'}"
        )
    claim(settings.data_directory, settings.input, settings.replay, given)
    warehouse = open_warehouse(settings)
    run_id = f"nothing accepted {datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    publish_intake(intake, warehouse, settings, run_id)
    days = sorted({*intake.days(MINUTES), *intake.days(DAILY)})
    for _ in RawDays(intake, warehouse, settings, run_id).over(days):
        pass
    refresh_catalog(warehouse, settings)
    return (
        'no row of the input was accepted, for the reasons above; rows: setbull sql "FROM raw.quarantine", files: '
        'setbull sql "FROM raw.intake"'
    )
