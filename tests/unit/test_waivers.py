"""Waivers: who may leave a check red, until when; and that nothing else is let through."""

import re
from datetime import date
from pathlib import Path

import pytest

from gates.decide import blocked, settle
from gates.errors import ConfigError
from gates.report import Effect, Verdict
from gates.waivers import MOST_DAYS, applied, load
from reporters.render import markdown
from tests import reports

TODAY = date(2026, 11, 21)
DIGEST = reports.DIGEST
FILE = """\
version: 1
waivers:
  - rule: "performance/recall:max_drop"
    reason: labels of the north are late, MLG-31
    owner: "@lead"
    expires: 2026-12-01
"""


@pytest.fixture
def write(tmp_path):
    def written(text=FILE):
        path = tmp_path / "model-gates.waivers.yml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def red(**fields):
    """A model with one check that fails, and one that passes."""
    drop = {"baseline": 0.612, "candidate": 0.571, "interval": (-0.055, -0.027)} | fields
    return reports.make_model(
        reports.make_gate(
            "performance",
            reports.make_check("performance/recall", {"max_drop": 0.01}, **drop),
            reports.make_check(
                "performance/roc_auc",
                {"max_drop": 0.01},
                baseline=0.9,
                candidate=0.91,
                interval=(0.005, 0.015),
            ),
        )
    )


def first(found):
    return found.models[0].gates[0].checks[0]


def test_a_waived_check_stays_red_and_does_not_block(write):
    model = red()
    assert blocked([model])
    found = applied([model], load(write(), on=TODAY), on=TODAY)
    check = first(found)
    assert (check.verdict, check.effect) == (Verdict.FAIL, Effect.NONE)
    assert check.waiver == "until 2026-12-01 by @lead – labels of the north are late, MLG-31"
    assert not blocked(found.models)
    assert found.told == (f"performance/recall:max_drop {check.waiver}",)


def test_it_holds_on_its_last_day_and_not_after(write):
    path = write()
    for day, held in ((date(2026, 12, 1), True), (date(2026, 12, 2), False)):
        found = applied([red()], load(path, on=TODAY), on=day)
        assert (first(found).waiver is not None) is held
        assert blocked(found.models) is not held
    assert found.told[0].endswith("(expired: it holds no more)")


def test_one_that_expires_soon_says_so(write):
    found = applied([red()], load(write(), on=TODAY), on=date(2026, 11, 25))
    assert found.told[0].endswith("(expires in 6 days)")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("recall:max_drop", "precision:max_drop"), "there is no such check"),
        (("recall:max_drop", "recall:max_drop@region=north"), "there is no such check"),
        (("recall:max_drop", "roc_auc:max_drop"), "its check did not need it"),
        (("    reason", "    model: other\n    reason"), "there is no such check"),
        (("    reason", f"    candidate: sha256:{'0' * 64}\n    reason"), "there is no such check"),
    ],
)
def test_what_it_is_not_about_stays_blocked_and_it_is_called_unused(write, change, why):
    found = applied([red()], load(write(FILE.replace(*change)), on=TODAY), on=TODAY)
    assert first(found).waiver is None
    assert blocked(found.models)
    assert f"unused: {why}; remove it" in found.told[0]


def test_it_may_be_bound_to_the_candidate_that_was_looked_at(write):
    bound = FILE.replace("    reason", f"    model: income\n    candidate: {DIGEST}\n    reason")
    found = applied([red()], load(write(bound), on=TODAY), on=TODAY)
    assert first(found).waiver


def test_a_crashed_gate_cannot_be_waived(write):
    broken = reports.make_model(reports.make_gate("performance"))
    assert blocked(applied([broken], load(write(), on=TODAY), on=TODAY).models)


def test_what_only_reports_is_left_alone(write):
    found = applied([red(mode="report")], load(write(), on=TODAY), on=TODAY)
    assert first(found).waiver is None


def test_whoever_settles_again_drops_a_waiver_that_nobody_gave(write):
    """A report from a fork may say that a check was waived: it is not believed."""
    forged = applied([red()], load(write(), on=TODAY), on=TODAY).models[0].gates[0]
    assert settle(forged).checks[0].waiver is None
    assert settle(forged).checks[0].effect is Effect.BLOCK


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("2026-12-01", "2027-02-20", "6:14", f"more than {MOST_DAYS} days ahead; 2027-02-19 is"),
        ("2026-12-01", "soon", "6:14", "expected a day such as 2026-12-31"),
        ("2026-12-01", "2026-02-30", "6:14", "expected a day such as 2026-12-31"),
        ("    expires: 2026-12-01\n", "", "3:5", "this key is required"),
        ("labels of the north are late, MLG-31", '"TODO: why"', "4:13", ""),
        ("labels of the north are late, MLG-31", '"TODO: say why"', "4:13", "say why this is"),
        ("@lead", "TODO: who answers for it", "5:12", "say who answers for it"),
        ('"performance', '"TODO: performance', "3:11", "as it stands in report.json"),
        ("    owner", "    woner", "5:5", "did you mean `owner`?"),
        ("@lead", "", "5:12", ""),
        ("version: 1", "version: 2", "1:10", ""),
    ],
)
def test_what_is_wrong_is_named_with_its_place(write, old, new, line, message):
    with pytest.raises(ConfigError) as caught:
        load(write(FILE.replace(old, new)), on=TODAY)
    told = f"{caught.value} {caught.value.where}"
    assert f"model-gates.waivers.yml:{line}" in told
    assert message in told


def test_the_latest_day_is_taken(write):
    assert load(write(FILE.replace("2026-12-01", "2027-02-19")), on=TODAY)


def test_the_readmes_example_is_right(write):
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (text,) = (t for t in re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL) if "waivers:" in t)
    (waiver,) = load(write(text), on=date(2026, 11, 21))
    assert waiver.rule == "performance/recall:max_drop@region=north"


def test_the_lines_that_a_report_ends_with_say_what_is_still_to_be_said(write):
    page = markdown.render(reports.make_report(red()))
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    with pytest.raises(ConfigError, match="2 problems"):
        load(write(text), on=TODAY)
    filled = text.replace("TODO: why", "This is why").replace("TODO: who", "this is who")
    (waiver,) = load(write(filled), on=TODAY)
    assert blocked([red()])
    assert not blocked(applied([red()], [waiver], on=TODAY).models)
