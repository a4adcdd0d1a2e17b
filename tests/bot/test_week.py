"""A cold day of invented homes through the real path: the small version of `heatline bench week`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.bench import week, week_check
from bot.settings import Settings
from bot.standins.phones import Line
from tests.conftest import DATA_KEY, TEN_O_CLOCK, Template

HOMES, NOW = 60, TEN_O_CLOCK


@pytest.fixture(scope="module")
def result(sqlite_template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[week_check.Result]:
    """One day, the same for all that is asked of it."""
    url = sqlite_template.copy("week", tmp_path_factory.mktemp("week"))
    settings = Settings(data_key=DATA_KEY, secret_key="test", nlu_token="test")
    yield week.run(settings, homes=HOMES, days=1, seed=1, database_url=url, labelled=True)
    sqlite_template.drop(url)


@pytest.mark.slow
def test_every_home_that_reports_gets_a_ticket_and_is_repaired(result: week_check.Result) -> None:
    assert result.tickets == HOMES
    assert result.repaired == HOMES


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "no promise broken silently",
        "no household fact told to an unverified contact",
        "no amount promised",
        "nobody told the same thing twice",
    ],
)
def test_what_must_hold_in_a_cold_week(result: week_check.Result, name: str) -> None:
    assert result.broken[name] == []


@pytest.mark.slow
def test_there_was_something_to_keep_secret_and_somebody_to_tell_it(result: week_check.Result) -> None:
    assert result.unproved_texts > 0
    assert result.chases > 0
    assert result.promises > 0


@pytest.mark.slow
def test_colder_homes_wait_less(result: week_check.Result) -> None:
    coldest, rest = result.deciles[:3], result.deciles[3:]
    assert sum(coldest) / len(coldest) < sum(rest) / len(rest)


@pytest.mark.parametrize("text", ["会退您200元", "赔偿您三天热费共50块", "减免30%热费", "给您补偿100元", "200元退给您"])
def test_an_amount_that_is_promised_is_seen(text: str) -> None:
    assert week_check.promises_amount(text)


@pytest.mark.parametrize(
    "text", ["居民一般每平方米每天0.19元，多退少补。", "单号N20261123-0001，30分钟内有人打电话给您。"]
)
def test_a_tariff_or_a_number_is_no_promise(text: str) -> None:
    assert not week_check.promises_amount(text)


def test_the_same_text_twice_without_a_word_between_is_seen() -> None:
    lines = [Line(1, "said", "催", NOW), Line(2, "pushed", "好", NOW), Line(3, "pushed", "好", NOW)]
    assert week_check.repeats(lines) == ["好"]
    lines.insert(2, Line(3, "said", "催", NOW))
    assert week_check.repeats(lines) == []
