"""Whatever becomes of raw tables: what is stored has the bytes of computing everything anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from setbull_pipelines import tables
from setbull_pipelines.warehouse.pointers import WHOLE
from setbull_pipelines_tests.pipeline.announcements import ALIASES, alias, announce
from setbull_pipelines_tests.pipeline.carrying_out import every_variant
from setbull_pipelines_tests.pipeline.raw_corrections import (
    COVERAGE,
    DAILY,
    KEY,
    KEYS,
    MINUTES,
    as_if_new,
    bring_up_to_date,
    change,
    contents,
    dearer,
    from_scratch,
    touched,
)
from setbull_pipelines_tests.pipeline.small_run import SmallRun, publish

# What can become of a run's raw tables: each takes the run, an instrument and one of its sessions.


def _dearer_minutes(run: SmallRun, key: str, day: date) -> None:
    change(run, MINUTES, run.days[day.day % 2], dearer(key))


def _dearer_day(run: SmallRun, key: str, day: date) -> None:
    change(run, DAILY, day, dearer(key))


def _one_minute_less(run: SmallRun, key: str, day: date) -> None:
    def edit(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.drop(index=rows.index[rows["instrument_key"] == key][:1])

    change(run, MINUTES, run.days[day.day % 2], edit)


def _no_daily_bar(run: SmallRun, key: str, day: date) -> None:
    change(run, DAILY, day, lambda rows: rows[rows["instrument_key"] != key])


def _new_instrument(run: SmallRun, key: str, day: date) -> None:
    change(run, DAILY, day, as_if_new("NSE_EQ|NEW", key))
    change(run, MINUTES, run.days[day.day % 2], as_if_new("NSE_EQ|NEW", key))


def _other_source(run: SmallRun, key: str, day: date) -> None:
    change(run, DAILY, day, lambda rows: rows.assign(source="received again"))


def _split(run: SmallRun, key: str, day: date) -> None:
    announce(run, day, key)


def _former_key(run: SmallRun, key: str, day: date) -> None:
    successor = KEYS[(KEYS.index(key) + 1) % len(KEYS)]
    publish(run.warehouse, ALIASES, WHOLE, alias((key, successor, pd.Timestamp(day))))


def _later_start(run: SmallRun, key: str, day: date) -> None:
    starts = run.warehouse.read(COVERAGE, [WHOLE])
    daily = (starts["instrument_key"] == key) & (starts["series"] == "exchange")
    starts.loc[daily, "first_trading_day"] = pd.Timestamp(day)
    publish(run.warehouse, COVERAGE, WHOLE, starts)


CORRECTIONS = [
    *(_dearer_minutes, _dearer_day, _one_minute_less, _no_daily_bar, _new_instrument),
    *(_other_source, _split, _former_key, _later_start),
]


@every_variant
@settings(
    max_examples=3,
    deadline=None,
    # An example takes seconds: a failure is told as it was found.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_corrections_give_the_bytes_of_computing_everything(
    variant: str, small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory, data
) -> None:
    folder = tmp_path_factory.mktemp("corrections")
    run = small_run.copy(folder / "run")
    sessions = [*run.looked_back_at("v1", tables.CANDLES_DAILY)[-30:], *run.days]
    corrections = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(CORRECTIONS), st.sampled_from(KEYS), st.sampled_from(sessions)
            ),
            min_size=1,
            max_size=3,
        )
    )
    for correct, key, day in corrections:
        correct(run, key, day)
        bring_up_to_date(run, variant)
    scratch = from_scratch(run, variant, folder / "scratch")
    assert contents(run, variant) == contents(scratch, variant)
    shutil.rmtree(folder)


@pytest.mark.parametrize("correct", CORRECTIONS, ids=lambda correct: correct.__name__.strip("_"))
def test_one_correction_leaves_most_instruments_as_they_are(
    correct: Callable[[SmallRun, str, date], None], copied_run: SmallRun, tmp_path: Path
) -> None:
    correct(copied_run, KEY, copied_run.days[0])
    counts = touched(bring_up_to_date(copied_run, "v2"))
    assert max(counts.values(), default=0) <= 2
    assert bool(counts) == (correct is not _other_source)
    scratch = from_scratch(copied_run, "v2", tmp_path / "scratch")
    assert contents(copied_run, "v2") == contents(scratch, "v2")
