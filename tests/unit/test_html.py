"""The HTML report without a browser: what stands in it, what cannot, and the arithmetic of its drawings."""

import builtins
import re
import sys
from functools import cache
from itertools import pairwise

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from lxml import html as lxml_html

from gates import decide
from gates.errors import EnvironmentFault
from gates.picture import Curves, Flip, Flips, GroupRate, HistoryPoint, Portrait
from gates.report import DataInfo, PolicyInfo, RunInfo
from reporters.render import markdown
from reporters.render.html import charts, pictures, svg, tables
from reporters.render.html.data import data
from reporters.render.html.marks import marks, threshold
from reporters.render.html.page import render
from reporters.render.html.rates import Head, Way, rates
from reporters.render.html.text import beside, figure, markup, rate
from reporters.render.registry import RENDERERS
from reporters.render.words import Tone
from tests import reports
from tests.hostile import HOSTILE, hostile_report
from tests.reports import STORIES

EVENTS = re.compile(
    r"^on|^(?:xlink:)?href$|^src|^action|^formaction|^srcdoc|^ping|^background$", re.IGNORECASE
)


@cache
def page(story):
    return lxml_html.document_fromstring(render(STORIES[story]()))


def text(element):
    return " ".join(element.text_content().split())


def rows_of(found, label):
    (region,) = found.xpath(f'//div[@aria-label="{label}"]')
    return [[text(cell) for cell in row.xpath("./th|./td")] for row in region.iter("tr")]


def hostile_portrait(name):
    """A report with `name` in every place of a portrait, beside every other place."""
    bad = name[:200] or " "
    report = hostile_report(name)
    flip = Flip(slice={bad: bad}, rows=9, changed=3, fixed=1, broken=2)
    curves = Curves(classes=(bad, "b"), confusion=((1, 2), (3, 4)))
    point = HistoryPoint(version=1, registered_at=bad, data=reports.DIGEST, metrics={"held": 0.5})
    drawn = Portrait(
        flips=Flips(overall=flip, slices=(flip,), broken_ids=(bad,)),
        candidate=curves,
        baseline=curves,
        history=(point,),
    )
    group = GroupRate(sensitive=(bad,), group={bad: bad}, metric=bad, n=50, candidate=0.5)
    (model,) = report.models
    gate = model.gates[0].model_copy(update={"groups": (*model.gates[0].groups, group)})
    model = model.model_copy(update={"portrait": drawn, "gates": (gate, *model.gates[1:])})
    return report.model_copy(update={"models": (model,)})


def shape(written):
    """Every element with its attributes, but for code and its emptiness, in which names stand."""
    found = lxml_html.document_fromstring(written)
    return [
        (element.tag, sorted((key, value) for key, value in element.attrib.items()))
        for element in found.iter()
        if element.tag not in ("code", "i", "text") and not _placed(element)
    ]


def _placed(element):
    """Where a drawing puts a name depends on how long the name is, and on nothing else."""
    return element.tag in ("svg", "g", "path", "line") and element.getparent().tag != "p"


@cache
def calm():
    return shape(render(hostile_portrait("calm")))


# --- what a page says ------------------------------------------------------------------------


@pytest.mark.parametrize("story", STORIES)
def test_a_page_is_sound(story):
    found = page(story)
    assert found.get("lang") == "en"
    assert len(found.xpath("//title")) >= 1
    assert text(found.xpath("//head/title")[0])
    assert len(found.xpath("//h1")) == len(found.xpath("//main")) == 1
    levels = [int(head.tag[1]) for head in found.iter("h1", "h2", "h3", "h4")]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = found.xpath("//@id")
    assert len(ids) == len(set(ids))
    assert not found.xpath("//script|//link|//iframe|//object|//img|//form|//style[@src]")
    named = " ".join(found.xpath("//@aria-labelledby")).split()
    used = [reference[1:] for reference in found.xpath("//@href")]
    clips = re.findall(r"url\(#([^)]+)\)", " ".join(found.xpath("//@*[name()='clip-path']")))
    assert set(named) | set(used) | set(clips) <= set(ids)
    for heads in found.xpath("//th"):
        assert heads.get("scope") in ("row", "col")


