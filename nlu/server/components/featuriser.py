"""Third step: sparse features of characters, words and concepts, usable by any Rasa classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import scipy.sparse as sp
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import FEATURE_TYPE_SENTENCE, TEXT, TEXT_TOKENS
from rasa.shared.nlu.training_data.features import Features
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from nlu.server.components import lexicon
from nlu.server.components.normaliser import NORMALISED
from nlu.server.learning.concepts import ConceptLexicon
from nlu.server.learning.features import Vectoriser, message_terms, read_table

TERM = "heatline_term"  # on a message: what a column of its features stands for


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=True)
class HeatingFeaturiser(GraphComponent):  # type: ignore[misc]
    """Learns the vocabulary, keeps it and the concepts in the model, and describes each message by it."""

    def __init__(
        self, storage: ModelStorage, resource: Resource, vectoriser: Vectoriser, concepts: dict[str, list[str]]
    ) -> None:
        self._storage = storage
        self._resource = resource
        self._vectoriser = vectoriser
        self._concepts = ConceptLexicon(concepts)

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """`weights` says how much each view counts; terms of fewer than `rarest` sentences are left out."""
        weights = {"characters": 1.4, "words": 0.8, "concepts": 0.6}
        return {"lexicon": lexicon.DEFAULT_FOLDER, "weights": weights, "rarest": 2}

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> HeatingFeaturiser:
        """A fresh component, from the lexicon folder."""
        vectoriser = Vectoriser(config["weights"], config["rarest"])
        return cls(model_storage, resource, vectoriser, read_table(Path(config["lexicon"]), "concepts"))

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> HeatingFeaturiser:
        """The component as it was trained, from the model alone."""
        with model_storage.read_from(resource) as folder:
            vectoriser = Vectoriser.load(folder)
        return cls(model_storage, resource, vectoriser, lexicon.recall(model_storage, resource))

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str | None:
        """Rasa trains anew when the lexicon changed."""
        return lexicon.fingerprint(config["lexicon"])

    def train(self, training_data: TrainingData) -> Resource:
        """Learn the vocabulary of the training sentences."""
        self._vectoriser.fit(self._terms(message) for message in training_data.training_examples)
        lexicon.keep(self._storage, self._resource, self._concepts.concepts)
        with self._storage.write_to(self._resource) as folder:
            self._vectoriser.save(folder)
        return self._resource

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """Describe every training message."""
        self.process(training_data.training_examples)
        return training_data

    def process(self, messages: list[Message]) -> list[Message]:
        """Add one row of sentence features to each message."""
        for message in messages:
            columns, values = self._vectoriser.row(self._terms(message))
            row = sp.csr_matrix((values, columns, [0, len(columns)]), shape=(1, self._vectoriser.width))
            message.add_features(Features(row, FEATURE_TYPE_SENTENCE, TEXT, "HeatingFeaturiser"))
            message.set(TERM, self._vectoriser.term)
        return messages

    def _terms(self, message: Message) -> dict[str, list[str]]:
        words = [token.text for token in message.get(TEXT_TOKENS) or ()]
        return message_terms(message.get(NORMALISED) or "", words, self._concepts)
