"""The read API: the paths and answers of the replaced system over the served tables.

Belongs here: HTTP, the shapes of answers, starting a Dagster job when asked to. Does not belong here: computing, SQL,
writing tables. FastAPI is an optional extra: ``setbull api`` alone imports what is in here.
"""