@pytest.mark.parametrize("story", STORIES)
def test_every_row_has_as_many_cells_as_its_table_has_columns(story):
    for table in page(story).iter("table"):
        columns = len(table.xpath("./thead/tr/th"))
        for row in table.xpath("./tbody/tr"):
            assert sum(int(cell.get("colspan", 1)) for cell in row.xpath("./th|./td")) == columns


def test_the_browser_is_told_to_load_nothing():
    (policy,) = page("one_red").xpath('//meta[@http-equiv="Content-Security-Policy"]/@content')
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert "url(" not in render(reports.portrayed()).replace("url(#", "")


@pytest.mark.parametrize(
    ("story", "decision"),
    [
        ("one_red", "Blocked"),
        ("all_green", "Not blocked"),
        ("inconclusive", "Not blocked"),
        ("bad_input", "No verdict"),
        ("mixed", "Blocked"),
    ],
)
def test_the_decision_comes_first(story, decision):
    found = page(story)
    body = text(found.xpath("//header")[0])
    assert body.startswith(f"{decision} Model gate: ")
    assert text(found.xpath("//head/title")[0]).startswith(decision)


def test_a_failing_check_says_its_numbers_its_limit_and_why():
    rows = rows_of(page("one_red"), "Checks that need a look")
    assert rows[1] == [
        "false negative rate for sex=Female",
        "fails: rose too far",
        "0.281",
        "0.312",
        "+0.031 [+0.022, +0.040]",
        "rise ≤ 0.02",
        "",
        "5,421",
    ]
    why = "The whole interval is beyond the limit. fairness/false_negative_rate:max_rise_any_group"
    assert rows[2][0].startswith(f"{why}@sex=Female")


def test_a_red_check_says_what_the_report_shows_of_its_cause():
    (causes,) = page("one_red").xpath('//tr[@class="why"]/td[p]')
    assert text(causes.find("p")).startswith("The positive class is predicted for 18.7 %")


def test_verdicts_are_words_and_symbols_and_the_worst_comes_first():
    found = page("mixed")
    rows = rows_of(found, "Checks that need a look")[1::2]
    assert [row[1].partition(":")[0] for row in rows] == [
        "error",
        "fails",
        "fails",
        "fails",
        "fails (warns only)",
        "fails (reported only)",
        "fails, waived",
        "skipped",
    ]
    assert "until 2026-12-01 by @lead, MLG-31" in rows[6][1]
    for cell in found.xpath('//td[contains(@class, "verdict")]'):
        (use,) = cell.xpath("./svg/use/@href")
        assert use.removeprefix("#i-") in cell.get("class").split()
    assert "The fairness gate did not run" not in text(found)
    assert "the fairness gate did not run: the gate stopped on an unexpected error" in text(found)


def test_an_error_says_where_and_what_to_do():
    said = text(page("bad_input").xpath("//header")[0])
    assert "the ids of the candidate and of the evaluation data do not match" in said
    assert "Where: out/candidate.parquet, column application_id" in said
    assert "212 ids are missing" in said
    assert "What to do: Write one row per id" in said


def test_without_a_baseline_nothing_pretends_to_one():
    said = text(page("no_baseline"))
    assert "nothing was compared: no baseline" in said
    assert "No baseline: only limits on the candidate alone were decided" in said


def test_models_are_listed_with_links_to_their_sections():
    found = page("two_models")
    assert found.xpath("//nav//a/@href") == ["#m1", "#m2"]
    assert [text(a) for a in found.xpath("//nav//a")] == ["income", "churn"]
    assert "fails" in text(found.xpath("//nav//tr")[1])


def test_what_was_waived_and_changed_is_in_the_open():
    policy = PolicyInfo(source="base", digest=reports.DIGEST, changes=("`max_drop` 0.01 → 0.9",))
    report = reports.all_green().model_copy(update={"policy": policy, "waivers": ("until May",)})
    found = lxml_html.document_fromstring(render(report))
    assert "the rules of the base commit were applied: max_drop 0.01" in text(
        found.find(".//header")
    )
    assert "until May" in text(found.find(".//footer"))


