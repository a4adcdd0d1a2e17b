"""The values understanding deals in, shared by the service and the NLU server's tools."""

from __future__ import annotations

from dataclasses import dataclass

# Every intent of the annotation guide, in the order that decides the primary one (guide, rule 1).
INTENTS: tuple[str, ...] = (
    "danger",
    "leak",
    "open_valve",
    "no_heat",
    "low_temperature",
    "other_repair",
    "not_resolved",
    "urge",
    "billing",
    "cancel",
    "human_agent",
    "privacy",
    "ask_progress",
    "confirm_resolved",
    "consult",
    "provide_info",
    "affirm",
    "deny",
    "greet",
    "thanks",
    "unsubscribe",
    "out_of_scope",
)

# Guide, rule 8: these carry nothing beside another intent; the rest of a message is never "also" out of scope.
NEVER_ALSO: frozenset[str] = frozenset(
    {"provide_info", "affirm", "deny", "greet", "thanks", "unsubscribe", "out_of_scope"}
)

# 退订 is recognised by an exact rule in nlu/interpreter.py, so no model learns it.
RULE_INTENTS: frozenset[str] = frozenset({"unsubscribe"})

PROBLEMS: tuple[str, ...] = ("no_heat", "low_temperature", "leak", "billing")

ENTITIES: tuple[str, ...] = (
    "district",
    "community",
    "building",
    "unit",
    "room",
    "temperature",
    "phone",
    "account_no",
    "duration",
)

SCOPES: tuple[str, ...] = ("room", "home", "unit", "building", "community")
SEVERITIES: tuple[str, ...] = ("burst", "drip")


@dataclass(frozen=True, slots=True)
class Entity:
    """One fact found in a text; `text` is `original[start:end]`, `value` its normalised form (temperature: a number)."""

    entity: str
    value: str | float
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What a message states beside its intent; None where it states nothing."""

    scope: str | None = None
    severity: str | None = None
    need: str | None = None


@dataclass(frozen=True, slots=True)
class Sentence:
    """One labelled sentence of the corpus; `text` is plain, its entity marks already read into `entities`.

    `near` marks a message that is out of scope though it shares its fault or subject with ours (a leaking washing
    machine, an advert for radiators).
    """

    text: str
    intent: str
    also: tuple[str, ...] = ()
    entities: tuple[Entity, ...] = ()
    scope: str | None = None
    severity: str | None = None
    need: str | None = None
    near: str | None = None


@dataclass(frozen=True, slots=True)
class Understanding:
    """What one text means, free of any conversation; `ranking` is (intent, calibrated confidence), best first.

    From a confidence of `threshold` on, acting on `intent` costs less than asking; it was chosen with the model.
    """

    text: str
    intent: str
    confidence: float
    ranking: tuple[tuple[str, float], ...] = ()
    also: tuple[str, ...] = ()
    entities: tuple[Entity, ...] = ()
    scope: str | None = None
    severity: str | None = None
    need: str | None = None
    model: str | None = None
    threshold: float = 0.0

    @property
    def sure(self) -> bool:
        """Whether to act on the intent rather than ask."""
        return self.confidence >= self.threshold
