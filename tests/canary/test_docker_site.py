import pytest

pytestmark = pytest.mark.requires_real("dockerd", "haproxy")


def test_a_quarter_of_the_requests_reaches_the_canary(bench):
    good, slow = bench.serve("good"), bench.canary("good-v2", share=25)
    answers = bench.load(400, threads=1)
    sight = bench.site.look()
    assert (sight.stable.digest, sight.canary.digest) == (good.digest, slow.digest)
    assert abs(answers.of("canary") - 100) <= 1
    assert answers.bad == 0
