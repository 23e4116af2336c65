"""Jobs, schedules and sensors: when runs start, and how runs end whose process is gone.

Does not belong here: computing.
"""
