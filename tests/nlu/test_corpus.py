"""The reader of labelled sentences, and the sentences that ship."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from nlu.corpus import CorpusError, digest, read_corpus, read_intent, read_jsonl, read_marks, read_training
from nlu.environment import ROOT
from nlu.types import INTENTS, RULE_INTENTS, Entity

LEAK = """
intent: leak
name: 漏水
replies: {opened: 已登记}
sentences:
  - "[三号楼](building:3)漏水"
  - {text: 阀门滴水,只有[14度](temperature:14), also: [no_heat], severity: drip, need: yes}
"""


def write(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def test_marks_become_entities_with_offsets_into_the_plain_text(tmp_path: Path) -> None:
    plain, marked = read_intent(write(tmp_path, "leak.yml", LEAK.replace("[14度](temperature:14)", "14度")))
    assert plain.text == "三号楼漏水"
    assert plain.entities == (Entity("building", "3", "三号楼", 0, 3),)
    assert (marked.also, marked.severity, marked.need) == (("no_heat",), "drip", "yes")


def test_a_temperature_is_a_number() -> None:
    text, entities = read_marks("屋里[十五六度](temperature:15.5)")
    assert text == "屋里十五六度"
    assert entities == (Entity("temperature", 15.5, "十五六度", 2, 6),)


def test_the_value_of_a_number_is_its_digits() -> None:
    _, entities = read_marks("座机[0371-60008800](phone),手机[+86 138 0000 1111](phone),户号[１００２](account_no)")
    assert [entity.value for entity in entities] == ["037160008800", "13800001111", "1002"]


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ("intent: no_heat\nsentences: []", "name of the file"),
        ("intent: leak\nsentences: [3]", "mapping with `text`"),
        ("intent: leak\nsentences: [{text: a, also: [thanks]}]", "beside another"),
        ("intent: leak\nsentences: [{text: a, severity: huge}]", "none of burst, drip"),
        ("intent: leak\nsentences: ['[a](colour)']", "unknown entity"),
        ("intent: leak\nsentences: [{text: a, near: yes}]", "out_of_scope alone"),
    ],
)
def test_a_malformed_file_is_refused_with_a_hint(tmp_path: Path, content: str, hint: str) -> None:
    with pytest.raises(CorpusError, match=hint):
        read_intent(write(tmp_path, "leak.yml", content))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds no sentences"):
        read_corpus(tmp_path)


def test_a_verdict_corrects_the_corpus(tmp_path: Path) -> None:
    corpus = tmp_path / "intents"
    corpus.mkdir()
    write(corpus, "leak.yml", "intent: leak\nsentences: [水管漏, 阀门漏]")
    verdicts = write(tmp_path, "verdicts.jsonl", '{"text": "水管漏", "intent": "out_of_scope"}\n')
    sentences = read_training([corpus, verdicts])
    assert {s.text: s.intent for s in sentences} == {"阀门漏": "leak", "水管漏": "out_of_scope"}


def test_the_digest_names_the_sentences_whatever_their_order(tmp_path: Path) -> None:
    sentences = read_intent(write(tmp_path, "leak.yml", "intent: leak\nsentences: [水管漏, 阀门漏]"))
    assert digest(sentences) == digest(sentences[::-1]) != digest(sentences[:1])


def test_a_broken_line_is_named_by_file_and_number(tmp_path: Path) -> None:
    path = write(tmp_path, "held.jsonl", '{"text": "漏水", "intent": "leak"}\n\n{"text": 3}\n')
    with pytest.raises(CorpusError, match=r"held\.jsonl:3"):
        list(read_jsonl(path))


@pytest.mark.parametrize("intent", [intent for intent in INTENTS if intent not in RULE_INTENTS])
def test_every_intent_ships_with_sentences(intent: str) -> None:
    assert len(read_intent(ROOT / "data" / "intents" / f"{intent}.yml")) >= 50


def test_the_page_about_the_data_counts_right() -> None:
    page = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    told = {intent: int(count) for intent, count in re.findall(r"^\| `(\w+)` \| (\d+) \|$", page, re.MULTILINE)}
    counts = Counter(sentence.intent for sentence in read_corpus(ROOT / "data" / "intents"))
    assert set(told) == set(counts)
    # Corrections move a sentence now and then; the table need not follow each of them.
    assert {i: (told[i], n) for i, n in counts.items() if abs(told[i] - n) > 15 + n // 50} == {}
