"""Every rule of every table holds on the rows of a real run and fails, with a sentence, on tampered ones."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline.fetching import STORED as FETCHES
from setbull_pipelines.pipeline.self_testing import STORED as SELF_TEST
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.quality.verdict import NOT_JUDGED, Rule, before
from setbull_pipelines.settings import SampleSettings, Settings
from setbull_pipelines.sources.intake import take_in
from setbull_pipelines.warehouse.pointers import UNASSIGNED, WHOLE, StoredTable
from setbull_pipelines_tests.moments import LATER
from setbull_pipelines_tests.pipeline.small_run import SmallRun
from setbull_pipelines_tests.quality.tamperings import (
    ELSEWHERE,
    QUARANTINE,
    REVISIONS,
    SPECIAL_TAMPERINGS,
    TAMPERINGS,
    Frames,
    changed,
    corrections_of,
    tamper,
)

# The run includes no self-test, no fetch and no stock groups; their rules are tested in pipeline/ and test_groups.
RULES = [
    rule
    for table, rules in all_rules().items()
    if table not in (SELF_TEST, FETCHES) and table.table not in tables.GROUP_TABLES
    for rule in rules
]
UNDERLYINGS = StoredTable("raw", tables.DERIVATIVE_UNDERLYINGS)
ALIASES = StoredTable("raw", tables.INSTRUMENT_ALIASES)


@pytest.fixture(scope="module")
def quarantined(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Rows that intake really rejected: the sample has none."""
    folder: Path = tmp_path_factory.mktemp("dirty")
    (folder / "minutes.csv").write_text(
        "instrument_key,timestamp,open,high,low,close,volume\n"
        "NSE_EQ|A,2025-06-02T09:15:00+05:30,100,90,99,100,5\n"
        "NSE_EQ|A,2025-06-02T20:15:00+05:30,100,101,99,100,5\n"
        "NSE_EQ|A,2025-06-02T09:16:00+05:30,100,101,99,100,-5\n"
    )
    intake = take_in(folder, folder / "landing", SampleSettings(), LATER)
    return intake.load_day(intake.days("minutes")[0]).quarantine


def an_alias() -> pd.DataFrame:
    """A former key: the sample has none."""
    row = {
        "old_instrument_key": "NSE_EQ|INE066A01013",
        "instrument_key": "NSE_EQ|INE066A01021",
        "from_date": pd.Timestamp("2020-08-24"),
        "source": "aliases.csv",
    }
    return tables.INSTRUMENT_ALIASES.conform(pd.DataFrame([row]))


@pytest.fixture(scope="module")
def stored_frames(small_run: SmallRun) -> Frames:
    """What every rule reads on the last day of the run, by stored name."""
    day = small_run.days[-1].isoformat()
    wanted = {stored.name: stored for rule in RULES for stored in rule.reads}
    return {
        name: small_run.warehouse.read(stored, [day if stored.table.partitioned else WHOLE])
        for name, stored in wanted.items()
    }


def frames_of(
    rule: Rule, stored_frames: Frames, small_run: SmallRun, quarantined: pd.DataFrame
) -> tuple[Frames, pd.Timestamp, Settings]:
    frames = {stored.name: stored_frames[stored.name] for stored in rule.reads}
    if not rule.table.table.partitioned and QUARANTINE in rule.reads:
        frames[QUARANTINE.name] = small_run.warehouse.read(QUARANTINE, [UNASSIGNED])
    if rule.table == QUARANTINE:
        frames[QUARANTINE.name] = quarantined
    if rule.table == UNDERLYINGS:  # the sample has none: it ends before the closing auction began
        known = stored_frames["raw.instruments"]["instrument_key"].iloc[:2]
        rows = {
            "instrument_key": known,
            "first_day": pd.Timestamp(2026, 8, 3),
            "source": "list.csv",
        }
        frames[UNDERLYINGS.name] = UNDERLYINGS.table.conform(
            pd.DataFrame({**rows, "last_day": pd.NaT})
        )
    if rule.table == REVISIONS:
        frames[REVISIONS.name] = corrections_of(stored_frames["raw.candles_1min"])
    if rule.table == ALIASES:
        frames[ALIASES.name] = an_alias()
    if rule.earlier_sessions:
        earlier = [day.isoformat() for day in small_run.days[:-1]]
        frames[before(rule.table)] = small_run.warehouse.read(rule.table, earlier)
    return frames, pd.Timestamp(small_run.days[-1]), small_run.settings


def test_every_rule_has_a_tampering() -> None:
    covered = {
        (rule.table.name, rule.name)
        for rule in RULES
        if rule.name in TAMPERINGS
        or rule.name in ELSEWHERE
        or (rule.table.name, rule.name) in SPECIAL_TAMPERINGS
    }
    assert covered == {(rule.table.name, rule.name) for rule in RULES}
    assert {*TAMPERINGS, *ELSEWHERE} | {name for _, name in SPECIAL_TAMPERINGS} == {
        rule.name for rule in RULES
    }


def test_every_table_that_is_received_or_computed_has_its_rules() -> None:
    by_table = {table.name: {rule.name for rule in rules} for table, rules in all_rules().items()}
    for table in (*tables.RAW_TABLES, *tables.COMPUTED_TABLES, *tables.SERVED_TABLES):
        for schema in table.schemas:
            assert {"schema", "keys_unique"} <= by_table[f"{schema}.{table.name}"]
    for table in tables.COMPUTED_TABLES:
        assert by_table[f"reconciliation.{table.name}"] == {
            "v2_agrees_with_v1",
            "differences_are_rounding",
        }
        # Beyond its contract, every computed table is held to the table it comes from.
        assert by_table[f"v1.{table.name}"] == by_table[f"v2.{table.name}"]
        assert len(by_table[f"v1.{table.name}"]) > 2
    for table in tables.SERVED_TABLES:
        assert "one_variant_per_instrument" in by_table[f"served.{table.name}"]
    names = [(rule.table.name, rule.name) for rule in RULES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.table.name}-{rule.name}")
