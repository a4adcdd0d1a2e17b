"""The known estates, their buildings, stations and teams, and the search for a name that may be misspelt."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pypinyin import Style, lazy_pinyin
from rapidfuzz.distance import OSA

from nlu.community_forms import PHASE
from nlu.normalise import normalise
from nlu.numerals import digits_of, to_int

_SUFFIXES = ("住宅小区", "小区", "社区", "家属院", "花园", "家园", "公寓", "国际")
_HAN_NUMERALS = "零一二三四五六七八九十"
_FUZZY_SOUNDS = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("ang", "an"), ("eng", "en"), ("ing", "in"))


@dataclass(frozen=True, slots=True)
class Building:
    """One building; `units` is empty where it has none."""

    number: str
    units: tuple[str, ...] = ()
    floors: int | None = None
    station: str | None = None
    team: str | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """Another company, or a property company or employer (`self_run`), that runs an estate's pipes."""

    name: str
    phone: str | None = None
    self_run: bool = False


@dataclass(frozen=True, slots=True)
class Community:
    """One estate (小区)."""

    id: str
    name: str
    aliases: tuple[str, ...] = ()
    district: str | None = None
    pinyin: str = ""
    latitude: float | None = None
    longitude: float | None = None
    station: str | None = None
    team: str | None = None
    server: Server | None = None  # who serves it, where we do not
    buildings: Mapping[str, Building] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An estate a text may mean: `kind` is exact, alias, fuzzy or pinyin; `value` adds a phase or yard."""

    community: Community
    value: str
    score: float
    kind: str
    start: int
    end: int


class Gazetteer:
    """All known places. Build it from rows (`from_rows`) or from a folder of CSV files (`from_folder`)."""

    def __init__(self, communities: Iterable[Community] = ()) -> None:
        self.communities: tuple[Community, ...] = tuple(communities)
        self._by_name: dict[str, tuple[Community, str]] = {}
        self._by_head: dict[str, list[str]] = {}
        self._by_sound: dict[tuple[str, ...], str] = {}
        self._by_letters: dict[str, str] = {}
        for kind in ("exact", "alias"):
            for community in self.communities:
                self._index(community, kind)
        for names in self._by_head.values():
            names.sort(key=len, reverse=True)
        self._lengths = sorted({len(sound) for sound in self._by_sound}, reverse=True)

    @classmethod
    def from_rows(
        cls,
        communities: Iterable[Mapping[str, Any]],
        buildings: Iterable[Mapping[str, Any]] = (),
    ) -> Gazetteer:
        """From dictionaries with the columns of data/gazetteer/communities.csv and buildings.csv."""
        by_community: dict[str, dict[str, Building]] = {}
        for row in buildings:
            building = _building(row)
            by_community.setdefault(str(row["community_id"]), {})[building.number] = building
        return cls(_community(row, by_community.get(str(row["id"]), {})) for row in communities)

    @classmethod
    def from_folder(cls, folder: Path) -> Gazetteer:
        """From communities.csv and, where it is there, buildings.csv."""
        buildings = folder / "buildings.csv"
        rows = list(_read(buildings)) if buildings.exists() else []
        return cls.from_rows(_read(folder / "communities.csv"), rows)

    def community(self, name: str) -> Community | None:
        """The estate of exactly this name or alias, with or without its phase."""
        entry = self._by_name.get(name) or self._by_name.get(canonical_phase(name))
        return entry[0] if entry else None

    def building(self, community: Community, number: str) -> Building | None:
        """The building of that number, if it is known."""
        return community.buildings.get(number.upper())

    def needs_unit(self, community: Community, number: str) -> bool | None:
        """Whether addresses in that building have a unit; None where the building is unknown."""
        building = self.building(community, number)
        return None if building is None else bool(building.units)

    def match_community(self, text: str, limit: int = 5) -> list[Candidate]:
        """Estates that a name or a message may mean, best first; each estate once."""
        normal = normalise(text).text
        found = self.find(normal) or self._like(normal)
        best: dict[str, Candidate] = {}
        for candidate in sorted(found, key=lambda item: (-item.score, item.start - item.end)):
            best.setdefault(candidate.community.id, candidate)
        return list(best.values())[:limit]

    def find(self, text: str) -> list[Candidate]:
        """Every estate that normalised text names outright or by sound, in text order, none overlapping."""
        found = list(self._exact(text))
        taken = {position for item in found for position in range(item.start, item.end)}
        for item in [*self._spoken(text), *self._spelt(text)]:
            if taken.isdisjoint(range(item.start, item.end)):
                taken.update(range(item.start, item.end))
                found.append(item)
        return sorted(found, key=lambda item: item.start)

    def resolve(self, name: str) -> Candidate | None:
        """The one estate that a whole name surely means (exact, alias or homophone), else None."""
        found = [item for item in self.find(name) if item.start == 0]
        return found[0] if found and found[0].end == len(name) else None

    def _index(self, community: Community, kind: str) -> None:
        names = (community.name,) if kind == "exact" else community.aliases
        for name in names:
            if name in self._by_name:
                continue
            self._by_name[name] = (community, kind)
            self._by_head.setdefault(name[:2], []).append(name)
            sound = _sounds(name)
            if len(sound) >= 3:
                self._by_sound.setdefault(sound, name)
            if len(sound) >= 2:
                self._by_letters.setdefault("".join(lazy_pinyin(name)), name)
        if kind == "exact" and community.pinyin:
            self._by_letters.setdefault(re.sub(r"[^a-z]", "", community.pinyin.lower()), community.name)

    def _exact(self, text: str) -> Iterator[Candidate]:
        position = 0
        while position < len(text):
            names = self._by_head.get(text[position : position + 2], ())
            name = next((name for name in names if text.startswith(name, position)), None)
            if name is None:
                position += 1
                continue
            kind = self._by_name[name][1]
            candidate = self._with_phase(text, name, position, position + len(name), 1.0, kind)
            yield candidate
            position = candidate.end

    def _spoken(self, text: str) -> Iterator[Candidate]:
        """Homophones (升龙有一城): windows of the text that sound like a name of three syllables or more."""
        if not self._lengths:
            return
        sounds = [_sound(char) for char in text]
        position = 0
        while position < len(text):
            found = self._spoken_at(text, sounds, position)
            if found:
                yield found
            position = found.end if found else position + 1

    def _spoken_at(self, text: str, sounds: Sequence[str], position: int) -> Candidate | None:
        if not sounds[position]:
            return None
        for length in self._lengths:
            name = self._by_sound.get(tuple(sounds[position : position + length]))
            if name and _slip_of(text[position : position + length], name):
                return self._with_phase(text, name, position, position + length, 0.92, "pinyin")
        return None

    def _spelt(self, text: str) -> Iterator[Candidate]:
        """Latin letters (shenglong youyicheng): runs of them, blanks left out."""
        for match in re.finditer(r"[A-Za-z](?:[A-Za-z ]{3,38}[A-Za-z])", text):
            letters = [index for index in range(*match.span()) if text[index] != " "]
            spelling = "".join(text[index] for index in letters).lower()
            for begin, end, name in self._spellings(spelling):
                yield self._with_phase(text, name, letters[begin], letters[end - 1] + 1, 0.9, "pinyin")

    def _spellings(self, spelling: str) -> Iterator[tuple[int, int, str]]:
        for begin in range(len(spelling)):
            for end in range(len(spelling), begin + 5, -1):
                name = self._by_letters.get(spelling[begin:end])
                if name:
                    yield begin, end, name
                    return

    def _with_phase(self, text: str, name: str, start: int, end: int, score: float, kind: str) -> Candidate:
        """The estate of that name, or of its phase where the text goes on with one that is listed."""
        community = self._by_name[name][0]
        value = community.name
        if text.startswith("小区", end):
            end += 2
        while match := PHASE.match(text, end):
            phased = canonical_phase(value + match[0].strip())
            value, end = phased, match.end()
            if phased in self._by_name:
                community = self._by_name[phased][0]
                value = community.name
        return Candidate(community, value, score, kind, start, end)

    def _like(self, text: str) -> list[Candidate]:
        """Names one or two slips away from the text, or the same without their ending."""
        bare = _bare(text)
        if len(bare) < 2:
            return []
        scored = [(name, _likeness(bare, text, name)) for name in self._by_name]
        found = [self._candidate_like(name, score, "fuzzy", text) for name, score in scored if score >= 0.66]
        homophone = self._by_sound.get(_sounds(text))
        return [*found, self._candidate_like(homophone, 0.9, "pinyin", text)] if homophone else found

    def _candidate_like(self, name: str, score: float, kind: str, text: str) -> Candidate:
        community = self._by_name[name][0]
        return Candidate(community, community.name, round(score, 2), kind, 0, len(text))


def canonical_phase(name: str) -> str:
    """普罗6期 → 普罗六期, 二号院 → 2号院, c区 → C区: one way of writing what follows a name."""
    name = re.sub(r"(\d{1,2})期", lambda match: _to_han(int(match[1])) + "期", name)
    name = re.sub(r"([零一二三四五六七八九十百]{1,4})(?=号院)", lambda match: digits_of(match[1]), name)
    return re.sub(r"[a-z](?=区|地块)", lambda match: match[0].upper(), name)


def _to_han(number: int) -> str:
    tens, ones = divmod(number, 10)
    head = "" if tens == 0 else "十" if tens == 1 else _HAN_NUMERALS[tens] + "十"
    return head + (_HAN_NUMERALS[ones] if ones or not tens else "")


def _bare(name: str) -> str:
    """A name without phase and ending: what is left to compare when people shorten it."""
    name = PHASE.sub("", name)
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and len(name) - len(suffix) >= 2:
            return name.removesuffix(suffix)
    return name


def _likeness(bare: str, text: str, name: str) -> float:
    """0 to 1: slips in the whole name, or equality once endings are dropped."""
    if abs(len(name) - len(text)) <= 2 and len(name) >= 3:
        slips = OSA.distance(text, name, score_cutoff=2)
        whole = 1 - slips / max(len(name), len(text))
    else:
        whole = 0.0
    if _bare(name) == bare:
        return max(whole, 0.85)
    if len(bare) >= 2 and name.startswith(bare):
        return max(whole, 0.7)
    return min(whole, 0.89)


def _slip_of(text: str, name: str) -> bool:
    """A homophone typed by mistake: its ending is right, and half of it (滨河佳园 is not 滨河嘉园)."""
    same = sum(one == other for one, other in zip(text, name, strict=True))
    return text[-2:] == name[-2:] and same * 2 >= len(name)


@lru_cache(maxsize=8192)
def _sound(char: str) -> str:
    """The syllable of one character, blurred as dictation blurs it; empty if it is not Chinese."""
    if not "\u4e00" <= char <= "\u9fff":
        return ""
    syllable: str = lazy_pinyin(char, style=Style.NORMAL)[0]
    for sharp, blurred in _FUZZY_SOUNDS:
        syllable = syllable.replace(sharp, blurred)
    return syllable


def _sounds(name: str) -> tuple[str, ...]:
    sounds = tuple(_sound(char) for char in name)
    return sounds if all(sounds) else ()


def _read(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a CSV file; lines that begin with # say where it came from."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(line for line in file if not line.startswith("#"))


def _list(value: Any) -> tuple[str, ...]:
    """A list column: a list, or a text divided by | ."""
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split("|") if item.strip())
    return tuple(str(item) for item in value or ())


def _number(value: Any) -> float | None:
    return None if value in (None, "") else float(value)


def _building(row: Mapping[str, Any]) -> Building:
    return Building(
        number=str(row["number"]).upper(),
        units=_list(row.get("units")),
        floors=to_int(str(row.get("floors") or "")),
        station=row.get("station") or None,
        team=row.get("team") or None,
    )


def _community(row: Mapping[str, Any], buildings: Mapping[str, Building]) -> Community:
    return Community(
        id=str(row["id"]),
        name=str(row["name"]),
        aliases=_list(row.get("aliases")),
        district=row.get("district") or None,
        pinyin=str(row.get("pinyin") or ""),
        latitude=_number(row.get("latitude")),
        longitude=_number(row.get("longitude")),
        station=row.get("station") or None,
        team=row.get("team") or None,
        server=row.get("server"),
        buildings=buildings,
    )