def test_the_command_is_one_that_a_shell_takes():
    report = reports.all_green().model_copy(update={"run": RunInfo(started="", config="a b.yml")})
    (command,) = lxml_html.document_fromstring(render(report)).xpath("//footer/pre")
    assert text(command) == "model-gates run --config 'a b.yml' --model income"


def test_a_waiver_can_be_copied_as_it_stands():
    found = lxml_html.document_fromstring(render(reports.one_red()))
    (snippet,) = found.xpath("//footer/details/pre")
    written = snippet.text_content()
    (waiver,) = yaml.safe_load(written)["waivers"]
    assert waiver["rule"] == "fairness/false_negative_rate:max_rise_any_group@sex=Female"
    assert str(waiver["expires"]) == "2026-12-05"
    in_markdown = markdown.render(reports.one_red()).partition("```yaml\n")[2]
    assert written == in_markdown.partition("\n```")[0]
    said = text(found.xpath("//footer/details")[0])
    assert said.startswith(
        "How to waive what blocks, for a while Fill this in and commit it as model-gates.wai"
    )


def test_of_many_that_block_some_have_a_waiver_and_the_rest_is_counted():
    said = text(lxml_html.document_fromstring(render(reports.many_red(30))).find(".//footer"))
    assert said.count("- rule:") == 20
    assert "… and 10 checks more that block: their ids are in report.json." in said


def test_where_nothing_blocks_nothing_is_to_be_waived():
    assert not page("all_green").xpath("//footer/details")


# --- pictures --------------------------------------------------------------------------------


def test_every_picture_has_a_name_and_its_numbers_in_a_table():
    found = page("portrayed")
    figures = found.xpath("//figure")
    titles = [text(figure.find("figcaption")) for figure in figures]
    assert titles == [
        "Scores",
        "Calibration",
        "ROC curve",
        "Precision and recall",
        "ROC AUC",
        "log loss",
    ]
    for shown, title in zip(figures, titles, strict=True):
        (drawing,) = shown.xpath("./svg")
        assert drawing.get("role") == "img"
        assert text(drawing.find("title")) == title
        assert text(drawing.find("desc"))
        assert drawing.xpath(".//path")
        assert shown.xpath(".//table")


def test_the_numbers_of_a_curve_are_the_curve_s():
    found = page("portrayed")
    (figure,) = found.xpath('//figure[figcaption="ROC curve"]')
    rows = [[text(cell) for cell in row] for row in figure.iter("tr")]
    assert rows[0] == [
        "False positive rate",
        "Baseline true positive rate",
        "Candidate true positive rate",
    ]
    assert ["0.1", f"{0.1**0.25:.3f}", f"{0.1**0.2:.3f}"] in rows
    assert ["0.5", f"{0.5**0.25:.3f}", f"{0.5**0.2:.3f}"] in rows


def test_a_curve_is_read_between_its_points():
    points = [(0.0, 0.0), (0.0, 0.5), (1.0, 1.0)]
    assert pictures._at(points, 0.0) == 0.5
    assert pictures._at(points, 0.5) == 0.75
    assert pictures._at([(1.0, 0.2), (0.0, 1.0)], 0.25) == pytest.approx(0.8)
    assert pictures._at((), 0.5) is None


def test_slices_stand_side_by_side():
    rows = rows_of(page("fifty_slices"), "Checks by slice")
    assert rows[0] == ["Slice", "n", "recall drop ≤ 0.02", "precision drop ≤ 0.02"]
    assert len(rows) == 51
    assert [row[0] for row in rows[1:12:5]] == [
        "branch=branch 00",
        "branch=branch 25",
        "branch=branch 01",
    ]
    assert rows[1][2:] == ["−0.060", "−0.060"]
    icons = page("fifty_slices").xpath('//div[@aria-label="Checks by slice"]//svg/@aria-label')
    assert (icons.count("fails"), icons.count("passes")) == (20, 80)


def test_one_slice_is_no_table():
    assert tables.slice_table(reports.all_green().models[0]) is None


