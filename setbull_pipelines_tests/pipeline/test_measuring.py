"""What is measured is what happened meanwhile."""

from __future__ import annotations

import time

import numpy as np

from setbull_pipelines.pipeline.measuring import Meter
from setbull_pipelines.warehouse.cache import ArrowCache


def test_memory_that_was_given_back_meanwhile_counts() -> None:
    with Meter(ArrowCache(0)) as small:
        pass
    with Meter(ArrowCache(0)) as large:
        taken = np.ones(40 * 2**20)  # 320 MiB
        time.sleep(0.05)
        del taken
    grown = large.cost(0).peak_memory_bytes - small.cost(0).peak_memory_bytes
    assert 300 * 2**20 < grown < 400 * 2**20


def test_waiting_is_time_and_no_processor_time() -> None:
    with Meter(ArrowCache(0)) as meter:
        time.sleep(0.2)
    cost = meter.cost(7)
    assert cost.seconds >= 0.2
    assert cost.cpu_seconds < 0.1
    assert cost.input_rows == 7


def test_look_ups_of_others_do_not_count() -> None:
    cache = ArrowCache(1000)
    cache.get("a", ["x"])
    with Meter(cache) as meter:
        cache.get("a", ["x"])
        cache.get("b", ["x"])
    cost = meter.cost(0)
    assert (cost.cache_hits, cost.cache_misses, cost.cache_first_reads) == (0, 1, 1)
