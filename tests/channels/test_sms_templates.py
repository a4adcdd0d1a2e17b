"""Registered templates: nothing that may go out by SMS is without one, and each is what providers accept."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bot import sms_templates, texts
from bot.channels import Channel, Entry, OtherWay, Outgoing, SendError, Unknown, sms_aliyun, sms_tencent
from bot.channels.mainland import Template, choose, flat, send_all
from bot.cli import main
from bot.rules import RuleBook, _book, shipped
from bot.settings import Settings
from bot.sms_templates import BadFile, Wording, approved, flaws, missing, wordings
from bot.standins.aliyun import AliyunStandIn
from bot.standins.phones import Phones
from bot.standins.tencent import TencentStandIn
from bot.standins.transport import HttpTransport
from tests.channels.mainland import MAINLAND, served
from tests.channels.test_mainland_send import DOOR, PHONE

BOOK = _book(shipped(), 1, "0371-12345678")
PROVIDERS = ("aliyun", "tencent")


def filled_in(book: RuleBook, provider: str) -> list[str]:
    """The provider's table as an operator brings it back: every wording has its id."""
    rows = list(csv.DictReader(io.StringIO(sms_templates.write(book, provider))))
    out = io.StringIO()
    table = csv.DictWriter(out, sms_templates.COLUMNS)
    table.writeheader()
    for number, row in enumerate(rows, 100):
        table.writerow({**row, "id": f"SMS_{number}" if provider == "aliyun" else str(number)})
    return out.getvalue().splitlines(keepends=True)


@cache
def all_registered(provider: str) -> RuleBook:
    """The shipped rules once everything is approved."""
    return registered(BOOK, provider)


def registered(book: RuleBook, provider: str) -> RuleBook:
    """The rules once everything is approved."""
    rule = sms_templates.read(book, provider, filled_in(book, provider))
    return replace(book, raw={**book.raw, "sms_templates": rule})


def entry(key: str) -> Entry:
    """An entry with typical parameters."""
    if key == "consult.answer":
        return Entry(key, {"answer": BOOK.dialogue.answers[0].sms or BOOK.dialogue.answers[0].text})
    fixed = texts.known(BOOK)
    names = sms_templates.names(texts.wording(BOOK, key, "sms"))
    return Entry(key, {name: sms_templates.typical(name) for name in names if name not in fixed})


JOINS = [tuple(keys) for keys in BOOK.raw["sms_joined"]["joined"]]
REPLIES = [(key,) for key in BOOK.texts if key not in sms_templates.FREE] + JOINS


# --- what is registered


@pytest.mark.parametrize("wording", wordings(BOOK), ids=lambda wording: wording.key)
def test_no_provider_has_a_reason_to_refuse_a_wording(wording: Wording) -> None:
    assert flaws(wording) == []


def test_every_entry_and_every_answer_has_a_wording() -> None:
    entries = {wording.entry for wording in wordings(BOOK)}
    answers = {f"answer.{answer.id}" for answer in BOOK.dialogue.answers}
    assert entries == (set(BOOK.texts) - {"consult.answer"} - sms_templates.FREE) | answers


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("{address}{problem}好了", "beside one another"),
        ("{address}。", "nothing but parameters"),
        ("【暖线】好了", "a signature"),
        ("拒收请回复R", "a signature"),
        ("见https://a.cn", "a signature"),
        ("打13800001234", "personal contact"),
        ("好" * 501, "longer than 500"),
    ],
)
def test_what_providers_refuse_is_seen_before_it_is_sent_in(text: str, flaw: str) -> None:
    [found] = flaws(Wording("x", text))
    assert flaw in found


def test_a_wording_is_written_as_each_provider_wants_it() -> None:
    wording = next(wording for wording in wordings(BOOK) if wording.key == "status.accepted#note")
    assert wording.written_for("aliyun").startswith("您报的${problem}有人接了：${team}，会先联系您。${note}")
    assert wording.written_for("tencent").startswith("您报的{1}有人接了：{2}，会先联系您。{3}")