def test_a_rule_holds_on_the_rows_of_a_run_and_not_on_tampered_ones(
    rule: Rule, stored_frames: Frames, small_run: SmallRun, quarantined: pd.DataFrame
) -> None:
    frames, day, settings = frames_of(rule, stored_frames, small_run, quarantined)
    # In a good run nothing fails, so the table of failures is empty.
    of_quarantine = rule.name in ("rows_have_a_trading_day", "closed_days_untraded")
    if not of_quarantine and rule.table.table != tables.FAILURES:
        assert len(frames.get(rule.table.name, [1])) > 0, (
            "a rule that holds on no rows shows nothing"
        )

    held = rule.judge(frames, day, settings)
    assert held.passed, held.description
    assert held.description

    broken = rule.judge(tamper(frames, rule), day, settings)
    assert not broken.passed
    assert len(broken.description) > 10
    assert "\n" not in broken.description


TRUE_OF_NO_ROWS = {
    # Every row that there is must be right: a table without rows has none that is wrong.
    *("schema", "keys_unique", "ohlc", "in_session", "variant_as_decided"),
    # The table holds what went wrong, or what was listed: often nothing.
    *("rows_have_a_trading_day", "closed_days_untraded", "no_instrument_failed"),
    *("underlyings_known", "replayable"),
}


@pytest.mark.parametrize(
    "rule",
    # Its day always has a verdict; the check holds the rows of both variants against it.
    [rule for rule in RULES if rule.name not in {*TRUE_OF_NO_ROWS, "v2_agrees_with_v1"}],
    ids=lambda rule: f"{rule.table.name}-{rule.name}",
)
def test_a_rule_that_finds_nothing_to_judge_does_not_pass(rule: Rule) -> None:
    frames = {stored.name: stored.table.empty() for stored in rule.reads}
    frames[before(rule.table)] = rule.table.table.empty()
    verdict = rule.judge(frames, pd.Timestamp(2026, 6, 30), Settings())
    assert not verdict.passed, verdict.description
    assert "not" in verdict.description


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.table.name}-{rule.name}")
def test_a_rule_does_not_change_the_rows_it_judges(
    rule: Rule, stored_frames: Frames, small_run: SmallRun, quarantined: pd.DataFrame
) -> None:
    frames, day, settings = frames_of(rule, stored_frames, small_run, quarantined)
    before = {name: frame.copy() for name, frame in frames.items()}
    rule.judge(frames, day, settings)
    for name, frame in frames.items():
        pd.testing.assert_frame_equal(frame, before[name])


@pytest.mark.parametrize(
    ("gap", "hint"),
    [
        (0.1013, "0.1013 of the close before (near a ratio of 10)"),
        (0.2045, "0.2045 of the close before (near a ratio of 5)"),
        (0.6607, "0.6607 of the close before (near a ratio of 3/2)"),
        (0.3393, "0.3393 of the close before (near a ratio of 3)"),
        (9.87, "9.8700 of the close before (near a ratio of 1/10)"),
        (
            0.0106,
            "0.0106 of the close before (near a ratio of 100; are prices of one of the days in paise?)",
        ),
        # A special dividend of 974 rupees a share: no ratio of shares comes near it.
        (0.0145, "0.0145 of the close before;"),
    ],
)
def test_an_unexplained_gap_is_named_with_the_ratio_that_would_explain_it(
    gap: float, hint: str, stored_frames: Frames, small_run: SmallRun
) -> None:
    (rule,) = (
        rule
        for rule in RULES
        if (rule.table.name, rule.name) == ("v1.indicators_daily", "no_unexplained_gap")
    )
    day = pd.Timestamp(small_run.days[-1])
    frame = stored_frames[rule.table.name]
    jumped = changed(frame, 0, unexplained_gap=gap, unexplained_gap_day=day)
    earlier = changed(frame, 0, unexplained_gap=gap, unexplained_gap_day=day - pd.Timedelta(days=9))
    verdict = rule.judge({rule.table.name: jumped}, day, small_run.settings)
    assert frame["instrument_key"].iloc[0] in verdict.description
    assert hint in verdict.description
    assert (verdict.passed, rule.is_error) == (False, False)
    before = rule.judge({rule.table.name: earlier}, day, small_run.settings)
    assert before.passed
    assert before.metadata["jumped before, still unexplained"] == 1


@pytest.mark.parametrize("compared_before", [0, 12])
def test_two_empty_tables_never_agree_and_are_news_only_where_there_were_rows_before(
    compared_before: int, stored_frames: Frames, small_run: SmallRun, quarantined: pd.DataFrame
) -> None:
    (rule,) = (
        rule
        for rule in RULES
        if rule.name == "v2_agrees_with_v1" and rule.table.table.name == "moves_daily"
    )
    frames, day, settings = frames_of(rule, stored_frames, small_run, quarantined)
    for stored in rule.reads:
        if stored.schema in ("v1", "v2"):
            frames[stored.name] = stored.table.empty()
    earlier = frames[before(rule.table)]
    frames[before(rule.table)] = earlier.assign(cells_compared=compared_before)

    verdict = rule.judge(frames, day, settings)

    assert not verdict.passed
    assert verdict.description.startswith("not comparable: neither V1 nor V2 has a row")
    assert (NOT_JUDGED in verdict.metadata) is (compared_before == 0)
