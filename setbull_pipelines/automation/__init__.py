"""Jobs and schedules. Does not belong here: computing."""