def test_slices_that_a_metric_was_not_asked_of_are_blank():
    gate = reports.make_gate(
        "performance",
        reports.make_check("performance/f1@a=1", {"min": 0.5}, candidate=0.7, interval=(0.6, 0.8)),
        reports.make_check("performance/mcc@a=2", {"min": 0.5}, candidate=0.2, interval=(0.1, 0.3)),
    )
    found = tables.slice_table(reports.make_model(gate))
    assert [(row[0].text, row[2]) for row in found.rows] == [
        ("a=2", (None, (Tone.FAIL, "0.200"))),
        ("a=1", ((Tone.PASS, "0.700"), None)),
    ]


def test_flips_say_how_many_where_and_which():
    found = page("portrayed")
    said = "753 of 16,281 predictions changed: 402 wrong before and right now, 351 right before"
    assert said in text(found)
    rows = rows_of(found, "Changed predictions by slice")
    assert rows[1] == ["all rows", "16,281", "753 4.6 %", "351 2.2 %", "", "402 2.5 %"]
    assert rows[2][:4] == ["region=r00", "900", "40 4.4 %", "25 2.8 %"]
    assert len(rows_of(found, "More changed predictions by slice")) == 1 + 13 - 6
    assert "A-17, A-90" in text(found)


def test_answers_that_are_not_right_or_wrong_only_change():
    rows = rows_of(page("portrayed_regression"), "Changed predictions by slice")
    assert rows == [
        ["Rows", "n", "Changed"],
        ["all rows", "400", "399 99.8 %"],
        ["region=north", "90", "90 100%"],
    ]


def test_confusion_counts_shares_and_changes():
    found = page("portrayed")
    rows = rows_of(found, "Labels and predictions")
    assert rows[0] == ["Label ↓ predicted →", "no", "yes"]
    assert rows[1] == ["no", "11,180 89 % · −45", "1,435 11 % · 0"]
    assert len(found.xpath('//td[contains(@class, "right")]')) == 2


def test_confusion_without_a_baseline_has_no_change():
    curves = reports.curves(0.2)
    model = reports.make_model(reports.good_schema(), portrait=Portrait(candidate=curves))
    assert tables.confusion(model).rows[0][1][0] == ("11,180", "", "89", True)
    assert tables.confusion(reports.make_model(reports.good_schema())) is None


def test_beyond_twelve_models_there_are_tables_only():
    (model,) = reports.portrayed().models
    models = [model.model_copy(update={"model": f"m{i:02}"}) for i in range(14)]
    short = reports.make_report(*models[:2])
    each = render(short).count("<figure>") // 2
    assert render(reports.make_report(*models)).count("<figure>") == 12 * each


def test_history_tells_other_rows_apart():
    figure = page("portrayed").xpath('//figure[figcaption="ROC AUC"]')[0]
    rows = [[text(cell) for cell in row] for row in figure.iter("tr")]
    assert rows[1] == ["v11", "2026-04-02T09:30:00Z", "other rows", "0.890"]
    assert rows[-2:] == [
        ["v17", "2026-10-02T09:30:00Z", "the same", "0.914"],
        ["candidate", "now", "the same", "0.920"],
    ]
    values = charts.history(reports.portrait().history, "roc_auc", 0.92, reports.DIGEST)
    assert {one["full"] for one in values["layer"][1]["data"]["values"]} == {"", "candidate"}


def test_history_of_large_numbers_is_short():
    (figure,) = page("portrayed_regression").xpath('//figure[figcaption="RMSE"]')
    labels = {text(label) for label in figure.iter("text")}
    assert any(label.endswith("k") for label in labels), labels


def test_a_change_that_is_next_to_nothing_does_not_fill_a_chart():
    points = [HistoryPoint(version=1, registered_at="", data=reports.DIGEST, metrics={"m": 0.6018})]
    found = charts.history(points, "m", 0.6032, reports.DIGEST)
    low, high = found["layer"][0]["encoding"]["y"]["scale"]["domain"]
    assert (low, high) == pytest.approx((0.6025 - 0.006032, 0.6025 + 0.006032))


# --- rates by group --------------------------------------------------------------------------


