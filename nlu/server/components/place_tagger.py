"""A step beside the others: where the message may name an estate, with a probability, among its `entities`."""

from __future__ import annotations

import itertools
import random
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.nlu.constants import ENTITIES, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from nlu.server.learning.tagger import Name, Sample, Tagger, cropped, looks_named


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=True)
class PlaceTagger(GraphComponent, EntityExtractorMixin):  # type: ignore[misc]
    """Rasa's door to `learning.tagger`; nlu/naming.py weighs what it says against gazetteer and rules."""

    def __init__(
        self, config: dict[str, Any], storage: ModelStorage, resource: Resource, tagger: Tagger | None
    ) -> None:
        self._config = config
        self._storage = storage
        self._resource = resource
        self._tagger = tagger

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """`nameless` is how many sentences without a name are learnt from, drawn with `seed`."""
        return {"nameless": 1500, "seed": 1}

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> PlaceTagger:
        """An untrained component."""
        return cls(config, model_storage, resource, None)

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> PlaceTagger:
        """The component as it was trained; without a tagger where the sentences named no estate."""
        with model_storage.read_from(resource) as folder:
            tagger = Tagger.load(folder) if (folder / "tagger.npz").is_file() else None
        return cls(config, model_storage, resource, tagger)

    def train(self, training_data: TrainingData) -> Resource:
        """Learn from the marked sentences and a sample of the others; altered copies carry no marks."""
        samples = [sample for message in training_data.training_examples if (sample := _sample(message))]
        named = [sample for sample in samples if sample[1]]
        nameless = [sample for sample in samples if not sample[1]]
        random.Random(self._config["seed"]).shuffle(nameless)
        with self._storage.write_to(self._resource) as folder:
            if named:
                # Verdicts carry no marks: what looks like a name to the rules may be one that nobody marked.
                unmarked = (sample for sample in nameless if not looks_named(sample[0]))
                chosen = [*named, *itertools.islice(unmarked, self._config["nameless"])]
                self._tagger = Tagger.train([cropped(sample) for sample in chosen], self._config["seed"])
                self._tagger.save(folder)
        return self._resource

    def process(self, messages: list[Message]) -> list[Message]:
        """Add the likely names to each message; `names_tagged` says that they were looked for."""
        for message in messages:
            if self._tagger is None:
                continue
            text = message.get(TEXT) or ""
            found = [_entity(text, name) for name in self._tagger.names(text)]
            message.set(ENTITIES, [*(message.get(ENTITIES) or ()), *found], add_to_output=True)
            message.set("names_tagged", True, add_to_output=True)
        return messages


def _sample(message: Message) -> Sample | None:
    """Text and spans of a sentence whose names are marked; None for others."""
    spans = (message.get("metadata") or {}).get("communities")
    text = message.get(TEXT)
    return None if spans is None or not text else (text, tuple((start, end) for start, end in spans))


def _entity(text: str, name: Name) -> dict[str, Any]:
    return {
        "entity": "community",
        "start": name.start,
        "end": name.end,
        "value": text[name.start : name.end],
        "confidence_entity": round(name.probability, 3),
        "extractor": "PlaceTagger",
    }
