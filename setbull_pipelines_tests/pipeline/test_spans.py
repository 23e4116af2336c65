"""A range of days computed together has what each day has alone: rows, failures, notes, what they are computed from."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.session_table import CLOSING_AUCTION, FULL
from setbull_pipelines.pipeline.chunks import allowance
from setbull_pipelines.pipeline.steps import STEPS, Step
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines_tests.calendars import AUCTION, DRILL, MUHURAT, OUTAGE
from setbull_pipelines_tests.pipeline.announcements import ALIASES, alias, announce
from setbull_pipelines_tests.pipeline.carrying_out import VARIANTS, every_step, every_variant
from setbull_pipelines_tests.pipeline.ranges import compute, compute_chain, stored_alike
from setbull_pipelines_tests.pipeline.raw_corrections import COVERAGE, DAILY, KEYS, MINUTES, change
from setbull_pipelines_tests.pipeline.small_run import SmallRun, forget, publish, small_settings

SPLIT, SPLIT_TWICE, RENAMED, HALTED, LISTED, NO_CANDLE, NO_INDICATORS, NO_SEQUENCES = KEYS[:8]
FORMER = "NSE_EQ|FORMER"
SESSIONS = 24
SHAPES = (
    (MUHURAT, FULL),
    (OUTAGE, FULL),
    (DRILL, FULL),
    (date(2026, 6, 30), FULL),
    (AUCTION, FULL),
    (AUCTION, CLOSING_AUCTION),
)
SAMPLED = dict.fromkeys(Component, Stage.SAMPLED)


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Raw tables in which a range has everything that days can differ by, and nothing computed."""

    run: SmallRun
    days: list[date]

    def copy(self, directory: Path) -> SmallRun:
        """The raw tables in a folder to compute in."""
        return self.run.copy(directory)