def test_the_hotline_is_part_of_the_wording() -> None:
    wording = next(wording for wording in wordings(BOOK) if wording.key == "system.received")
    assert "0371-12345678" in wording.text
    assert wording.params == ()


# --- what is sent


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("keys", REPLIES, ids="+".join)
def test_everything_we_may_say_is_said_by_registered_templates(provider: str, keys: tuple[str, ...]) -> None:
    book = all_registered(provider)
    entries = tuple(entry(key) for key in keys)
    said = "\n".join(texts.render(BOOK, one.key, "sms", one.params) for one in entries)
    chosen = choose(book, provider, Outgoing(PHONE, said, "7", entries=entries), 35)
    assert chosen
    wording = {approved(book.raw["sms_templates"], provider, one): one for one in wordings(BOOK)}
    told = " ".join(wording[template.id].text.format_map(template.values) for template in chosen)
    assert told.replace("；", " ") == flat(said).replace("；", " ")


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("key", ["staff.alert", "staff.job"])
def test_staff_are_told_in_short_what_is_too_free_for_a_template(provider: str, key: str) -> None:
    book = all_registered(provider)
    params = {
        "what": "煤气味",
        "address": "",
        "phone": "",
        "said": "说" * 99,
        "place": "阳光花园3号楼",
        "homes": "户" * 99,
    }
    told = Entry(key, {**params, "count": "3", "problems": "漏水", "number": ""})
    [template] = choose(book, provider, Outgoing(PHONE, "x" * 99, "7", entries=(told,)), 35)
    wording = next(one for one in wordings(BOOK) if one.key == f"{key}_short")
    assert template.id == approved(book.raw["sms_templates"], provider, wording)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_homes_to_choose_from_are_a_parameter_each(count: int) -> None:
    book = all_registered("aliyun")
    options = "\n".join(f"{number} 阳光花园{number}号楼2单元501室" for number in range(1, count + 1))
    [template] = choose(
        book, "aliyun", Outgoing(PHONE, "", "7", entries=(Entry("ask.home", {"options": options}),)), 35
    )
    assert list(template.values.values()) == options.splitlines()


def test_more_homes_than_any_template_has_room_for_are_not_sent_in_part() -> None:
    book = all_registered("aliyun")
    options = "\n".join(f"{number} 阳光花园{number}号楼2单元501室" for number in range(1, 8))
    with pytest.raises(OtherWay):
        choose(book, "aliyun", Outgoing(PHONE, "", "7", entries=(Entry("ask.home", {"options": options}),)), 35)


def test_a_combination_of_its_own_is_preferred_to_its_parts() -> None:
    book = all_registered("aliyun")
    rule = deepcopy(book.raw["sms_templates"])
    rule["templates"]["aliyun"]["danger.stay+ask.community"] = {"id": "SMS_9", "params": []}
    own = replace(book, raw={**book.raw, "sms_templates": rule})
    outgoing = Outgoing(PHONE, "", "7", entries=(Entry("danger.stay"), Entry("ask.community")))
    assert [template.id for template in choose(own, "aliyun", outgoing)] == ["SMS_9"]
    assert len(choose(book, "aliyun", outgoing)) == 2


def test_once_a_part_has_gone_out_the_rest_is_ambiguous() -> None:
    def second_fails(template: Template) -> str:
        if template.id == "2":
            raise OtherWay("no more today", code="X")
        return "REF"

    with pytest.raises(Unknown, match="only a part"):
        send_all([Template("1", {}), Template("2", {})], second_fails)
    with pytest.raises(OtherWay):
        send_all([Template("2", {}), Template("1", {})], second_fails)


@pytest.fixture
def aliyun() -> Iterator[tuple[Channel, Any]]:
    made = AliyunStandIn(MAINLAND, HttpTransport("http://127.0.0.1:1"), Phones())
    book = all_registered("aliyun")
    made.templates = {row["id"]: row["wording"] for row in csv.DictReader(filled_in(BOOK, "aliyun"))}
    with served(made.app()) as address:
        made.settings = replace(MAINLAND, aliyun_api=address)
        pick = lambda outgoing: choose(book, "aliyun", outgoing, 35)  # noqa: E731
        yield sms_aliyun.Aliyun(made.settings, DOOR, pick, sms_aliyun.Sdk(made.settings)), made


