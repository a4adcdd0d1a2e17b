"""Everything residents can be told exists, has its parameters, fits a text message and names no stray number."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from itertools import product
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.rules import _book, shipped
from bot.settings import ROOT
from bot.texts import address_line, render

BOOK = _book(shipped(), 1, "12345")
MEDIA = ("wechat", "sms")
PARTS = ("community", "building", "unit", "room")
FAULTS = ("no_heat", "low_temperature", "open_valve", "other_repair", "billing")
# What the braces of an f-string key may hold, by the source of the expression.
VARIANTS = {
    "part": (*PARTS, "severity", "confirm_community"),
    "again": ("", "_again"),
    "question": PARTS,
    "waiting": ("confirm_community", *PARTS, "phone", "severity", "problem", "home", "ticket", "offer"),
    "conversation.waiting_for": PARTS,
    "turn.conversation.waiting_for": PARTS,
    "whose": ("numbers", "gas", "water", "power", "property"),
    "severity": ("burst", "drip"),
    "who": ("self", "there"),
    "case.intent": (*FAULTS, "leak", "danger"),
    "case.danger or 'unclear'": ("gas", "fire", "carbon_monoxide", "shock", "collapse", "unclear"),
    "case.severity or 'unclear'": ("burst", "drip", "unclear"),
}
# Questions that have no second wording; leaks and dangers open with whatever is known.
IMPOSSIBLE = {"ask.severity_again", "ask.confirm_community_again", "leak.opened_incomplete", "danger.opened_incomplete"}
IMPOSSIBLE |= {f"{intent}.opened{where}" for intent in FAULTS for where in ("_at", "_at_home")}
TYPICAL = {
    "number": "N20261123-0007",
    "address": "阳光花园3号楼2单元501室",
    "problem": "暖气不热",
    "team": "二七班组",
    "phone": "13800001234",
    "start": "11月15日",
    "end": "3月14日",
    "community": "阳光花园",
    "note": "等配件，明天上午到。",
    "state": "已派给二七班组",
    "company": "供热公司",
    "options": "1 暖气不热\n2 暖气不够热\n3 漏水",
    "answer": "答案另有检查",
    "option": "暖气别的毛病",
    "degrees": "20.5",
    "code": "123456",
    "next": "师傅接了单会先联系您，再上门",
    "minutes": "10",
    "place": "阳光花园3号楼2单元501室",
    "count": "3",
    "person": "责任人",
    "rung": "督办",
    "late": "超过时限",
    "into": "N20261123-0008",
    "name": "邻城热力",
    "what": "爆管喷水",
    "said": "“暖气管爆了”。",
    "people": "张三、李四",
    "problems": "暖气不热、漏水",
    "homes": "2单元501室13800001234",
    "numbers": "N20261123-0007、N20261123-0008",
    "since": "10:30",
    "tickets": "N20261123-0007阳光花园3号楼1次",
    "part": "N20261123-0009",
}
# Wordings that take two text messages, with their length: safety and choices are worth it. A shorter one leaves the list.
LONGER: dict[str, int] = {}
CHOICES = {
    "ask.home": "1 阳光花园3号楼2单元501室\n2 金水路12号院5号楼1单元202室",
    "ask.ticket": "1 阳光花园3号楼2单元501室暖气不热\n2 阳光花园3号楼2单元501室漏水",
}
NUMBERS = {"110", "119", "120", "12345"}


def calls() -> Iterator[tuple[Path, ast.Call]]:
    """Every Reply(…) of the dialogue."""
    for path in sorted((ROOT / "handlers").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Reply":
                yield path, node


Known = dict[str, set[str]]


def keys_in(node: ast.expr, known: Known) -> set[str]:
    """Every text that an expression can be. Raises LookupError where that cannot be seen."""
    if isinstance(node, ast.Constant):
        return {str(node.value)}
    if isinstance(node, ast.IfExp):
        return keys_in(node.body, known) | keys_in(node.orelse, known)
    if isinstance(node, ast.JoinedStr):
        pieces = [
            keys_in(piece.value if isinstance(piece, ast.FormattedValue) else piece, known) for piece in node.values
        ]
        return {"".join(choice) for choice in product(*pieces)}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Dict):
        values = [*node.func.value.values, *node.args[1:]]  # {"a": key}.get(…, f"…")
        return set().union(*(keys_in(value, known) for value in values))
    written = ast.unparse(node)
    if written in VARIANTS:
        return set(VARIANTS[written])
    if isinstance(node, ast.Name) and known.get(node.id):
        return known[node.id]
    raise LookupError(written)


def assigned(trees: Iterable[ast.AST]) -> Known:
    """What names can be: from their assignments, from defaults of parameters, and from what callers give by name."""
    found: Known = {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        for name, value in _bindings(node):
            with suppress(LookupError):
                found.setdefault(name, set()).update(keys_in(value, {}))
    return found


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign):
        target, value = node.targets[0], node.value
        pairs = zip(target.elts, value.elts, strict=False) if _both_tuples(target, value) else [(target, value)]  # type: ignore[attr-defined]
        yield from ((target.id, value) for target, value in pairs if isinstance(target, ast.Name))
    elif isinstance(node, ast.keyword) and node.arg:
        yield node.arg, node.value
    elif isinstance(node, ast.arguments) and node.defaults:
        yield from zip([a.arg for a in node.args[-len(node.defaults) :]], node.defaults, strict=True)


def _both_tuples(*nodes: ast.expr) -> bool:
    return all(isinstance(node, ast.Tuple) for node in nodes)


@cache
def emitted() -> frozenset[str]:
    """Every key that the dialogue can emit."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "handlers").rglob("*.py"))}
    shared = assigned(trees.values())
    keys: set[str] = set()
    for path, call in calls():
        own = assigned([trees[path]])
        try:
            keys |= {key for key in keys_in(call.args[0], {**shared, **own, "key": shared["key"]}) if "." in key}
        except LookupError as unseen:
            raise AssertionError(f"{path}: say in VARIANTS what {unseen} can be") from None
    return frozenset(keys - IMPOSSIBLE)


