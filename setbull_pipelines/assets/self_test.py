"""The asset that runs the self-test of the reconciliation and stores its score.

Belongs here: its definition and metadata, and the moment of the test. Does not belong here: mutants
(``reconciliation/self_test``), the stored rows (``pipeline/self_testing.py``).
"""

import dagster as dg

from setbull_pipelines.assets.checking import check_specs
from setbull_pipelines.assets.common import asset_key, asset_spec
from setbull_pipelines.assets.lane import Lane
from setbull_pipelines.pipeline import self_testing
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.reconciliation.report import markdown_self_test
from setbull_pipelines.reconciliation.self_test.score import run_self_test
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import WHOLE
from setbull_pipelines.warehouse.resources import WarehouseResource

SELF_TEST_KEY = asset_key(self_testing.STORED)


def build_self_test_asset(settings: Settings) -> dg.AssetsDefinition:
    """Replaces ``operations.self_test``; a fault that was missed is a stored row, not a failed run."""
    stored = self_testing.STORED
    spec = asset_spec(
        stored, group="operations", code_version=self_testing.self_test_code_version()
    )

    @dg.multi_asset(
        name="self_testing", specs=[spec], check_specs=check_specs([stored]), can_subset=True
    )
    def self_test(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        store = warehouse.open()
        lane = Lane(context, store, settings)
        if context.selected_asset_keys:
            result = run_self_test()
            pointer = self_testing.publish_self_test(result, store, now(), context.run_id)
            yield lane.materialized(
                stored,
                pointer,
                {
                    "faults": len(result.outcomes),
                    "caught": result.caught,
                    "diagnosed": result.diagnosed,
                    "rightly of unknown shape": result.rightly_unknown,
                    "controls": len(result.controls),
                    "false alarms": len(result.false_alarms),
                    "one trading day at a time": result.days.sentence,
                    "score": dg.MetadataValue.md(markdown_self_test(store.read(stored, [WHOLE]))),
                },
            )
        yield from lane.end()

    return self_test
