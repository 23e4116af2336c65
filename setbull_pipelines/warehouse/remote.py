"""The object store that several machines share under their warehouses.

Belongs here: objects and their conditions, the log of commits and the files in the store, the mark that ties a folder
to a store. Does not belong here: what a commit does (``commits``), tables.

Layout below the address: ``commits/<number>.json``, each put once, on the condition that there is none; every machine
applies them, in order, to the catalog in its folder. ``data/<name of the file>``: files are put before the commit that
names them, and their names are unique, so that a file which no commit names can never be named later by anybody but the
writer that has just put it. ``checkpoints/<number>.sqlite`` saves a new machine the commits before.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from setbull_pipelines import disk
from setbull_pipelines.settings import InvalidSettings
from setbull_pipelines.warehouse.catalog_file import CATALOG_FILE
from setbull_pipelines.warehouse.changes import PUBLISH, Change, Key, Record
from setbull_pipelines.warehouse.commits import Commits
from setbull_pipelines.warehouse.errors import ChangedMeanwhile, DamagedPartition, StoreUnavailable
from setbull_pipelines.warehouse.files import Files
from setbull_pipelines.warehouse.pointers import from_record, to_record

GRACE = timedelta(hours=1)
"""Age below which an object that no commit names is left alone: its writer may be about to name it."""
_GIVEN_UP_AFTER = timedelta(minutes=3)
"""Longest time that one request is repeated. A writer names what it has put well within ``GRACE``."""
_COMMITS, _DATA, _CHECKPOINTS = "commits", "data", "checkpoints"
_MARK = ".mirror-of"
_THREADS = 16
_COMMITS_BETWEEN_CHECKPOINTS = 500


@dataclass(frozen=True)
class Listed:
    """An object as a listing tells of it."""

    key: str
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
            self._store = S3Store.from_url(address, retry_config={"retry_timeout": _GIVEN_UP_AFTER})

    def read(self, key: str) -> bytes | None:
        """The object, None where there is none."""
        with self._asking("read", key):
            try:
                return bytes(self._client.get(self._store, key).bytes())
            except FileNotFoundError:
                return None

    def put(self, key: str, data: bytes) -> None:
        """Put an object, whatever was there."""
        with self._asking("write", key):
            self._client.put(self._store, key, data)

    def create(self, key: str, data: bytes) -> None:
        """Put an object where there is none. ChangedMeanwhile if there is one."""
        with self._asking("write", key):
            try:
                self._client.put(self._store, key, data, mode="create")
            except (
                self._client.exceptions.AlreadyExistsError,
                self._client.exceptions.PreconditionError,
            ):
                raise ChangedMeanwhile(
                    f"{self.address}/{key} was written by another machine meanwhile; read it first"
                ) from None

    def objects(self, prefix: str, after: str | None = None) -> Iterator[Listed]:
        """All objects below ``prefix`` in order of their keys, those behind the key ``after`` only."""
        with self._asking("list", prefix):
            for page in self._client.list(self._store, prefix, offset=after):
                for item in page:
                    yield Listed(item["path"], item["last_modified"])

    def delete(self, keys: Collection[str]) -> None:
        """Delete objects; those that are not there are no error."""
        if keys:
            with self._asking("delete", min(keys)):
                self._client.delete(self._store, list(keys))

    def now(self) -> datetime:
        """The moment on the clock of the store, against which the age of its objects is measured."""
        self.put("clock", b"")
        with self._asking("read", "clock"):
            return self._client.head(self._store, "clock")["last_modified"]

    def require_conditions(self) -> None:
        """StoreUnavailable when the store takes a conditional put and ignores its condition.

        Without conditions two machines that commit at the same time lose one of the two commits.
        """
        for _ in range(2):
            try:
                self.create("conditions", b"")
            except ChangedMeanwhile:
                return
        raise StoreUnavailable(
            f"{self.address} ignores the condition If-None-Match of a put; expected a store that honours it (Amazon "
            "S3, MinIO and Ceph do)"
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
    """Commits and files of one warehouse in an object store. The next commit is asked for at every look."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self._conditions_held = False
        self._looked_for_checkpoint = False

    @property
    def address(self) -> str:
        """Where the store is."""
        return self.store.address

    # Commits

    def pull(self, commits: Commits) -> None:
        """Apply the commits of other machines that are not known here yet."""
        number = commits.number()
        if not number and not self._looked_for_checkpoint:
            self._begin(commits)
            number = commits.number()
        if self.store.read(_commit_key(number + 1)) is not None:
            self._pull_many(commits, number)

    def _begin(self, commits: Commits) -> None:
        """Take the last checkpoint, where there is one and nothing is here."""
        found = [item.key for item in self.store.objects(_CHECKPOINTS)]
        if not found and next(self.store.objects("pointers"), None) is not None:
            raise InvalidSettings(
                f"setting storage.remote: {self.address} was written by an older version of setbull; name a new "
                "address, and bring the tables to it by: setbull convert, then setbull upload"
            )
        data = self.store.read(max(found)) if found else None
        if data is not None:
            commits.root.mkdir(parents=True, exist_ok=True)
            with disk.writer_lock(commits.root):
                if not commits.path.exists():
                    disk.replace_durably(commits.path, data)
        self._looked_for_checkpoint = True

    def _pull_many(self, commits: Commits, number: int) -> None:
        keys = [item.key for item in self.store.objects(_COMMITS, _commit_key(number))]
        with ThreadPoolExecutor(_THREADS) as threads:
            for key, data in zip(keys, threads.map(self.store.read, keys), strict=True):
                if data is None or key != _commit_key(number + 1):
                    break
                number += 1
                commits.replay(number, _record(data, self.address, number))

    def share(self, commits: Commits, number: int, record: Record) -> bool:
        """Put a commit; False when another machine was first, whose commits are applied then."""
        self._require_conditions()
        try:
            self.store.create(_commit_key(number), _to_bytes(record))
        except ChangedMeanwhile:
            self.pull(commits)
            return False
        return True

    def _require_conditions(self) -> None:
        if not self._conditions_held:
            self.store.require_conditions()
            self._conditions_held = True

    # Files

    def put(self, files: Mapping[str, bytes]) -> None:
        """Put files; they count once a commit names them."""
        self._require_conditions()
        with ThreadPoolExecutor(_THREADS) as threads:
            list(threads.map(lambda name: self.store.put(f"{_DATA}/{name}", files[name]), files))

    def fetch(self, name: str, root: Path) -> bool:
        """Bring a file into a folder; False when it is gone or its bytes are not those of its name."""
        data = self.store.read(f"{_DATA}/{name}")
        path = root / name
        if data is None or disk.content_hash(data) != path.stem:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        disk.replace_derived(path, data)
        return True

    def files(self, key: Key | None = None) -> list[Listed]:
        """Every file of a table, or of all, named by a commit or not."""
        return list(self.store.objects("/".join([_DATA, *(key or ())])))

    def collect(self, needed: Collection[str], unknown: Collection[Key], key: Key | None) -> int:
        """Delete files that no kept version needs, when they are old; the number of them."""
        now = self.store.now()
        useless = []
        for item in self.files(key):
            name = item.key.removeprefix(f"{_DATA}/")
            if (
                name not in needed
                and tuple(name.split("/")[:2]) not in unknown
                and now - item.modified > GRACE
            ):
                useless.append(item.key)
        self.store.delete(useless)
        return len(useless)

    def keep_checkpoint(self, commits: Commits) -> None:
        """Put a checkpoint where many commits have come since the last one."""
        number = commits.number()
        found = [item.key for item in self.store.objects(_CHECKPOINTS)]
        last = int(Path(max(found)).stem) if found else 0
        if number - last < _COMMITS_BETWEEN_CHECKPOINTS:
            return
        with TemporaryDirectory(prefix="setbull-checkpoint-") as folder:
            copy = Path(folder) / CATALOG_FILE
            commits.copy_to(copy)
            self.store.put(f"{_CHECKPOINTS}/{number:010d}.sqlite", copy.read_bytes())

    def take_over(self, commits: Commits, data: Files) -> int:
        """Put what a folder of its own holds, and make it a mirror; see ``Warehouse.upload_to``."""
        with TemporaryDirectory(prefix="setbull-upload-") as folder:
            shared = Commits(Path(folder), _never)
            self.pull(shared)
            uploaded: dict[tuple[Key, str], list[Change]] = {}
            for key, partition, version in commits.versions():
                if partition not in shared.current(key):
                    change = Change(key, partition, PUBLISH, version.pointer)
                    uploaded.setdefault((key, partition), []).append(change)
            self._put_files(uploaded, data)
            sizes = commits.files()
            most = max(map(len, uploaded.values()), default=0)
            first = shared.number() + 1
            # The first one last: until it is there the others are behind a gap, where nobody looks.
            for place in reversed(range(most)):
                changes = [of_one[place] for of_one in uploaded.values() if place < len(of_one)]
                names = {name for each in changes for name in _names(each)}
                record = Record("upload", changes, {name: sizes[name] for name in names})
                put = self.store.put if place else self.store.create
                put(_commit_key(first + place), _to_bytes(record))
            shared.close()
        make_mirror(data.root, self.address)
        commits.close()
        for path in data.root.glob(f"{CATALOG_FILE}*"):
            path.unlink()
        return len(uploaded)

    def _put_files(self, uploaded: Mapping[tuple[Key, str], list[Change]], data: Files) -> None:
        changes = [change for of_one in uploaded.values() for change in of_one]
        for name in dict.fromkeys(name for change in changes for name in _names(change)):
            path = data.path(name)
            found = path.read_bytes() if path.is_file() else b""
            if disk.content_hash(found) != path.stem:
                raise DamagedPartition(
                    f"{path} is gone or is not what was published; compute the partition again, then upload"
                )
            self.put({name: found})


