"""Fixtures of the tests of the doctor."""

from setbull_pipelines_tests.pipeline.small_run import copied_run, small_run

__all__ = ["copied_run", "small_run"]
