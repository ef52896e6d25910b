"""Choices in `defaults` and rules that are decided at their very boundary, through a whole run."""

from datetime import date

import pytest

WAIVER = """\
version: 1
waivers:
  - rule: "performance/recall:max_drop"
    reason: labels of the north are late, MLG-31
    owner: "@lead"
    expires: 2026-12-01
"""


@pytest.mark.parametrize(
    ("selected", "decide", "verdict"),
    [(45, "point", "pass"), (46, "point", "fail"), (45, "interval", "inconclusive")],
)
def test_through_the_gate(project, selected, decide, verdict):
    frame = project.table("evaluation.parquet").head(70)
    frame["sex"] = ["f"] * 10 + ["m"] * 60
    outputs = project.table("candidate.parquet").head(70).drop(columns="score")
    outputs["prediction"] = [1] * 6 + [0] * 4 + [1] * selected + [0] * (60 - selected)
    project.write("evaluation.parquet", frame).write("candidate.parquet", outputs)
    limit = {"min": 0.8, "decide": decide}
    fairness = {
        "sensitive": ["sex"],
        "min_group": 2,
        "metrics": {"demographic_parity_ratio": limit},
    }
    project.model["gates"] = {"fairness": fairness}
    check = project.run().checks["fairness/demographic_parity_ratio:min@sex"]
    assert check["verdict"] == verdict


def test_one_slice_by_ten_names_is_one_question_for_max_t(project):
    """Ten names for the same rows: Holm takes the drop for chance, max-T sees through them."""
    found = {}
    for correction in ("holm", "max_t"):
        project.config["defaults"] = {"correction": correction}
        names = [{"name": f"grown up {i}", "where": f"age >= {18 - i}"} for i in range(10)]
        accuracy = {"max_drop": 0.01, "slices": {"max_drop": 0.01}}
        project.model["gates"] = {
            "performance": {"metrics": {"accuracy": accuracy}, "slices": names}
        }
        outputs = project.table("baseline.parquet")
        right = outputs["prediction"] == project.table("evaluation.parquet")["defaulted"]
        turned = right[right].index[:9]
        outputs.loc[turned, "prediction"] = 1 - outputs.loc[turned, "prediction"]
        project.write("candidate.parquet", outputs.drop(columns="score"))
        project.register()
        checks = project.run().checks
        found[correction] = [c for name, c in checks.items() if "@grown up" in name]
    assert {c["verdict"] for c in found["holm"]} == {"inconclusive"}
    assert {c["verdict"] for c in found["max_t"]} == {"fail"}
    for check in found["max_t"]:
        assert check["p"] <= check["p_adjusted"] <= 0.05 < found["holm"][0]["p_adjusted"]
        assert check["p_joint"] == float(f"{check['p_joint']:.12g}")


def test_a_waiver_through_a_run(project):
    """Blocked without, open with, and refused whole when the file is wrong."""
    outputs = project.table("candidate.parquet")
    outputs["prediction"] = 0
    project.write("candidate.parquet", outputs)
    project.model["gates"] = {"performance": {"metrics": {"recall": {"max_drop": 0.2}}}}
    assert project.run().code == 1
    text = WAIVER.replace("2026-12-01", "2999-01-01")
    project.path("model-gates.waivers.yml").write_text(text)
    refused = project.run()
    assert (refused.code, refused.report["error"]["kind"]) == (2, "config")
    soon = date.today().isoformat()  # noqa: DTZ011  (any day will do)
    project.path("model-gates.waivers.yml").write_text(WAIVER.replace("2026-12-01", soon))
    outcome = project.run()
    assert outcome.code == 0
    assert "waived" in outcome.stdout
    assert outcome.report["waivers"] == [
        (
            f"performance/recall:max_drop until {soon} by @lead – labels of the north are late, MLG-31 "
            "(expires in 0 days)"
        )
    ]
