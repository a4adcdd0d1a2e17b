"""An NLU server for commands that need one: the one that runs already, else one of our own that ends with us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from bot.serve import nlu_ready
from bot.settings import ROOT, Settings, SettingsError
from nlu.environment import NotInstalled
from nlu.serving import running
from nlu.shelf import Shelf, ShelfError


def shelf(settings: Settings) -> Shelf:
    """The folder of models."""
    return Shelf(ROOT / settings.models_dir)


@contextmanager
def running_nlu(settings: Settings) -> Iterator[Settings]:
    """Settings whose NLU server answers: HEATLINE_NLU_URL if it is ready, else one that is started and stopped here.

    Raises SettingsError where it cannot start.
    """
    if nlu_ready(settings):
        yield settings
        return
    try:
        with running(shelf(settings), settings.nlu_token) as address:
            yield replace(settings, nlu_url=address)
    except (ShelfError, NotInstalled) as error:
        raise SettingsError(str(error)) from None
