"""Tables about running the pipeline: what was decided, what it took, and what failed."""

from __future__ import annotations

from setbull_pipelines.settings import SEVERITIES
from setbull_pipelines.tables.columns import (
    INSTRUMENT_KEY,
    TRADING_DAY,
    count,
    day,
    flag,
    label,
    text,
    value,
)
from setbull_pipelines.tables.contract import Column, Kind, Table

COMPONENTS = ("aggregation", "indicators", "sequences")
STAGES = ("off", "shadow", "10", "50", "100", "sampled", "retired")
ALL_INSTRUMENTS = "all"
VERDICTS = (
    "counted",
    "advanced",
    "held",
    "soft breach",
    "rolled back",
    "re-armed",
    "killed",
    "forced",
    "frozen",
    "released",
)

ROLLOUT_LOG = Table(
    name="rollout_log",
    description="The evidence log of the rollout: one row per evaluation and per action of a person, never changed. "
    "The stage of a component is the fold of its rows.",
    schemas=("operations",),
    key=("number",),
    partitioned=False,
    columns=(
        count("number", "1, 2, 3 ... in the order of the log, over all components", "row"),
        Column("recorded_at", Kind.TIMESTAMP, "When the row was written"),
        label("actor", "'controller', or the name of the person who acted"),
        label("component", "What is rolled out", COMPONENTS),
        day("session", "Trading day that was judged; null for actions of a person", nullable=True),
        label("code_version", "Version of V2's code that the row is about"),
        label("settings_hash", "Hash of the settings that the results depend on"),
        label("from_stage", "Stage before the row", STAGES),
        label("to_stage", "Stage after the row", STAGES),
        label("verdict", "What the row did", VERDICTS),
        text("reason", "Why, in one sentence"),
        text("evidence", "What was measured, as JSON; null for actions of a person", nullable=True),
    ),
)

PROCESSING_METRICS = Table(
    name="processing_metrics",
    description="What each partition took: one row per asset and trading day, about the run that computed what is "
    "stored. Null is not measured. A table that is computed together with another one has its figures there.",
    schemas=("operations",),
    key=("asset",),
    columns=(
        label("asset", "The stored table, such as v2.candles_5min"),
        TRADING_DAY,
        label("variant", "v1 or v2; null for tables that are of no variant", nullable=True),
        label("run_id", "The run that computed the stored rows"),
        flag("from_cache", "True when the run that wrote this row found the partition up to date"),
        label(
            "published_because",
            "Why the stored rows were computed: 'new', 'changed' (inputs, code, settings), 'evicted' or 'damaged' "
            "before, 'again' (none of these: it failed, was asked for once more, or with another table)",
            ("new", "changed", "again", "evicted", "damaged"),
            nullable=True,
        ),
        flag("is_evicted", "True when the rows were removed since, to save space"),
        text(
            "computed_for",
            f"Instruments that it was computed for: '{ALL_INSTRUMENTS}', 'none' of a retired V1, or V1's sample",
        ),
        count("rows", "Rows stored", "rows"),
        count("input_rows", "Rows read", "rows", nullable=True),
        value("seconds", "Reading the inputs and computing, without publishing", "seconds"),
        value("rows_per_second", "input_rows / seconds", "rows per second"),
        value("cpu_seconds", "Processor time of the whole process meanwhile", "seconds"),
        count("workers", "Processors the process was allowed to use", "processors", nullable=True),
        value("worker_share", "cpu_seconds / (seconds x workers)", "ratio"),
        count(
            "peak_memory",
            "Highest memory of the process meanwhile, sampled",
            "bytes",
            nullable=True,
        ),
        count("cache_hits", "Input files found decoded in memory", "files", nullable=True),
        count(
            "cache_misses",
            "Input files that were decoded again, since the memory for them was too small",
            "files",
            nullable=True,
        ),
        count(
            "cache_first_reads",
            "Input files read for the first time by the process: neither hit nor miss",
            "files",
            nullable=True,
        ),
        count(
            "instruments_computed",
            "Instruments that were computed; null where work is not done by instrument",
            "instruments",
            nullable=True,
        ),
        count(
            "instruments_kept",
            "Instruments whose rows were taken over from the version before, since nothing had changed for them; "
            "null where work is not done by instrument",
            "instruments",
            nullable=True,
        ),
        count(
            "files_validated",
            "Input files whose bytes were held against their hash: all that were decoded",
            "files",
            nullable=True,
        ),
        count(
            "chunks",
            "Groups of instruments that were computed one after the other; null where work is not done by instrument",
            "groups",
            nullable=True,
        ),
        value("cache_hit_rate", "hits / (hits + misses); null without any", "ratio"),
        count("errors", "Instruments whose computing raised here", "instruments"),
        count(
            "inherited_errors",
            "Instruments left out because an input partition lacks them",
            "instruments",
        ),
        count(
            "fallbacks",
            "Instruments served from V1 because V2 has no row of them; null for tables that are not served",
            "instruments",
            nullable=True,
        ),
    ),
)

