"""Everything that the UI shows says what it is: nothing is added without words, units, owner and types."""

from __future__ import annotations

import warnings

import dagster as dg
import pytest
from dagster import ConfigurableResource
from dagster._config import ConfigType, ConfigTypeKind
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from setbull_pipelines import tables
from setbull_pipelines.assets.describing import OWNERS
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.resources import CatalogResource, WarehouseResource

NUMERIC = ("DOUBLE", "BIGINT")
NO_TABLE = {"raw/fetched", "operations/catalog", "operations/maintenance"}
"""A folder of files, a file of views, a clean-up; and pictures, which are the group 'charts'."""
SHORTEST = 15


@pytest.fixture(scope="module")
def definitions(tmp_path_factory) -> dg.Definitions:
    return build_defs(Settings(data_directory=tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def repository(definitions) -> dg.RepositoryDefinition:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return definitions.get_repository_def()


@pytest.fixture(scope="module")
def graph(repository) -> AssetGraph:
    return repository.asset_graph


def undocumented(config: ConfigType, path: str) -> list[str]:
    """Fields of a launchpad without type, help text or, where they are not required, default."""
    if config.kind is ConfigTypeKind.ANY:
        return [f"{path}: untyped"]
    found = []
    for name, field in getattr(config, "fields", {}).items():
        here = f"{path}.{name}"
        if len(field.description or "") < SHORTEST:
            found.append(f"{here}: no help text")
        if field.is_required:
            found.append(f"{here}: no safe default")
        found += undocumented(field.config_type, here)
    return found


def test_every_asset_has_words_an_owner_a_kind_and_a_group(graph) -> None:
    assert len(list(graph.asset_nodes)) > 50
    for node in graph.asset_nodes:
        name = node.key.to_user_string()
        assert len(node.description or "") > SHORTEST, f"{name} has no description"
        assert node.group_name in OWNERS, f"{name} is in group {node.group_name}"
        assert list(node.owners) == [OWNERS[node.group_name]], f"{name} has no owner"
        kinds = [tag for tag in node.tags if tag.startswith("dagster/kind/")]
        assert kinds, f"{name} has no kind"


def test_every_table_shows_every_column_with_words_and_units(graph) -> None:
    for node in graph.asset_nodes:
        name = node.key.to_user_string()
        if name in NO_TABLE or node.group_name == "charts":
            continue
        schema = node.metadata.get("dagster/column_schema")
        assert schema is not None, f"{name} has no column schema"
        for column in schema.columns:
            assert column.description, f"{name}.{column.name} has no description"
            if column.type in NUMERIC:
                assert column.description.endswith("]"), f"{name}.{column.name} has no unit"


def test_every_column_of_every_table_has_words_and_numbers_have_units() -> None:
    """Also of those tables that are no assets, such as the cells of a reconciliation."""
    for table in tables.ALL_TABLES:
        assert len(table.description) > SHORTEST, table.name
        for column in table.columns:
            assert column.description, f"{table.name}.{column.name}"
            if column.kind.duckdb_type in NUMERIC:
                assert column.unit, f"{table.name}.{column.name} has no unit"


def test_computed_and_served_tables_show_where_each_column_is_from(graph) -> None:
    for table in (*tables.COMPUTED_TABLES, *tables.SERVED_TABLES):
        for schema in table.schemas:
            if table is tables.SERVED.get(table.name) or schema in ("v1", "v2"):
                key = dg.AssetKey([schema, table.name])
                check_lineage(graph, key, table.column_names)


def test_the_plan_of_the_groups_shows_where_each_column_is_from(graph) -> None:
    plan = tables.GROUP_EXECUTION_PLAN
    key = dg.AssetKey(["served", plan.name])
    check_lineage(graph, key, plan.column_names)
    lines = graph.get(key).description.splitlines()
    for column in plan.value_columns:
        (line,) = (row for row in lines if row.startswith(f"| {column.name} |"))
        for source in column.sources:
            assert ".".join(source) in line, column.name


def check_lineage(graph, key: dg.AssetKey, columns: list[str]) -> None:
    """Every column is from columns that exist, of assets that its asset depends on."""
    lineage = graph.get(key).metadata["dagster/column_lineage"]
    assert set(lineage.deps_by_column) == set(columns)
    for column, deps in lineage.deps_by_column.items():
        assert deps, f"{key.to_user_string()}.{column}"
        assert len(set(deps)) == len(deps), f"{key.to_user_string()}.{column} names one twice"
        for dep in deps:
            assert dep.asset_key in graph.get(key).parent_keys, (key, column, dep)
            of = graph.get(dep.asset_key).metadata["dagster/column_schema"]
            assert dep.column_name in {each.name for each in of.columns}, (key, dep)


def test_every_formula_of_a_computed_table_is_in_its_description(graph) -> None:
    for table in tables.COMPUTED_TABLES:
        for variant in ("v1", "v2"):
            text = graph.get(dg.AssetKey([variant, table.name])).description
            assert "/assets/reconciliation/" in text
            for column in table.value_columns:
                (line,) = (row for row in text.splitlines() if row.startswith(f"| {column.name} |"))
                for source in column.sources:
                    assert ".".join(source) in line, f"{variant}/{table.name}.{column.name}"


def test_every_job_schedule_sensor_and_check_says_what_it_does(repository, graph) -> None:
    named = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    everything = [*named, *repository.schedule_defs, *repository.sensor_defs]
    assert len(everything) > 10
    for each in everything:
        assert len(each.description or "") > SHORTEST, f"{each.name} has no description"
    checks = list(graph.asset_check_nodes)
    assert len(checks) > 100
    for check in checks:
        assert len(check.description or "") > SHORTEST, check.key.to_user_string()


def test_every_launchpad_field_is_typed_with_a_help_text_and_a_safe_default(graph) -> None:
    fields = 0
    for asset in graph.assets_defs:
        if not asset.is_executable:
            continue
        schema = asset.op.config_schema.config_type
        wrong = undocumented(schema, asset.op.name)
        assert not wrong, wrong
        fields += len(getattr(schema, "fields", {}))
    assert fields >= 5, "no launchpad field at all: the test has nothing to see"


def test_every_field_of_the_resources_has_a_help_text(repository) -> None:
    resources = {"warehouse": WarehouseResource, "duckdb": CatalogResource}
    assert set(repository.get_top_level_resources()) == set(resources)
    for resource in resources.values():
        assert issubclass(resource, ConfigurableResource)
        for name, field in resource.model_fields.items():
            assert len(field.description or "") > SHORTEST, name


def test_an_untyped_or_silent_field_is_seen() -> None:
    silent = dg.Field(int, is_required=True)
    told = dg.Field(int, default_value=1, description="How many sessions are drawn.")
    found = undocumented(dg.Shape({"days": silent, "sessions": told}), "op")
    assert found == ["op.days: no help text", "op.days: no safe default"]
    assert undocumented(dg.Field(dg.Any).config_type, "op") == ["op: untyped"]
