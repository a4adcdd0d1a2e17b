"""Gives Rasa the sentences of data/intents/ as they are: its own YAML reader needs minutes for ten thousand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rasa.shared.core.domain import Domain
from rasa.shared.core.training_data.structures import StoryGraph
from rasa.shared.importers.importer import TrainingDataImporter
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from rasa.shared.utils.io import read_model_configuration

from nlu.corpus import read_training
from nlu.server.learning.augment import augment
from nlu.server.learning.progress import report
from nlu.types import RULE_INTENTS, Sentence


class CorpusImporter(TrainingDataImporter):  # type: ignore[misc]
    """Reads the data path as a folder like data/intents/ or a JSONL file, or several joined by os.pathsep."""

    def __init__(
        self,
        config_file: str | None = None,
        domain_path: str | None = None,
        training_data_paths: list[str] | str | None = None,
        augmentation: bool = True,
        seed: int = 1,
        **kwargs: Any,
    ) -> None:
        """`augmentation` adds altered copies of sentences; the same `seed` gives the same copies."""
        self._config_file = config_file
        paths = [training_data_paths] if isinstance(training_data_paths, str) else training_data_paths or []
        self._paths = [Path(part) for path in paths for part in path.split(os.pathsep)]
        self._augmentation = augmentation
        self._seed = seed

    def get_domain(self) -> Domain:
        """There is no dialogue in this model."""
        return Domain.empty()

    def get_stories(self, exclusion_percentage: int | None = None) -> StoryGraph:
        """There is no dialogue in this model."""
        return StoryGraph([])

    def get_conversation_tests(self) -> StoryGraph:
        """There is no dialogue in this model."""
        return StoryGraph([])

    def get_config(self) -> dict[str, Any]:
        """The pipeline of config.yml."""
        return read_model_configuration(self._config_file) if self._config_file else {}

    def get_config_file_for_auto_config(self) -> str | None:
        """Where Rasa would write suggestions; it has none, for the pipeline is complete."""
        return self._config_file

    def get_nlu_data(self, language: str | None = "zh") -> TrainingData:
        """Every sentence and its altered copies; a copy carries the number of the sentence it was made from."""
        report(0.1, "reading the sentences")
        sentences = [s for s in read_training(self._paths) if s.intent not in RULE_INTENTS]
        examples = [_message(sentence, number, copy=False) for number, sentence in enumerate(sentences)]
        if self._augmentation:
            copies = augment(sentences, self._seed)
            examples += [_message(sentence, number, copy=True) for number, sentence in copies]
        return TrainingData(examples)


def _message(sentence: Sentence, number: int, copy: bool) -> Message:
    metadata: dict[str, Any] = {"also": list(sentence.also), "source": number, "copy": copy}
    if not copy:
        names = [entity for entity in sentence.entities if entity.entity == "community"]
        metadata["communities"] = [(name.start, name.end) for name in names]
    return Message({"text": sentence.text, "intent": sentence.intent, "metadata": metadata})
