"""Last step: a calibrated ranking of the intents, and a score for each intent the message carries besides."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.shared.nlu.constants import INTENT, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from nlu.server.components.featuriser import TERM
from nlu.server.learning.decision import Decider, Samples

_WORDS = 12  # words and characters that a verdict names as its reasons


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class HeatingClassifier(GraphComponent, IntentClassifier):  # type: ignore[misc]
    """Rasa's door to `learning.decision`; sets intent, intent_ranking, also and threshold on each message."""

    def __init__(self, config: dict[str, Any], storage: ModelStorage, resource: Resource) -> None:
        self._config = config
        self._storage = storage
        self._resource = resource
        self._decider: Decider | None = None

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """`members` names the classifiers whose scores are added up; `folds` of held-out messages calibrate them."""
        return {"members": {"svm": 1.0}, "folds": 5, "seed": 1}

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> HeatingClassifier:
        """An untrained component."""
        return cls(config, model_storage, resource)

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> HeatingClassifier:
        """The component as it was trained."""
        component = cls(config, model_storage, resource)
        with model_storage.read_from(resource) as folder:
            component._decider = Decider.load(folder)
        return component

    def train(self, training_data: TrainingData) -> Resource:
        """Fit, calibrate and keep everything in the model; what was measured on the way lies beside it."""
        examples = [example for example in training_data.intent_examples if example.get(TEXT)]
        samples = Samples.collect((_row(example) for example in examples), map(_label, examples))
        self._decider, measured = Decider.train(
            samples, self._config["members"], self._config["folds"], self._config["seed"]
        )
        originals = [str(example.get(TEXT)) for example, copy in zip(examples, samples.copy, strict=True) if not copy]
        for suspect in measured["suspects"]:
            suspect["text"] = originals[suspect.pop("place")]
        with self._storage.write_to(self._resource) as folder:
            self._decider.save(folder)
            (folder / "measured.json").write_text(json.dumps(measured, ensure_ascii=False), encoding="utf-8")
        return self._resource

    def process(self, messages: list[Message]) -> list[Message]:
        """Rank the intents of each message."""
        if self._decider is None:
            raise RuntimeError("The classifier was asked before it was trained or loaded.")
        for message in messages:
            columns, values, _ = _row(message)
            verdict = self._decider.decide(columns, values)
            ranking = [{"name": name, "confidence": confidence} for name, confidence in verdict.ranking]
            message.set(INTENT, ranking[0], add_to_output=True)
            message.set("intent_ranking", ranking, add_to_output=True)
            message.set("also", list(verdict.also), add_to_output=True)
            message.set("also_scores", verdict.scores, add_to_output=True)
            message.set("threshold", verdict.threshold, add_to_output=True)
            message.set("why", self._why(message, columns, values), add_to_output=True)
        return messages

    def _why(self, message: Message, columns: np.ndarray, values: np.ndarray) -> list[list[Any]]:
        """The words and characters that spoke most for the first intent, each with its share of the score."""
        term = message.get(TERM)
        if self._decider is None or term is None or not len(columns):
            return []
        named = [(term(int(column)), share) for column, share in self._decider.contributions(columns, values)]
        return [[name, round(share, 3)] for (view, name), share in named if view != "concepts"][:_WORDS]


def _row(message: Message) -> tuple[np.ndarray, np.ndarray, int]:
    """Columns, values and width of the sentence features that earlier steps left on the message."""
    _, sentence = message.get_sparse_features(TEXT)
    if sentence is None:
        raise ValueError("HeatingClassifier needs sparse sentence features: put a featuriser before it.")
    matrix = sentence.features.tocsr()
    return matrix.indices, matrix.data, matrix.shape[1]


def _label(message: Message) -> tuple[str, tuple[str, ...], int, bool]:
    """Intent, further intents, the number of the original sentence, whether this is an altered copy."""
    metadata = message.get("metadata") or {}
    source = metadata.get("source", id(message))
    return message.get(INTENT), tuple(metadata.get("also", ())), source, bool(metadata.get("copy"))
