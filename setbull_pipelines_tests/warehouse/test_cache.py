"""Which files the cache keeps and which it lets go."""

from __future__ import annotations

import pyarrow

from setbull_pipelines.warehouse.cache import ArrowCache, Lookups


def columns(**values: list[int]) -> dict[str, pyarrow.Array]:
    return {name: pyarrow.array(items) for name, items in values.items()}


def test_the_least_recently_used_goes_first():
    cache = ArrowCache(3 * 8)
    for path in "abc":
        cache.put(path, columns(x=[1]))
    cache.get("a", ["x"])
    cache.put("d", columns(x=[1]))
    assert [path for path in "abcd" if cache.get(path, ["x"])] == ["a", "c", "d"]
    assert cache.size_bytes == 24


def test_columns_of_one_file_are_collected_by_name():
    cache = ArrowCache(1000)
    cache.put("a", columns(x=[1]))
    assert cache.get("a", ["x", "y"]) is None
    cache.put("a", columns(y=[2], z=[3]))
    held = cache.get("a", ["y", "x"])
    assert {name: held[name].to_pylist() for name in "xyz"} == {"x": [1], "y": [2], "z": [3]}
    assert cache.size_bytes == 24


def test_a_file_larger_than_the_limit_is_not_kept():
    cache = ArrowCache(8)
    cache.put("small", columns(x=[1]))
    cache.put("large", columns(x=[1, 2]))
    assert cache.get("large", ["x"]) is None
    assert cache.get("small", ["x"]) is not None


def test_a_first_read_is_neither_hit_nor_miss():
    cache = ArrowCache(8)
    assert cache.get("a", ["x"]) is None
    cache.put("a", columns(x=[1]))
    assert cache.get("a", ["x"])
    assert cache.get("b", ["x"]) is None
    cache.put("b", columns(x=[1]))  # a has to go
    before = cache.lookups
    assert before == Lookups(hits=1, misses=0, first_reads=2)
    assert cache.get("a", ["x"]) is None
    assert cache.lookups.since(before) == Lookups(hits=0, misses=1, first_reads=0)
