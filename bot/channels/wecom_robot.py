"""企业微信群机器人: a group's robot, by which staff are told of alerts and jobs. It only sends; nothing is received here.

The address that the group's administrator copies carries a key, so all of it is a secret. 20 messages a minute at most.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
from flask import Request, Response

from bot.channels import BadRequest, GiveUp, Inbound, Misconfigured, Outgoing, Report, Retry, Sent, Unknown
from bot.channels.network import LOOPBACK, never_left, session_for
from bot.channels.wording import clean, fit
from bot.database import Database
from bot.settings import Settings, SettingsError

NAME = "wecom_robot"
TIMEOUT = (3.05, 8.0)  # seconds to connect, to answer
MAX_BYTES = 2048  # of a text message
_TOO_OFTEN = {45009, 45033}  # a quota of the minute is used up
_BUSY = {-1, 50001, 50002, 50004}
_REFUSED = {93000, 40001, 40014, 40058, 301024}  # the key is false, or the robot was taken out of its group


class WeComRobot:
    """One group's robot."""

    name = NAME
    medium = NAME
    reply_deadline = 0.0
    max_bytes: int | None = MAX_BYTES

    def __init__(self, url: str, session: requests.Session | None = None) -> None:
        self._url = url
        self._session = session or session_for(url)

    def read(self, request: Request) -> list[Inbound | Report]:
        """A robot hears nothing."""
        raise BadRequest("a robot has no webhook")

    def verify_url(self, request: Request) -> Response:
        """A robot has no address of ours."""
        raise BadRequest("a robot has no webhook")

    def acknowledge(self, request: Request) -> Response:
        """Never asked for: nothing is posted."""
        return Response(status=204)

    def answer(self, request: Request, inbound: Inbound, text: str, ref: str) -> Response:
        """Never asked for: nothing is posted."""
        return Response(status=204)

    def send(self, outgoing: Outgoing) -> Sent:
        """Say it in the group. Raises SendError; the errcode decides, for refusals come as HTTP 200."""
        text = fit(clean(outgoing.text), MAX_BYTES)
        try:
            response = self._session.post(
                self._url, json={"msgtype": "text", "text": {"content": text}}, timeout=TIMEOUT, allow_redirects=False
            )
        except requests.RequestException as error:
            # The error quotes the address, which is a secret, so it goes no further.
            if never_left(error):
                raise Retry("no connection to the robot") from None
            raise Unknown("the robot did not answer in time") from None
        return _read(response)


def _read(response: requests.Response) -> Sent:
    """What the answer says. Raises SendError for everything but errcode 0."""
    if response.status_code >= 500:
        raise Unknown(f"HTTP {response.status_code}")
    try:
        answer = response.json()
        code = int(answer["errcode"])
    except (ValueError, KeyError, TypeError):
        raise Misconfigured(f"HTTP {response.status_code} without an errcode") from None
    if code == 0:
        return Sent(None)
    if code in _TOO_OFTEN:
        raise Retry("too many messages in a minute", str(code), after=60.0)
    if code in _BUSY:
        raise Retry("the robot's service is busy", str(code))
    if code in _REFUSED:
        raise Misconfigured("the robot's address is refused; copy it from the group again", str(code))
    raise GiveUp("the robot refuses the message", str(code))


def create(settings: Settings, database: Database) -> WeComRobot | None:
    """The robot, where its address is set. Raises SettingsError for an address that is none."""
    url = settings.wecom_robot_url
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.netloc:
        raise SettingsError("HEATLINE_WECOM_ROBOT_URL must be the whole address that the group's robot shows.")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise SettingsError("HEATLINE_WECOM_ROBOT_URL must begin with https://, for it carries the robot's key.")
    return WeComRobot(url)