FAILURES = Table(
    name="failures",
    description="Instruments that are missing from a computed partition because computing them failed there or in "
    "an input, and instruments that a served partition takes from V1 because V2 has no row of them.",
    schemas=("operations",),
    key=("asset", "instrument_key"),
    columns=(
        label("asset", "The stored table, such as v2.candles_5min"),
        INSTRUMENT_KEY,
        TRADING_DAY,
        label("variant", "v1 or v2; null for served tables", ("v1", "v2"), nullable=True),
        flag("inherited", "True when it failed in an input and not here"),
        label("origin", "Table and partition whose computing raised"),
        text("error", "What was raised, in one line"),
    ),
)

FAULT, CONTROL = "fault", "control"
SELF_TEST = Table(
    name="self_test",
    description="The last self-test of the reconciliation: one row per fault that was built into V2, and per control "
    "without a fault.",
    schemas=("operations",),
    key=("number",),
    partitioned=False,
    columns=(
        count("number", "1, 2, 3 ... in the order of the test", "row"),
        label("kind", "'fault': V2 was made wrong; 'control': nothing was", (FAULT, CONTROL)),
        text("name", "What was made wrong, or what was compared"),
        label("table_name", "Computed table that was compared"),
        flag("caught", "Exactly the wrong columns were found; of a control: nothing was"),
        flag("diagnosed", "Every cause was named as expected; of a control: as caught"),
        text(
            "expected_diagnosis",
            "Expected causes with their columns; null for a control",
            nullable=True,
        ),
        text("found_diagnosis", "Found causes with their columns; null when none", nullable=True),
        day(
            "visible_on",
            "Trading day whose rows alone show the fault, as production compares them: the last session, which is an "
            "ordinary one, if it does, else the first that does; null for a control, for tables that have one day "
            "and when no single day does",
            nullable=True,
        ),
        flag("on_an_ordinary_day", "That day is the last session; null without one", nullable=True),
        flag(
            "caught_on_the_day",
            "The rows of that day diverged, in wrong columns only",
            nullable=True,
        ),
        flag("named_on_the_day", "Every cause found there was named as it deserves", nullable=True),
        flag("misnamed_on_the_day", "A wrong cause was named there", nullable=True),
        text("found_on_the_day", "Causes found there with their columns", nullable=True),
        label("code_version", "Version of the tested code"),
        Column("recorded_at", Kind.TIMESTAMP, "When the test ended"),
    ),
)

WHOLE, REPAIRED, DAMAGED = "whole", "repaired", "damaged"
SCRUB = Table(
    name="scrub",
    description="When each stored file was held against its hash for the last time: one row per table and partition.",
    schemas=("operations",),
    key=("table_name", "partition"),
    partitioned=False,
    columns=(
        label("table_name", "The stored table, such as v2.candles_5min"),
        label("partition", "Trading day; 'all' of a table without days; 'unassigned' quarantine"),
        text("path", "The file, from the folder of the warehouse"),
        text("content_hash", "Hash that it should have; null when no pointer says", nullable=True),
        label(
            "state",
            "'repaired': it was damaged and was made again; 'damaged': it is out of the views, reason says why",
            (WHOLE, REPAIRED, DAMAGED),
        ),
        Column("verified_at", Kind.TIMESTAMP, "When it was read to the last byte"),
        Column("damaged_at", Kind.TIMESTAMP, "When it was last found to be damaged", nullable=True),
        text("reason", "Why it was not made again, and what to type", nullable=True),
    ),
)

ALERT_KINDS = ("check", "run", "stale", "calendar", "rollout", "bb_width")
ALERT_STATES = ("open", "recovered", "noted")
NOTICE_EVENTS = ("raised", "reminder", "recovered")
NOTICE_STATES = ("waiting", "delivered", "given up")

