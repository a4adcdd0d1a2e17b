"""Alembic's door to our tables. It is opened by `bot.schema` only, which hands over a connection inside a transaction."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy.types import TypeDecorator

from bot.models import Base


def _plain_types(type_: str, item: Any, _autogen: AutogenContext) -> str | Literal[False]:
    """Write `sa.LargeBinary()` for our Encrypted: a migration must still run when today's classes are gone."""
    if type_ == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    return False


def _run() -> None:
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_item=_plain_types,
        # SQLite changes a column by copying its table; on PostgreSQL the same lines are plain ALTERs.
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()


_run()
