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
        ("21℃挺好", "reading_ok"),
        ("零下三度", "reading_icy"),
        ("3号楼501", "address"),
        ("打13800001111", "phone"),
        ("没一点热气", "not_hot"),
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
