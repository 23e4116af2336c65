"""The two implementations of every computed table: ``V1``, the plain reference, and ``V2``, the fast one.

Belongs here: the two objects of one protocol. Does not belong here: code that both would share, Dagster,
files. ``variants/v1`` and ``variants/v2`` never import from each other.
"""

from setbull_pipelines.variants import v1, v2
from setbull_pipelines.variants.protocol import Variant

V1: Variant = v1
V2: Variant = v2

__all__ = ["V1", "V2", "Variant"]
