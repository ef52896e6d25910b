"""What a report shows about why a check is red: with evidence a sentence, without it nothing."""

import pytest

from gates.picture import Curves, Flip, Flips, GroupRate, HistoryPoint, Portrait
from gates.report import DataInfo
from reporters.render.causes import causes
from reporters.render.escape import plain
from tests import reports

RED = {"baseline": 0.612, "candidate": 0.571, "interval": (-0.055, -0.027)}
GREEN = {"baseline": 0.9, "candidate": 0.91, "interval": (0.005, 0.015)}


def said(model, *, of=0, gate=0):
    found = model.gates[gate]
    return [plain(one) for one in causes(model, found, found.checks[of])]


def performance(*extra, at="", **fields):
    recall = reports.make_check(f"performance/recall{at}", {"max_drop": 0.01}, **(RED | fields))
    return reports.make_gate("performance", recall, *extra)


def ranking(**fields):
    return reports.make_check("performance/roc_auc", {"max_drop": 0.01}, **(GREEN | fields))


def selecting(before, now):
    """Both models' confusion, predicting the positive class for these shares of 1,000 rows."""
    tables = [((600 - k, k), (400, 0)) for k in (round(1000 * before), round(1000 * now))]
    curves = [Curves(classes=("0", "1"), confusion=table) for table in tables]
    return Portrait(baseline=curves[0], candidate=curves[1])


def test_without_evidence_nothing_is_said():
    assert said(reports.make_model(performance())) == []


def test_a_pass_needs_no_cause():
    model = reports.make_model(performance(**GREEN), portrait=selecting(0.3, 0.2))
    assert said(model) == []


def test_a_moved_threshold_is_told_from_a_worse_ranking():
    moved = selecting(0.3, 0.2)
    (cause,) = said(reports.make_model(performance(ranking()), portrait=moved))
    assert "for 20.0 % of the rows, the baseline for 30.0 %" in cause
    assert "threshold" in cause
    worse = ranking(candidate=0.85, interval=(-0.06, -0.04))
    assert said(reports.make_model(performance(worse), portrait=moved)) == []
    assert said(reports.make_model(performance(), portrait=moved)) == []  # nobody looked
    still = selecting(0.3, 0.295)
    assert said(reports.make_model(performance(ranking()), portrait=still)) == []


def test_other_data_and_a_moved_label_rate():
    now = DataInfo(digest="sha256:" + "b" * 64, rows=900, columns=3, label_rate=0.31)
    then = DataInfo(digest="sha256:" + "a" * 64, rows=1000, columns=3, label_rate=0.25)
    base = reports.make_model(performance()).baseline.model_copy(update={"data": then})
    model = reports.make_model(performance(), baseline=base, data={"evaluation": now})
    assert said(model) == [
        "The evaluation data is not what the baseline was registered on (1,000 rows then, 900 now).",
        "The share of positive labels moved from 25.0 % to 31.0 %.",
    ]
    same = model.model_copy(update={"data": {"evaluation": then}})
    assert said(same) == []
    unknown = then.model_copy(update={"label_rate": None})
    model = model.model_copy(
        update={"baseline": base.model_copy(update={"data": unknown})},
    )
    assert len(said(model)) == 1


def flips(*slices, broken=100):
    overall = Flip(rows=1000, changed=150, fixed=50, broken=broken)
    return Portrait(flips=Flips(overall=overall, slices=slices))


def part(name, rows, broken):
    return Flip(slice={"region": name}, rows=rows, changed=broken, fixed=0, broken=broken)


def test_the_slice_that_broke_most_is_named():
    portrait = flips(part("north", 200, 60), part("south", 800, 40), part("tiny", 10, 9))
    (cause,) = said(reports.make_model(performance(), portrait=portrait))
    assert cause == (
        "region=north is 20.0 % of the rows and 60.0 % of those that were right and are wrong now."
    )


@pytest.mark.parametrize(
    "slices",
    [
        (part("north", 200, 25), part("south", 800, 75)),  # as its size explains
        (part("tiny", 10, 9),),  # too few to say
        (),
    ],
)
def test_no_slice_is_blamed_for_its_size(slices):
    assert said(reports.make_model(performance(), portrait=flips(*slices))) == []


def test_a_slice_says_whether_all_rows_moved_as_well():
    whole = reports.make_check("performance/recall", {"max_drop": 0.01}, **GREEN)
    (alone,) = said(reports.make_model(performance(whole, at="@region=north")))
    assert alone == "Over all rows it passes (+0.010): this slice is where to look."
    whole = reports.make_check("performance/recall", {"max_drop": 0.01}, **RED)
    (together,) = said(reports.make_model(performance(whole, at="@region=north")))
    assert together == "Over all rows it moved the same way (−0.041): it is not this slice alone."
    rising = reports.make_check(
        "performance/recall",
        {"max_drop": 0.01},
        baseline=0.5,
        candidate=0.52,
        interval=(-0.02, 0.06),
    )
    assert said(reports.make_model(performance(rising, at="@region=north"))) == []


