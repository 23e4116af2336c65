"""The console command ``setbull``.

Belongs here: options, progress, and results as text. Does not belong here: anything a scheduled run would
need too (that is in ``assets/``, ``pipeline/``, ``automation/``).
"""

import gc

# As the definitions do, before anything else is imported: half a million objects come with modules, and searching
# them for garbage took a third of the processor time of a run that has nothing to do.
gc.set_threshold(50_000, 25, 25)
