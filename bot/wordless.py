"""Messages without words: a scanned code, a place, a photo, a voice message, following and leaving."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import unlink
from bot.channels import Entry
from bot.inbox import Pending
from bot.models import Contact, Message
from bot.push_models import Subscription
from bot.record import Recorder
from bot.services import Services
from bot.tickets import Context
from bot.turns import build_turn
from bot.upsert import put
from handlers.dialogue import place
from handlers.dialogue.types import Address, Outcome, Reply, Turn
from nlu.places import Gazetteer
from nlu.types import Understanding

Said = tuple[str, list[Entry], int | None]

SCENE = "b"  # what the scene of a building's QR code begins with: b/<community>/<building>[/<unit>]
NEAR = 1200.0  # metres from which on an estate is not "nearby"
CHOICES = 3
_EARTH = 6_371_000.0  # metres
_NOTHING = Understanding(text="", intent="out_of_scope", confidence=0.0)


def scene_of(community: str, building: str, unit: str | None = None) -> str:
    """The scene of a building's QR code, by the gazetteer's ids."""
    return "/".join([SCENE, community, building, *([unit] if unit else [])])


def place_of(scene: str, places: Gazetteer) -> Address | None:
    """The building of a scene; None for any other code."""
    kind, _, rest = scene.partition("/")
    code, _, rest = rest.partition("/")
    number, _, unit = rest.partition("/")
    community = next((known for known in places.communities if known.id == code), None) if kind == SCENE else None
    if community is None:
        return None
    building = places.building(community, number)
    within = unit if building is not None and unit in building.units else None
    return Address(community.district, community.name, building.number if building else None, within, known=True)


def nearby(latitude: float, longitude: float, places: Gazetteer) -> list[str]:
    """The estates around a position, the nearest first. WeChat's positions, like all maps in China, are GCJ-02."""
    found = []
    for community in places.communities:
        if community.latitude is not None and community.longitude is not None:
            metres = _metres(latitude, longitude, community.latitude, community.longitude)
            if metres <= NEAR:
                found.append((metres, community.name))
    return [name for _, name in sorted(found)[:CHOICES]]


def _metres(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Over so short a way the earth is flat."""
    x = math.radians(lon2 - lon1) * math.cos(math.radians((lat1 + lat2) / 2))
    return math.hypot(x, math.radians(lat2 - lat1)) * _EARTH


def heed(context: Context, contact: Contact, message: Pending, places: Gazetteer) -> None:
    """What an event says of the contact, whoever is talking with them."""
    if message.kind == "unfollow":
        unlink.begin(context.session, contact, context.now)
    elif message.kind == "subscription":
        _subscribe(context, contact, _payload(context.session, message))
    elif message.kind in ("follow", "scan") and (address := place_of(message.text, places)) is not None:
        contact.place = json.dumps(asdict(address), ensure_ascii=False)


def _subscribe(context: Context, contact: Contact, payload: dict[str, Any]) -> None:
    """Keep what the resident has allowed: each yes to a one-time notice is one notice, a no ends them."""
    for item in payload.get("subscriptions", []):
        template = str(item.get("template", ""))[:64]
        known = context.session.get(Subscription, (contact.id, template), populate_existing=True)
        left = (known.left if known else 0) + 1 if item.get("accepted") else 0
        row = {"contact_id": contact.id, "template_id": template, "left": left, "changed_at": context.now}
        put(context.session, Subscription, row, ["contact_id", "template_id"])


def answer(services: Services, context: Context, contact: Contact, message: Pending, places: Gazetteer) -> Said | None:
    """The dialogue's answer to a place, a photo or a voice message; None for what has a fixed answer, or none."""
    turn = build_turn(context, contact, [message], _NOTHING, places)
    outcome = _outcome(services, context, message, turn)
    if outcome is None:
        return None
    recorder = Recorder(context, contact, [message], _NOTHING)
    text, entries = recorder.apply(outcome)
    return text, entries, recorder.ticket_id


def _outcome(services: Services, context: Context, message: Pending, turn: Turn) -> Outcome | None:
    if message.kind in ("follow", "scan"):
        address = place_of(message.text, turn.places)
        greeting = Reply("system.followed", {"company": services.settings.company})
        return place.known(turn, address, (greeting,) if message.kind == "follow" else ()) if address else None
    if message.kind == "location":
        names = _named_by(_payload(context.session, message), turn.places)
        return place.near(turn, tuple(names)) if names else None
    if message.kind in ("image", "video"):
        return place.shown(turn, message.kind)
    return place.spoken(turn) if message.kind == "voice" else None


def _named_by(payload: dict[str, Any], places: Gazetteer) -> list[str]:
    try:
        return nearby(float(payload["Location_X"]), float(payload["Location_Y"]), places)
    except (KeyError, TypeError, ValueError):
        return []


def _payload(session: Session, message: Pending) -> dict[str, Any]:
    kept = session.scalar(select(Message.payload).where(Message.id == message.id))
    found = json.loads(kept) if kept else {}
    return found if isinstance(found, dict) else {}
