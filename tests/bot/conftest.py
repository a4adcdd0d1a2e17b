"""The core on a database of each engine, on virtual time.

Making a database takes longer than most of these tests, so they share one of each engine, which each finds empty but
for rules and places. Whoever changes those asks for the fixture `database` instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, make_url, update

from bot import crypto
from bot import services as service_factory
from bot.clock import VirtualClock
from bot.models import Base, Building, Community, Contact, Ticket
from bot.services import Services
from bot.settings import Settings
from tests.bot.helpers import Core, Provider, Scripted
from tests.conftest import DATA_KEY, Template

_KEPT = {"rule", "company", "branch", "team", "station", "community", "building"}
Standing = Callable[[Template], Services]


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory, worker: str) -> Iterator[Standing]:
    """The services on the shared database of an engine; made at the first need."""
    made: dict[str, tuple[Template, str, Services]] = {}

    def find(template: Template) -> Services:
        if template.engine not in made:
            name = Path(str(make_url(template.url).database)).stem.removesuffix("_template")
            url = template.copy(f"{name}_core_{worker}", tmp_path_factory.mktemp("core"))
            settings = Settings(database_url=url, data_key=DATA_KEY, secret_key="test", nlu_token="test")
            made[template.engine] = template, url, service_factory.create(settings)
        return made[template.engine][2]

    yield find
    for template, url, services in made.values():
        services.database.dispose()
        template.drop(url)


@pytest.fixture
def core(database_template: Template, standing: Standing, clock: VirtualClock) -> Iterator[Core]:
    """Services whose understanding and provider the test commands."""
    crypto.configure(DATA_KEY)
    interpreter, provider = Scripted(), Provider()
    services = replace(standing(database_template), interpreter=interpreter, channels={provider.name: provider})
    yield Core(services, interpreter, provider)
    _empty(services)


def _empty(services: Services) -> None:
    with services.database.transaction() as session:
        session.execute(update(Contact).values(taken_over_by=None))
        for place in (Community, Building):
            session.execute(update(place).values(member_id=None, stand_in_id=None))
        session.execute(update(Ticket).values(merged_into_id=None))
        for table in reversed(Base.metadata.sorted_tables):
            if table.name not in _KEPT:
                session.execute(delete(table))
