"""Read what the reporters write as others do: against the published schema, then by a real reader."""

import json
from functools import cache
from pathlib import Path

import jsonschema
from junitparser import JUnitXml
from lxml import etree
from prometheus_client import parser as prometheus
from prometheus_client.openmetrics import parser as openmetrics

CONTRACTS = Path(__file__).parent / "contracts"


@cache
def schema(name):
    """The validator of one schema under `tests/contracts/`."""
    found = json.loads((CONTRACTS / name).read_text("utf-8"))
    return jsonschema.validators.validator_for(found)(found)


@cache
def xsd():
    return etree.XMLSchema(etree.parse(CONTRACTS / "junit.xsd"))


def junit(text):
    """The test cases of a JUnit report; the counts it states are held to what it holds."""
    xsd().assertValid(etree.fromstring(text.encode()))
    found = JUnitXml.fromstring(text.encode())
    stated = (found.tests, found.failures, found.errors, sum(s.skipped for s in found))
    found.update_statistics()
    assert stated == (found.tests, found.failures, found.errors, found.skipped)
    return [case for suite in found for case in suite]


def ended(case):
    """How a test case of junitparser ended, in JUnit's words."""
    return case.result[0]._tag if case.result else "passed"


def sarif(text):
    """The one run of a SARIF log, every result with the rule it names."""
    log = json.loads(text)
    schema("sarif-2.1.0.json").validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        # SARIF 2.1.0, 3.27.9 and 3.27.10: only what fails has a level.
        assert (result["kind"] == "fail") != (result["level"] == "none")
    return run


def codequality(text):
    found = json.loads(text)
    schema("gitlab-codequality.json").validate(found)
    assert len({one["fingerprint"] for one in found}) == len(found)
    return found


def endpoint(text):
    found = json.loads(text)
    schema("shields-endpoint.json").validate(found)
    return found


def metrics(text):
    """The samples of an OpenMetrics text, in either format: {(name, labels): value}."""
    assert text.endswith("\n# EOF\n")
    found = list(openmetrics.text_string_to_metric_families(text))
    # The Pushgateway and the textfile collector read the older format.
    assert [f.name for f in prometheus.text_string_to_metric_families(text)] == [
        f.name for f in found
    ]
    assert {family.type for family in found} == {"gauge"}
    samples = [(s.name, tuple(sorted(s.labels.items())), s.value) for f in found for s in f.samples]
    unique = {(name, labels): value for name, labels, value in samples}
    assert len(unique) == len(samples)
    return unique


def svg(text):
    """The elements of an SVG, by tag, with their text."""
    root = etree.fromstring(text.encode())
    return [(etree.QName(one).localname, one.text, dict(one.attrib)) for one in root.iter()]
