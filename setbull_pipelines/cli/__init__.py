"""The console command ``setbull``.

Belongs here: options, progress, and results as text. Does not belong here: anything a scheduled run would
need too (that is in ``assets/``, ``pipeline/``, ``automation/``).
"""