def rated(group, *numbers, metric="recall", n=99, **fields):
    base, cand = numbers or (None, None)
    known = {"sensitive": ("s",), "group": {"s": group}, "metric": metric, "n": n}
    return GroupRate(**known | {"baseline": base, "candidate": cand} | fields)


def by_group(*found):
    (table,) = rates(reports.make_gate("fairness", groups=found))
    return table


def test_a_group_is_drawn_from_where_it_was_to_where_it_is():
    table = by_group(rated("a", 0.2, 0.6), rated("b", 0.5, 0.4))
    assert table.heads == (Head(metric=("recall",), ends=("0.200", "0.600")),)
    (a,), (b,) = (row.cells for row in table.shown)
    assert a == (("0.200 → 0.600",), Way(baseline="6.0", candidate="114.0"))
    assert b == (("0.500 → 0.400",), Way(baseline="87.0", candidate="60.0"))


def test_the_drawing_stands_in_the_cell_that_says_it():
    (table,) = page("one_red").xpath('//div[@aria-label="Rates by group"]/table')
    row = table.xpath("./tbody/tr")[0]
    assert text(row.find("th")) == "sex=Female"
    said = [text(cell) for cell in row.findall("td")]
    assert said == [
        "5,421",
        "false negative rate 0.281 → 0.312 [0.300, 0.324]",
        "selection rate 0.169 → 0.187 [0.175, 0.199]",
    ]
    drawing = row.findall("td")[1].find("svg")
    assert drawing.get("aria-hidden") == "true"
    then, now = (float(dot.get("cx")) for dot in drawing.iter("circle"))
    assert (then, now) == (6.3, 113.7)  # a tenth of 0.312 is a little more than the change
    assert [text(end) for end in table.xpath('.//*[@class="ends"]/span')][:2] == ["0.281", "0.312"]


def test_what_hardly_differs_is_not_drawn_as_a_gap():
    table = by_group(rated("a", 0.900, 0.901), rated("b", 0.902, 0.900))
    places = [
        float(p) for row in table.shown for _, at in row.cells for p in (at.baseline, at.candidate)
    ]
    assert max(places) - min(places) < 3
    assert table.heads[0].ends == ("0.856", "0.946")
    assert by_group(rated("a", 0.0, 0.0)).shown[0].cells[0][1] == Way(
        baseline="6.0", candidate="6.0"
    )


def test_without_a_baseline_there_is_one_point():
    ((_, at),) = by_group(rated("a", None, 0.5), rated("b", None, 0.7)).shown[0].cells
    assert at == Way(baseline=None, candidate="6.0")
    said = lxml_html.document_fromstring(
        render(
            reports.make_report(
                reports.make_model(
                    reports.make_gate("fairness", groups=(rated("a", None, 0.5),)), baseline=None
                )
            )
        )
    )
    assert len(said.xpath('//td//svg[@class="way"]/circle')) == 1
    assert "Baseline → candidate" not in text(said)


def test_what_is_withheld_is_not_drawn():
    small = rated("b", n=None, note="fewer than 10 rows: withheld")
    table = by_group(rated("a", 0.2, 0.6), small)
    assert table.shown[1].cells == ((("–",), None),)
    assert (table.shown[1].n, table.shown[1].note) == ("withheld", small.note)
    assert by_group(small).heads == (Head(metric=("recall",), ends=None),)
    row = rows_of(page("one_red"), "Rates by group")[-1]
    assert row[0] == "sex=not stated fewer than 10 rows: withheld"


def test_a_note_on_all_rates_of_a_group_is_said_once():
    few = {"note": "few rows"}
    table = by_group(
        rated("a", 0.2, 0.6, **few), rated("a", 0.1, 0.3, metric="f1", **few),
        rated("b", 0.2, 0.6, **few), rated("b", 0.1, 0.3, metric="f1"),
    )  # fmt: skip
    a, b = table.shown
    assert (a.note, [said for said, _ in a.cells]) == (
        "few rows",
        [("0.200 → 0.600",), ("0.100 → 0.300",)],
    )
    assert (b.note, [said for said, _ in b.cells]) == (
        "",
        [("0.200 → 0.600; ", "few rows"), ("0.100 → 0.300",)],
    )


