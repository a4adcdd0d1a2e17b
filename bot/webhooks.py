"""The doors: verify → store → answer or acknowledge. A message is acknowledged only once it is stored."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import datetime, timedelta

from flask import Blueprint, Request, Response, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

from bot import clock, conversation, inbox, intake, outbox
from bot.channels import AnswersSome, BadRequest, Channel, Inbound, Report
from bot.conversation import Answer
from bot.inbox import Received
from bot.intake import Intake
from bot.passive import PassiveMarker
from bot.services import Services
from bot.trace import trace

log = logging.getLogger(__name__)
blueprint = Blueprint("channels", __name__, url_prefix="/channels")

TWIN_WAIT = 3.0  # seconds that a repeated push waits for the first one's answer
TWIN_POLL = 0.05


def _services() -> Services:
    services: Services = current_app.extensions["heatline"]
    return services


def _intake() -> Intake:
    intake: Intake = current_app.extensions["heatline_intake"]
    return intake


@blueprint.get("/wechat")
def verify_wechat() -> Response:
    """WeChat's check of the address, when the operator saves the server configuration."""
    channel = _services().channels.get("wechat")
    if channel is None:
        return Response(status=404)
    try:
        return channel.verify_url(request)
    except BadRequest as refusal:
        return Response(status=refusal.status)


@blueprint.post("/wechat")
def wechat() -> Response:
    """Messages and events of the WeChat account."""
    return _take("wechat")


@blueprint.post("/twilio")
def twilio() -> Response:
    """Inbound SMS through Twilio."""
    return _take("twilio")


@blueprint.post("/twilio/status")
@blueprint.post("/twilio/status/<ref>")
def twilio_status(ref: str | None = None) -> Response:
    """Twilio's reports on messages that we sent."""
    return _take("twilio")


@blueprint.post("/aliyun/<secret>/up")
@blueprint.post("/aliyun/<secret>/report")
def aliyun(secret: str) -> Response:
    """Inbound SMS through Aliyun, and its reports; the secret stands in for a signature."""
    return _take("aliyun")


@blueprint.post("/tencent/<secret>/reply")
@blueprint.post("/tencent/<secret>/status")
def tencent(secret: str) -> Response:
    """Inbound SMS through Tencent Cloud, and its reports; the secret stands in for a signature."""
    return _take("tencent")


def _take(name: str) -> Response:
    services = _services()
    channel = services.channels.get(name)
    if channel is None:
        return Response(status=404)
    try:
        arrived = channel.read(request)
    except BadRequest as refusal:
        return Response(status=refusal.status)
    except RequestEntityTooLarge:
        return Response(status=413)
    try:
        return _keep(services, channel, arrived)
    except Exception as error:
        # Not stored, hence not acknowledged: the provider brings it again. What the error quotes is not logged.
        log.error("A webhook of %s could not be stored: %s", name, trace(error))
        return Response(status=503)


def _keep(services: Services, channel: Channel, arrived: list[Inbound | Report]) -> Response:
    """Store everything that arrived; answer where one message came by a channel that can carry an answer."""
    messages = [item for item in arrived if isinstance(item, Inbound)]
    _take_reports(services, [item for item in arrived if isinstance(item, Report)])
    if len(messages) == 1 and _may_answer(channel, messages[0]):
        return _answer(services, channel, request, messages[0])
    _intake().receive_all(messages)
    return channel.acknowledge(request)


def _may_answer(channel: Channel, inbound: Inbound) -> bool:
    return channel.reply_deadline > 0 and not (isinstance(channel, AnswersSome) and not channel.answers(inbound))


def _storable(report: Report) -> Report:
    """A report without what a database cannot hold (NUL, broken Unicode): one bad report must not keep others out."""
    code, ref = (intake.storable(value) if value else value for value in (report.code, report.ref))
    return replace(report, provider_ref=intake.storable(report.provider_ref), code=code, ref=ref)


def _take_reports(services: Services, reports: list[Report]) -> None:
    if not reports:
        return
    book = services.rules.current()
    with services.database.transaction() as session:
        # In one order for everybody: two batches at once must not wait for one another's rows.
        for report in sorted(map(_storable, reports), key=lambda report: report.provider_ref):
            outbox.take_report(session, report, services.channels, book)


def _answer(services: Services, channel: Channel, request: Request, inbound: Inbound) -> Response:
    """Answer within the response itself when a slot is free and the answer is ready in time."""
    deadline = clock.now() + timedelta(seconds=channel.reply_deadline)
    slot = services.inline_slots.acquire(blocking=False)
    try:
        received = _intake().receive(inbound, claim=slot)
        answer = _answer_to(services, received, deadline)
    finally:
        if slot:
            services.inline_slots.release()
    if answer is None or not answer.passive:
        return channel.acknowledge(request)
    response = channel.answer(request, inbound, answer.text, str(answer.delivery_id or ""))
    if answer.delivery_id is not None:
        marker: PassiveMarker = current_app.extensions["heatline_passive"]
        response.call_on_close(lambda: marker.sent(answer.delivery_id))
    return response


def _answer_to(services: Services, received: Received, deadline: datetime) -> Answer | None:
    """The answer to a stored message, if there is one now."""
    try:
        if not received.new:
            return _answer_of_twin(services, received.message_id)
        return conversation.handle(services, received.claim, deadline) if received.claim is not None else None
    except Exception as error:
        # The message is stored, so the worker answers it; an error page would be all that the resident sees.
        log.error("Message %s was left to the worker: %s", received.message_id, trace(error))
        return None


def _answer_of_twin(services: Services, message_id: int) -> Answer | None:
    """The answer that the first push of this message got; waits a little while it is still being made."""
    give_up = time.monotonic() + TWIN_WAIT
    while True:
        with services.database.reading() as session:
            # In this order: an answer that is committed between the two looks is then seen by the second.
            busy = inbox.in_work(session, message_id)
            answer = conversation.stored_answer(session, message_id)
        if answer is not None or not busy or time.monotonic() >= give_up:
            return answer
        time.sleep(TWIN_POLL)