def _names(change: Change) -> list[str]:
    pointer = change.made
    return [
        name
        for name in (None if pointer.evicted_at else pointer.file, pointer.hashes_file)
        if name is not None
    ]


def _never(reason: str) -> None:
    raise StoreUnavailable(f"a copy of the catalog that was just made cannot be read: {reason}")


def _commit_key(number: int) -> str:
    return f"{_COMMITS}/{number:010d}.json"


def _to_bytes(record: Record) -> bytes:
    """A commit as an object; it begins with a hash of what follows."""
    changes = [
        [*each.key, each.partition, each.how, each.number, each.pointer and to_record(each.pointer)]
        for each in record.changes
    ]
    text = json.dumps(
        {
            "run_id": record.run_id,
            "moment": record.moment,
            "files": record.files,
            "changes": changes,
        }
    ).encode()
    return disk.content_hash(text).encode() + b"\n" + text


def _record(data: bytes, address: str, number: int) -> Record:
    found, _, text = data.partition(b"\n")
    if found.decode(errors="replace") != disk.content_hash(text):
        raise StoreUnavailable(
            f"{address}/{_commit_key(number)} is damaged; restore this object from another version of it"
        )
    said = json.loads(text)
    changes = [
        Change((schema, table), partition, how, record and from_record(tuple(record)), version)
        for schema, table, partition, how, version, record in said["changes"]
    ]
    files = {name: tuple(size) for name, size in said["files"].items()}
    return Record(said["run_id"], changes, files, said["moment"])


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
    if address is not None:
        make_mirror(root, address)


def make_mirror(root: Path, address: str) -> None:
    """Mark a folder as the mirror of ``address``: what it holds is there too."""
    root.mkdir(parents=True, exist_ok=True)
    disk.replace_durably(root / _MARK, f"{address}\n".encode())
    disk.sync(root)
