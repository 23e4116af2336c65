"""Two machines that share a warehouse on a server that speaks S3: what each sees, also when one crashes in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count

import pytest
from pandas.testing import assert_frame_equal

from setbull_pipelines.settings import InvalidSettings
from setbull_pipelines.warehouse import remote as remote_module
from setbull_pipelines.warehouse.errors import DamagedPartition, MissingPartition, StoreUnavailable
from setbull_pipelines.warehouse.queries import connect
from setbull_pipelines.warehouse.remote import GRACE, ObjectStore, Remote
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.ports import free_port
from setbull_pipelines_tests.servers import s3_server
from setbull_pipelines_tests.warehouse.conftest import DAY, NEXT_DAY, PROVENANCE, V1_BARS, bars
from setbull_pipelines_tests.warehouse.machines import Machine

pytestmark = pytest.mark.run

_numbers = count()


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    """The server, named in the environment as a user names it."""
    with s3_server() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def address(server) -> str:
    """A place in the store of its own."""
    return f"s3://bucket/test-{next(_numbers)}"


@pytest.fixture
def machines(tmp_path, address) -> tuple[Machine, Machine]:
    """Two machines that share a store."""
    return Machine(tmp_path / "one", address), Machine(tmp_path / "two", address)


def test_what_one_machine_publishes_the_other_reads_with_the_same_bytes(machines):
    one, two = machines
    pointer = one.warehouse.publish(V1_BARS, DAY, bars(), inputs={"a": "1"}, **PROVENANCE)

    assert two.warehouse.partitions(V1_BARS) == [DAY]
    assert two.warehouse.pointer(V1_BARS, DAY) == pointer
    assert_frame_equal(two.warehouse.read(V1_BARS), one.warehouse.read(V1_BARS))
    ours, theirs = (machine.warehouse.files(V1_BARS)[0] for machine in machines)
    assert ours != theirs
    assert ours.read_bytes() == theirs.read_bytes()
    assert two.warehouse.is_current(
        V1_BARS, DAY, code_version="code-1", settings_hash="settings-1", inputs={"a": "1"}
    )
    with connect(two.warehouse, [V1_BARS]) as connection:
        assert connection.execute("SELECT count(*) FROM v1.bars").fetchone() == (4,)


def test_a_file_is_fetched_once_and_a_look_asks_for_the_next_commit(machines):
    one, two = machines
    one.publish(1)
    two.price()
    two.store.asked.clear()

    two.price()
    assert two.store.asked == {"nothing new": 1}
    one.publish(2)
    two.store.asked.clear()
    assert two.price() == 2
    assert two.store.asked == {"commits": 2, "listings": 1, "data": 1}


def test_a_window_costs_one_request_and_the_commits_that_are_new(machines):
    one, two = machines
    days = [f"2024-01-{day:02}" for day in range(1, 29)]
    for price, day in enumerate(days):
        one.publish(price + 1, day)
    window = days[5:25]

    assert list(two.warehouse.pointers(V1_BARS, window)) == window
    assert two.store.asked["commits"] == 28 + 1
    two.store.asked.clear()
    one.publish(99, days[7])
    before = two.warehouse.pointers(V1_BARS, window)
    assert two.store.asked == {"listings": 1, "commits": 2}
    assert before[days[7]].inputs == {"price": "99"}
    with pytest.raises(MissingPartition, match="2024-02-01"):
        two.warehouse.files(V1_BARS, [*window, "2024-02-01"])


def test_a_new_machine_begins_with_a_checkpoint(machines, tmp_path, monkeypatch):
    one, _ = machines
    monkeypatch.setattr(remote_module, "_COMMITS_BETWEEN_CHECKPOINTS", 5)
    for price in range(1, 8):
        one.publish(price)
    one.warehouse.collect_garbage()
    one.publish(8)
    three = Machine(tmp_path / "three", one.store.address)
    assert three.price() == 8
    assert three.store.asked["commits"] < 5
    three.publish(9)
    assert one.price() == 9


def test_machines_that_publish_one_partition_at_a_time_lose_no_version(machines):
    one, two = machines
    each = 12
    start = threading.Barrier(2)

    def publish(machine: Machine, prices: range) -> list[str]:
        start.wait()
        return [machine.publish(price) for price in prices]

    with ThreadPoolExecutor(2) as threads:
        published = [
            *threads.map(publish, (one, two), (range(1, each + 1), range(101, 101 + each)))
        ]

    kept = [pointer.content_hash for pointer in one.warehouse.history(V1_BARS, DAY)]
    assert sorted(kept) == sorted(published[0] + published[1])
    assert kept == [pointer.content_hash for pointer in two.warehouse.history(V1_BARS, DAY)]
    assert kept[0] in (published[0][-1], published[1][-1])
    for content_hash in (published[0][0], published[1][0]):
        two.warehouse.restore(V1_BARS, DAY, content_hash)
        assert one.warehouse.pointer(V1_BARS, DAY).content_hash == content_hash


def test_the_same_race_without_the_condition_loses_versions(machines, monkeypatch):
    """The control: what the test above would see if the store did not honour conditions."""
    one, two = machines
    monkeypatch.setattr(ObjectStore, "create", lambda self, key, data: self.put(key, data))
    monkeypatch.setattr(ObjectStore, "require_conditions", lambda self: None)
    one.publish(1)
    two.price()
    one.publish(2)
    monkeypatch.setattr(two.warehouse._remote, "pull", lambda commits: None)
    two.publish(3)

    three = Machine(one.warehouse.root.parent / "three", one.store.address)
    kept = [pointer.inputs["price"] for pointer in three.warehouse.history(V1_BARS, DAY)]
    assert kept == ["3", "1"]


def test_a_store_that_ignores_conditions_is_refused(machines, monkeypatch):
    one, _ = machines
    monkeypatch.setattr(ObjectStore, "create", lambda self, key, data: self.put(key, data))

    with pytest.raises(StoreUnavailable, match="ignores the condition If-None-Match"):
        one.publish(1)


def test_readers_see_an_old_version_or_a_new_one_never_a_mixture(machines):
    one, two = machines
    for day in (DAY, NEXT_DAY):
        one.publish(1, day)
    done = threading.Event()
    seen = set()

    def write() -> None:
        for price in range(2, 25):
            one.publish(price)
        one.warehouse.collect_garbage()
        done.set()

    with ThreadPoolExecutor(1) as thread:
        writing = thread.submit(write)
        while not done.is_set():
            seen.add(two.price())
        writing.result()

    assert two.price() == 24
    assert len(seen) > 3


def test_a_crash_between_file_and_commit_leaves_the_old_version(machines):
    one, two = machines
    one.publish(1)
    one.store.crashes = True
    with pytest.raises(KeyboardInterrupt):
        one.publish(2)

    assert (one.price(), two.price()) == (1, 1)
    assert len(two.warehouse.history(V1_BARS, DAY)) == 1
    uploads = len(two.warehouse._remote.files(V1_BARS.key))
    assert two.warehouse.collect_garbage() == 0, "its writer may be about to name it"
    two.store.ahead = GRACE + timedelta(seconds=10)
    assert two.warehouse.collect_garbage() == 2, "rows, and hashes of them"
    assert len(two.warehouse._remote.files(V1_BARS.key)) == uploads - 1
    assert two.price() == 1
    one.store.crashes = False
    one.publish(3)
    assert two.price() == 3


def test_a_writer_that_publishes_what_is_just_collected_keeps_its_file(machines):
    """Content that was published before gets a new file, so that collecting the old one cannot take it away."""
    one, two = machines
    one.publish(1)
    (doomed,) = two.warehouse._remote.files(V1_BARS.key)
    for price in (2, 3, 4, 1):
        one.publish(price)
    two.store.ahead = GRACE * 2

    two.warehouse.collect_garbage()

    assert doomed not in two.warehouse._remote.files(V1_BARS.key)
    assert Machine(one.warehouse.root.parent / "three", one.store.address).price() == 1


def test_garbage_is_versions_beyond_those_kept_on_every_machine(machines):
    one, two = machines
    for price in range(1, 7):
        one.publish(price)
        two.price()
    assert len(two.warehouse.history(V1_BARS, DAY)) == 6
    two.store.ahead = GRACE * 2

    copies = len(list((two.warehouse.root / "v1" / "bars").iterdir()))
    assert two.warehouse.collect_garbage(V1_BARS) == 3 + copies - 3, "in the store, and copies"
    assert [pointer.inputs["price"] for pointer in one.warehouse.history(V1_BARS, DAY)] == [
        *("6", "5", "4")
    ]
    assert len(two.warehouse._remote.files(V1_BARS.key)) == 3
    with pytest.raises(MissingPartition, match="keeps no version"):
        one.warehouse.restore(V1_BARS, DAY, "0" * 32)


def test_a_lost_or_damaged_copy_is_fetched_again(machines):
    one, two = machines
    one.publish(1)
    (path,) = two.warehouse.files(V1_BARS)
    path.write_bytes(b"damaged")
    assert two.price() == 1
    assert two.warehouse.verify(V1_BARS, DAY)
    path.unlink()
    fresh = Machine(two.warehouse.root, two.store.address)
    assert fresh.price() == 1
    path.write_bytes(b"damaged")
    assert fresh.warehouse.verify(V1_BARS, DAY)


def test_a_damaged_object_is_told_and_healed_by_publishing_again(machines):
    one, two = machines
    one.publish(1)
    (upload,) = one.warehouse._remote.files(V1_BARS.key)
    one.store.put(upload.key, b"damaged")

    assert not two.warehouse.verify(V1_BARS, DAY)
    with pytest.raises(DamagedPartition, match=r"is gone .* compute the partition again"):
        two.price()
    one.publish(1)
    assert two.price() == 1


def test_a_damaged_commit_is_told_and_nothing_after_it_is_believed(machines):
    one, two = machines
    one.publish(1)
    assert two.price() == 1
    one.publish(2)
    (_, last) = one.store.objects("commits")
    whole = one.store.read(last.key)
    one.store.put(last.key, whole[:-1])

    with pytest.raises(StoreUnavailable, match="is damaged; restore this object"):
        two.price()
    one.store.put(last.key, whole)
    assert two.price() == 2


def test_a_commit_that_goes_while_it_is_fetched_counts_as_not_there(machines, monkeypatch):
    one, two = machines
    one.publish(100.0)
    one.publish(101.0, NEXT_DAY)
    read, seen = two.store.read, set()

    def once(key: str) -> bytes | None:
        if key in seen:
            return None
        seen.add(key)
        return read(key)

    monkeypatch.setattr(two.store, "read", once)
    assert two.warehouse.partitions(V1_BARS) == []
    monkeypatch.undo()
    assert two.warehouse.partitions(V1_BARS) == [DAY, NEXT_DAY]


def test_a_damaged_catalog_of_a_mirror_is_made_again_from_the_store(machines):
    one, two = machines
    one.publish(1)
    assert two.price() == 1
    two.warehouse.commits.close()
    two.warehouse.commits.path.write_bytes(b"damaged" * 1000)
    assert two.price() == 1
    two.publish(2)
    assert one.price() == 2


def test_invalidating_and_confirming_reach_the_other_machine(machines):
    one, two = machines
    one.publish(1)
    two.warehouse.invalidate(V1_BARS, DAY, "A")
    assert one.warehouse.pointer(V1_BARS, DAY).invalidated == ("A",)
    two.warehouse.confirm(V1_BARS, DAY, {"price": "same"})
    assert one.warehouse.pointer(V1_BARS, DAY).inputs == {"price": "same"}
    with pytest.raises(MissingPartition):
        two.warehouse.invalidate(V1_BARS, NEXT_DAY, "A")


def test_a_folder_belongs_to_one_store_or_to_none(tmp_path, address):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    Warehouse(alone).publish(V1_BARS, DAY, bars(), inputs={}, **PROVENANCE)
    Machine(shared, address)
    Machine(shared, address)

    with pytest.raises(InvalidSettings, match="holds a warehouse of its own"):
        Machine(alone, address)
    with pytest.raises(InvalidSettings, match=r"storage\.remote: found '', expected 's3://bucket"):
        Warehouse(shared)
    with pytest.raises(InvalidSettings, match=r"which .* is the mirror of"):
        Machine(shared, f"{address}/other")
    assert len(Warehouse(alone).read(V1_BARS)) == 4


def test_uploading_keeps_every_version_and_makes_the_folder_a_mirror(tmp_path, address):
    folder = tmp_path / "alone"
    alone = Warehouse(folder)
    for price in (1.0, 2.0):
        alone.publish(V1_BARS, DAY, bars(price=price), inputs={}, **PROVENANCE)
    alone.publish(V1_BARS, NEXT_DAY, bars(NEXT_DAY), inputs={}, **PROVENANCE)
    before = {day: alone.history(V1_BARS, day) for day in (DAY, NEXT_DAY)}

    assert alone.upload_to(Remote(ObjectStore(address))) == 2

    shared, other = Machine(folder, address), Machine(tmp_path / "other", address)
    for day, versions in before.items():
        assert other.warehouse.history(V1_BARS, day) == versions
    assert shared.price() == other.price() == 2
    assert shared.store.asked["data"] == 0, "its files are copies already"
    other.warehouse.restore(V1_BARS, DAY, before[DAY][1].content_hash)
    assert shared.price() == 1
    with pytest.raises(InvalidSettings, match="is the mirror of"):
        Warehouse(folder)


def test_an_interrupted_upload_is_repeated_and_leaves_what_was_published_since(tmp_path, address):
    folder = tmp_path / "alone"
    alone = Warehouse(folder)
    for day in (DAY, NEXT_DAY):
        alone.publish(V1_BARS, day, bars(day, price=1.0), inputs={}, **PROVENANCE)
    (damaged,) = alone.files(V1_BARS, [NEXT_DAY])
    whole = damaged.read_bytes()
    damaged.write_bytes(b"damaged")
    with pytest.raises(DamagedPartition, match="is not what was published; compute"):
        alone.upload_to(Remote(ObjectStore(address)))
    assert len(alone.read(V1_BARS, [DAY])) == 4, "the folder is still what it was"
    Machine(tmp_path / "other", address).publish(7)

    damaged.write_bytes(whole)
    assert alone.upload_to(Remote(ObjectStore(address))) == 1
    assert Machine(folder, address).price() == 7


def test_a_store_that_does_not_answer_is_told_in_one_sentence(tmp_path, server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(remote_module, "_GIVEN_UP_AFTER", timedelta(seconds=1))

    with pytest.raises(StoreUnavailable, match=r"cannot list .*check that the bucket") as error:
        Machine(tmp_path, "s3://bucket/absent").price()
    assert "not-a-secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_bucket_that_is_not_there_is_told_before_anything_is_published(tmp_path, server):
    machine = Machine(tmp_path, "s3://absent-bucket")

    with pytest.raises(StoreUnavailable, match=r"cannot list .*check that the bucket is there"):
        machine.publish(1)
    with pytest.raises(StoreUnavailable, match="cannot list"):
        machine.warehouse.partitions(V1_BARS)
