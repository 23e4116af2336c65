"""Fixtures of the tests of the API."""

from setbull_pipelines_tests.api.running import grouped_run
from setbull_pipelines_tests.pipeline.small_run import copied_run, small_run

__all__ = ["copied_run", "grouped_run", "small_run"]
