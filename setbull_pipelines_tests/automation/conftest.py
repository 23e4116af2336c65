"""The small finished run."""

from setbull_pipelines_tests.pipeline.small_run import small_run

__all__ = ["small_run"]
