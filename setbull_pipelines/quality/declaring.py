"""How a rule about computed tables is declared: ``@rule(...)`` above the few lines that judge.

Belongs here: the decorator, and making rules of what it declares for one variant. Does not belong here: any rule
(``computed_bars.py``, ``computed_results.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from setbull_pipelines.quality.verdict import Rule, Verdict
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.pointers import StoredTable

Read = Table | StoredTable
"""A table of the variant that is judged, or a stored one that both variants read."""


@dataclass(frozen=True)
class Asked:
    """What a rule is asked about, beside the rows."""

    day: pd.Timestamp
    settings: Settings
    tables: tuple[StoredTable, ...]
    """Whose rows it gets, in the same order."""


@dataclass(frozen=True)
class Declared:
    """A rule that holds for each of several tables of both variants."""

    name: str
    description: str
    judge: Callable[..., Verdict]
    is_error: bool

    def about(self, *reads: Read) -> Callable[[str], Rule]:
        """The rule about the first of the tables, for a variant; ``judge`` gets the rows of all, in this order."""

        def of_variant(variant: str) -> Rule:
            stored = tuple(
                each if isinstance(each, StoredTable) else StoredTable(variant, each)
                for each in reads
            )

            def judge(
                frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings
            ) -> Verdict:
                asked = Asked(day, settings, stored)
                return self.judge(asked, *(frames[each.name] for each in stored))

            described = self.description.format(other=stored[-1].table.name)
            return Rule(self.name, described, stored[0], stored, judge, is_error=self.is_error)

        return of_variant


def rule(name: str, is_error: bool = True) -> Callable[[Callable[..., Verdict]], Declared]:
    """Declare the function below as a rule: ``judge(asked, rows of the first table, rows of the second, ...)``.

    Its docstring is the description of the check; ``{other}`` in it is the name of the last table.
    """

    def declare(judge: Callable[..., Verdict]) -> Declared:
        description = " ".join((judge.__doc__ or "").split()).removesuffix(".")
        return Declared(name, description, judge, is_error)

    return declare
