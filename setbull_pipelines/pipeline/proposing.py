"""The gaps of the stored tables that nobody has decided about.

Belongs here: reading them. Does not belong here: what is proposed (``quality/gaps.py``), decisions
(``sources/decided_actions.py``), words for people (``cli/actions.py``).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from setbull_pipelines import tables
from setbull_pipelines.quality.gaps import COLUMNS, Gap, gaps_in
from setbull_pipelines.tables.served import SERVED_SCHEMA
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse

_INDICATORS = StoredTable(SERVED_SCHEMA, tables.SERVED["indicators_daily"])


def undecided_gaps(warehouse: Warehouse, decided: Collection[tuple[str, date]]) -> list[Gap]:
    """Gaps of all served days, without those of the ``decided`` instruments and days.

    Raises DamagedPartition, ContractViolation.
    """
    days = warehouse.partitions(_INDICATORS)
    if not days:
        return []
    gaps = gaps_in(warehouse.read(_INDICATORS, days, columns=list(COLUMNS)))
    return [gap for gap in gaps if (gap.instrument_key, gap.day) not in decided]
