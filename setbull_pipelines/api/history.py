"""Taking candles in: starts the job that asks the source, and says what is stored."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from setbull_pipelines.api.asking import (
    JOB_ERRORS,
    LiveTables,
    answered,
    has_ended,
    not_an_instrument,
    refused,
    run_job,
)
from setbull_pipelines.api.reading import Reader
from setbull_pipelines.api.shapes import Envelope, StoreAnswer, StoreBody
from setbull_pipelines.automation.jobs import FETCH_JOB_NAME, INTAKE_JOB_NAME
from setbull_pipelines.pipeline.what_to_fetch import is_source

router = APIRouter(prefix="/historical-data", tags=["historical data"])
_COMMANDS = {FETCH_JOB_NAME: "setbull fetch", INTAKE_JOB_NAME: "setbull run"}


@router.post(
    "/batch-store",
    response_model=Envelope[StoreAnswer],
    responses=JOB_ERRORS | {202: {"model": Envelope[StoreAnswer], "description": "Still running"}},
)
async def batch_store(body: StoreBody, reader: LiveTables) -> JSONResponse:
    """Start the job ``fetch`` (``intake`` where the source is not the broker) and return what is there after it.

    What is taken in is what the settings name: the range and the instruments of the body choose what is reported. For a
    timeframe that is made when asked for, the bars that it is made of are counted.
    """
    if body.toDate < body.fromDate:
        raise refused(
            f"toDate: found {body.toDate}, expected no earlier than fromDate {body.fromDate}"
        )
    # Told before a job is started: too long a range is refused.
    await run_in_threadpool(reader.stored_rows, body.interval, body.fromDate, body.toDate)
    job = FETCH_JOB_NAME if is_source(reader.settings()) else INTAKE_JOB_NAME
    run = await run_job(reader, job, {}, _COMMANDS[job])
    is_over = has_ended(run)
    return answered(
        {
            "status": "success" if is_over else "started",
            "run_id": run.run_id,
            "job": job,
            "data": await run_in_threadpool(_stored, reader, body) if is_over else None,
        },
        200 if is_over else 202,
    )


def _stored(reader: Reader, body: StoreBody) -> dict[str, object]:
    """Each instrument once, in the order of the body; without one all that are known."""
    known = reader.coverage(body.interval)
    counts = reader.stored_rows(body.interval, body.fromDate, body.toDate)
    span = f"from {body.fromDate} to {body.toDate}"
    unknown = set(reader.unknown(body.instrumentKeys))
    details = []
    for key in dict.fromkeys(body.instrumentKeys or known.index):
        row = known.loc[key] if key in known.index else None
        status, message = "error", f"the source has no {body.interval} candles {span}"
        if key in unknown:
            message = not_an_instrument(key)
        if row is not None:
            first, last = row["first_trading_day"], row["last_trading_day"]
            if first.date() <= body.toDate and last.date() >= body.fromDate:
                status = "success"
                message = f"the source has candles from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
        stored = int(counts.get(key, 0))
        details.append(
            {
                "instrumentKey": key,
                "status": status,
                "recordsStored": stored,
                "message": message,
            }
        )
    successful = sum(each["status"] == "success" for each in details)
    return {
        "processedItems": len(details),
        "successfulItems": successful,
        "failedItems": len(details) - successful,
        "details": details,
    }
