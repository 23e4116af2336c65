"""The small finished run, for the tests of this folder."""

from setbull_pipelines_tests.pipeline.small_run import small_run

__all__ = ["small_run"]