def rate(sex, before, now, metric="false_negative_rate", **fields):
    return GroupRate(
        sensitive=("sex",),
        group={"sex": sex},
        metric=metric,
        n=500,
        baseline=before,
        candidate=now,
        **fields,
    )


def fairness(*groups):
    odds = reports.make_check(
        "fairness/equalized_odds_difference@sex",
        {"max_rise": 0.02},
        baseline=0.05,
        candidate=0.15,
        interval=(0.06, 0.14),
        sensitive=("sex",),
    )
    one = reports.make_check(
        "fairness/false_negative_rate@sex=f",
        {"max_rise_any_group": 0.02},
        baseline=0.3,
        candidate=0.4,
        interval=(0.06, 0.14),
        sensitive=("sex",),
    )
    return reports.make_gate("fairness", odds, one, groups=groups)


def test_the_group_that_moved_is_named():
    gate = fairness(rate("f", 0.3, 0.4), rate("m", 0.31, 0.32), rate("x", 0.1, 0.9, note="small"))
    assert said(reports.make_model(gate)) == [
        (
            "sex=f moved most: false negative rate 0.300 → 0.400; no other group moved by more than "
            "0.010."
        )
    ]


@pytest.mark.parametrize(
    "groups",
    [
        (rate("f", 0.3, 0.4), rate("m", 0.3, 0.39)),  # both did
        (rate("f", 0.3, 0.4),),
        (),
    ],
)
def test_no_group_is_named_where_others_moved_as_much(groups):
    assert said(reports.make_model(fairness(*groups))) == []


def test_a_group_says_how_often_it_is_predicted_positive():
    gate = fairness(
        rate("f", 0.3, 0.4),
        rate("f", 0.25, 0.10, metric="selection_rate"),
        rate("m", 0.25, 0.26, metric="selection_rate"),
    )
    assert said(reports.make_model(gate), of=1) == [
        "The positive class is predicted for 10.0 % of these rows, before 25.0 %."
    ]
    still = fairness(rate("f", 0.25, 0.255, metric="selection_rate"))
    assert said(reports.make_model(still), of=1) == []


def versions(*values, data="a1b2c3d4"):
    return Portrait(
        history=tuple(
            HistoryPoint(
                version=i,
                registered_at="2026-01-01",
                data="sha256:" + data * 8,
                metrics={"recall": value},
            )
            for i, value in enumerate(values, 1)
        )
    )


def test_the_trend_of_the_registered_versions_is_drawn():
    rising = versions(0.58, 0.60, 0.61, 0.612)
    assert said(reports.make_model(performance(), portrait=rising)) == [
        "Versions 1 to 4, then this candidate: ▃▆██▁"
    ]


@pytest.mark.parametrize(
    "history", [versions(0.5, 0.6), versions(0.5, 0.6, 0.7, data="0" * 8), Portrait()]
)
def test_few_versions_or_other_data_are_no_trend(history):
    assert said(reports.make_model(performance(), portrait=history)) == []


def test_a_baseline_beyond_an_absolute_limit_is_told_from_a_candidate_that_fell():
    def model(**fields):
        check = reports.make_check("performance/recall", {"min": 0.6}, **(RED | fields))
        return reports.make_model(reports.make_gate("performance", check))

    own = {"candidate": 0.571, "interval": (0.55, 0.59)}
    (cause,) = said(model(**own, baseline=0.58))
    assert cause == "The baseline is beyond this limit, too (0.5800): it did not begin here."
    assert said(model(**own, baseline=0.612)) == []
    assert said(model(**own, baseline=None)) == []
    rise = reports.make_check("fairness/gap", {"max": 0.1}, candidate=0.2, interval=(0.15, 0.25))
    high = rise.model_copy(update={"baseline": 0.18})
    assert len(said(reports.make_model(reports.make_gate("fairness", high)))) == 1


@pytest.mark.parametrize(("now", "told"), [(80, True), (81, False), (300, False)])
def test_a_slice_that_shrank(now, told):
    at = "@region=north"
    model = reports.make_model(performance(at=at, slice={"region": "north"}, n=now))
    base = model.baseline.model_copy(update={"slices": {"region=north": 100}})
    found = said(model.model_copy(update={"baseline": base}))
    assert found == (
        [f"This slice has {now} rows; the baseline was registered on 100 of it."] if told else []
    )
