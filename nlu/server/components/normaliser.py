"""First step: the message in one width, script and case, its slips put right; the text itself stays untouched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from nlu.server.components import lexicon
from nlu.server.learning.features import read_table
from nlu.server.learning.text import normalise

# Later steps read this; `text` stays as received, so that nothing can shift offsets.
NORMALISED = "normalised"


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=True)
class Normaliser(GraphComponent):  # type: ignore[misc]
    """Sets `normalised` on each message; trained only in that it keeps its table of slips in the model."""

    def __init__(self, storage: ModelStorage, resource: Resource, variants: dict[str, str]) -> None:
        self._storage = storage
        self._resource = resource
        self._variants = variants

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """`lexicon` is the folder that holds variants.yml, seen from the working directory."""
        return {"lexicon": lexicon.DEFAULT_FOLDER}

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> Normaliser:
        """A fresh component, from the lexicon folder."""
        return cls(model_storage, resource, read_table(Path(config["lexicon"]), "variants"))

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> Normaliser:
        """The component as it was trained, from the model alone."""
        return cls(model_storage, resource, lexicon.recall(model_storage, resource))

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str | None:
        """Rasa trains anew when the lexicon changed."""
        return lexicon.fingerprint(config["lexicon"])

    def train(self, training_data: TrainingData) -> Resource:
        """Keep the table of slips in the model."""
        lexicon.keep(self._storage, self._resource, self._variants)
        return self._resource

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """Normalise every training message."""
        self.process(training_data.training_examples)
        return training_data

    def process(self, messages: list[Message]) -> list[Message]:
        """Normalise the messages in place."""
        for message in messages:
            message.set(NORMALISED, normalise(message.get(TEXT) or "", self._variants))
        return messages
