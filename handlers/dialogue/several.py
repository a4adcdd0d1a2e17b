"""Several homes in one message (a landlord's flats, a manager's list): each is a ticket of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from handlers.dialogue import collect
from handlers.dialogue.facts import add_to
from handlers.dialogue.types import Address, Case, Conversation, OpenTicket, Outcome, Reply, Turn
from handlers.dialogue.wording import place_line, problem
from nlu.places import Gazetteer
from nlu.types import Entity

MOST = 8  # homes of one message; longer lists are for a person
_PARTS = ("community", "building", "unit", "room")


def homes_in(entities: Sequence[Entity], places: Gazetteer) -> tuple[Address, ...]:
    """The homes that a message names, where it names more than one by building and room; else nothing.

    A building (or an estate, or a unit) after a room begins another home; what stands above it holds until another one
    is named.
    """
    groups: list[dict[str, str]] = [{}]
    for entity in sorted((e for e in entities if e.entity in _PARTS), key=lambda e: e.start):
        kind, current = entity.entity, groups[-1]
        if "room" in current and kind != "room":
            stays = ("community",) if kind != "unit" else ("community", "building")
            groups.append(current := {part: current[part] for part in stays if part in current})
        elif "room" in current:
            return ()  # several rooms of one building are one report
        current[kind] = str(entity.value)
    homes = [_address(group, places) for group in groups if "building" in group and "room" in group]
    distinct = tuple(dict.fromkeys(homes))
    return distinct if 1 < len(distinct) == len(groups) <= MOST else ()


def told(turn: Turn, case: Case) -> Outcome | None:
    """Several homes as the answer to a question for the address of one; None where there is one, or none."""
    if case.intent in collect.AT_ONCE or turn.conversation.ticket is not None:
        return None
    homes = homes_in(turn.understanding.entities, turn.places)
    estate = case.address
    named = [
        home if home.community else replace(home, community=estate.community, known=estate.known) for home in homes
    ]
    return open_all(turn, add_to(case, turn), named) if named else None


def buildings_in(entities: Sequence[Entity], places: Gazetteer) -> tuple[Address, ...]:
    """The buildings of one estate that a message names, where it names several and no door; else nothing."""
    kinds = [e.entity for e in entities]
    estates = {str(e.value) for e in entities if e.entity == "community"}
    if "room" in kinds or "unit" in kinds or kinds.count("building") < 2 or len(estates) != 1:
        return ()
    estate = {"community": estates.pop()}
    numbers = dict.fromkeys(str(e.value) for e in entities if e.entity == "building")
    return tuple(_address({**estate, "building": number}, places) for number in numbers) if len(numbers) > 1 else ()


def _address(group: dict[str, str], places: Gazetteer) -> Address:
    known = places.community(group["community"]) if "community" in group else None
    return Address(
        district=known.district if known else None,
        community=group.get("community"),
        building=group.get("building"),
        unit=group.get("unit"),
        room=group.get("room"),
        known=known is not None,
    )


def open_all(turn: Turn, case: Case, homes: Sequence[Address], scope: str | None = None) -> Outcome | None:
    """A ticket for every home (or building, by `scope`); None where one lacks something that has to be asked for."""
    cases = [replace(case, address=home, scope=scope, rooms=()) for home in homes]
    if not all(collect.is_complete(one, turn.places) for one in cases) or collect.out_of_season(turn, case):
        return None
    words = problem((case.intent, *case.also))
    lines = [
        Reply("several.opened", {"address": place_line(one), "problem": words}, about_ticket=True, nth=place)
        for place, one in enumerate(cases)
    ]
    conversation = Conversation(case=cases[-1], asked=("neighbours", "extent"))
    replies: tuple[Reply, ...] = (Reply("several.head"), *lines)
    if turn.channel == "wechat" and turn.phone is None and case.phone is None:
        replies = (*replies, Reply("ask.phone", own_only=True))
        conversation = replace(conversation, waiting_for="phone", asked=(*conversation.asked, "phone"))
    return Outcome(replies, conversation, tuple(OpenTicket(one) for one in cases))
