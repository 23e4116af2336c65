"""How many threads an implementation may use, and what is done once per process."""

from __future__ import annotations

import os

import pytest

from setbull_pipelines.variants.protocol import allowing_workers, workers
from setbull_pipelines.variants.v2 import kernels, preparing


def test_threads_are_as_many_as_allowed_else_as_there_are_processors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert workers() == 8
    with allowing_workers(3):
        assert workers() == 3
        with allowing_workers(0):
            assert workers() == 8
        assert workers() == 3
    assert workers() == 8
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert workers() == 1


def test_kernels_are_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    monkeypatch.setattr(kernels, "load", lambda: loaded.append(1))
    preparing.prepare.cache_clear()
    try:
        preparing.prepare()
        preparing.prepare()
    finally:
        preparing.prepare.cache_clear()
    assert len(loaded) == 1
