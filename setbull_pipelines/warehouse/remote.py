"""The object store that several machines share under their warehouses.

Belongs here: objects and their conditions, where pointers and data lie in the store, what this process remembers of
pointers, the mark that ties a folder to a store. Does not belong here: what a pointer says (``store``), tables.

Layout below the address: ``pointers/<schema>/<table>/<partition>.json`` and
``data/<schema>/<table>/<partition>/<upload>/<file>``. An upload has a name of its own, so that an object which no
pointer names can never be named later by anybody but the writer that has just put it.
"""

from __future__ import annotations

import random
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

from setbull_pipelines.settings import InvalidSettings
from setbull_pipelines.warehouse import disk
from setbull_pipelines.warehouse.errors import ChangedMeanwhile, StoreUnavailable

GRACE = timedelta(hours=1)
"""Age below which an object that no pointer names is left alone: its writer may be about to name it."""
_GIVEN_UP_AFTER = timedelta(minutes=3)
"""Longest time that one request is repeated. A writer names what it has put well within ``GRACE``."""
_POINTERS, _DATA = "pointers", "data"
_MARK = ".mirror-of"
_THREADS = 16
# One listing tells of a thousand pointers; fewer than this are asked for one by one.
_FEW = 4
_REMEMBERED = 20_000
_ATTEMPTS = 100
_LONGEST_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class StoredObject:
    """Bytes of an object and the tag that changes with them."""

    data: bytes
    tag: str


@dataclass(frozen=True)
class Listed:
    """An object as a listing tells of it."""

    key: str
    tag: str
    modified: datetime
    """On the clock of the store."""


class ObjectStore:
    """Objects below one address such as ``s3://bucket/prefix``, with the conditions of S3.

    Endpoint, region and credentials are read from the environment variables ``AWS_*``. Every method raises
    StoreUnavailable when the store does not answer or refuses.
    """

    def __init__(self, address: str) -> None:
        try:
            import obstore
            from obstore.store import S3Store
        except ImportError as error:
            raise InvalidSettings(
                f"setting storage.remote: found {address!r}, expected '' where the extra 'cluster' is not "
                "installed; install it by: pip install 'setbull-pipelines[cluster]'"
            ) from error
        self.address = address
        self._client = obstore
        with self._asking("open", ""):
            retries = {"retry_timeout": _GIVEN_UP_AFTER}
            self._store = S3Store.from_url(address, retry_config=retries)

    def read(self, key: str, known: StoredObject | None = None) -> StoredObject | None:
        """The object, None where there is none; ``known`` is returned itself while it has not changed."""
        options = {"if_none_match": known.tag} if known else {}
        with self._asking("read", key):
            try:
                answer = self._client.get(self._store, key, options=options)
                return StoredObject(bytes(answer.bytes()), answer.meta["e_tag"])
            except self._client.exceptions.NotModifiedError:
                return known
            except FileNotFoundError:
                return None

    def put(self, key: str, data: bytes) -> None:
        """Put an object, whatever was there."""
        with self._asking("write", key):
            self._client.put(self._store, key, data)

    def replace(self, key: str, data: bytes, before: StoredObject | None) -> StoredObject:
        """Put an object in the place of ``before`` (None: of nothing). ChangedMeanwhile if something else is there."""
        mode = {"e_tag": before.tag} if before else "create"
        with self._asking("write", key):
            try:
                answer = self._client.put(self._store, key, data, mode=mode)
            except (
                self._client.exceptions.AlreadyExistsError,
                self._client.exceptions.PreconditionError,
            ):
                raise ChangedMeanwhile(
                    f"{self.address}/{key} was changed by another writer meanwhile; read it again"
                ) from None
        return StoredObject(data, answer["e_tag"])

    def objects(self, prefix: str, after: str | None = None) -> Iterator[Listed]:
        """All objects below ``prefix`` in order of their keys, those behind the key ``after`` only."""
        with self._asking("list", prefix):
            for page in self._client.list(self._store, prefix, offset=after):
                for item in page:
                    yield Listed(item["path"], item["e_tag"], item["last_modified"])

    def delete(self, keys: Collection[str]) -> None:
        """Delete objects; those that are not there are no error."""
        if keys:
            with self._asking("delete", min(keys)):
                self._client.delete(self._store, list(keys))

    def now(self) -> datetime:
        """The moment on the clock of the store, which the age of its objects is told by."""
        self.put("clock", b"")
        with self._asking("read", "clock"):
            return self._client.head(self._store, "clock")["last_modified"]

    def require_conditions(self) -> None:
        """StoreUnavailable when the store takes a conditional put and ignores its condition.

        Without conditions two machines that publish one partition lose one of the two versions.
        """
        key = "conditions"
        for before in (None, StoredObject(b"", '"00000000000000000000000000000000"')):
            try:
                self.replace(key, b"", before)
                self.replace(key, b"", before)
            except ChangedMeanwhile:
                continue
            raise StoreUnavailable(
                f"{self.address} ignores the conditions If-Match and If-None-Match of a put; expected a store that "
                "honours them (Amazon S3, MinIO and Ceph do)"
            )

    @contextmanager
    def _asking(self, verb: str, key: str) -> Iterator[None]:
        try:
            yield
        except (self._client.exceptions.BaseError, FileNotFoundError) as error:
            reason = str(error).partition("\n")[0]
            raise StoreUnavailable(
                f"{self.address}: cannot {verb} {key!r} ({reason}); check that the bucket is there, and the "
                "environment variables AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
                "(and AWS_ALLOW_HTTP=true where its address is http)"
            ) from None


