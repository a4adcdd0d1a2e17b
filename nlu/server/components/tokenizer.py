"""Second step: words, cut by jieba with the heating dictionary in a Tokenizer of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rasa.engine.graph import ExecutionContext
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.tokenizers.jieba_tokenizer import JiebaTokenizer
from rasa.nlu.tokenizers.tokenizer import Token
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from nlu.server.components import lexicon
from nlu.server.components.normaliser import NORMALISED
from nlu.server.learning.words import Segmenter, read_dictionary


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_TOKENIZER, is_trainable=True)
class HeatingTokenizer(JiebaTokenizer):  # type: ignore[misc]
    """Rasa's JiebaTokenizer, except that the dictionary is a file of ours and stays out of jieba's global one."""

    def __init__(
        self, config: dict[str, Any], model_storage: ModelStorage, resource: Resource, entries: list[str]
    ) -> None:
        super().__init__(config, model_storage, resource)
        self._entries = entries
        self._segmenter = Segmenter(entries)

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """`lexicon` is the folder that holds heating.txt."""
        return {**JiebaTokenizer.get_default_config(), "lexicon": lexicon.DEFAULT_FOLDER}

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> HeatingTokenizer:
        """A fresh component, from the lexicon folder."""
        return cls(config, model_storage, resource, read_dictionary(Path(config["lexicon"]) / "heating.txt"))

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> HeatingTokenizer:
        """The component as it was trained, from the model alone."""
        return cls(config, model_storage, resource, lexicon.recall(model_storage, resource))

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str | None:
        """Rasa trains anew when the lexicon changed."""
        return lexicon.fingerprint(config["lexicon"])

    def train(self, training_data: TrainingData) -> Resource:
        """Keep the dictionary in the model."""
        lexicon.keep(self._model_storage, self._resource, self._entries)
        return self._resource

    def tokenize(self, message: Message, attribute: str) -> list[Token]:
        """Cut the normalised text; the offsets are those of that text."""
        text = message.get(NORMALISED) or message.get(attribute)
        return [Token(word, start) for word, start in self._segmenter.words(text)]
