"""What the NLU server computes, asked in its own Python: text, words, concepts, and that training repeats itself."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from nlu.environment import ROOT, server_environment, server_python

pytestmark = pytest.mark.model


def ask(code: str, *arguments: Any) -> Any:
    """Run `code` in the server's environment with `arguments` bound to `args`; its `answer` comes back."""
    script = f"import json, sys\nargs = json.loads(sys.argv[1])\n{code}\nprint(json.dumps(answer))"
    command = [str(server_python()), "-W", "ignore", "-c", script, json.dumps(arguments)]
    done = subprocess.run(command, cwd=ROOT, env=server_environment(), capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


LEXICON = """
from pathlib import Path
from nlu.server.learning.features import Lexicon
lexicon = Lexicon.read(Path("data/lexicon"))
"""


def test_every_spelling_of_a_message_becomes_one() -> None:
    code = LEXICON + "from nlu.server.learning.text import normalise\n"
    code += "answer = [normalise(text, lexicon.variants) for text in args[0]]"
    texts = [
        "暖氣片不熱",
        "暖汽片不惹",
        "１５度",
        "nuan qi bu re",
        "tire",
        "冷冷冷冷冷冷",
        "漏水\u200b了\x00",
        "🥶\ufe0f",
        "",
    ]
    assert ask(code, texts) == ["暖气片不热", "暖气片不热", "15度", "暖气 不热", "tire", "冷冷冷", "漏水 了", "🥶", ""]


def test_our_words_stay_whole_and_jieba_itself_unchanged() -> None:
    code = LEXICON + "import jieba\nfrom nlu.server.learning.words import Segmenter\n"
    code += "answer = [[w for w, _ in Segmenter(lexicon.dictionary).words(args[0])], bool(jieba.dt.initialized)]"
    words, global_loaded = ask(code, "分水器旁边的锁闭阀漏水")
    assert {"分水器", "锁闭阀", "漏水"} <= set(words)
    assert not global_loaded


@pytest.mark.parametrize(
    ("text", "concept"),
    [
        ("屋里11度", "reading_icy"),
        ("只有十五度", "reading_low"),
        ("仨屋没一间过16", "reading_low"),
        ("片子上头那一拃是热的,下头摸着凉", "partly"),
        ("21℃挺好", "reading_ok"),
        ("零下三度", "reading_icy"),
        ("3号楼501", "address"),
        ("打13800001111", "phone"),
        ("没一点热气", "not_hot"),
        ("客厅16.2", "reading_low"),
        ("接头没再漏", "not_leak_word"),
        ("接头漏了", "leak_word"),
    ],
)
def test_a_concept_is_found(text: str, concept: str) -> None:
    code = LEXICON + "from nlu.server.learning.concepts import ConceptLexicon\n"
    code += "from nlu.server.learning.text import normalise\n"
    code += "answer = ConceptLexicon(lexicon.concepts).sequence(normalise(args[0]))"
    assert concept in ask(code, text)


def test_altered_copies_repeat_with_the_seed_and_keep_their_label() -> None:
    code = """
from nlu.server.learning.augment import augment
from nlu.types import Sentence
sentences = [Sentence(f"暖气不热，第{n}次了！", "no_heat") for n in range(100)]
first, again, other = augment(sentences, 1), augment(sentences, 1), augment(sentences, 2)
answer = [first == again, first != other, {s.intent for _, s in first} == {"no_heat"}, 10 < len(first) < 50]
"""
    assert ask(code) == [True, True, True, True]


def test_a_hollow_module_can_be_named_but_not_used() -> None:
    code = """
from nlu.server import hollow
hollow.install(["tensorflow"])
import tensorflow as tf
class Layer(tf.keras.layers.Layer): pass
def annotated(x: tf.Tensor | None) -> None: pass
try:
    tf.constant(1.0)
    answer = "computed"
except RuntimeError as error:
    answer = str(error)
"""
    assert "tensorflow.constant is left out" in ask(code)


DECISION = """
import numpy as np
from nlu.server.learning.beside import LEARNT, Beside
def row(**scores):
    return np.array([[scores.get(name, 0.0) for name in LEARNT]])
def said(beside, top, **scores):
    chosen = beside.choose(np.array([LEARNT.index(top)]), row(**scores))[0]
    return [name for name, yes in zip(LEARNT, chosen) if yes]
"""


def test_besides_the_primary_intent_only_known_pairs_are_said() -> None:
    code = (
        DECISION
        + """
pairs = np.zeros((len(LEARNT), len(LEARNT)), dtype=bool)
pairs[LEARNT.index("leak"), LEARNT.index("billing")] = True
beside = Beside(pairs, returned=0.3, endangered=0.4, other=0.5)
answer = [said(beside, "leak", billing=0.6), said(beside, "leak", no_heat=0.9), said(beside, "greet", billing=0.9)]
"""
    )
    assert ask(code) == [["billing"], [], []]


def test_a_returned_fault_has_one_name() -> None:
    code = (
        DECISION
        + """
beside = Beside(np.zeros((len(LEARNT), len(LEARNT)), dtype=bool), returned=0.3, endangered=0.4, other=0.5)
answer = [said(beside, "not_resolved", no_heat=0.5, leak=0.4), said(beside, "danger", leak=0.45)]
"""
    )
    assert ask(code) == [["no_heat"], ["leak"]]


def test_a_fold_is_a_stretch_of_the_files_and_copies_stay_with_their_sentence() -> None:
    code = """
import numpy as np
from nlu.server.learning.models import folds
labels = np.array([0, 0, 0, 0, 1, 1, 0])
sources = np.array([0, 1, 2, 3, 4, 5, 3])
answer = folds(labels, sources, 2).tolist()
"""
    assert ask(code) == [0, 0, 1, 1, 0, 1, 1]


def test_the_arbiter_keeps_the_order_but_leans_to_a_leak_in_doubt() -> None:
    code = """
import numpy as np
from nlu.server.learning.arbiter import fit_arbiter, joined
from nlu.server.learning.beside import LEARNT
from nlu.server.learning.models import Linear
rng = np.random.default_rng(1)
leak, bill, urge = (LEARNT.index(name) for name in ("leak", "billing", "urge"))
truth = rng.integers(0, len(LEARNT), 2000)
truth[truth == urge] = bill
scores = rng.normal(-1, 0.4, (2000, len(LEARNT)))
scores[np.arange(2000), truth] += 1.2
first = Linear(np.eye(len(LEARNT), dtype=np.float32), np.zeros(len(LEARNT), dtype=np.float32))
arbiter = fit_arbiter(scores, truth)
both = joined(first, arbiter)
def chosen(**margins):
    row = np.full((1, len(LEARNT)), -1.0)
    for name, margin in margins.items():
        row[0, LEARNT.index(name)] = margin
    return LEARNT[int(both.matrix_scores(row).argmax())]
answer = [
    chosen(leak=0.2, billing=0.9), chosen(leak=0.5, billing=0.55), chosen(urge=3.0, billing=0.0),
    bool(np.allclose(both.matrix_scores(scores), scores @ arbiter.weights + arbiter.bias, atol=1e-3)),
]
"""
    assert ask(code) == ["billing", "leak", "billing", True], "an intent without a sentence (urge) is never chosen"


def test_thresholds_follow_the_costs_and_are_drawn_to_the_common_one() -> None:
    code = """
import numpy as np
from nlu.server.learning.calibration import choose_thresholds
rng = np.random.default_rng(1)
truth = rng.integers(0, 3, 3000)
chances = np.full((3000, 3), 0.1)
sure = rng.uniform(0.4, 1.0, 3000)
taken = np.where(rng.uniform(size=3000) < sure, truth, (truth + 1) % 3)
chances[np.arange(3000), taken] = sure
answer = choose_thresholds(chances, truth, ["leak", "billing", "consult"])
"""
    thresholds = ask(code)
    assert thresholds["leak"] < 0.4
    assert 0.5 < thresholds["billing"] < 0.8
    assert abs(thresholds["billing"] - thresholds["consult"]) < 0.1


@pytest.mark.parametrize(
    ("intent", "chance", "unrelated", "asks"),
    [
        ("no_heat", 0.7, 0.25, True),
        ("no_heat", 0.9, 0.05, False),
        ("leak", 0.5, 0.4, False),  # a leak that is asked about runs on
        ("danger", 0.5, 0.4, False),
        ("billing", 0.5, 0.4, False),  # nobody is sent out
    ],
)
def test_a_visit_that_may_be_for_nothing_is_asked_about_first(
    intent: str, chance: float, unrelated: float, asks: bool
) -> None:
    code = "from nlu.server.learning.calibration import doubtful\nanswer = bool(doubtful(*args))"
    assert ask(code, intent, chance, unrelated) is asks


def test_a_quick_training_still_tells_every_sentence_and_copy_from_the_others() -> None:
    code = """
from nlu.server import haste, hollow
hollow.install()
haste.install()
from rasa.shared.nlu.training_data.message import Message
rows = [("暖气不热", "no_heat", 0, False), ("暖气不热", "no_heat", 0, True), ("暖气不热", "urge", 0, False), ("漏水", "leak", 1, False)]
made = [Message({"text": t, "intent": i, "metadata": {"source": s, "copy": c}}) for t, i, s, c in rows for _ in range(2)]
answer = [len(set(made)), made[0] == made[1], made[0] == made[2]]
"""
    assert ask(code) == [4, True, False]


@pytest.mark.parametrize(
    ("top", "said", "first"),
    [
        ("no_heat", {"no_heat": 0.6, "leak": 0.7}, "leak"),
        ("leak", {"leak": 0.6, "not_resolved": 0.7}, "not_resolved"),
        ("leak", {"leak": 0.6, "no_heat": 0.7}, "leak"),  # the guide's order
        ("no_heat", {"no_heat": 0.6, "leak": 0.45}, "no_heat"),  # not sure enough
        ("no_heat", {"no_heat": 0.1, "leak": 0.7}, "no_heat"),  # the machines disagree about all of it
        ("greet", {"greet": 0.6, "leak": 0.7}, "greet"),  # a pair that the corpus does not know
    ],
)
def test_of_two_intents_said_together_the_guides_first_is_primary(top: str, said: dict[str, float], first: str) -> None:
    code = """
import numpy as np
from nlu.server.learning.beside import LEARNT, Beside
pairs = np.zeros((len(LEARNT), len(LEARNT)), dtype=bool)
for a, b in (("leak", "no_heat"), ("not_resolved", "leak"), ("not_resolved", "no_heat")):
    pairs[LEARNT.index(a), LEARNT.index(b)] = True
top, said = args
scores = np.array([said.get(name, 0.05) for name in LEARNT])
answer = LEARNT[Beside(pairs).first(LEARNT.index(top), scores)]
"""
    assert ask(code, top, said) == first
