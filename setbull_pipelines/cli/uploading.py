"""``setbull upload``: the tables of a data folder become those that several machines share.

Belongs here: the sentences. Does not belong here: copying (``warehouse/store.py``).
"""

from __future__ import annotations

from setbull_pipelines.errors import SetbullError
from setbull_pipelines.pipeline.opening import warehouse_root
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.remote import ObjectStore, Remote
from setbull_pipelines.warehouse.store import Warehouse


class NothingToUpload(SetbullError, ValueError):
    """There is no store to bring tables to, or no table; the message says which."""


def bring(settings: Settings) -> str:
    """Upload everything that is kept and say what was done.

    Raises NothingToUpload, InvalidSettings where the folder is a mirror already, StoreUnavailable, DamagedPartition.
    """
    address, root = settings.storage.remote, warehouse_root(settings)
    if not address:
        raise NothingToUpload(
            "setting storage.remote: found '', expected s3://BUCKET/PREFIX to bring the tables to; set it in the file "
            "that SETBULL_SETTINGS names"
        )
    if not root.is_dir():
        raise NothingToUpload(f"{settings.data_directory} has no tables; `setbull run` makes them")
    uploaded = Warehouse(root).upload_to(Remote(ObjectStore(address)))
    return (
        f"brought {uploaded} partitions to {address}; {root} now holds copies of what is there. "
        "Other machines need the same storage.remote and a data folder of their own."
    )
