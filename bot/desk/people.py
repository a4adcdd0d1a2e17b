"""/desk/people: the members who go out or are on call, their phones, and what each company is reached by."""

from __future__ import annotations

from flask import abort, flash, request, url_for
from sqlalchemy import func, select
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot import clock, crypto, staff
from bot.channels.phone import normalise
from bot.desk.pages import blueprint, me, page, permit, services
from bot.duty_models import MEMBER_ROLES, Handover, Member
from bot.gazetteer import VERSION
from bot.models import Community, Company, Team
from bot.upsert import count_up, insert_ignoring

NAMES = {"worker": "维修工", "duty": "值班员", "supervisor": "主管"}


@blueprint.get("/people")
def people() -> str:
    """Members by team, and the companies that serve estates."""
    permit(staff.PEOPLE)
    with services().database.reading() as session:
        estates = select(Community.company_id, func.count()).group_by(Community.company_id)
        return page(
            session,
            "people.html",
            members=session.scalars(select(Member).order_by(Member.active.desc(), Member.team_id, Member.name)).all(),
            teams=session.scalars(select(Team).order_by(Team.name)).all(),
            companies=session.scalars(select(Company).order_by(Company.ours.desc(), Company.name)).all(),
            estates={row.company_id: row[1] for row in session.execute(estates)},
            roles=NAMES,
        )


def _field(name: str, longest: int = 64) -> str:
    return request.form.get(name, "").strip()[:longest]


def _values() -> dict[str, object] | None:
    """What the form says of a member; None after telling what is wrong."""
    name, role, given = _field("name"), _field("role"), _field("phone", 32)
    phone = normalise(given) if given else None
    if not name or role not in MEMBER_ROLES:
        flash("请填写姓名，并选一个岗位。")
        return None
    if phone is not None and not phone.startswith("+"):
        flash("电话号码好像不对。")
        return None
    team = _field("team", 9)
    return {
        "name": name,
        "role": role,
        "team_id": int(team) if team.isascii() and team.isdigit() else None,
        "phone": phone,
        "phone_hash": crypto.blind_index("sms", phone) if phone else None,
        "active": _field("active") == "1",
    }


@blueprint.post("/people")
def add_member() -> Response:
    """One more member."""
    permit(staff.PEOPLE)
    values, code = _values(), _field("code", 32)
    if values is not None and code:
        with services().database.transaction() as session:
            fresh = insert_ignoring(session, Member, [{**values, "code": code, "active": True}], ["code"])
        flash("已添加。" if fresh else "这个编号已经有人了。")
    elif values is not None:
        flash("请填写编号。")
    return redirect(url_for("desk.people"))


@blueprint.post("/people/<int:member_id>")
def edit_member(member_id: int) -> Response:
    """Change a member; one who has left keeps their name in old histories."""
    permit(staff.PEOPLE)
    values = _values()
    if values is not None:
        with services().database.transaction() as session:
            member = session.get(Member, member_id, with_for_update={"of": Member})
            if member is None:
                abort(404)
            for name, value in values.items():
                setattr(member, name, value)
        flash("已保存。")
    return redirect(url_for("desk.people"))


@blueprint.post("/people/companies/<int:company_id>")
def check_company(company_id: int) -> Response:
    """A number that somebody has just dialled; only such are told to residents."""
    permit(staff.PEOPLE)
    with services().database.transaction() as session:
        company = session.get(Company, company_id)
        if company is None:
            abort(404)
        company.phone = _field("phone", 32) or None
        company.phone_checked = clock.local_day(clock.now(), services().settings.zone) if company.phone else None
        count_up(session, VERSION)
    flash("已保存。")
    return redirect(url_for("desk.people"))


@blueprint.get("/handovers")
def handovers() -> str:
    """What residents agreed to have passed on to whoever serves their home, oldest first."""
    permit(staff.CALL)
    with services().database.reading() as session:
        query = select(Handover, Company).join(Company, Company.id == Handover.company_id)
        waiting = query.where(Handover.done_at.is_(None)).order_by(Handover.agreed_at).limit(200)
        return page(session, "handovers.html", waiting=session.execute(waiting).all())


@blueprint.post("/handovers/<int:handover_id>")
def hand_over(handover_id: int) -> Response:
    """It was passed on."""
    permit(staff.CALL)
    with services().database.transaction() as session:
        row = session.get(Handover, handover_id, with_for_update={"of": Handover})
        if row is None:
            abort(404)
        if row.done_at is None:
            row.done_at, row.done_by = clock.now(), me().id
    flash("已标记为转交。")
    return redirect(url_for("desk.handovers"))
