"""/try: what a newcomer says there goes through the real endpoints, and what comes back is shown."""

from __future__ import annotations

from typing import Any

import pytest

from tests.standins.service import Trial


def post(trial: Trial, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    response = trial.app.test_client().post(path, json=body)
    return response.status_code, response.json or {}


def lines(trial: Trial, medium: str, address: str, after: int = 0) -> list[dict[str, Any]]:
    query = {"medium": medium, "address": address, "after": after}
    found = trial.app.test_client().get("/try/lines", query_string=query).json
    assert found is not None
    return list(found["lines"])


def test_the_page_loads_nothing_from_elsewhere_and_has_no_inline_code(trial: Trial) -> None:
    page = trial.app.test_client().get("/try")
    text = page.get_data(as_text=True)
    assert page.status_code == 200
    assert "http://" not in text
    assert "https://" not in text
    assert "<style" not in text
    assert " style=" not in text
    assert " onclick=" not in text
    for asset in ("/try/static/try.css", "/try/static/try.js"):
        assert asset in text
        assert trial.app.test_client().get(asset, buffered=True).status_code == 200


@pytest.mark.parametrize("medium", ["wechat", "sms"])
def test_a_newcomer_gets_an_identity_says_something_and_is_answered(trial: Trial, medium: str) -> None:
    _, given = post(trial, "/try/identity", {"medium": medium})
    seen = len(lines(trial, medium, given["address"]))
    assert seen == (1 if medium == "wechat" else 0)  # a follower is greeted
    status, _ = post(trial, "/try/say", {"medium": medium, "address": given["address"], "text": "家里暖气不热"})
    assert status == 200
    said, answer = lines(trial, medium, given["address"], seen)[:2]
    assert (said["text"], said["mine"], said["at"]) == ("家里暖气不热", True, "10:00")
    assert (answer["mine"], answer["how"]) == (False, "随即回复")
    assert [message.text for message in trial.messages() if message.kind == "text"] == ["家里暖气不热"]


def test_identities_differ(trial: Trial) -> None:
    made = {post(trial, "/try/identity", {"medium": "wechat"})[1]["address"] for _ in range(5)}
    assert len(made) == 5
    assert all(len(address) == 28 for address in made)


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"medium": "fax"},
        {"medium": "sms", "address": "+8613800138000", "text": "不热"},  # not one of the invented numbers
        {"medium": "sms", "address": "+8619900001234", "text": " "},
        {"medium": "sms", "address": "+8619900001234", "text": "冷" * 601},
        {"medium": "sms", "address": "+8619900001234", "text": 5},
        {"medium": "wechat", "address": ["o"], "text": "不热"},
        {"medium": ["sms"], "address": "+8619900001234", "text": "不热"},
    ],
)
def test_what_the_page_would_not_send_is_refused(trial: Trial, body: Any) -> None:
    status, answer = post(trial, "/try/say", body)
    assert status == 400
    assert answer["error"]
    assert trial.messages() == []


def test_a_form_of_a_foreign_page_is_refused(trial: Trial) -> None:
    form = {"medium": "sms", "address": "+8619900001234", "text": "不热"}
    assert trial.app.test_client().post("/try/say", data=form).status_code == 400
    assert trial.app.test_client().post("/try/identity", data={"medium": "sms"}).status_code == 400
