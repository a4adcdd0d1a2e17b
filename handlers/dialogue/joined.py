"""Words about a ticket that this contact has only joined: it is somebody else's at a home that they have not proved.

They are told that the address has been reported, and how to prove that it is theirs; what they say is kept for staff.
"""

from __future__ import annotations

from handlers.dialogue.choose import settled
from handlers.dialogue.collect import COLD
from handlers.dialogue.types import AddNote, AskForPerson, ChaseTicket, Effect, Outcome, Reply, TicketView, Turn


def spoken_of(turn: Turn, intent: str | None = None) -> TicketView | None:
    """The joined ticket that a message can only be about: they have no open one of their own (of that fault)."""
    family = COLD if intent in COLD else {intent}
    own = any(t.is_open and (intent is None or t.intent in family) for t in turn.tickets)
    fitting = (t for t in turn.joined if intent is None or t.intent in family)
    return None if own else next(fitting, None)


def progress(turn: Turn) -> Outcome:
    """It is being worked on; more only after a proof."""
    return Outcome((Reply("joined.progress"),), settled(turn.conversation))


def pressed(turn: Turn, ticket: TicketView) -> Outcome:
    """A chase counts whoever makes it; the second one is answered by a person."""
    effects: tuple[Effect, ...] = (ChaseTicket(ticket.number), AddNote(ticket.number))
    if ticket.status in ("done", "confirming"):  # said to be repaired, and not at theirs
        return Outcome((Reply("joined.not_yet"),), settled(turn.conversation), (*effects, AskForPerson("chased")))
    if ticket.chases >= 1:
        return Outcome((Reply("joined.person"),), settled(turn.conversation), (*effects, AskForPerson("chased")))
    return Outcome((Reply("joined.pressed"),), settled(turn.conversation), effects)


def told(turn: Turn, ticket: TicketView) -> Outcome:
    """好了, 热了: kept, and made sure of with who reported it."""
    return Outcome((Reply("joined.told"),), settled(turn.conversation), (AddNote(ticket.number),))


def not_theirs(turn: Turn, ticket: TicketView) -> Outcome:
    """Withdrawing is for who reported it, or for who proves the home."""
    return Outcome((Reply("joined.not_theirs"),), settled(turn.conversation), (AddNote(ticket.number),))


def noted(turn: Turn, ticket: TicketView) -> Outcome:
    """The same fault once more, perhaps with a reading."""
    return Outcome((Reply("joined.noted"),), settled(turn.conversation, case=None), (AddNote(ticket.number),))