@pytest.fixture
def tencent() -> Iterator[tuple[Channel, Any]]:
    made = TencentStandIn(MAINLAND, HttpTransport("http://127.0.0.1:1"), Phones())
    book = all_registered("tencent")
    made.templates = {row["id"]: row["wording"] for row in csv.DictReader(filled_in(BOOK, "tencent"))}
    with served(made.app()) as address:
        made.settings = replace(MAINLAND, tencent_api=address)
        pick = lambda outgoing: choose(book, "tencent", outgoing)  # noqa: E731
        yield sms_tencent.Tencent(made.settings, DOOR, pick, sms_tencent.Sdk(made.settings)), made


@pytest.mark.slow
@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_provider_takes_every_one_of_them(provider: str, request: pytest.FixtureRequest) -> None:
    """Through the provider's own client, to a stand-in that is as strict as the provider with values and templates."""
    channel, standin = request.getfixturevalue(provider)
    refused = []
    for keys in REPLIES:
        entries = tuple(entry(key) for key in keys)
        try:
            channel.send(Outgoing(PHONE, "x", "7", entries=entries))
        except SendError as error:
            refused.append(("+".join(keys), error.code, error.reason))
    assert refused == []
    assert len(standin.messages) >= len(REPLIES)


# --- the operator's table


def run(settings: Settings, *arguments: str) -> Result:
    given = {"HEATLINE_DATABASE_URL": settings.database_url, "HEATLINE_DATA_KEY": settings.data_key}
    return CliRunner().invoke(main, ["sms", "templates", *arguments], env=given)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_table_goes_out_and_comes_back(provider: str, settings: Settings, tmp_path: Path) -> None:
    out = run(settings, provider)
    assert out.exit_code == 0
    assert f"{len(wordings(BOOK))} wordings are not registered with {provider}." in out.stderr
    file = tmp_path / "approved.csv"
    own = replace(BOOK, dialogue=replace(BOOK.dialogue, hotline="12345"))
    file.write_text("\ufeff" + "".join(filled_in(own, provider)), encoding="utf-8")
    back = run(settings, provider, "--approved", str(file))
    assert back.output.strip() == f"Every wording is registered with {provider}."
    again = run(settings, provider)
    assert "0 wordings" in again.stderr
    assert all(row["id"] for row in csv.DictReader(io.StringIO(again.stdout)))


def test_one_providers_table_leaves_the_others_alone() -> None:
    both = registered(registered(BOOK, "aliyun"), "tencent")
    assert missing(both, "aliyun") == missing(both, "tencent") == []


def test_what_is_still_to_be_registered_is_named(settings: Settings, tmp_path: Path) -> None:
    own = replace(BOOK, dialogue=replace(BOOK.dialogue, hotline="12345"))
    file = tmp_path / "approved.csv"
    lines = filled_in(own, "aliyun")
    file.write_text("".join(lines[:1] + lines[2:]), encoding="utf-8")
    assert (
        "1 wordings are not registered with aliyun, the first is ask.community"
        in run(settings, "aliyun", "--approved", str(file)).output
    )


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("ask.community,", "ask.nobody,", "the catalogue has no 'ask.nobody'"),
        ("您是哪个小区？,您", "您是哪里？,您", "ask.community now reads '您是哪个小区？'"),
        ("SMS_100", "100", "'100' is no template id"),
        ("key,wording", "k,w", "must name the columns"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_the_reason(old: str, new: str, complaint: str) -> None:
    table = "".join(filled_in(BOOK, "aliyun")).replace(old, new, 1).splitlines(keepends=True)
    with pytest.raises(BadFile, match=complaint):
        sms_templates.read(BOOK, "aliyun", table)


def test_a_wording_that_has_changed_since_is_to_be_registered_again() -> None:
    book = all_registered("aliyun")
    changed = replace(book, texts={**book.texts, "ask.community": {"*": "请问您是哪个小区？"}})
    assert [wording.key for wording in missing(changed, "aliyun")] == ["ask.community"]
