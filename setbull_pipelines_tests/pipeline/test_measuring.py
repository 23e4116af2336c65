"""What is measured is what happened meanwhile."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines import tables, variants
from setbull_pipelines.pipeline import computing, measuring
from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.measuring import Meter, shared_out
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.warehouse.cache import ArrowCache
from setbull_pipelines.warehouse.pointers import Cost, StoredTable
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.pipeline.small_run import IN_FULL, SmallRun, forget


class Memory:
    """A process whose memory is what the test says, and which knows that it was asked."""

    def __init__(self) -> None:
        self.rss = 100
        self.asked: set[int] = set()

    def memory_info(self) -> Memory:
        self.asked.add(self.rss)
        return self


def test_memory_that_was_given_back_meanwhile_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Memory()
    monkeypatch.setattr(measuring.psutil, "Process", lambda: process)
    with Meter(ArrowCache(0)) as meter:
        process.rss = 420
        latest = time.monotonic() + PATIENCE
        # No fixed time: on a busy machine the sampler may not have had its turn by then.
        while 420 not in process.asked and time.monotonic() < latest:
            time.sleep(0.001)
        process.rss = 90
    monkeypatch.undo()
    assert meter.cost(0).peak_memory_bytes == 420


def test_memory_is_that_of_this_process() -> None:
    before = measuring.memory_in_use()
    held = np.ones(40 * 2**20)  # 320 MiB
    assert (
        measuring.memory_in_use() - before > 160 * 2**20
    )  # Others may give memory back meanwhile.
    del held


def test_waiting_is_time_and_no_processor_time() -> None:
    with Meter(ArrowCache(0)) as meter:
        time.sleep(0.2)
    cost = meter.cost(7)
    assert cost.seconds >= 0.2
    assert cost.cpu_seconds < cost.seconds / 2
    assert cost.input_rows == 7


def test_look_ups_of_others_do_not_count() -> None:
    cache = ArrowCache(1000)
    cache.get("a", ["x"])
    with Meter(cache) as meter:
        cache.get("a", ["x"])
        cache.get("b", ["x"])
    cost = meter.cost(0)
    assert (cost.cache_hits, cost.cache_misses, cost.cache_first_reads) == (0, 1, 1)


PROGRAM = """
import sys
from datetime import date
from setbull_pipelines import tables
from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.variants import V2
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.pipeline.small_run import IN_FULL, small_settings
from pathlib import Path

V2.prepare()
from setbull_pipelines.variants.v2 import kernels

def loaded():
    found = {name: getattr(value, "signatures", None) for name, value in vars(kernels).items()}
    # Kernels that only kernels call are loaded with these.
    return {name: list(types) for name, types in found.items() if types}

before = loaded()
folder, day = sys.argv[1:]
run = Warehouse(Path(folder) / "warehouse"), small_settings(Path(folder)), "test", IN_FULL
for step in STEPS:
    list(StepRun(step, V2, *run).over([date.fromisoformat(day)]))
assert loaded() == before, loaded()
print(len(before))
"""


def test_kernels_are_ready_before_a_day_is_measured(copied_run: SmallRun) -> None:
    day = copied_run.days[-1]
    candles = (tables.CANDLES_5MIN, tables.CANDLES_DAILY)
    for table in (*candles, tables.INDICATORS_5MIN, tables.INDICATORS_DAILY):
        forget(copied_run.warehouse, StoredTable("v2", table), day)
    folder = str(copied_run.settings.data_directory)
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, folder, day.isoformat()], capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
    assert int(finished.stdout) == 3
    assert copied_run.warehouse.pointer(StoredTable("v2", tables.INDICATORS_DAILY), str(day))


def test_a_variant_is_prepared_before_the_clock_starts(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []

    class Clock(Meter):
        def __enter__(self) -> Meter:
            told.append("measuring")
            return super().__enter__()

    monkeypatch.setattr(computing, "Meter", Clock)
    monkeypatch.setattr(variants.V2, "prepare", lambda: told.append("preparing"))
    day = copied_run.days[-1]
    step = next(step for step in STEPS if step.name == "candles_5min")
    forget(copied_run.warehouse, StoredTable("v2", tables.CANDLES_5MIN), day)
    run = StepRun(step, variants.V2, copied_run.warehouse, copied_run.settings, "test", IN_FULL)
    list(run.over([day]))
    assert told == ["preparing", "measuring"]


@given(
    weights=st.lists(st.integers(0, 10**6), min_size=1, max_size=30),
    rows=st.integers(0, 10**7),
    seconds=st.floats(0, 1000),
)
def test_shares_of_a_cost_add_up_to_it(weights: list[int], rows: int, seconds: float) -> None:
    cost = Cost(seconds, seconds / 2, 2, 10**9, rows, 7, 5, 3)
    shares = shared_out(cost, weights)
    assert len(shares) == len(weights)
    for name in ("input_rows", "cache_hits", "cache_misses", "cache_first_reads"):
        assert sum(getattr(share, name) for share in shares) == getattr(cost, name)
        assert all(getattr(share, name) >= 0 for share in shares)
    for name in ("seconds", "cpu_seconds"):
        total = sum(getattr(share, name) for share in shares)
        assert np.isclose(total, getattr(cost, name))
    assert {(share.workers, share.peak_memory_bytes) for share in shares} == {(2, 10**9)}
    if sum(weights):
        for weight, share in zip(weights, shares, strict=True):
            assert np.isclose(share.seconds, seconds * weight / sum(weights))
