"""Tables about running the pipeline: what was decided, when and why."""

from __future__ import annotations

from setbull_pipelines.tables.columns import count, day, flag, label, text
from setbull_pipelines.tables.contract import Column, Kind, Table

COMPONENTS = ("aggregation", "indicators", "sequences")
STAGES = ("off", "shadow", "10", "50", "100", "sampled", "retired")
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
        label("code_version", "Version of the tested code"),
        Column("recorded_at", Kind.TIMESTAMP, "When the test ended"),
    ),
)
