"""What a piece of work took: time, processor time, memory, look-ups in the cache.

Belongs here: measuring. Does not belong here: what is done with the figures (``metrics``), limits (``rollout/``).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from threading import Event, Thread

import psutil

from setbull_pipelines.warehouse.cache import ArrowCache
from setbull_pipelines.warehouse.pointers import Cost

# The kernel's own high-water mark cannot be used: it never falls, so that the first heavy step would be charged to all.
_SAMPLE_SECONDS = 0.005
_DIVIDED = (
    *("seconds", "cpu_seconds", "input_rows"),
    *("cache_hits", "cache_misses", "cache_first_reads"),
)
"""Figures that add up over pieces of work."""


class Meter:
    """Figures of one piece of work, complete when its ``with`` block has ended."""

    def __init__(self, cache: ArrowCache) -> None:
        self._cache = cache
        self._process = psutil.Process()
        self._finished = Event()

    def __enter__(self) -> Meter:
        self._lookups = self._cache.lookups
        self._peak = self._process.memory_info().rss
        self._sampler = Thread(target=self._sample, daemon=True)
        self._sampler.start()
        self._started, self._cpu_started = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self._seconds = time.perf_counter() - self._started
        self._cpu_seconds = time.process_time() - self._cpu_started
        self._finished.set()
        self._sampler.join()
        self._lookups = self._cache.lookups.since(self._lookups)

    def _sample(self) -> None:
        finished = False
        while not finished:
            finished = self._finished.wait(_SAMPLE_SECONDS)
            self._peak = max(self._peak, self._process.memory_info().rss)

    def cost(self, input_rows: int) -> Cost:
        """The figures, with the number of rows that were read."""
        return Cost(
            seconds=self._seconds,
            cpu_seconds=self._cpu_seconds,
            workers=_processors(),
            peak_memory_bytes=self._peak,
            input_rows=input_rows,
            cache_hits=self._lookups.hits,
            cache_misses=self._lookups.misses,
            cache_first_reads=self._lookups.first_reads,
        )


def shared_out(cost: Cost, weights: Sequence[int]) -> list[Cost]:
    """``cost`` of pieces of work that were done at once, as the share of each, which add up to it.

    Equal shares where all weights are 0. What was highest meanwhile, and the processors, were the same for all.
    """
    total = sum(weights)
    ends = list(accumulate(weights)) if total else list(range(1, len(weights) + 1))
    shares = [(begin, end) for begin, end in pairwise([0, *ends])]

    def part(name: str, begin: int, end: int) -> int | float:
        value = getattr(cost, name)
        if isinstance(value, int):
            return value * end // ends[-1] - value * begin // ends[-1]
        return value * (end - begin) / ends[-1]

    return [
        replace(cost, **{name: part(name, begin, end) for name in _DIVIDED})
        for begin, end in shares
    ]


def memory_in_use() -> int:
    """Memory of this process, in bytes."""
    return psutil.Process().memory_info().rss


def _processors() -> int:
    process = psutil.Process()
    affinity = process.cpu_affinity() if hasattr(process, "cpu_affinity") else None
    return len(affinity) if affinity else psutil.cpu_count()
