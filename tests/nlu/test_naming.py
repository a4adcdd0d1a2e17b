"""Names of estates that no list knows: how the tagger's word is weighed against list and rules, and what it learns."""

from __future__ import annotations

from typing import Any

import pytest

from nlu.entities import extract
from nlu.naming import EXTRACTOR, Learnt, learnt_names
from nlu.places import default_gazetteer
from tests.nlu.test_learning import ask


def communities(text: str, *learnt: tuple[str, float], asked: bool = True) -> list[str]:
    """The estates read from `text`, where the tagger gave these stretches these probabilities."""
    said = [Learnt(text.index(name), text.index(name) + len(name), share) for name, share in learnt]
    found = extract(text, default_gazetteer(), said if asked else None)
    return [str(entity.value) for entity in found if entity.entity == "community"]


def answer(text: str, name: str, probability: float = 0.9) -> dict[str, Any]:
    start = text.index(name)
    found = {"entity": "community", "start": start, "end": start + len(name), "value": name}
    return {"names_tagged": True, "entities": [{**found, "confidence_entity": probability, "extractor": EXTRACTOR}]}


def test_where_the_tagger_is_sure_its_boundary_counts() -> None:
    text = "师傅救命蓝堡湾9号楼漏水"
    assert communities(text, asked=False) == ["救命蓝堡湾"]
    assert communities(text, ("蓝堡湾", 0.9)) == ["蓝堡湾"]


def test_against_the_rules_the_tagger_must_be_surer() -> None:
    assert communities("师傅救命蓝堡湾9号楼漏水", ("蓝堡湾", 0.6)) == ["救命蓝堡湾"]
    assert communities("就在永恒理想城不热", ("永恒理想城", 0.6)) == ["永恒理想城"]


def test_a_name_by_form_that_the_tagger_denies_is_dropped() -> None:
    assert communities("英语第四单元单词听写，听小区老人讲", asked=True) == []


def test_a_listed_name_counts_whatever_the_tagger_says() -> None:
    assert communities("升龙又一城3号楼不热") == ["升龙又一城"]
    assert communities("升龙又一城3号楼不热", ("又一城", 0.9)) == ["升龙又一城"]


@pytest.mark.parametrize("whole", ["绿城百合全小区", "绿城百合整个小区", "绿城百合我们小区"])
def test_a_listed_name_ends_where_the_whole_estate_is_spoken_of(whole: str) -> None:
    assert communities(f"{whole}都没暖气", (whole, 0.9)) == ["绿城百合"]


def test_an_unlisted_name_keeps_its_script_in_half_width_without_blanks() -> None:
    assert communities("龍湖 壹號２期3號樓不熱", ("龍湖 壹號２期", 0.9)) == ["龍湖壹號2期"]


def test_building_and_room_are_read_behind_a_learnt_name() -> None:
    text = "永恒理想城6-1-502"
    found = extract(text, None, [Learnt(0, 5, 0.9)])
    values = [(entity.entity, entity.value) for entity in found]
    assert values == [("community", "永恒理想城"), ("building", "6"), ("unit", "1"), ("room", "502")]


def test_the_servers_answer_is_read_from_where_the_sent_text_began() -> None:
    assert learnt_names("/ 蓝堡湾9号楼", answer("蓝堡湾9号楼", "蓝堡湾"), dropped=2) == [Learnt(2, 5, 0.9)]


def test_a_stretch_that_does_not_fit_the_text_is_passed_over() -> None:
    assert learnt_names("别的话", answer("蓝堡湾9号楼", "蓝堡湾")) == []


def test_a_model_without_a_tagger_leaves_the_rules_alone() -> None:
    assert learnt_names("蓝堡湾9号楼", {"entities": []}) is None


LEARN = """
import tempfile
from pathlib import Path
from nlu.server.learning.tagger import Tagger
names = ["蓝堡湾", "阳光里", "翠竹苑", "永恒理想城", "金桂园", "海棠湾", "锦绣南苑", "白沙润城"]
said = [("我住", "3号楼不热"), ("我家在", "5号楼漏水"), ("地址是", "9栋2单元501"), ("", "7号楼冰凉")]
samples = [(a + n + b, ((len(a), len(a + n)),)) for n in names for a, b in said]
samples += [(text, ()) for text in ("家里暖气不热", "师傅什么时候来", "今天屋里15度", "谢谢你们") * 4]
"""


@pytest.mark.model
def test_the_tagger_finds_a_name_it_never_saw_and_none_where_none_is() -> None:
    code = LEARN + "tagger = Tagger.train(samples, rarest=1)\n"
    code += "answer = [[text[n.start:n.end] for n in tagger.names(text) if n.probability > 0.5] for text in args[0]]"
    assert ask(code, ["我住云鹤湾3号楼不热", "师傅今天来不来", "", "　"]) == [["云鹤湾"], [], [], []]


@pytest.mark.model
def test_training_the_tagger_repeats_itself_and_survives_the_archive() -> None:
    code = LEARN + "one, two = (Tagger.train(samples, rarest=1) for _ in range(2))\n"
    code += "with tempfile.TemporaryDirectory() as folder:\n    one.save(Path(folder))\n    read = Tagger.load(Path(folder))\n"
    code += "answer = [[[n.start, n.end, n.probability] for n in t.names(args[0])] for t in (one, two, read)]"
    first, second, kept = ask(code, "我住云鹤湾3号楼不热")
    assert first
    assert first == second == kept


@pytest.mark.model
def test_probabilities_of_the_chain_add_up() -> None:
    code = "import numpy as np\nfrom nlu.server.learning.crf import Chain\n"
    code += "rng = np.random.default_rng(1)\nchain = Chain(np.zeros((1, 4)), rng.normal(size=(4, 4)))\n"
    code += "gamma, pairs, _ = chain.marginals(rng.normal(size=(7, 4)), np.zeros((4, 4)))\n"
    code += "answer = [bool(np.allclose(gamma.sum(axis=1), 1)), bool(np.allclose(pairs.sum(axis=2), gamma[:-1]))]"
    assert ask(code) == [True, True]
