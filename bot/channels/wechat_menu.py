"""The menu under the chat (自定义菜单): from the rule `wechat_menu` to what WeChat takes, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bot.rules import RuleBook
from nlu.types import INTENTS

RULE = "wechat_menu"
# WeChat's limits (自定义菜单, menu/create); the names' are 4 and 8 Chinese characters as people see them.
COLUMNS, ENTRIES = 3, 5
COLUMN_NAME, ENTRY_NAME = 4, 8


def columns_of(book: RuleBook) -> list[dict[str, Any]]:
    """The rule as `menu/create` wants it."""
    return [_column(column) for column in book.raw.get(RULE, {}).get("columns", [])]


def _column(column: dict[str, Any]) -> dict[str, Any]:
    if "entries" in column:
        return {"name": column["name"], "sub_button": [_button(row) for row in column["entries"]]}
    return _button({**column.get("entry", {}), "name": column["name"]})


def _button(row: dict[str, Any]) -> dict[str, Any]:
    if row.get("url"):
        return {"type": "view", "name": row["name"], "url": row["url"]}
    return {"type": "click", "name": row["name"], "key": row.get("intent", "")}


def problems_of(book: RuleBook) -> Iterator[str]:
    """What WeChat or the dialogue would not take, one sentence each."""
    columns = columns_of(book)
    if not 1 <= len(columns) <= COLUMNS:
        yield f"The menu has {len(columns)} columns; WeChat shows 1 to {COLUMNS}."
    for column in columns:
        rows = column.get("sub_button")
        if len(column["name"]) > COLUMN_NAME:
            yield f"The menu's column {column['name']} is longer than {COLUMN_NAME} characters."
        if rows is not None and not 1 <= len(rows) <= ENTRIES:
            yield f"The menu's column {column['name']} has {len(rows)} entries; WeChat shows 1 to {ENTRIES}."
        for row in rows if rows is not None else [column]:
            if rows is not None and len(row["name"]) > ENTRY_NAME:
                yield f"The menu's entry {row['name']} is longer than {ENTRY_NAME} characters."
            if row["type"] == "click" and row["key"] not in INTENTS:
                yield f"The menu's entry {row['name']} has no intent that there is ({row['key'] or 'none'})."
