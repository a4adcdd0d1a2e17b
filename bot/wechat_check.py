"""What is wrong with a WeChat account, in words: settings, token, IP list, rights, templates, menu, and the way back to us."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from string import Formatter
from typing import Any
from urllib.parse import urlsplit

from bot import texts
from bot.channels.wechat import MODES
from bot.channels.wechat_client import StableWeChatClient, WeChatRefused, WeChatUnreachable
from bot.channels.wechat_menu import columns_of, problems_of
from bot.channels.wechat_notices import NOTICES, RULE, TEMPLATES, params_of, type_of
from bot.channels.wechat_send import ERRORS
from bot.rules import RuleBook
from bot.settings import Settings

OK, NOTE, WRONG = "ok", "note", "wrong"
# An openid that nobody has: the interface answers 40003 where the account may use it, and nobody is written to.
NOBODY = "heatline-check"
HELP = {
    40013: "HEATLINE_WECHAT_APPID is not the account's AppID (公众平台 → 设置与开发 → 基本配置).",
    40125: "HEATLINE_WECHAT_SECRET is not the account's AppSecret; reset it in 基本配置 and set the new one.",
    40001: "HEATLINE_WECHAT_SECRET is not the account's AppSecret; reset it in 基本配置 and set the new one.",
    40243: "The AppSecret is frozen: thaw it in 基本配置.",
    89503: "An administrator of the account must confirm this machine's address on their phone.",
    50002: "The account is restricted; see 通知中心 in 公众平台.",
}
RIGHTS = {
    "message/custom/send": "customer-service messages (客服消息; needs a verified account)",
    "message/template/send": "template messages (模板消息; needs a verified 服务号)",
    "message/subscribe/bizsend": "subscription notices (订阅通知)",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ok, a note, or wrong and what to do about it."""

    level: str
    words: str


def check(settings: Settings, client: StableWeChatClient, book: RuleBook) -> Iterator[Finding]:
    """Everything that can be known without writing to a resident; ends early where the account answers nothing."""
    yield from _settings(settings)
    yield from _menu_rule(book)
    trouble = _trouble(lambda: client.fetch_access_token())
    if trouble is not None:
        yield Finding(WRONG, trouble)
        return
    yield Finding(OK, "AppID, AppSecret and the IP list are right: WeChat gives us a token.")
    yield from _rights(client)
    yield from _templates(client, book)
    yield from _menu(client, book)
    yield from _way_back(client)


def _settings(settings: Settings) -> Iterator[Finding]:
    if settings.wechat_mode == "safe":
        yield Finding(OK, "Messages are encrypted (安全模式).")
    else:
        yield Finding(WRONG, f"HEATLINE_WECHAT_MODE is {settings.wechat_mode}: {MODES[settings.wechat_mode]}.")
    if not settings.wechat_secret:
        yield Finding(WRONG, "HEATLINE_WECHAT_SECRET is not set: nothing can be pushed.")
    address = urlsplit(settings.public_url)
    if address.scheme not in ("http", "https") or address.port not in (None, 80, 443):
        yield Finding(
            WRONG, "HEATLINE_PUBLIC_URL must be the public address, on port 80 or 443: WeChat calls no other."
        )
    elif address.scheme == "http":
        yield Finding(
            NOTE, "HEATLINE_PUBLIC_URL is not https; what residents write should not cross the network openly."
        )
    else:
        yield Finding(OK, f"The server address for 公众平台 is {settings.base_url}/channels/wechat.")


def _trouble(call: Callable[[], Any]) -> str | None:
    """Why a call did not work, in words; None where it did."""
    try:
        call()
    except WeChatRefused as refusal:
        return explain(refusal)
    except WeChatUnreachable as trouble:
        return f"WeChat's API does not answer ({trouble.reason}); is HEATLINE_WECHAT_API right, and may this machine call it?"
    return None


def explain(refusal: WeChatRefused) -> str:
    """An errcode in words that say what to do."""
    code = refusal.errcode
    if code == 40164:
        address = refusal.address or "This machine's outgoing address"
        return f"40164: {address} is not on the IP list; add it in 公众平台 → 设置与开发 → 基本配置 → IP白名单."
    reason = HELP.get(code) or f"{ERRORS[code][1]}." if code in ERRORS or code in HELP else "WeChat refuses the call."
    return f"{code}: {reason}"


def _rights(client: StableWeChatClient) -> Iterator[Finding]:
    for endpoint, words in RIGHTS.items():
        data = {"touser": NOBODY, "template_id": NOBODY, "msgtype": "text", "text": {"content": "-"}, "data": {}}
        try:
            client.call(endpoint, data)
        except WeChatRefused as refusal:
            if refusal.errcode in (48001, 48004, 50002):
                yield Finding(
                    NOTE if endpoint.endswith("bizsend") else WRONG, f"No right to {words}: {explain(refusal)}"
                )
                continue
        except WeChatUnreachable as trouble:
            yield Finding(WRONG, f"{words} cannot be checked: {trouble.reason}.")
            continue
        yield Finding(OK, f"The account may send {words}.")


