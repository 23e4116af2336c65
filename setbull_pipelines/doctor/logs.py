"""The records that nothing can compute again: who was served what, and what people were told.

Belongs here: whether each row follows from those before it. Does not belong here: what a row says (``rollout/``,
``alerts/``).
"""

from __future__ import annotations

from setbull_pipelines.alerts.ledger import Ledger
from setbull_pipelines.doctor.finding import FAULT, WELL, DataFolder, Finding
from setbull_pipelines.pipeline.alert_delivery import read_ledger
from setbull_pipelines.pipeline.opening import open_warehouse
from setbull_pipelines.pipeline.rollout_log import LogLost, read_log
from setbull_pipelines.rollout.log import IllegalLog, state_at
from setbull_pipelines.rollout.stages import Component
from setbull_pipelines.warehouse.errors import ContractViolation, DamagedPartition, MissingPartition
from setbull_pipelines.warehouse.looking import shortened

_RESTORE = "setbull rollout restore --by NAME --reason WHY"


def rollout_log(folder: DataFolder) -> list[Finding]:
    """Whether the log of the rollout is there and can be replayed."""
    try:
        rows = read_log(open_warehouse(folder.settings))
        for component in Component:
            state_at(rows, component)
    except (LogLost, IllegalLog, ValueError) as error:
        return [Finding("rollout log", FAULT, str(error), _RESTORE)]
    return [Finding("rollout log", WELL, f"{len(rows):,} rows follow from each other")]


def alerts(folder: DataFolder) -> list[Finding]:
    """Whether the alerts and notices can be read, without a gap and without a number twice."""
    try:
        ledger = read_ledger(open_warehouse(folder.settings))
    except (ContractViolation, DamagedPartition, MissingPartition) as error:
        told = f"they cannot be read: {error}"
        return [Finding("alerts", FAULT, told, "restore operations.alerts from a backup")]
    if faults := list(_faults(ledger)):
        return [
            Finding("alerts", FAULT, "; ".join(faults), "restore operations.alerts from a backup")
        ]
    told = f"{len(ledger.alerts):,} alerts ({len(ledger.open):,} open), {len(ledger.notices):,} notices"
    return [Finding("alerts", WELL, told)]


def _faults(ledger: Ledger) -> list[str]:
    found = []
    numbers_of = {
        "alerts": [alert.number for alert in ledger.alerts],
        "notices": [notice.number for notice in ledger.notices],
        "acts": [act.number for act in ledger.acts],
    }
    for name, numbers in numbers_of.items():
        if numbers != list(range(1, len(numbers) + 1)):
            found.append(f"the numbers of {name} have a gap or come twice: {shortened(numbers)}")
    backwards = [alert.number for alert in ledger.alerts if alert.last_seen < alert.first_seen]
    if backwards:
        found.append(
            "alerts that were seen last before they were seen first: " + shortened(backwards)
        )
    return found
