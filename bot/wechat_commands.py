"""`heatline wechat …`: the account's menu, the buildings' QR codes, and what is wrong with it."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import requests

from bot import crypto, ways, wordless
from bot.channels.network import session_for
from bot.channels.wechat import create_client
from bot.channels.wechat_client import StableWeChatClient, WeChatRefused, WeChatUnreachable
from bot.channels.wechat_menu import columns_of, problems_of
from bot.channels.wechat_send import MESSAGE, NAME
from bot.database import Database
from bot.gazetteer import GazetteerSource
from bot.rules import RuleBook, RuleSource
from bot.settings import Settings, SettingsError
from bot.wechat_check import NOTE, OK, WRONG, check, explain
from nlu.places import Gazetteer

Wrap = Callable[[Callable[..., None]], Callable[..., None]]

OFFICIAL, PICTURES = "https://api.weixin.qq.com", "https://mp.weixin.qq.com"
MOST_SCENE = 64  # characters of a scene (createQRCode)
MOST_DAYS = 30  # of a temporary code
MARKS = {OK: "  ok   ", NOTE: "  note ", WRONG: "  WRONG"}
_ENDINGS = {"image/png": "png"}


@dataclass
class Account:
    """What the commands work with."""

    settings: Settings
    database: Database
    client: StableWeChatClient
    book: RuleBook

    def places(self) -> Gazetteer:
        """The gazetteer as it stands."""
        return GazetteerSource(self.database).current()


@contextmanager
def _account(settings: Settings, http: requests.Session | None = None) -> Iterator[Account]:
    """The account of the settings; what WeChat refuses is said in one sentence. Raises SettingsError."""
    if not settings.wechat_appid or not settings.wechat_secret:
        raise SettingsError("Set HEATLINE_WECHAT_APPID and HEATLINE_WECHAT_SECRET first (docs/channels.md).")
    crypto.configure(settings.data_key)
    database = Database(settings.database_url)
    try:
        yield Account(settings, database, create_client(settings, database, http), _book(settings, database))
    except WeChatRefused as refusal:
        raise SettingsError(explain(refusal)) from None
    except WeChatUnreachable as trouble:
        raise SettingsError(f"WeChat's API does not answer: {trouble.reason}.") from None
    finally:
        database.dispose()


def _book(settings: Settings, database: Database) -> RuleBook:
    try:
        return RuleSource(database, settings.shown_hotline, settings.zone).current()
    except Exception as error:
        raise SettingsError(f"The rules cannot be read ({type(error).__name__}); run `heatline db upgrade`.") from None


# --- check


def report(account: Account, say: Callable[[str], None]) -> bool:
    """Say what was found; where nothing is wrong, what waited for the account to be mended goes out. Whether all is well."""
    findings = []
    for finding in check(account.settings, account.client, account.book):
        say(f"{MARKS[finding.level]} {finding.words}")
        findings.append(finding)
    if any(finding.level == WRONG for finding in findings):
        return False
    with account.database.transaction() as session:
        for part in (NAME, f"{NAME}:{MESSAGE}"):
            ways.mended(session, part)
    return True


# --- menu


def set_menu(account: Account) -> int:
    """Set the menu of the rule `wechat_menu`; returns how many columns. Raises SettingsError where the rule is wrong."""
    if problems := list(problems_of(account.book)):
        raise SettingsError(" ".join(problems))
    columns = columns_of(account.book)
    account.client.call("menu/create", {"button": columns})
    return len(columns)


# --- QR codes


@dataclass(frozen=True, slots=True)
class Code:
    """The QR code of a building or of one of its units."""

    community: str
    building: str
    unit: str
    scene: str

    @property
    def stem(self) -> str:
        """Its file's name."""
        return re.sub(r"[^\w-]+", "_", self.scene)


def codes(places: Gazetteer, community: str | None, by_unit: bool) -> Iterator[Code]:
    """The codes of an estate (its id or its name; None: of all). Raises SettingsError for one that there is not."""
    chosen = [c for c in places.communities if community in (None, c.id, c.name)]
    if not chosen:
        raise SettingsError(f"There is no estate {community} in the gazetteer.")
    for estate in chosen:
        for building in estate.buildings.values():
            for unit in building.units if by_unit and building.units else ("",):
                scene = wordless.scene_of(estate.id, building.number, unit or None)
                if len(scene) > MOST_SCENE:
                    raise SettingsError(f"The code {scene} is longer than WeChat's {MOST_SCENE} characters.")
                yield Code(estate.name, building.number, unit, scene)


