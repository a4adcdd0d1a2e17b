"""The history of the tables; `bot.schema.upgrade` applies it."""
