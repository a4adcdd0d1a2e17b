"""The invented people of the simulated cold week: homes, how cold they are, who lives there, and what they write.

Every sentence carries what a person would label it, so that the small version needs no model. All are invented.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta

from bot.replay import Speaker
from handlers.dialogue.types import Address
from nlu.entities import extract
from nlu.facts import read_facts
from nlu.gazetteer import Gazetteer
from nlu.interpreter import Interpreter
from nlu.types import Understanding

CHASES = ("催一下，怎么还没人来", "再催一下，到底什么时候来人", "都催几遍了，人呢")
ASKS = ("我家修到哪一步了", "修得怎么样了")
REFUND = ("这几天没热，能退多少钱", "热费能不能退给我")
HOMES_OF_AN_ESTATE = 90  # that report in the week; so many estates, and their teams, are concerned
NEED = "，家里有八十岁的老人"
# Beginnings of the sentences, in this order, and what a person would label them.
LABELS = (
    ("催一下", "urge"),
    ("再催一下", "urge"),
    ("都催几遍", "urge"),
    ("我家修到", "ask_progress"),
    ("修得怎么样", "ask_progress"),
    ("这几天没热，能退", "billing"),
    ("热费能不能退", "billing"),
    ("没好，", "not_resolved"),
    ("好了，", "confirm_resolved"),
    ("谢谢", "thanks"),
)
_WEIGHTS = (2, 1, 1, 1, 1, 1, 3, 5, 6, 5, 4, 4, 4, 3, 3, 3, 4, 6, 8, 9, 8, 7, 5, 3)  # messages by hour of the day


@dataclass
class Home:
    """One home of the week and whoever writes about it."""

    address: Address
    line: str  # the address as people write it
    celsius: float
    tells: bool  # the first report has the reading
    need: bool
    at: timedelta  # when it is reported, from the beginning of the week
    speaker: Speaker
    account: str
    phone: str  # the registered one
    patience: timedelta  # until they press, and between two presses
    habits: frozenset[str]  # silent | chases | asks | refund | second | stranger | landlord | vague
    others: dict[str, Speaker] = field(default_factory=dict)

    @property
    def report(self) -> str:
        """The first message."""
        reading = f"，屋里才{self.celsius:g}度" if self.tells else ""
        need = NEED if self.need else ""
        if "vague" in self.habits:
            return f"暖气不热{reading}{need}"
        return f"{self.line}暖气不热{reading}{need}"


class Labelled:
    """Understands the sentences of this file as they are labelled, and finds entities as the real one does."""

    def understand(self, text: str, gazetteer: Gazetteer | None = None) -> Understanding:
        """See Interpreter."""
        intent = next((intent for head, intent in LABELS if text.startswith(head)), None)
        entities = tuple(extract(text, gazetteer))
        if intent is None:
            intent = "no_heat" if "不热" in text else "provide_info" if entities else "out_of_scope"
        facts = read_facts(text, intent)
        return Understanding(
            text,
            intent,
            0.97,
            ((intent, 0.97),),
            entities=entities,
            scope=facts.scope,
            need=facts.need,
            model="labelled",
        )

    def model(self) -> str:
        """See Interpreter."""
        return "labelled"


class Remembering:
    """Asks another interpreter once for each sentence; many people write the same words."""

    def __init__(self, inner: Interpreter) -> None:
        self._inner = inner
        self._known: dict[str, Understanding] = {}

    def understand(self, text: str, gazetteer: Gazetteer | None = None) -> Understanding:
        """See Interpreter."""
        if text not in self._known:
            self._known[text] = self._inner.understand(text, gazetteer)
        return self._known[text]

    def model(self) -> str:
        """See Interpreter."""
        return self._inner.model()


def homes(places: Gazetteer, count: int, days: int, rng: random.Random) -> list[Home]:
    """So many different homes of the network, with their people, in the order in which they report."""
    doors = _doors(places, 1 + count // HOMES_OF_AN_ESTATE)
    if count > len(doors):
        raise ValueError(f"The invented network has {len(doors)} homes in so many estates.")
    made = [_home(address, number, days, rng) for number, address in enumerate(rng.sample(doors, count))]
    return sorted(made, key=lambda home: home.at)


def _doors(places: Gazetteer, estates: int) -> list[Address]:
    """The doors of so many estates that we serve: two on each of six floors."""
    ours = sorted((c for c in places.communities if c.server is None), key=lambda c: (c.district or "", c.name))
    return [
        Address(community.district, community.name, building.number, unit, f"{floor}0{side}", known=True)
        for community in ours[:estates]
        for building in community.buildings.values()
        for unit in (building.units or (None,))
        for floor in range(1, 7)
        for side in (1, 2)
    ]


def _home(address: Address, number: int, days: int, rng: random.Random) -> Home:
    day, hour = min(int(rng.expovariate(0.45)), days - 1), rng.choices(range(24), _WEIGHTS)[0]
    medium = rng.choice(("wechat", "sms"))
    celsius = round(rng.choices((rng.uniform(7.0, 13.0), rng.gauss(15.8, 1.3)), (1, 9))[0] * 2) / 2
    chances = {
        "silent": 0.15,
        "chases": 0.3,
        "asks": 0.2,
        "refund": 0.05,
        "second": 0.06,
        "stranger": 0.05,
        "landlord": 0.03,
        "vague": 0.2,
    }
    return Home(
        address=address,
        line=_line(address),
        celsius=min(celsius, 17.5),
        tells=rng.random() < 0.7,
        need=rng.random() < 0.12,
        at=timedelta(days=day, hours=hour, seconds=rng.randrange(3600)),
        speaker=_speaker(medium, number, 0),
        account=f"{88000000 + number}",
        phone=f"+86139{number:08d}",
        patience=timedelta(hours=rng.uniform(3, 14)),
        habits=frozenset(habit for habit, chance in chances.items() if rng.random() < chance),
    )


def _speaker(medium: str, number: int, role: int) -> Speaker:
    """A resident whose address no person has."""
    if medium == "wechat":
        return Speaker(f"oWeek{role}{number:022d}", medium)
    return Speaker(f"+86140{role}{number:07d}", medium)


def other(home: Home, role: str, number: int) -> Speaker:
    """Somebody else who writes about a home: second, stranger, landlord; always the same one."""
    if role not in home.others:
        place = ("second", "stranger", "landlord").index(role) + 1
        home.others[role] = _speaker(home.speaker.medium, number, place)
    return home.others[role]


def _line(address: Address) -> str:
    unit = f"{address.unit}单元" if address.unit else ""
    return f"{address.community}{address.building}号楼{unit}{address.room}"


def answer_to(home: Home, asked: str) -> str | None:
    """What a resident answers to a question of the last text; None where nothing is asked that they care for."""
    unit = f"{home.address.unit}单元" if home.address.unit else "没有"
    for words, reply in (
        ("哪个小区", home.line),
        ("小区名字", home.line),
        ("几号楼", f"{home.address.building}号楼"),
        ("几单元", unit),
        ("门牌号", str(home.address.room)),
        ("是就回1", "1"),
    ):
        if words in asked:
            return reply
    return None
