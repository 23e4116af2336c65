"""What can go wrong between a frame and its file, each with one sentence that says what to do.

Only exception types belong here.
"""

from __future__ import annotations

from pathlib import Path

from setbull_pipelines.errors import FAILED, SetbullError


class ContractViolation(SetbullError, ValueError):
    """A frame or a stored file breaks the contract of its table; nothing was written."""


class MissingPartition(SetbullError, LookupError):
    """A partition, or a version of one, was asked for that has never been published or is gone."""


class EvictedPartition(MissingPartition):
    """A partition was published, and its rows were removed to save space; computing it again brings them back."""


class DamagedPartition(SetbullError, RuntimeError):
    """The bytes on disk are not the bytes that were published."""

    exit_code = FAILED

    @classmethod
    def of_row(cls, catalog: Path, key: tuple[str, str], partition: str) -> DamagedPartition:
        """The row of a partition in the catalog is not what was written."""
        return cls(
            f"{catalog} is damaged where it tells of {'.'.join(key)} {partition}; compute the partition again by: "
            "setbull scrub"
        )


class ChangedMeanwhile(RuntimeError):
    """Another writer replaced what was to be replaced; nothing was written."""


class StoreUnavailable(SetbullError, OSError):
    """The object store does not answer, refuses, or lacks what the warehouse needs of it."""
