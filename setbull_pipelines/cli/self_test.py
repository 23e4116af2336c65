"""``setbull self-test``: progress, the printed score, and where it is kept.

Belongs here: laying out. Does not belong here: mutants, judging (``reconciliation/self_test``).
"""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table as TextTable

from setbull_pipelines.cli.terminal import beside_the_answer, console
from setbull_pipelines.pipeline.opening import now, open_warehouse, warehouse_root
from setbull_pipelines.pipeline.progress import Progress
from setbull_pipelines.pipeline.self_testing import STORED, by_cause, publish_self_test
from setbull_pipelines.reconciliation.self_test.score import COMPARISONS, SelfTest, run_self_test
from setbull_pipelines.settings import Settings


def carry_out() -> SelfTest:
    """Run the test, and show how far it is."""
    with beside_the_answer():
        return run_self_test(Progress("self-test", COMPARISONS, "comparisons").advance)


def print_score(result: SelfTest) -> None:
    """Print the failures, the noise floor and the score."""
    if result.failures:
        failures = TextTable(title="faults missed or misnamed", title_justify="left", box=None)
        for name in ("fault", "table", "caught", "expected", "found"):
            failures.add_column(name, overflow="fold")
        for outcome in result.failures:
            failures.add_row(
                escape(outcome.mutant.name),
                outcome.mutant.table.name,
                "yes" if outcome.is_caught else "no",
                by_cause(outcome.mutant.diagnoses),
                by_cause(outcome.found),
            )
        console.print(failures)
    for control in result.false_alarms:
        console.print(
            f"[red]false alarm[/red] {control.name}, {control.table.name}: {escape(control.reason)}"
        )
    _print_days(result)
    _print_noise(result)
    total = len(result.outcomes)
    console.print(
        f"\ncaught {result.caught} of {total}, diagnosed {result.diagnosed} of {total} "
        f"({result.rightly_unknown} of them rightly as of unknown shape), "
        f"false alarms {len(result.false_alarms)} of {len(result.controls)}"
    )
    console.print(result.days.sentence)


def _print_days(result: SelfTest) -> None:
    """Print the faults that the rows of one trading day show, but do not name."""
    shown = [
        (outcome, outcome.one_day)
        for outcome in result.of_days
        if outcome.one_day and not outcome.one_day.is_named
    ]
    if not shown:
        return
    days = TextTable(
        title="not named by the rows of one trading day", title_justify="left", box=None
    )
    for name in ("fault", "table", "day", "expected", "found"):
        days.add_column(name, overflow="fold")
    for outcome, day in shown:
        days.add_row(
            escape(outcome.mutant.name),
            outcome.mutant.table.name,
            f"{day.trading_day:%Y-%m-%d}",
            by_cause(
                {column: day.expected[column] for column in day.found if column in day.expected}
            ),
            by_cause(day.found) or "missed",
        )
    console.print(days)


def keep_score(result: SelfTest, settings: Settings) -> str:
    """Store the score beside the tables that it is about; returns a sentence that says where, or how to."""
    root = warehouse_root(settings)
    if not root.is_dir() and not settings.storage.remote:
        return f"not stored: {settings.data_directory} has no tables yet; `setbull run` makes them"
    publish_self_test(result, open_warehouse(settings), now(), "setbull self-test")
    return f"stored as {STORED.name} in {settings.data_directory}"


def _print_noise(result: SelfTest) -> None:
    noise = TextTable(title="noise floor: nothing wrong", title_justify="left", box=None)
    for name in (
        "comparison",
        "cells compared",
        "not identical",
        "largest relative",
        "largest ULP",
    ):
        noise.add_column(name, justify="left" if name == "comparison" else "right")
    for name in dict.fromkeys(control.name for control in result.controls):
        controls = [control for control in result.controls if control.name == name]
        cells = sum(control.cells_compared for control in controls)
        noise.add_row(
            name,
            f"{cells:,}",
            f"{cells - sum(control.cells_identical for control in controls):,}",
            f"{max(control.largest_relative_difference for control in controls):.2g}",
            f"{max(control.largest_ulp_difference for control in controls):g}",
        )
    console.print(noise)
