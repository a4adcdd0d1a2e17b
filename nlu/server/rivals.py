"""What our classifier is compared with: Rasa's default Chinese pipeline, and plain scikit-learn, on the same sentences.

Started by `heatline bench nlu --compare`. `diet` trains a model that `rasa run` can serve; `plain` trains, answers the
texts of standard input and tells how long that took; both print one JSON object as their last line.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import yaml

# https://rasa.com/docs/rasa/tuning-your-model, with the tokenizer it recommends for Chinese.
_PIPELINE: list[dict[str, Any]] = [
    {"name": "JiebaTokenizer"},
    {"name": "RegexFeaturizer"},
    {"name": "LexicalSyntacticFeaturizer"},
    {"name": "CountVectorsFeaturizer"},
    {"name": "CountVectorsFeaturizer", "analyzer": "char_wb", "min_ngram": 1, "max_ngram": 4},
    {"name": "DIETClassifier", "entity_recognition": False, "random_seed": 1},
]


def main() -> None:
    """Run one of the rivals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rival", choices=("diet", "plain"))
    parser.add_argument("--data", type=Path, required=True, help="a folder like data/intents/")
    parser.add_argument("--out", type=Path, help="diet: the folder for the model")
    parser.add_argument("--epochs", type=int, default=100, help="diet: rounds of training; Rasa's default is 100")
    arguments = parser.parse_args()
    warnings.showwarning = lambda *args, **kwargs: None
    if arguments.rival == "diet":
        result = diet(arguments.data, arguments.out, arguments.epochs)
    else:
        result = plain(arguments.data, json.load(sys.stdin))
    print(json.dumps(result, ensure_ascii=False))


def diet(data: Path, out: Path, epochs: int) -> dict[str, Any]:
    """Train Rasa's default pipeline; returns the path of the model and the seconds it took."""
    os.environ["RASA_TELEMETRY_ENABLED"] = "false"
    os.environ["RASA_MAX_CACHE_SIZE"] = "0"
    from rasa.model_training import train_nlu

    started = time.monotonic()
    importer = {"name": "nlu.server.importer.CorpusImporter", "augmentation": False}
    pipeline = [*_PIPELINE[:-1], {**_PIPELINE[-1], "epochs": epochs}]
    config = {"recipe": "default.v1", "language": "zh", "assistant_id": "rival", "importers": [importer]}
    with tempfile.NamedTemporaryFile("w", suffix=".yml", encoding="utf-8") as file:
        yaml.safe_dump({**config, "pipeline": pipeline}, file, allow_unicode=True)
        file.flush()
        model = train_nlu(file.name, str(data), str(out), fixed_model_name="diet")
    return {"model": str(model), "seconds": round(time.monotonic() - started, 1)}


def plain(data: Path, texts: list[str]) -> dict[str, Any]:
    """TF-IDF of characters and logistic regression; returns an intent for each text, and what it cost."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from nlu.corpus import read_training
    from nlu.types import RULE_INTENTS

    started = time.monotonic()
    sentences = [sentence for sentence in read_training([data]) if sentence.intent not in RULE_INTENTS]
    features = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)
    model = make_pipeline(features, LogisticRegression(C=10, solver="liblinear", random_state=1))
    model.fit([s.text for s in sentences], [s.intent for s in sentences])
    trained = time.monotonic() - started
    intents, times = [], []
    for text in texts:
        began = time.perf_counter()
        intents.append(str(model.predict([text])[0]))
        times.append(time.perf_counter() - began)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"intents": intents, "times": times, "seconds": round(trained, 1), "memory": round(memory)}


if __name__ == "__main__":
    main()
