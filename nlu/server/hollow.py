"""Lets Rasa start without what our pipeline never calls: TensorFlow, plots, chat connectors, cloud stores.

Rasa imports all of it at start, whatever the pipeline holds; on two cores TensorFlow alone takes most of the seconds and
of the memory of a serving process. A hollow module gives a name for everything that is asked of it, so that imports,
base classes and annotations work, and raises as soon as something is *called*: nothing can silently compute nonsense.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

UNUSED = (
    "tensorflow",
    "tensorflow_hub",
    "tensorflow_text",
    "keras",
    "matplotlib",
    "twilio",
    "aiogram",
    "slack_sdk",
    "fbmessenger",
    "webexteamssdk",
    "socketio",
    "google",
    "boto3",
    "pymongo",
    "questionary",
)


class _HollowType(type):
    """The type of every hollow name: a class, so that it can be subclassed and stand in annotations."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _hollow(f"{cls.__qualname__}.{name}")

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        # As a decorator a hollow name hands back what it decorates; anything else would be a real use.
        if len(args) == 1 and not kwargs and callable(args[0]):
            return args[0]
        if cls.__dict__.get("_hollow_name"):
            raise RuntimeError(f"{cls._hollow_name} is left out of this process; see nlu/server/hollow.py.")
        return super().__call__(*args, **kwargs)

    def __or__(cls, other: Any) -> Any:
        return Any

    __ror__ = __or__


def _hollow(name: str) -> Any:
    return _HollowType(name.rsplit(".", 1)[-1], (), {"_hollow_name": name, "__qualname__": name})


class _HollowModule(ModuleType):
    __path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = _hollow(f"{self.__name__}.{name}")
        setattr(self, name, value)
        return value


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in self._names:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _HollowModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def install(names: Sequence[str] = UNUSED) -> None:
    """Answer imports of these packages with hollow ones from now on; call it before Rasa is imported."""
    sys.meta_path.insert(0, _Finder(names))