class Remote:
    """Pointers and data of one warehouse in an object store.

    A place is the folder of a partition below the warehouse, such as ``v1/candles_5min/trading_day=2026-06-30``.
    Pointers are asked for at every look; one that has not changed is not sent again.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self._known: OrderedDict[str, StoredObject] = OrderedDict()
        self._lock = Lock()
        self._conditions_held = False

    @property
    def address(self) -> str:
        """Where the store is."""
        return self.store.address

    def pointer(self, place: str) -> bytes | None:
        """The pointer of a partition as it is now; None where there is none."""
        found = self._pointer(place)
        return found.data if found else None

    def pointers(self, table: str, places: Collection[str] | None = None) -> dict[str, bytes]:
        """The pointers of the partitions of a table by place, sorted; ``places`` None means all there are.

        One listing, and one request for each pointer that this process does not know yet.
        """
        if places is not None and len(places) <= _FEW:
            found = {place: self._pointer(place) for place in sorted(places)}
            return {place: item.data for place, item in found.items() if item}
        listed = dict(self._listed(table, min(places) if places else None))
        wanted = listed if places is None else listed.keys() & set(places)
        known = {place: self._remembered(place) for place in wanted}
        changed = [place for place, item in known.items() if not item or item.tag != listed[place]]
        with ThreadPoolExecutor(_THREADS) as threads:
            known.update(zip(changed, threads.map(self._pointer, changed), strict=True))
        return {place: known[place].data for place in sorted(known)}

    def places(self, table: str) -> list[str]:
        """The partitions of a table that were ever published."""
        return [place for place, _ in self._listed(table)]

    def tables(self) -> list[str]:
        """Schema and name of every table that has a partition, as ``v1/candles_5min``."""
        keys = (item.key.split("/") for item in self.store.objects(_POINTERS))
        return sorted({f"{schema}/{name}" for _, schema, name, _ in keys})

    def change(self, place: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace a pointer by what ``change`` makes of it; again when another writer was faster.

        What ``change`` raises leaves the pointer as it is.
        """
        if not self._conditions_held:
            self.store.require_conditions()
            self._conditions_held = True
        for attempt in range(_ATTEMPTS):
            before = self._pointer(place)
            data = change(before.data if before else None)
            try:
                self._remember(place, self.store.replace(_pointer_key(place), data, before))
                return
            except ChangedMeanwhile:
                if attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(random.uniform(0, min(0.01 * 2**attempt, _LONGEST_PAUSE_SECONDS)))

    def put(self, place: str, upload: str, name: str, data: bytes) -> None:
        """Put a file of a partition; it counts once a pointer names it."""
        self.store.put(f"{_DATA}/{place}/{upload}/{name}", data)

    def fetch(self, place: str, upload: str, name: str) -> bytes | None:
        """A file of a partition as it was put; None where it is gone or its bytes are not those of its name."""
        found = self.store.read(f"{_DATA}/{place}/{upload}/{name}")
        if found is None or disk.content_hash(found.data) != Path(name).stem:
            return None
        return found.data

    def uploads(self, table: str) -> list[Listed]:
        """Every file of a table, named by a pointer or not."""
        return list(self.store.objects(f"{_DATA}/{table}"))

    def delete(self, uploads: Collection[Listed]) -> None:
        """Delete files that no pointer names."""
        self.store.delete([item.key for item in uploads])

    def _listed(self, table: str, first: str | None = None) -> Iterator[tuple[str, str]]:
        # Without its ending the key sorts just before the key itself.
        after = f"{_POINTERS}/{first}" if first else None
        for item in self.store.objects(f"{_POINTERS}/{table}", after):
            yield item.key.removeprefix(f"{_POINTERS}/").removesuffix(".json"), item.tag

    def _pointer(self, place: str) -> StoredObject | None:
        found = self.store.read(_pointer_key(place), self._remembered(place))
        if found:
            self._remember(place, found)
        return found

    def _remembered(self, place: str) -> StoredObject | None:
        with self._lock:
            return self._known.get(place)

    def _remember(self, place: str, item: StoredObject) -> None:
        with self._lock:
            self._known[place] = item
            self._known.move_to_end(place)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


def partition_of_upload(key: str) -> tuple[str, str, str]:
    """Place, upload and file name of a data object's key."""
    place, upload, name = key.removeprefix(f"{_DATA}/").rsplit("/", 2)
    return place, upload, name


def claim_folder(root: Path, address: str | None) -> None:
    """Make the folder of a warehouse the mirror of ``address``, or require that it mirrors nothing (None).

    InvalidSettings when the folder holds the only copy of a warehouse, or the mirror of another store: one would
    be taken for the other.
    """
    mark = root / _MARK
    found = mark.read_text(encoding="utf-8").strip() if mark.is_file() else None
    if found == address:
        return
    if found is not None:
        raise InvalidSettings(
            f"setting storage.remote: found {address or ''!r}, expected {found!r}, which {root} is the mirror of; "
            "set it, or name another data folder"
        )
    if root.is_dir() and any(not path.name.startswith(".") for path in root.iterdir()):
        raise InvalidSettings(
            f"setting storage.remote: found {address!r}, expected '' for {root}, which holds a warehouse of its own; "
            "name another data folder, or bring it to the store by: setbull upload"
        )
    make_mirror(root, address)


def make_mirror(root: Path, address: str) -> None:
    """Mark a folder as the mirror of ``address``: what it holds is there too."""
    root.mkdir(parents=True, exist_ok=True)
    disk.replace_durably(root / _MARK, f"{address}\n".encode())
    disk.sync_directory(root)


def _pointer_key(place: str) -> str:
    return f"{_POINTERS}/{place}.json"
