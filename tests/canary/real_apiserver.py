"""Store and Deployments on a real API server: run by its name, and by nothing else.

    MODEL_GATES_KUBECONFIG=~/.kube/config pytest --no-cov tests/canary/real_apiserver.py

The current context's namespace gets a Lease, ConfigMaps and a Deployment without pods, all with
`mg-test-` and a number of their own in their names, and taken away again. No controller is needed.
"""

import os
import threading
import uuid

import pytest
import yaml

from gates.canary import chain
from gates.canary.chain import Record
from gates.canary.faults import Fenced, Locked
from gates.canary.stores.kubernetes import KubernetesStore
from gates.canary.targets.kubernetes.api import connect
from gates.canary.targets.kubernetes.cluster import (
    CONFIG_MAP,
    DEPLOYMENT,
    LEASE,
    Cluster,
    annotated,
    annotation,
)
from gates.canary.targets.kubernetes.sides import replicas
from gates.errors import EnvironmentFault
from tests.canary.test_kubernetes_site import OLD, deployment


@pytest.fixture(scope="module")
def cluster():
    path = os.environ["MODEL_GATES_KUBECONFIG"]
    with open(os.path.expanduser(path), encoding="utf-8") as file:  # noqa: PTH111, PTH123
        config = yaml.safe_load(file)
    context = next(
        one["context"] for one in config["contexts"] if one["name"] == config["current-context"]
    )
    api = connect(kubeconfig=file.name, context=None, in_cluster=False, timeout=10.0)
    return Cluster(api=api, namespace=context.get("namespace", "default"))


@pytest.fixture
def name(cluster):
    name = f"mg-test-{uuid.uuid4().hex[:8]}"
    yield name
    journals = [
        one["metadata"]["name"]
        for one in cluster.select(CONFIG_MAP, {"model-gates.io/journal-of": name})
    ]
    for each in (f"{name}-journal", *journals):
        cluster.remove(CONFIG_MAP, each)
    cluster.remove(LEASE, name)
    cluster.remove(DEPLOYMENT, name)


def record(seq, token, prev=chain.START):
    said = {"kind": "note", "act": "", "by": "ann", "at": "now"}
    return Record(seq=seq, rollout="r", token=token, prev=prev, **said)


def test_a_lease_from_beginning_to_end(cluster, name):
    store = KubernetesStore(cluster=cluster, name=name)
    assert store.lease() is None
    lease = store.acquire("ann", 7.5)
    with pytest.raises(Locked):
        store.acquire("bob", 60.0)
    assert store.renew(lease).beat == 1
    with store.fenced(lease):
        pass
    taken = store.acquire("guard", 60.0, over=lease.token)
    assert taken.token == lease.token + 1
    with pytest.raises(Fenced):
        store.renew(lease)
    store.release(taken)
    assert store.lease() is None
    assert store.acquire("eve", 60.0).token == taken.token + 1


def test_of_many_one_wins(cluster, name):
    won = []

    def start(number):
        try:
            won.append(KubernetesStore(cluster=cluster, name=name).acquire(f"{number}", 60.0))
        except Locked:
            return

    threads = [threading.Thread(target=start, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_a_journal_from_beginning_to_end(cluster, name):
    store = KubernetesStore(cluster=cluster, name=name)
    token = store.acquire("ann", 60.0).token
    first = record(1, token)
    store.begin(first.line(), token)
    second = record(2, token, first.hash)
    assert store.append(second.line(), token) is True
    assert store.append(record(2, token, first.hash).line(), token) is True, "the same line"
    store.ask_abort("enough")
    assert store.asked_abort() == "enough"
    before = store.read()
    store.begin(first.line(), token)
    assert store.asked_abort() is None
    assert list(store.earlier()) == [before]


def test_a_deployment_changes_only_as_it_was_read(cluster, name):
    fields = deployment(name, "stable", OLD, 0)
    assert cluster.create(DEPLOYMENT, name, fields) is not None
    assert cluster.create(DEPLOYMENT, name, fields) is None
    found = cluster.get(DEPLOYMENT, name)
    one = annotated(found, "model-gates.io/test", "1")
    assert cluster.swap(DEPLOYMENT, found, one) is not None
    assert cluster.swap(DEPLOYMENT, found, one) is None, "what was read is out of date"
    changed = cluster.change(
        DEPLOYMENT, name, lambda now: annotated(now, "model-gates.io/test", "2")
    )
    assert annotation(changed, "model-gates.io/test") == "2"
    assert replicas(changed) == 0
    wrong = {"op": "add", "path": "/spec/replicas", "value": -1}
    with pytest.raises(EnvironmentFault, match="422"):
        cluster.change(DEPLOYMENT, name, lambda _: [wrong])
    assert cluster.find(DEPLOYMENT, f"{name}-none") is None
