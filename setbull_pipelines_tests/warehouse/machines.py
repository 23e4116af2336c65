"""Machines that share a warehouse through an object store, with what a test wants to know and to make go wrong.

Belongs here: the machine and its store. Does not belong here: the server behind the store, and assertions.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

from setbull_pipelines.warehouse.remote import ObjectStore, Remote
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.warehouse.conftest import DAY, PROVENANCE, V1_BARS, bars


class Watched(ObjectStore):
    """A store that counts requests, can crash before it takes a commit, and can be ahead of time."""

    def __init__(self, address: str) -> None:
        self.asked: Counter[str] = Counter()
        self.crashes = False
        self.ahead = timedelta()
        super().__init__(address)

    def read(self, key: str) -> bytes | None:
        found = super().read(key)
        self.asked[key.partition("/")[0] if found is not None else "nothing new"] += 1
        return found

    def objects(self, prefix, after=None):
        self.asked["listings"] += 1
        return super().objects(prefix, after)

    def create(self, key, data):
        if self.crashes and key.startswith("commits"):
            raise KeyboardInterrupt
        super().create(key, data)

    def now(self) -> datetime:
        return super().now() + self.ahead


class Machine:
    """One machine: a folder of its own, and the store that all share."""

    def __init__(self, folder: Path, address: str, keep_versions: int = 3) -> None:
        self.store = Watched(address)
        self.warehouse = Warehouse(
            folder, keep_versions, remote=Remote(self.store), grace=timedelta(0)
        )

    def publish(self, price: float, day: str = DAY) -> str:
        """Publish a version that is told by its price; returns its content hash."""
        frame = bars(day, price=price)
        inputs = {"price": str(price)}
        return self.warehouse.publish(V1_BARS, day, frame, inputs=inputs, **PROVENANCE).content_hash

    def price(self, day: str = DAY) -> float:
        """Which version is read; every row must be of the same one."""
        frame = self.warehouse.read(V1_BARS, [day])
        (price,) = set(frame["open"] - frame["volume"] + 1000)
        return price