def make_codes(account: Account, wanted: list[Code], folder: Path, days: int | None) -> int:
    """Make the codes whose picture is not in `folder` yet, with an index.csv of all; returns how many were made."""
    folder.mkdir(parents=True, exist_ok=True)
    made, rows = 0, []
    pictures = PICTURES if account.settings.wechat_api == OFFICIAL else account.settings.wechat_api
    http = account.client._http if pictures != PICTURES else session_for(pictures)
    for code in wanted:
        known = next(iter(sorted(folder.glob(f"{code.stem}.*"))), None)
        if known is None or days is not None:
            known = folder / f"{code.stem}.{_make(account.client, http, pictures, code, days, folder)}"
            made += 1
        rows.append([code.community, code.building, code.unit, code.scene, known.name])
    with (folder / "index.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([["community", "building", "unit", "scene", "file"], *rows])
    return made


def _make(
    client: StableWeChatClient, http: requests.Session, pictures: str, code: Code, days: int | None, folder: Path
) -> str:
    """Create one code and write its picture; returns the file's ending."""
    asked: dict[str, object] = {"action_info": {"scene": {"scene_str": code.scene}}}
    if days is None:
        asked["action_name"] = "QR_LIMIT_STR_SCENE"
    else:
        asked |= {"action_name": "QR_STR_SCENE", "expire_seconds": days * 86_400}
    result = client.post("qrcode/create", data=asked)
    ticket = result.get("ticket") if isinstance(result, Mapping) else None
    if not isinstance(ticket, str):
        raise WeChatUnreachable("the answer has no ticket", sent=True)
    try:
        picture = http.get(f"{pictures}/cgi-bin/showqrcode", params={"ticket": ticket}, timeout=client.timeout)
    except requests.RequestException as error:
        raise WeChatUnreachable(type(error).__name__, sent=False) from None
    kind = picture.headers.get("Content-Type", "")
    if picture.status_code != 200 or not kind.startswith("image/"):
        raise WeChatUnreachable(f"no picture of {code.scene}", sent=False, status=picture.status_code)
    ending = _ENDINGS.get(kind, "jpg")
    (folder / f"{code.stem}.{ending}").write_bytes(picture.content)
    return ending


def register(group: click.Group, settings: Callable[[], Settings], plain_errors: Wrap) -> None:
    """Add the commands to `heatline wechat`."""

    @group.command("check")
    @plain_errors
    def check_() -> None:
        """Say in words what is wrong with the account: IP list, rights, mode, template ids, menu."""
        with _account(settings()) as account:
            if not report(account, click.echo):
                sys.exit(1)

    @group.command()
    @click.option("--show", is_flag=True, help="print the menu and change nothing")
    @plain_errors
    def menu(show: bool) -> None:
        """Set the menu under the chat, as the rule `wechat_menu` has it."""
        with _account(settings()) as account:
            if show:
                click.echo(json.dumps(columns_of(account.book), ensure_ascii=False, indent=2))
                return
            click.echo(f"The menu is set ({set_menu(account)} columns); phones show it within 5 minutes.")

    @group.command()
    @click.argument("community", required=False)
    @click.option(
        "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("var/qrcodes"), show_default=True
    )
    @click.option("--units", is_flag=True, help="a code for every unit rather than for every building")
    @click.option(
        "--days", type=click.IntRange(1, MOST_DAYS), help="temporary codes; permanent ones are 100,000 at most"
    )
    @plain_errors
    def qrcode(community: str | None, out: Path, units: bool, days: int | None) -> None:
        """Make the QR codes of the buildings (of COMMUNITY, else of all): whoever scans one need not tell the address."""
        with _account(settings()) as account:
            wanted = list(codes(account.places(), community, units))
            made = make_codes(account, wanted, out, days)
        click.echo(f"{made} of {len(wanted)} codes made; they are listed in {out / 'index.csv'}.")