def test_of_many_groups_those_stand_first_that_moved_most_and_all_are_drawn():
    table = by_group(*(rated(f"g{i:02}", 0.5, 0.5 + i / 100) for i in range(30)))
    assert [row.group.text for row in table.shown] == [f"s=g{i:02}" for i in range(29, 17, -1)]
    assert [row.group.text for row in table.folded] == [f"s=g{i:02}" for i in range(17, -1, -1)]
    assert all(at for row in table.folded for _, at in row.cells)
    few = by_group(*(rated(f"g{i:02}", 0.5, 0.5 + i / 100) for i in range(12)))
    assert [row.group.text for row in few.shown] == [f"s=g{i:02}" for i in range(12)]
    found = lxml_html.document_fromstring(render(reports.everything()))
    assert "12 groups more, which moved less" in text(found)
    assert len(rows_of(found, "More rates by group")) == 1 + 12


def test_names_that_look_alike_stay_two_rows():
    names = "a", "a\u200b", "b"
    table = by_group(*(rated(name, 0.5, 0.6) for name in names))
    assert [row.group.text for row in table.shown] == [f"s={name}" for name in names]


# --- the data --------------------------------------------------------------------------------


def data_said(model):
    found = lxml_html.document_fromstring(render(reports.make_report(model)))
    heads = found.xpath('//h3[.="What changed in the data"]')
    return found, text(heads[0].getnext()) if heads else None


def test_what_changed_in_the_data_is_said_and_drawn():
    baseline = reports.since(rows=8_000, label_rate=0.20)
    now = DataInfo(digest="sha256:" + "e" * 64, rows=16_000, columns=12, label_rate=0.25)
    model = reports.make_model(
        reports.good_performance(), baseline=baseline, data={"evaluation": now}
    )
    found, said = data_said(model)
    assert said == "The evaluation data is not what the baseline was registered on."
    rows = rows_of(found, "What changed in the data")
    assert rows[1:] == [
        ["rows", "8,000", "", "16,000", "+8,000"],
        ["columns", "12", "", "12", "0"],
        ["positive labels", "20.0 %", "", "25.0 %", "+5.0 points"],
    ]
    assert [row.bars for row in data(model).rows] == [
        ("54.0", "108.0"),
        ("108.0", "108.0"),
        ("86.4", "108.0"),
    ]
    assert "How the values of each column are distributed is not compared." in text(found)


def test_the_same_data_has_not_changed():
    now = DataInfo(digest=reports.DIGEST, rows=16_281, columns=12, label_rate=0.25)
    model = reports.make_model(
        reports.good_performance(),
        baseline=reports.since(label_rate=0.25),
        data={"evaluation": now},
    )
    _, said = data_said(model)
    same = "16,281 rows, 12 columns, positive labels 25.0 %"
    assert said == f"Nothing: the baseline was registered on the same data ({same})."


def test_of_data_that_is_not_known_nothing_is_said():
    assert data_said(reports.make_model(reports.good_performance()))[1] is None
    assert data_said(reports.make_model(reports.good_performance(), baseline=None))[1] is None
    assert data(reports.make_model(baseline=reports.since(), data={})) is None


@pytest.mark.parametrize(
    ("task", "then", "now", "row"),
    [
        ("regression", 2.5, -1.25, ("mean label", "2.500", "−1.250", "−3.750", None)),
        ("regression", 2.0, 4.0, ("mean label", "2.000", "4.000", "+2.000", ("54.0", "108.0"))),
        ("binary", None, 1.0, ("positive labels", "–", "100%", "–", None)),
        ("binary", 0.0, 0.0, ("positive labels", "0%", "0%", "0.0 points", None)),
    ],
)
def test_labels_then_and_now(task, then, now, row):
    today = DataInfo(digest="sha256:" + "e" * 64, rows=9, columns=1, label_rate=now)
    model = reports.make_model(
        task=task, baseline=reports.since(label_rate=then), data={"evaluation": today}
    )
    *_, label = data(model).rows
    assert (label.about, label.then, label.now, label.change, label.bars) == row


