"""The ground every test stands on: a virtual clock, keys, and a fresh database on each engine."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest
import pytest_socket
from argon2 import PasswordHasher
from sqlalchemy import create_engine, make_url

from bot import clock as service_clock
from bot import crypto, schema, staff
from bot import services as service_factory
from bot.database import Database
from bot.nlu_server import running_nlu
from bot.services import Services
from bot.settings import Settings
from tests.postgres import Cluster, PostgresMissing

ENGINES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql))
TESTS = Path(__file__).parent
DOORS = {"channels", "crew", "desk", "standins"}  # folders of tests
LOOPBACK = ["127.0.0.1", "localhost", "::1"]
DATA_KEY = "5a" * 32
TEN_O_CLOCK = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)  # 10:00 in China, in the heating season, a Monday
# The service refuses HEATLINE_ variables that it does not know, so its processes must not inherit the first name.
_GIVEN, _POSTGRES, _RUN = "HEATLINE_TEST_POSTGRES_URL", "TESTS_POSTGRES_URL", "TESTS_RUN"


@dataclass(frozen=True)
class Template:
    """A finished database that is copied for each test."""

    engine: str
    url: str

    def copy(self, name: str, folder: Path) -> str:
        """The address of a fresh copy called `name`."""
        if self.engine == "sqlite":
            path = folder / f"{name}.db"
            shutil.copyfile(str(make_url(self.url).database), path)
            return f"sqlite:///{path}"
        template = make_url(self.url).database
        _administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return _address(name)

    def drop(self, url: str) -> None:
        """Remove a copy."""
        name = str(make_url(url).database)
        if self.engine == "sqlite":
            for leftover in Path(name).parent.glob(f"{Path(name).name}*"):
                leftover.unlink()
        else:
            _administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _address(database: str) -> str:
    return make_url(os.environ[_POSTGRES]).set(database=database).render_as_string(hide_password=False)


def _template_name() -> str:
    """The run's own, for a given server may serve several runs at once."""
    return f"heatline_{os.environ[_RUN]}_template"


def _administer(*statements: str) -> None:
    engine = create_engine(os.environ[_POSTGRES], isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[IO[str]]:
    """Workers share what one of them has made."""
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


class _Server:
    """The PostgreSQL server of this run: the one that was given, or one of our own that starts with the first need."""

    cluster: Cluster | None = None

    @classmethod
    def ensure(cls) -> None:
        if not os.environ.get(_POSTGRES):
            cls.cluster = Cluster()
            os.environ[_POSTGRES] = cls.cluster.url()

    @classmethod
    def end(cls) -> None:
        if cls.cluster is not None:
            cls.cluster.stop()
            cls.cluster = None
            del os.environ[_POSTGRES]


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors; one PostgreSQL server serves the run."""
    config.addinivalue_line("filterwarnings", "error")
    if given := os.environ.pop(_GIVEN, ""):
        os.environ[_POSTGRES] = given
    os.environ.setdefault(_RUN, str(os.getpid()))
    staff._hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)  # the real one is slow on purpose
    wanted = "not postgresql" not in config.option.markexpr
    if wanted and getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        # Workers inherit the address, so that all share one server.
        try:
            _Server.ensure()
        except PostgresMissing as missing:
            pytest.exit(str(missing), returncode=2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs all tests that share a heavy thing, so that it is started once: the model, the browser.

    What goes through the doors of a whole service, thousands of tests, is told from what is checked before every commit.
    """
    for item in items:
        if item.path.relative_to(TESTS).parts[0] in DOORS:
            item.add_marker(pytest.mark.doors)
        for mark in ("model", "browser"):
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.xdist_group(mark))


def pytest_unconfigure(config: pytest.Config) -> None:
    """The server ends with the run that started it; a server that was given is left as it was."""
    if hasattr(config, "workerinput"):
        return
    if _Server.cluster is None and os.environ.get(_POSTGRES):
        _administer(f'DROP DATABASE IF EXISTS "{_template_name()}" WITH (FORCE)')
    _Server.end()


@pytest.fixture(autouse=True)
def _stay_on_this_machine() -> None:
    """Nothing leaves for the network, whatever a test does."""
    pytest_socket.socket_allow_hosts(LOOPBACK, allow_unix_socket=True)


@pytest.fixture(autouse=True)
def _keys() -> None:
    crypto.configure(DATA_KEY)


@pytest.fixture
def clock() -> Iterator[service_clock.VirtualClock]:
    """Virtual time from 2026-11-23 10:00 in China; it moves when the test moves it."""
    virtual = service_clock.VirtualClock(TEN_O_CLOCK)
    service_clock.use(virtual)
    yield virtual
    service_clock.use(None)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers of this run."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


def _make_template(url: str) -> None:
    schema.upgrade(Settings(database_url=url, data_key=DATA_KEY))
    made = Database(url)
    schema.load_invented_places(made)
    made.dispose()


@pytest.fixture(scope="session")
def sqlite_template(shared_folder: Path) -> Template:
    """A SQLite database with tables, shipped rules and places."""
    path = shared_folder / "template.db"
    with _one_at_a_time(shared_folder / "sqlite.lock") as made:
        if not os.fstat(made.fileno()).st_size:
            _make_template(f"sqlite:///{path}")
            made.write("made")
    return Template("sqlite", f"sqlite:///{path}")


@pytest.fixture(scope="session")
def postgresql_template(shared_folder: Path) -> Template:
    """The same on PostgreSQL. Without a server this fails: half of the promise would be untested."""
    try:
        _Server.ensure()
    except PostgresMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    name = _template_name()
    with _one_at_a_time(shared_folder / "postgresql.lock") as made:
        if not os.fstat(made.fileno()).st_size:
            _administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
            _make_template(_address(name))
            made.write("made")
    return Template("postgresql", _address(name))


@pytest.fixture(params=ENGINES)
def database_template(request: pytest.FixtureRequest) -> Template:
    """Both engines, one after the other; the server is only started for a test that needs it."""
    template: Template = request.getfixturevalue(f"{request.param}_template")
    return template


@pytest.fixture
def database_url(database_template: Template, tmp_path: Path, worker: str) -> Iterator[str]:
    """The address of a fresh database with tables, shipped rules and places; the test runs on both engines."""
    name = str(make_url(database_template.url).database).removesuffix("_template")
    copy = database_template.copy(f"{Path(name).stem}_{worker}", tmp_path)
    yield copy
    database_template.drop(copy)


@pytest.fixture(scope="session")
def worker() -> str:
    """The name of this xdist worker; `main` without xdist."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh database, open."""
    opened = Database(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a service on the fresh database. Channels are off; `dataclasses.replace` turns them on."""
    return replace(
        Settings(), database_url=database_url, data_key=DATA_KEY, secret_key="test", nlu_token="test", hotline="12345"
    )


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    """The services of a process on the fresh database; nobody answers as its NLU server until a test puts one in."""
    made = service_factory.create(settings)
    yield made
    made.database.dispose()


@pytest.fixture(scope="session")
def nlu_settings() -> Iterator[Settings]:
    """Settings whose NLU server answers with the live model; `make setup` trains one where there is none."""
    base = Settings(data_key=DATA_KEY, secret_key="test", nlu_token="test", nlu_url="http://127.0.0.1:9")
    with running_nlu(base) as ready:
        yield ready
