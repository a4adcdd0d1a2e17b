"""The dialogue, pure: one file per intent; `ls` is what the bot can do.

Nothing here knows a database, a network or a clock: a handler is given a Turn and answers with an Outcome.
"""