def test_many_classes_have_no_label_rate():
    today = DataInfo(digest="sha256:" + "e" * 64, rows=9, columns=1)
    model = reports.make_model(
        task="multiclass", baseline=reports.since(), data={"evaluation": today}
    )
    assert [row.about for row in data(model).rows] == ["rows", "columns"]


# --- marks -----------------------------------------------------------------------------------

LIMITS = [
    ({"min": 0.7}, {"candidate": 0.6, "interval": (0.55, 0.65)}),
    ({"max": 0.1}, {"candidate": 0.2, "interval": (0.15, 0.25)}),
    ({"max_drop": 0.01}, {"baseline": 0.8, "candidate": 0.7, "interval": (-0.12, -0.08)}),
    ({"max_rise": 0.01}, {"baseline": 0.3, "candidate": 0.4, "interval": (0.08, 0.12)}),
    ({"max_ratio": 1.05}, {"baseline": 0.3, "candidate": 0.4, "interval": (0.08, 0.12)}),
    ({"max_drop_any_group": 0.0}, {"baseline": 0.8, "candidate": 0.7, "interval": (-0.12, -0.08)}),
    ({"max_rise_from_anchor": 0.0}, {"baseline": 0.3, "candidate": 0.4, "interval": (0.08, 0.12)}),
]


@pytest.mark.parametrize(("limit", "fields"), LIMITS)
def test_beyond_the_limit_is_to_the_right(limit, fields):
    check = reports.make_check("performance/x", limit, **fields)
    assert threshold(check) == decide.threshold(check)
    at = marks([check])[check.id]
    assert 60 < float(at.low) < float(at.point) < float(at.high) <= 114


def test_within_the_limit_is_to_the_left_and_no_change_has_a_tick():
    check = reports.make_check(
        "performance/x", {"max_drop": 0.02}, baseline=0.8, candidate=0.81, interval=(0.0, 0.02)
    )
    at = marks([check])[check.id]
    assert (at.low, at.point, at.high) == ("6.0", "19.5", "33.0")
    assert at.zero == "33.0"


def test_checks_of_a_metric_share_a_scale_and_the_widest_are_cut():
    rows = [
        reports.make_check(f"performance/x@s={i}", {"max_drop": 0.0}, baseline=0.5, candidate=0.5, interval=(-w, w))
        for i, w in enumerate((0.01, 0.01, 0.01, 0.9))
    ]  # fmt: skip
    found = [marks(rows)[row.id] for row in rows]
    assert (found[0].low, found[0].high, found[0].cut_low) == ("42.0", "78.0", False)
    assert (found[3].low, found[3].high) == ("6.0", "114.0")
    assert found[3].cut_low
    assert found[3].cut_high


def test_what_has_no_interval_has_no_mark():
    checks = [
        reports.make_check("a/b", {"min": 0.5}, problem="none"),
        reports.make_check(
            "a/c", {"max_ratio": 1.1}, candidate=0.5, delta=0.1, interval=(0.0, 0.2)
        ),
        reports.make_check("a/d", {"min": 0.5}, candidate=0.5),
    ]
    assert marks(checks) == {}


# --- text ------------------------------------------------------------------------------------


def test_values_are_inert():
    assert markup(("<b> ", "of `a<b`")) == "&lt;b&gt; of <code>a&lt;b</code>"
    assert markup(12_345) == "12,345"
    assert markup("\u202eabc\u200b") == "abc"
    assert figure("0.5 [0.4, 0.6]") == '0.5 <span class="interval">[0.4, 0.6]</span>'
    assert beside("–") == "–"
    assert beside("5 [1 %]") == '5 <span class="muted">1 %</span>'
    assert rate(("<", )) == "&lt;"  # fmt: skip
    assert rate(("0.1; ", "few")) == '0.1 <span class="interval">few</span>'


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_change_no_structure(hostile):
    assert shape(render(hostile_portrait(hostile))) == calm()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_name_changes_no_structure(value):
    written = render(hostile_portrait(value))
    assert shape(written) == calm()
    assert written.count("<!--") == 0


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_drawing_holds_no_element_of_theirs(hostile):
    spec = charts.roc(reports.curves(0.2).roc, ())
    drawn = svg.draw(spec, key="k", title=hostile, says=hostile)
    root = etree.fromstring(re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f]", "", drawn))
    assert {element.tag for element in root.iter()} <= svg._ELEMENTS | {"title", "desc"}
    keys = {key for element in root.iter() for key in element.attrib}
    assert keys <= svg._ATTRIBUTES | {"role", "aria-labelledby"}
    assert not any(EVENTS.match(key) for key in keys)


