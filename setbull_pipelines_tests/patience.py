"""How long a test waits for something before it says that it hangs.

No measure of speed, and no test passes sooner or later for it: a machine that does ten other things needs ten times as
long, and only a test that fails waits to the end.
"""

PATIENCE = 900.0
"""Seconds."""
