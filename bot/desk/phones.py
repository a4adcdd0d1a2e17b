"""/desk/phones: the crew's phones: who has which, when it was last used; enrolling one more, and revoking one at once."""

from __future__ import annotations

import segno
from flask import abort, flash, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot import clock, devices, staff
from bot.crew_models import Device
from bot.desk.pages import blueprint, me, page, permit, services
from bot.duty_models import Member

MINUTES = int(devices.LINK_LASTS.total_seconds() // 60)


@blueprint.get("/phones")
def phones() -> str:
    """Members with their phones, those on duty lists first."""
    permit(staff.ENROL)
    with services().database.reading() as session:
        return _page(session)


def _page(session: Session, **values: object) -> str:
    members = select(Member).where(Member.active).order_by(Member.team_id, Member.name, Member.id)
    live = select(Device).where(Device.revoked_at.is_(None)).order_by(Device.used_at.desc())
    found: dict[int, list[Device]] = {}
    for device in session.scalars(live):
        found.setdefault(device.member_id, []).append(device)
    shown = {"members": session.scalars(members).all(), "devices": found, "minutes": MINUTES, **values}
    return page(session, "phones.html", **shown)


@blueprint.post("/phones/<int:member_id>")
def invite_phone(member_id: int) -> str:
    """A link for one phone, shown once: what is stored opens nothing."""
    permit(staff.ENROL)
    with services().database.transaction() as session:
        member = session.get(Member, member_id)
        if member is None or not member.active:
            abort(404)
        code = devices.invite(session, member, me().id, clock.now())
    link = services().settings.base_url + url_for("crew.enrol", code=code)
    picture = segno.make(link, error="m", micro=False).svg_data_uri(scale=6, border=4, light="#fff")
    with services().database.reading() as session:
        return _page(session, link=link, picture=picture, invited=member)


@blueprint.post("/phones/revoke/<int:device_id>")
def revoke_phone(device_id: int) -> Response:
    """End a phone's log-in at once."""
    permit(staff.ENROL)
    with services().database.transaction() as session:
        ended = devices.revoke(session, device_id, me().id, clock.now())
    flash("已停用，这台手机马上就打不开了。" if ended else "这台手机先前已经停用。")
    return redirect(url_for("desk.phones"))