ALERTS = Table(
    name="alerts",
    description="What needed attention: one row per alert from its raising to its recovery. What is seen again while "
    "its alert is open is counted there; after a recovery it is a new alert.",
    schemas=("operations",),
    key=("number",),
    partitioned=False,
    columns=(
        count("number", "1, 2, 3 ... in the order of raising", "alert"),
        text(
            "alert_key",
            "What is the same thing, for example: check v2/candles_5min bars 2026-06-30",
        ),
        label("kind", "What it is about", ALERT_KINDS),
        label("severity", "How bad it is", SEVERITIES),
        label("state", "'noted' is a change that nobody has to repair", ALERT_STATES),
        text("title", "What happened, in a few words"),
        text("message", "Reason, and likely cause where it is known, of the last time"),
        label("asset", "Asset it is about, schema/table", nullable=True),
        day("trading_day", "Trading day it is about", nullable=True),
        text("link", "Where to look in the UI"),
        text("run_id", "Run that showed it the last time", nullable=True),
        Column("first_seen", Kind.TIMESTAMP, "When it was the case for the first time"),
        Column("last_seen", Kind.TIMESTAMP, "When it was the case for the last time"),
        Column("recovered_at", Kind.TIMESTAMP, "When it was well again", nullable=True),
        text("recovered_by", "Run that showed it well again", nullable=True),
        Column("notified_at", Kind.TIMESTAMP, "When the last notice was made", nullable=True),
        count("occurrences", "How often it was seen while the alert was open", "times"),
    ),
)

ALERT_NOTICES = Table(
    name="alert_notices",
    description="The outbox of the alerts: one row per alert, event and channel, kept after delivery.",
    schemas=("operations",),
    key=("number",),
    partitioned=False,
    columns=(
        count("number", "1, 2, 3 ... in the order of making", "notice"),
        count("alert", "Number of the alert", "alert"),
        label("event", "What the message says", NOTICE_EVENTS),
        label("channel", "'log', or the environment variable that holds the receiver"),
        label("state", "Whether it was delivered", NOTICE_STATES),
        Column("created_at", Kind.TIMESTAMP, "When the notice was made"),
        count("attempts", "Attempts to deliver it", "attempts"),
        Column(
            "next_attempt_at", Kind.TIMESTAMP, "Not tried before; null at the end", nullable=True
        ),
        Column("delivered_at", Kind.TIMESTAMP, "When the receiver accepted it", nullable=True),
        text("last_error", "Why the last attempt failed, without secrets", nullable=True),
    ),
)

ACTS = ("muted", "acknowledged")
ACT_SUBJECTS = ("alert", "check", "table")

ALERT_ACTS = Table(
    name="alert_acts",
    description="What people did about alerts: one row per act, never changed or deleted. A mute ends by itself.",
    schemas=("operations",),
    key=("number",),
    partitioned=False,
    columns=(
        count("number", "1, 2, 3 ... in the order of acting", "act"),
        label("act", "What was done", ACTS),
        label("subject", "What 'name' is: the key of one alert, a check, a table", ACT_SUBJECTS),
        text("name", "What it is about, for example: bars"),
        text("actor", "Who did it"),
        text("reason", "Why; null where none was given", nullable=True),
        Column("recorded_at", Kind.TIMESTAMP, "When it was done"),
        count(
            "alert",
            "Number of the alert that was named; null for checks and tables",
            "alert",
            nullable=True,
        ),
        Column(
            "muted_until",
            Kind.TIMESTAMP,
            "When messages are sent again; null of an acknowledgement",
            nullable=True,
        ),
    ),
)

FETCH_STATES = ("success", "skipped", "failed")

FETCHES = Table(
    name="fetches",
    description="The last fetch of every instrument from the broker's API: one row per instrument and interval.",
    schemas=("operations",),
    key=("interval", "instrument_key"),
    partitioned=False,
    columns=(
        label("interval", "Kind of candle", ("1minute", "day")),
        INSTRUMENT_KEY,
        label("status", "'skipped': nothing was missing", FETCH_STATES),
        text("reason", "Why it failed, in one sentence; null otherwise", nullable=True),
        text("segments", "What was asked for, kind and sessions; null when nothing", nullable=True),
        count("requests", "Requests sent, repeated ones included", "requests"),
        count("candles", "Candles received", "candles"),
        count("provisional", "Of them those that the broker may still correct", "candles"),
        day("wanted_from", "First session that was to be complete"),
        day("wanted_to", "Last session that was to be complete"),
        Column("finished_at", Kind.TIMESTAMP, "When the last answer, or the failure, was there"),
    ),
)