def test_the_walk_finds_what_the_dialogue_says() -> None:
    assert len(emitted()) > 80
    assert {"ask.room_again", "danger.unclear", "leak.is_burst", "no_heat.opened_incomplete"} <= emitted()


def test_every_key_that_the_dialogue_can_say_is_in_the_catalogue() -> None:
    assert set() == emitted() - set(BOOK.texts)


def test_every_key_of_the_service_itself_is_in_the_catalogue() -> None:
    said = set()
    for path in (ROOT / "bot").glob("*.py"):
        said |= set(re.findall(r'"((?:system|report|status)\.[a-z_]+)"', path.read_text(encoding="utf-8")))
    assert said
    assert set() == said - set(BOOK.texts)


def test_every_status_that_is_told_has_its_words() -> None:
    assert {f"status.{status}" for status in BOOK.told_statuses} <= set(BOOK.texts)


def test_nothing_of_the_catalogue_is_never_said() -> None:
    ours = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "bot").glob("*.py"))
    endings = {
        f"{intent}.{ending}"
        for intent in (*FAULTS, "leak", "danger", "several")
        for ending in ("joined", "joined_other")
    }
    indirect = {key for key in BOOK.texts if key.startswith(("status.", "system."))} | endings
    indirect |= {key for key in BOOK.texts if key.endswith("_short")}  # mainland SMS: bot/channels/mainland.py
    assert {
        key for key in set(BOOK.texts) - emitted() - indirect if key not in ours and not key.startswith("report.")
    } == set()


@pytest.mark.parametrize("medium", MEDIA)
@pytest.mark.parametrize("key", sorted(BOOK.texts))
def test_every_wording_can_be_said_with_what_is_known(key: str, medium: str) -> None:
    said = render(BOOK, key, medium, TYPICAL)
    assert said.strip() == said
    assert said
    assert "{" not in said


@pytest.mark.parametrize("key", sorted(BOOK.texts))
def test_both_media_are_told_of_the_same_ticket(key: str) -> None:
    wordings = BOOK.texts[key].values()
    named = {
        frozenset(name for _, name, _, _ in Formatter().parse(words) if name in ("number", "options"))
        for words in wordings
    }
    assert len(named) == 1


@pytest.mark.parametrize("key", sorted(BOOK.texts))
def test_a_text_message_has_room_for_it(key: str) -> None:
    options = CHOICES.get(key, TYPICAL["options"])
    length = len(render(BOOK, key, "sms", {**TYPICAL, "options": options}))
    if key in LONGER:
        assert length == LONGER[key] > 70, f"{key} has {length} characters; correct the list LONGER"
    else:
        assert length <= 70, f"{key} has {length} characters"


def test_every_answer_has_a_wording_that_fits_a_text_message() -> None:
    long = {answer.id: len(answer.sms or answer.text) for answer in BOOK.dialogue.answers}
    assert {name: length for name, length in long.items() if length > 70} == {}


def test_residents_are_shown_no_other_number() -> None:
    texts = [words for wordings in BOOK.texts.values() for words in wordings.values()]
    texts += [text for answer in BOOK.dialogue.answers for text in (answer.text, answer.sms or "")]
    for text in texts:
        plain = re.sub(r"\{\w+\}|\d+\.\d+|20\d\d年?|\d+月|\d+日|\d+号楼|\d+单元", "", text)
        assert set(re.findall(r"\d{3,}", plain)) - {"501"} <= NUMBERS, text


def test_the_configured_hotline_is_the_one_that_is_shown() -> None:
    book = _book(shipped(), 1, "0371-66668888")
    assert "0371-66668888" in render(book, "human_agent.promised", "sms", {})


def test_an_unknown_key_or_a_missing_parameter_is_an_error() -> None:
    with pytest.raises(KeyError):
        render(BOOK, "no.such.key", "sms", {})
    with pytest.raises(KeyError):
        render(BOOK, "status.done", "sms", {"number": "N1"})


@given(st.text(max_size=30))
def test_what_residents_wrote_is_repeated_and_never_read_as_a_wording(name: str) -> None:
    assert f"“{name}”" in render(BOOK, "ask.confirm_community", "sms", {"community": name})


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        (("阳光花园", "3", "2", "501"), "阳光花园3号楼2单元501室"),
        (("阳光花园", "A座", None, "5楼东户"), "阳光花园A座5楼东户"),
        ((None, None, None, None), ""),
        (("阳光花园", None, "东门", None), "阳光花园东门"),
    ],
)
def test_addresses_are_read_out_as_people_say_them(parts: tuple[str | None, ...], line: str) -> None:
    assert address_line(*parts) == line
