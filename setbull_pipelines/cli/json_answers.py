"""What commands say to programs: one JSON object each, with the keys that ``docs/operations.md`` lists.

Belongs here: the answers of several commands as plain data. Does not belong here: words for people (the modules beside
this one), the answers of ``check`` and ``doctor``, which are made where their findings are.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING

from setbull_pipelines import tables
from setbull_pipelines.alerts.acts import mutes_in_force
from setbull_pipelines.alerts.ledger import Alert, Ledger
from setbull_pipelines.cli.alerts import in_order
from setbull_pipelines.errors import FAILED
from setbull_pipelines.pipeline.alert_delivery import read_ledger
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.daily_reports import report_path
from setbull_pipelines.pipeline.opening import now, open_warehouse
from setbull_pipelines.pipeline.overview import overview_path
from setbull_pipelines.pipeline.rollout_log import read_log
from setbull_pipelines.pipeline.serving import TABLES, served_day, served_table
from setbull_pipelines.pipeline.stage_decisions import states
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.filters import VERDICTS
from setbull_pipelines.tables.reconciliation import STATES

if TYPE_CHECKING:
    import dagster as dg

    from setbull_pipelines.cli.run import Outcome


def as_text(answer: Mapping[str, object]) -> str:
    """The answer as it is printed; days and moments as ISO 8601 has them."""
    return json.dumps(answer, indent=2, ensure_ascii=False, default=_iso)


def _iso(value: object) -> str:
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError(f"no JSON for {value!r}")


def of_run(outcome: Outcome) -> dict[str, object]:
    """What ``setbull run`` did and found."""
    settings, days = outcome.settings, outcome.asked.days
    warehouse = open_warehouse(settings)
    keys = [day.isoformat() for day in days]
    states_found = Counter(warehouse.read(SUMMARY, keys, ["state"])["state"])
    results = warehouse.read(served_table(tables.FILTER_RESULTS), keys, ["trading_day", "verdict"])
    verdicts = {key: Counter(results.loc[results["trading_day"] == key, "verdict"]) for key in keys}
    passed = len(outcome.checks) - len(outcome.failed_checks) - len(outcome.warnings)
    return {
        "folder": str(settings.data_directory),
        "input": settings.input,
        "sessions": keys,
        "run_ids": list(outcome.run_ids),
        "unchanged_since": outcome.unchanged_since.ended if outcome.unchanged_since else None,
        "verdicts": {
            key: {verdict: counts.get(verdict, 0) for verdict in VERDICTS}
            for key, counts in verdicts.items()
        },
        "reconciliation": {state: states_found.get(state, 0) for state in STATES},
        "checks": {
            "passed": passed,
            "warned": [_of_check(check) for check in outcome.warnings],
            "failed": [_of_check(check) for check in outcome.failed_checks],
        },
        "alerts": list(outcome.alerts),
        "seconds": {name: round(seconds, 3) for name, seconds in outcome.seconds.items()},
        "report": str(report_path(settings, days[-1])),
        "overview": str(overview_path(settings)),
        "exit_code": FAILED if outcome.failed_checks else 0,
    }


def _of_check(check: dg.AssetCheckEvaluation) -> dict[str, object]:
    return {
        "asset": check.asset_key.to_user_string(),
        "check": check.check_name,
        "day": check.partition,
        "reason": check.description,
    }


def of_rollout(settings: Settings) -> dict[str, object]:
    """Where the rollout stands, as ``setbull rollout status`` says it."""
    warehouse = open_warehouse(settings)
    components = [
        {
            "component": component.label,
            "stage": state.stage.label,
            "healthy_sessions": state.healthy_sessions,
            "sessions_needed": settings.rollout.sessions_per_stage,
            "latched": state.latched,
            "frozen": state.frozen,
            "last_judged": state.last_judged,
        }
        for component, state in states(read_log(warehouse)).items()
    ]
    served = []
    for table in TABLES:
        if days := warehouse.partitions(served_table(table)):
            found = served_day(table, date.fromisoformat(days[-1]), warehouse)
            served.append(
                {
                    "table": table.name,
                    "day": days[-1],
                    "instruments": found.instruments,
                    "from_v2": found.from_v2,
                    "fallbacks": found.fallbacks,
                    "share": found.share,
                }
            )
    return {"kill_switch": settings.rollout.kill, "components": components, "served": served}


def of_alerts(settings: Settings, at_most: int) -> dict[str, object]:
    """The alerts in the order of ``setbull alerts list``: the open ones, the worst first, then the last others."""
    ledger, moment = read_ledger(open_warehouse(settings)), now()
    return {
        "open": len(ledger.open),
        "total": len(ledger.alerts),
        "alerts": [
            _of_alert(alert, ledger, moment) for alert in in_order(ledger, moment)[:at_most]
        ],
        "mutes": [
            {
                "subject": act.subject,
                "name": act.name,
                "until": act.muted_until,
                "by": act.actor,
                "reason": act.reason,
            }
            for act in mutes_in_force(ledger.acts, moment)
        ],
    }


def _of_alert(alert: Alert, ledger: Ledger, moment: datetime) -> dict[str, object]:
    muted, acknowledged = ledger.muted(alert, moment), ledger.acknowledged(alert)
    return {
        "number": alert.number,
        "key": alert.key,
        "kind": alert.kind,
        "severity": alert.severity.label,
        "state": alert.state,
        "title": alert.title,
        "message": alert.message,
        "asset": alert.asset,
        "day": alert.trading_day,
        "first_seen": alert.first_seen,
        "last_seen": alert.last_seen,
        "recovered_at": alert.recovered_at,
        "occurrences": alert.occurrences,
        "link": alert.link,
        "muted_until": muted.muted_until if muted else None,
        "acknowledged_by": acknowledged.actor if acknowledged else None,
    }
