"""What a reader copies out of a report works as it stands, once a person has filled it in."""

from datetime import date

import pytest

from gates.report import RunInfo
from gates.waivers import WAIVERS_NAME, applied, load
from reporters.render.pasted import MOST_WAIVERS, command, waivers
from reporters.render.rows import open_rows
from tests import reports

TODAY = date(2026, 11, 21)


def filled_in(snippet, folder):
    text = snippet.lines.replace("TODO: why this is", "This is").replace("TODO: who", "Who")
    path = folder / WAIVERS_NAME
    path.write_text(f"version: 1\nwaivers:\n{text}\n", encoding="utf-8")
    return load(path, on=TODAY)


@pytest.mark.parametrize("region", ["north", "naïve ☃ 𝒳", "a: b", 'quo"te', "#1 @x"])
def test_filled_in_it_lets_everything_pass_that_blocks(region, tmp_path):
    names = {"at": f"@region={region}", "slice": {"region": region}}
    red = {"baseline": 0.612, "candidate": 0.571, "interval": (-0.055, -0.027), "slice": {"r": "n"}}
    at = names.pop("at")
    checks = [
        reports.make_check(f"performance/{metric}{at}", {"max_drop": 0.01}, **(red | names))
        for metric in ("recall", "f1", "accuracy")
    ]
    report = reports.make_report(reports.make_model(reports.make_gate("performance", *checks)))
    assert report.blocked
    found = applied(report.models, filled_in(waivers(report), tmp_path), on=TODAY)
    effects = {check.effect.value for check in found.models[0].gates[0].checks}
    assert effects == {"none"}


def test_the_worst_come_first_and_the_rest_is_counted():
    report = reports.many_red(40)
    snippet = waivers(report)
    rules = [row.rule.text for row in open_rows(report.models[0])]
    listed = [line.split('"')[1] for line in snippet.lines.splitlines() if "rule:" in line]
    assert listed == rules[:MOST_WAIVERS]
    assert snippet.more == 40 - MOST_WAIVERS


def test_where_nothing_blocks_there_is_none():
    assert waivers(reports.all_green()) is None
    assert waivers(reports.inconclusive()) is None


def test_it_belongs_beside_the_configuration():
    def path(config):
        report = reports.one_red()
        run = report.run.model_copy(update={"config": config})
        return waivers(report.model_copy(update={"run": run})).path

    assert path("model-gates.yml") == WAIVERS_NAME
    assert path("./models/credit/model-gates.yml") == f"models/credit/{WAIVERS_NAME}"
    assert path("a`b/model-gates.yml") == WAIVERS_NAME
    assert path(None) == WAIVERS_NAME


def test_a_name_that_could_do_harm_is_left_for_a_person_to_write():
    report = reports.make_report(reports.make_model(model="```"), blocked=True)
    assert command(report) == "model-gates run --config model-gates.yml"
    red = reports.one_red().models[0].model_copy(update={"model": "```\n<script>"})
    lines = waivers(reports.make_report(red)).lines
    assert "```" not in lines
    assert 'model: "TODO: as it stands in report.json"' in lines


def test_a_day_that_nobody_knows_is_left_open():
    report = reports.one_red().model_copy(update={"run": RunInfo(started="yesterday")})
    assert "expires: YYYY-MM-DD" in waivers(report).lines