@pytest.fixture(scope="module")
def scenario(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """24 sessions, of which windows of the last are longer than the settings look back."""
    run = small_run.copy(tmp_path_factory.mktemp("scenario") / "data")
    known = small_settings(run.settings.data_directory)
    look_back = dataclasses.replace(known.look_back, sessions_5min=1)
    run = dataclasses.replace(run, settings=dataclasses.replace(known, look_back=look_back))
    for variant in VARIANTS:
        shutil.rmtree(run.warehouse.root / variant)
    days = [date.fromisoformat(key) for key in run.warehouse.partitions(DAILY)[-SESSIONS:]]

    announce(run, days[0], SPLIT)
    announce(run, days[10], SPLIT)
    announce(run, days[15], SPLIT_TWICE, 3.0)
    announce(run, days[20], SPLIT_TWICE, 1.5)
    announce(run, days[-1], SPLIT)
    starts = run.warehouse.read(COVERAGE, [WHOLE])
    starts["first_trading_day"] = starts["first_trading_day"].clip(lower=pd.Timestamp(days[0]))
    of = {key: starts["instrument_key"] == key for key in (RENAMED, LISTED)}
    starts.loc[of[RENAMED], "first_trading_day"] = pd.Timestamp(days[12])
    starts.loc[of[LISTED], "first_trading_day"] = pd.Timestamp(days[3])
    former = starts[of[RENAMED]].assign(first_trading_day=pd.Timestamp(days[0]))
    former["instrument_key"] = pd.Series(FORMER, index=former.index, dtype="str")
    publish(run.warehouse, COVERAGE, WHOLE, tables.COVERAGE.conform(pd.concat([starts, former])))
    publish(run.warehouse, ALIASES, WHOLE, alias((FORMER, RENAMED, pd.Timestamp(days[12]))))
    for day in days[:3]:
        change(run, DAILY, day, lambda rows: rows[rows["instrument_key"] != LISTED])
    for day in days[5:7]:
        change(run, DAILY, day, lambda rows: rows[rows["instrument_key"] != HALTED])
    change(run, DAILY, days[8], lambda rows: rows.head(0))
    for day in days[:12]:
        change(run, DAILY, day, _under_the_former_key)
    change(run, MINUTES, days[-2], lambda rows: rows[rows["instrument_key"] != HALTED])
    return Scenario(run, days)


@dataclasses.dataclass(frozen=True)
class Computed:
    """A run in which all days were computed as one range, and how often each step was called, by variant."""

    run: SmallRun
    calls: dict[str, dict[str, int]]


@pytest.fixture(scope="module")
def computed_by_v2(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Computed:
    """The scenario with everything computed by V2; read it, and copy it to change something."""
    run = scenario.copy(tmp_path_factory.mktemp("computed by v2") / "data")
    return Computed(run, {"v2": compute(run, VARIANTS["v2"], [scenario.days])})


@pytest.fixture(scope="module")
def computed(
    scenario: Scenario, computed_by_v2: Computed, tmp_path_factory: pytest.TempPathFactory
) -> Computed:
    """The scenario with everything computed by both variants; read it, and copy it to change something."""
    run = computed_by_v2.run.copy(tmp_path_factory.mktemp("computed") / "data")
    calls = compute(run, VARIANTS["v1"], [scenario.days])
    return Computed(run, {"v1": calls, **computed_by_v2.calls})


def _under_the_former_key(rows: pd.DataFrame) -> pd.DataFrame:
    keys = rows["instrument_key"].replace({RENAMED: FORMER}).astype("str")
    return rows.assign(instrument_key=keys)


def failing(variant: str, days: Sequence[date]) -> SimpleNamespace:
    """A variant that raises for two instruments and breaks the contract for a third, on some days each."""
    whole = VARIANTS[variant]

    def has(frame: pd.DataFrame, key: str, day: date) -> bool:
        of_key = frame[frame["instrument_key"] == key]
        return (of_key["trading_day"] == pd.Timestamp(day)).any()

    def to_daily(minutes: pd.DataFrame, history: pd.DataFrame, *others: object) -> pd.DataFrame:
        if has(history, NO_CANDLE, days[9]):
            raise ZeroDivisionError("no candle")
        return whole.to_daily(minutes, history, *others)

    def indicators(candles: pd.DataFrame, *others: object, **named: object) -> pd.DataFrame:
        if "series" in candles and has(candles, NO_INDICATORS, days[18]):
            raise ValueError("no indicators")
        return whole.indicators(candles, *others, **named)

    def sequences(moves: pd.DataFrame) -> pd.DataFrame:
        runs = whole.sequences(moves)
        wrong = (runs["trading_day"] == pd.Timestamp(days[21])) & (
            runs["instrument_key"] == NO_SEQUENCES
        )
        return runs.assign(length=runs["length"].where(~wrong, -1))

    names = {name: getattr(whole, name) for name in whole.__all__}
    changed = {"to_daily": to_daily, "indicators": indicators, "sequences": sequences}
    return SimpleNamespace(**names | changed)


@every_variant
def test_a_range_has_what_each_day_has_alone(
    variant: str, scenario: Scenario, computed: Computed, tmp_path: Path
) -> None:
    days, settings = scenario.days, scenario.run.settings
    runs = {"range": computed.run, "alone": scenario.copy(tmp_path / "alone")}
    counts = computed.calls[variant]
    compute(runs["alone"], VARIANTS[variant], [[day] for day in days])
    stored = stored_alike(runs, variant, days)
    for step in STEPS:
        hashes = {values[0] for values in stored[step.name].values()}
        assert len(hashes) > 1, "there are rows"
        if step.is_of_own_rows(settings):
            assert counts[step.name] == 1
    # Before and after the alias, in each of which: those without an action, and stretches of the others.
    assert (1 + 2) + (1 + 4) <= counts["indicators_daily"] < SESSIONS / 2


@every_variant
def test_a_range_of_which_some_fail_has_what_each_day_has_alone(
    variant: str, scenario: Scenario, tmp_path: Path
) -> None:
    runs = {name: scenario.copy(tmp_path / name) for name in ("range", "alone")}
    days = scenario.days
    _, stored = compute_chain(runs, failing(variant, days), days)
    failed = {}
    for of_step in stored.values():
        assert len({values[0] for values in of_step.values()}) > 1, "there are rows"
        failed |= {place: set(values[3]) for place, values in of_step.items()}
    assert failed["candles_daily", days[9]] == {NO_CANDLE}
    assert failed["indicators_daily", days[17]] == {NO_CANDLE}
    assert failed["indicators_daily", days[-1]] == {NO_CANDLE, NO_INDICATORS}
    assert failed["sequences", days[21]] >= {NO_SEQUENCES}
    assert NO_SEQUENCES not in failed["sequences", days[22]]


def test_a_sample_of_v1_has_what_each_day_has_alone(
    scenario: Scenario, computed_by_v2: Computed, tmp_path: Path
) -> None:
    first = computed_by_v2.run
    half = dataclasses.replace(first.settings, rollout=RolloutSettings(sample_percentage=50))
    first = dataclasses.replace(first, settings=half)
    runs = {name: first.copy(tmp_path / name) for name in ("range", "alone")}
    _, stored = compute_chain(runs, VARIANTS["v1"], scenario.days, SAMPLED)
    marks = {values[2]["instruments"] for values in stored["candles_daily"].values()}
    assert len(marks) == 2


@every_variant
def test_with_a_session_under_way_a_range_has_what_each_day_has_alone(
    variant: str, scenario: Scenario, computed: Computed, tmp_path: Path
) -> None:
    first, days = computed.run.copy(tmp_path / "first"), scenario.days[-6:]
    for step in STEPS:
        for table in step.outputs:
            for day in days:
                forget(first.warehouse, StoredTable(variant, table), day)
    runs = {name: first.copy(tmp_path / name) for name in ("range", "alone")}
    moment = datetime.combine(days[-1], time(11, 3))
    counts, _ = compute_chain(runs, VARIANTS[variant], days, as_of=moment)
    assert all(counts.values()), "nothing was up to date"
    for run in runs.values():
        stored = StoredTable(variant, tables.CANDLES_5MIN)
        bars = run.warehouse.read(stored, [scenario.days[-1].isoformat()])
        assert bars["timestamp"].dt.time.max() == time(10, 55)


@every_variant
def test_corrections_of_a_range_are_computed_together(
    variant: str, scenario: Scenario, computed: Computed, tmp_path: Path
) -> None:
    first = computed.run.copy(tmp_path / "first")
    days = scenario.days[12:]
    for day in days[2:7]:
        change(first, DAILY, day, _dearer)
    runs = {name: first.copy(tmp_path / name) for name in ("range", "alone")}
    counts, _ = compute_chain(runs, VARIANTS[variant], days)
    assert counts["candles_daily"] == 1
    # From the first corrected day on, in stretches between the actions of the corrected instruments.
    assert 1 <= counts["indicators_daily"] < len(days) / 2


def _dearer(rows: pd.DataFrame) -> pd.DataFrame:
    changed = rows["instrument_key"].isin([SPLIT_TWICE, HALTED])
    prices = ["open", "high", "low", "close"]
    rows.loc[changed, prices] = (rows.loc[changed, prices] * 1.01).round(2)
    return rows


@every_step
@every_variant
def test_rows_of_several_days_in_any_order_give_the_rows_of_each_day(
    step: Step, variant: str, scenario: Scenario, computed: Computed
) -> None:
    run, found = computed.run, scenario.run.settings
    if not step.is_of_own_rows(found):
        assert any(item.look_back(found) for item in step.inputs)
        return
    days = scenario.days
    frames = {
        day: {
            item.table.name: run.warehouse.read(
                StoredTable("raw" if item.is_raw else variant, item.table),
                [day.isoformat()],
                item.column_names,
            )
            for item in step.inputs
        }
        for day in days
    }
    if "candles_1min" in frames[days[-1]]:
        source = frames[days[-1]]["candles_1min"]
        for day, shape in SHAPES:
            minutes = _minutes_of(day, shape, source)
            before = frames.get(day, {}).get("candles_1min", source.head(0))
            frames[day] = {
                name: pd.concat([before, minutes]) if name == "candles_1min" else frame.head(0)
                for name, frame in frames[days[-1]].items()
            }

    def compute(given: dict[str, pd.DataFrame], day: date) -> list[pd.DataFrame]:
        outputs = step.compute(VARIANTS[variant], given, pd.Timestamp(day), found)
        return [table.conform(rows) for table, rows in zip(step.outputs, outputs, strict=True)]

    alone = {day: compute(given, day) for day, given in frames.items()}
    assert sum(len(rows) for outputs in alone.values() for rows in outputs) > 30

    @settings(
        max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        days=st.lists(st.sampled_from(sorted(frames)), min_size=1, unique=True),
        seed=st.integers(0, 1000),
    )
    def together_as_alone(days: list[date], seed: int) -> None:
        given = {
            name: pd.concat([frames[day][name] for day in days]).sample(frac=1, random_state=seed)
            for name in frames[days[0]]
        }
        given = {name: frame.reset_index(drop=True) for name, frame in given.items()}
        outputs = compute(given, days[0])
        for position, table in enumerate(step.outputs):
            for day in days:
                own = outputs[position]["trading_day"] == pd.Timestamp(day)
                pd.testing.assert_frame_equal(
                    outputs[position][own].reset_index(drop=True),
                    alone[day][position],
                    check_exact=True,
                    obj=f"{table.name} {day}",
                )
            assert len(outputs[position]) == sum(len(alone[day][position]) for day in days)

    together_as_alone()


def _minutes_of(day: date, shape: str, source: pd.DataFrame) -> pd.DataFrame:
    """The bars of ``source`` as those of every minute of another session; of its own instruments by shape."""
    minutes = [
        pd.Timestamp(day, tz=INDIA) + pd.Timedelta(minutes=minute)
        for interval in NSE.session(day, shape).intervals
        for minute in range(
            interval.start.hour * 60 + interval.start.minute,
            interval.end.hour * 60 + interval.end.minute,
        )
    ]
    keys = KEYS[:4] if shape == FULL else KEYS[4:8]
    rows = source[source["instrument_key"].isin(keys)]
    rows = rows.groupby("instrument_key").head(len(minutes))
    place = rows.groupby("instrument_key").cumcount()
    return tables.CANDLES_1MIN.without_provenance.conform(
        rows.assign(
            timestamp=pd.DatetimeIndex(minutes)[place],
            trading_day=pd.Timestamp(day),
            session_shape=pd.Series(shape, index=rows.index, dtype="str"),
        )
    )


def test_days_that_do_not_fit_together_are_computed_in_smaller_ranges(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = {name: scenario.copy(tmp_path / name) for name in ("range", "alone")}
    processing = scenario.run.settings.processing
    monkeypatch.setattr("setbull_pipelines.pipeline.chunks.FEWEST_INSTRUMENTS", 6)
    monkeypatch.setattr(
        "setbull_pipelines.pipeline.computing.memory_in_use",
        lambda: allowance(processing) - runs["range"].warehouse.cache.limit_bytes - 40_000,
    )
    counts, _ = compute_chain(runs, VARIANTS["v2"], scenario.days[:12])
    # More than the chunks of one range, fewer than those of ranges of one day.
    assert 2 < counts["candles_daily"] < 2 * 12