def test_a_drawing_keeps_only_what_draws(monkeypatch):
    foreign = (
        '<svg xmlns="http://www.w3.org/2000/svg" onload="x()"><script>x()</script>'
        '<a href="javascript:x()"><text fill="#000">a</text></a><image href="http://e/x"/>'
        '<g clip-path="url(#clip7)"><path d="M0.123456,1e-9 2" fill="red" onclick="x()"/></g>'
        '<g><path d="M0,0" /></g><path d="M0" fill="red" display="none"/><text fill="#000"/>'
        '<defs><clipPath id="clip7"><rect width="1.005"/></clipPath></defs></svg>'
    )
    monkeypatch.setattr(svg, "_drawn", lambda spec: foreign)
    assert svg.draw({}, key="k", title="<t>", says="d") == (
        '<svg role="img" aria-labelledby="k-t k-d"><title id="k-t">&lt;t&gt;</title>'
        '<desc id="k-d">d</desc><g clip-path="url(#k-c0)"><path d="M0.12,1e-9 2" fill="red" /></g>'
        '<defs><clipPath id="k-c0"><rect width="1" /></clipPath></defs></svg>'
    )


# --- size, bytes, and the extra --------------------------------------------------------------


def test_hundreds_of_checks_fit_and_the_rest_is_counted():
    written = render(reports.many_red(200))
    assert len(written.encode()) < 500_000
    found = lxml_html.document_fromstring(written)
    assert len(rows_of(found, "Checks that need a look")) == 1 + 2 * 40
    assert len(rows_of(found, "More checks that need a look")) == 1 + 2 * 160
    more = text(lxml_html.document_fromstring(render(reports.many_red(420))))
    assert "… and 120 checks more in report.json." in more


def test_charts_are_few_whatever_the_number_of_checks_and_groups(monkeypatch):
    # A chart costs as much as a hundred rows of a table: `benchmarks/render.py` measures both.
    drawn = []
    real = svg._drawn
    monkeypatch.setattr(svg, "_drawn", lambda spec: drawn.append(spec) or real(spec))
    render(reports.portrayed())
    assert len(drawn) == 6
    metrics = {f"m{i}": 0.5 for i in range(20)}
    (model,) = reports.everything(groups=60).models
    overall = reports.make_gate(
        "more",
        *(
            reports.make_check(f"more/{m}", {"min": 0.1}, candidate=0.5, interval=(0.4, 0.6))
            for m in metrics
        ),
    )
    points = [HistoryPoint(version=1, registered_at="", data=reports.DIGEST, metrics=metrics)]
    portrait = model.portrait.model_copy(update={"history": tuple(points)})
    drawn.clear()
    render(reports.make_report(reports.make_model(*model.gates, overall, portrait=portrait)))
    assert len(drawn) == 8


def test_twelve_models_fit():
    written = render(reports.twelve_models())
    assert len(written.encode()) < 2_000_000
    found = lxml_html.document_fromstring(written)
    assert text(found.xpath("//nav//a")[0]) == "model-11"
    ids = found.xpath("//@id")
    assert len(ids) == len(set(ids))


def test_the_same_report_is_the_same_bytes():
    # In between, other drawings move Vega's own counter of ids.
    first = render(reports.portrayed())
    render(reports.one_red())
    assert render(reports.portrayed()) == first == RENDERERS["html"](reports.portrayed())


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def absent(name, *rest):
        if name == "vl_convert":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "vl_convert", raising=False)
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(EnvironmentFault, match="vl-convert") as caught:
        render(reports.portrayed())
    assert caught.value.hint == 'Install it with `pip install "model-gates[html]"`.'
