"""The plan of a stock group. Executing a group has never been more than this here: no order is placed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse

from setbull_pipelines.api.asking import WITH_BODY, Tables, answered, refused
from setbull_pipelines.api.shapes import Day, Envelope, GroupPlan
from setbull_pipelines.pipeline.shown import plain
from setbull_pipelines.tables.groups import LEVELS

router = APIRouter(prefix="/groups", tags=["groups"])
_NAMES = {
    "isPlanned": "is_planned",
    "reason": "reason",
    "direction": "direction",
    "entryTime": "entry_time",
    "indicatorsDay": "indicators_day",
    "morningRange": "morning_range",
    "dailyAtr": "daily_atr",
    "atrToMorningRange": "atr_to_morning_range",
    "rangeReason": "range_reason",
    "entryPrice": "entry_price",
    "stopLossPercent": "stop_loss_percent",
    "stopPrice": "stop_price",
    "riskPerShare": "risk_per_share",
    "risk": "risk",
    "quantity": "quantity",
    "positionType": "position_type",
}


@router.post("/{group_id}/execute", response_model=Envelope[GroupPlan], responses=WITH_BODY)
def execute(
    group_id: Annotated[str, Path(min_length=1, max_length=100, examples=["morning"])],
    reader: Tables,
    day: Day | None = None,
) -> JSONResponse:
    """The plan of the group on a trading day; without one on the last that was planned."""
    days = reader.planned_days()
    if day is not None and day not in days:
        raise refused(
            f"day: found {day}, for which nothing is planned; run: setbull run --from {day} --to {day}",
            404,
        )
    if not days:
        raise refused("nothing is planned yet; run: setbull run", 404)
    day = day or days[-1]
    plan = reader.plan(day)
    rows = plan[plan["group_id"] == group_id]
    if rows.empty:
        raise refused(f"group {group_id!r} is not in the plan of {day}", 404)
    instruments = reader.instruments()
    stocks = []
    for row in plain(rows):
        key = row["instrument_key"]
        known = plain(instruments[instruments.index == key][["symbol", "exchange_token"]])
        named = known[0] if known else {"symbol": None, "exchange_token": None}
        levels = [
            {
                "level": level,
                "price": row["entry_price"] if level == 1 else row[f"level_{name}"],
                "quantity": row[f"quantity_{name}"],
            }
            for name, level in LEVELS.items()
        ]
        stocks.append(
            {"symbol": named["symbol"], "instrument_key": key}
            | {"exchange_token": named["exchange_token"]}
            | {shown: row[name] for shown, name in _NAMES.items()}
            | {"levels": levels}
        )
    return answered(
        {
            "id": group_id,
            "entryType": rows["entry_type"].iloc[0],
            "status": "PLANNED",
            "tradingDay": day.isoformat(),
            "stocks": stocks,
        }
    )
