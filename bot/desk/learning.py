"""/desk/learning: train a model, compare it with the live one, put it live or go back; and how well messages are understood."""

from __future__ import annotations

import csv
import io
from typing import Any

from flask import Response, flash, render_template, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.utils import redirect
from werkzeug.wrappers import Response as BaseResponse

from bot import clock, learning, staff
from bot.comprehension import Week, new_words, weeks
from bot.desk.charts import lines_svg
from bot.desk.pages import blueprint, me, page, permit, services
from bot.models import Staff
from bot.nlu_server import shelf
from bot.review_models import Learning
from nlu.shelf import ShelfError

WEEKS = 12
SCORES = {
    "accuracy": "全部意图答对",
    "problems_accuracy": "四类问题答对",
    "macro_f1": "各意图平均 F1",
    "leak_recall": "漏水找出",
    "danger_recall": "险情找出",
    "false_reports": "误报修（越低越好）",
}
LOWER_IS_BETTER = frozenset({"false_reports"})
SETS = {"frozen": "固定测试集", "held": "留出的复核判断"}


@blueprint.get("/learning")
def learning_page() -> str:
    """The models, the last training and its comparison."""
    permit(staff.LEARN)
    with services().database.transaction() as session:
        learning.bury(session, clock.now())
    with services().database.reading() as session:
        runs = learning.latest(session)
        running = next((run for run in runs if run.state == "running"), None)
        done = next((run for run in runs if run.state == "done"), None)
        models = shelf(services().settings).models()
        report = learning.report_of(done) if done is not None else {}
        return page(
            session,
            "learning.html",
            runs=runs,
            running=running,
            done=done,
            report=report,
            obstacles=learning.obstacles(report) if report else [],
            falls=learning.falls(report),
            offered=_offered(done, {model.name for model in models}),
            models=models,
            may_go_back=sum(model.live for model in models) and len(models) > 1,
            names=_names(session),
            scores=SCORES,
            sets=SETS,
            lower=LOWER_IS_BETTER,
        )


def _offered(done: Learning | None, there: set[str]) -> bool:
    """Whether the last trained model may still be put live: it is there, and is not live already."""
    live = shelf(services().settings).live()
    return done is not None and done.model in there and (live is None or live.name != done.model)


def _names(session: Session) -> dict[int, str]:
    return {row.id: row.name for row in session.execute(select(Staff.id, Staff.name))}


@blueprint.get("/learning/progress")
def learning_progress() -> str:
    """How far the training is: the part of the page that is fetched again while one runs."""
    permit(staff.LEARN)
    with services().database.reading() as session:
        running = next((run for run in learning.latest(session, 1) if run.state == "running"), None)
        return render_template("desk/learning_progress.html", running=running)


@blueprint.post("/learning/train")
def start_training() -> BaseResponse:
    """Have a model trained, unless one is being trained already."""
    permit(staff.LEARN)
    started = learning.start(services(), me().id)
    flash("开始训练，几分钟后出结果；这一页可以关掉。" if started else "已经在训练了，请等它结束。")
    return redirect(url_for("desk.learning_page"))


@blueprint.post("/learning/<int:run_id>/promote")
def promote_model(run_id: int) -> BaseResponse:
    """Put a trained model live; where leaks or dangers would be found less often, a second person must agree."""
    permit(staff.LEARN)
    try:
        with services().database.transaction() as session:
            outcome = learning.promote(session, services().settings, run_id, me().id)
    except (learning.Refused, ShelfError) as refusal:
        flash(str(refusal))
    else:
        flash("新模型已上线，几秒后开始用。" if outcome == "promoted" else "已记下，还要另一位同事确认才会上线。")
    return redirect(url_for("desk.learning_page"))


@blueprint.post("/learning/rollback")
def roll_back() -> BaseResponse:
    """Go back to the model that was live before."""
    permit(staff.LEARN)
    try:
        model = shelf(services().settings).rollback()
    except ShelfError:
        flash("没有更早的模型可以退回。")
    else:
        flash(f"已退回 {model.name}，几秒后开始用。")
    return redirect(url_for("desk.learning_page"))


# --- how well messages are understood


@blueprint.get("/learning/health")
def comprehension() -> str:
    """Volume, asked-back rate and correction rate by week and intent, with charts."""
    permit(staff.LEARN)
    with services().database.reading() as session:
        found = weeks(session, clock.now(), services().settings.zone, WEEKS)
        words = new_words(session, clock.now(), services().gazetteer.current())
        return page(
            session,
            "comprehension.html",
            weeks=found,
            charts=_charts(found),
            new_words=words,
        )


def _charts(found: list[Week]) -> list[tuple[str, str]]:
    labels = [week.name for week in found]
    asked = [100 * week.total.asked_rate for week in found]
    corrected = [100 * week.total.correction_rate for week in found]
    return [
        ("每周消息数", lines_svg(labels, {"消息": [float(week.total.volume) for week in found]})),
        ("反问率与更正率（%）", lines_svg(labels, {"反问": asked, "更正": corrected})),
    ]


@blueprint.get("/learning/health.csv")
def comprehension_csv() -> Response:
    """The same figures as CSV, for a spreadsheet."""
    permit(staff.LEARN)
    with services().database.reading() as session:
        found = weeks(session, clock.now(), services().settings.zone, WEEKS)
    out = io.StringIO()
    writer: Any = csv.writer(out)
    writer.writerow(
        ["week", "intent", "messages", "asked_back", "asked_rate", "reviewed", "corrected", "correction_rate"]
    )
    for week in found:
        for row in week.rows:
            rates = (f"{row.asked_rate:.4f}", f"{row.correction_rate:.4f}")
            writer.writerow(
                [week.name, row.intent, row.volume, row.asked, rates[0], row.reviewed, row.corrected, rates[1]]
            )
    # Excel takes a file for UTF-8 only when it says so.
    answer = Response("\ufeff" + out.getvalue(), mimetype="text/csv")
    answer.headers["Content-Disposition"] = "attachment; filename=understanding.csv"
    return answer
