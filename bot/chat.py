"""`heatline chat`: a resident at the terminal, through signed webhooks and the stand-ins' outgoing calls."""

from __future__ import annotations

import click

from bot import clock, worker
from bot.nlu_server import running_nlu
from bot.replay import Speaker, replayer
from bot.settings import Settings

_MEDIUM = {"wechat": "微信", "sms": "短信"}


def talk(settings: Settings, medium: str) -> None:
    """Talk until the input ends or is empty twice; everything is forgotten afterwards."""
    with running_nlu(settings) as ready, replayer(ready) as player:
        clock.use(None)
        address = "oTerminalResident00000001" if medium == "wechat" else "+8613900000001"
        speaker = Speaker(address, medium)
        click.echo(f"您在用{_MEDIUM[medium]}和暖线说话；Ctrl-D 结束。")
        while True:
            try:
                text = click.prompt("您", prompt_suffix="：", default="", show_default=False)
            except (click.Abort, EOFError):
                return
            if not text.strip():
                return
            for reply in player.say(speaker, text):
                click.echo(f"暖线：{reply}")
            worker.drain(player.services)
