"""The targets there are, by the name they have in the configuration; read it top to bottom.

The extra in pyproject.toml that a target needs has the same name.
"""

from __future__ import annotations

from gates.canary.targets.docker.options import Docker
from gates.canary.targets.kubernetes.options import Kubernetes
from gates.canary.targets.sagemaker.options import SageMaker

TARGETS: dict[str, type[Docker | Kubernetes | SageMaker]] = {
    "docker": Docker,
    "kubernetes": Kubernetes,
    "sagemaker": SageMaker,
}