def _templates(client: StableWeChatClient, book: RuleBook) -> Iterator[Finding]:
    """The rule's templates beside those that the account has chosen."""
    sources: dict[str, tuple[str, str, str]] = {
        TEMPLATES: ("/cgi-bin/template/get_all_private_template", "template_list", "template_id"),
        NOTICES: ("/wxaapi/newtmpl/gettemplate", "data", "priTmplId"),
    }
    for section, (path, items, name) in sources.items():
        rows = list(registered(book, section))
        if not rows:
            yield Finding(NOTE, f"No {section} in the rule {RULE}: after 48 hours, news goes by SMS or waits.")
            continue
        yield from (Finding(WRONG, words) for words in wrong_rows(book, section))
        try:
            found = client.ask(path).get(items)
        except (WeChatRefused, WeChatUnreachable) as error:
            words = explain(error) if isinstance(error, WeChatRefused) else error.reason
            yield Finding(WRONG, f"The account's {section} cannot be listed: {words}")
            continue
        theirs = {str(item.get(name)): str(item.get("content", "")) for item in found or [] if isinstance(item, dict)}
        for key, row in rows:
            yield _compared(section, key, row, theirs)


def registered(book: RuleBook, section: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every template of the rule with its catalogue key."""
    for key, found in (book.raw.get(RULE, {}).get(section) or {}).items():
        yield from ((key, row) for row in (found if isinstance(found, list) else [found]))


def _compared(section: str, key: str, row: dict[str, Any], theirs: dict[str, str]) -> Finding:
    template = str(row["id"])
    if template not in theirs:
        return Finding(WRONG, f"{section} {key}: the account has no template {template}; choose it in 公众平台.")
    strange = [name for name in row["fields"] if theirs[template] and f"{{{{{name}.DATA}}}}" not in theirs[template]]
    if strange:
        return Finding(WRONG, f"{section} {key}: template {template} has no field {', '.join(strange)}.")
    return Finding(OK, f"{section} {key}: template {template} is the account's.")


def wrong_rows(book: RuleBook, section: str) -> Iterator[str]:
    """What is wrong with the rule by itself: keys, field names and parameters that there are not."""
    for key, row in registered(book, section):
        entries = key.split("+")
        if unknown := [entry for entry in entries if not texts.exists(book, entry)]:
            yield f"{section} {key}: the catalogue has no entry {', '.join(unknown)}."
            continue
        wordings = "".join(texts.wording(book, entry, "wechat") for entry in entries)
        there = {name for _, name, _, _ in Formatter().parse(wordings) if name} | set(texts.known(book))
        if strange := sorted(params_of(row) - there):
            yield f"{section} {key}: the catalogue's entry has no parameter {', '.join(strange)}."
        if typeless := [name for name in row["fields"] if type_of(name) is None]:
            yield f"{section} {key}: WeChat has no field type for {', '.join(typeless)}."


def _menu_rule(book: RuleBook) -> Iterator[Finding]:
    yield from (Finding(WRONG, words) for words in problems_of(book))


def _menu(client: StableWeChatClient, book: RuleBook) -> Iterator[Finding]:
    try:
        found = client.ask("/cgi-bin/menu/get").get("menu") or {}
    except WeChatRefused as refusal:
        words = (
            "The account has no menu" if refusal.errcode == 46003 else f"The menu cannot be read ({refusal.errcode})"
        )
        yield Finding(NOTE, f"{words}; `heatline wechat menu` makes one.")
        return
    except WeChatUnreachable as trouble:
        yield Finding(WRONG, f"The menu cannot be read: {trouble.reason}.")
        return
    same = _keys(found.get("button") or []) == _keys(columns_of(book))
    level, words = (
        (OK, "The menu is ours.") if same else (NOTE, "The menu is another than ours; `heatline wechat menu` sets it.")
    )
    yield Finding(level, words)


def _keys(columns: list[dict[str, Any]]) -> list[Any]:
    rows = [row for column in columns for row in column.get("sub_button") or [column]]
    return [(row.get("name"), row.get("key") or row.get("url")) for row in rows]


def _way_back(client: StableWeChatClient) -> Iterator[Finding]:
    """Whether WeChat reaches the address that the console has; it tries the name and the network, not the signature."""
    try:
        result = client.call("callback/check", {"action": "all", "check_operator": "DEFAULT"})
    except (WeChatRefused, WeChatUnreachable) as error:
        words = explain(error) if isinstance(error, WeChatRefused) else error.reason
        yield Finding(NOTE, f"WeChat does not say whether it reaches us: {words}")
        return
    lost = [item for item in result.get("ping") or [] if str(item.get("package_loss", "0%")) != "0%"]
    if lost:
        yield Finding(WRONG, "WeChat reaches the server address badly: packets are lost on the way.")
    elif not result.get("dns"):
        yield Finding(WRONG, "WeChat cannot resolve the server address that the console has.")
    else:
        yield Finding(OK, "WeChat reaches the server address that the console has.")
