"""Random work of two machines that share a warehouse, crashes and lost copies among it, against a list of versions.

For thousands of steps the store is the client's own, in memory, which honours the same conditions as a server.
"""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from setbull_pipelines.warehouse.remote import GRACE
from setbull_pipelines_tests.servers import require
from setbull_pipelines_tests.warehouse.conftest import DAY, V1_BARS
from setbull_pipelines_tests.warehouse.machines import Machine

pytestmark = pytest.mark.run


class SharedWarehouse(RuleBasedStateMachine):
    """Random work of two machines against a plain list of versions."""

    def __init__(self) -> None:
        super().__init__()
        require("obstore")
        from obstore.store import MemoryStore

        self.folder = Path(tempfile.mkdtemp(prefix="setbull-shared-"))
        first = Machine(self.folder / "one", "s3://in-memory", keep_versions=2)
        second = Machine(self.folder / "two", "s3://in-memory", keep_versions=2)
        first.store._store = second.store._store = MemoryStore()
        self.machines = [first, second]
        self.versions: list[tuple[float, str]] = []

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(who=st.integers(0, 1), price=st.integers(1, 5), crashes=st.booleans())
    def publish(self, who: int, price: int, crashes: bool) -> None:
        self.machines[who].store.crashes = crashes
        try:
            content_hash = self.machines[who].publish(price)
        except KeyboardInterrupt:
            return
        finally:
            self.machines[who].store.crashes = False
        self.versions = [version for version in self.versions if version[1] != content_hash]
        self.versions.insert(0, (price, content_hash))

    @precondition(lambda self: self.versions)
    @rule(who=st.integers(0, 1), data=st.data())
    def restore(self, who: int, data: st.DataObject) -> None:
        version = data.draw(st.sampled_from(self.versions))
        self.machines[who].warehouse.restore(V1_BARS, DAY, version[1])
        self.versions.remove(version)
        self.versions.insert(0, version)

    @rule(who=st.integers(0, 1), is_old=st.booleans())
    def collect(self, who: int, is_old: bool) -> None:
        self.machines[who].store.ahead = GRACE * 2 if is_old else timedelta()
        self.machines[who].warehouse.collect_garbage()
        self.versions = self.versions[:2]

    @rule(who=st.integers(0, 1), damage=st.booleans())
    def lose_copies(self, who: int, damage: bool) -> None:
        for path in self.machines[who].warehouse.root.rglob("*.parquet"):
            path.write_bytes(b"damaged") if damage else path.unlink()
        self.machines[who].warehouse.cache._files.clear()

    @invariant()
    def both_see_the_same(self) -> None:
        for machine in self.machines:
            kept = machine.warehouse.history(V1_BARS, DAY)
            assert [item.content_hash for item in kept] == [item[1] for item in self.versions]
            if self.versions:
                assert machine.price() == self.versions[0][0]
                assert machine.warehouse.verify(V1_BARS, DAY)


TestSharedWarehouse = SharedWarehouse.TestCase
TestSharedWarehouse.settings = settings(
    max_examples=25,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
