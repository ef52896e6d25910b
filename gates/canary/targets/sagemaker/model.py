"""What a model of SageMaker is, by its bytes: the images of its containers, and its model data.

Neither is fixed by the model's name. An image given by a tag is resolved when an endpoint is made
or updated, and model data is fetched from S3 by every instance that starts, whatever lies there by
then. So the digest is taken of both, and looked at again for as long as a rollout lasts.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from gates.canary.aws import Aws, calling
from gates.canary.sight import Pinned
from gates.errors import InputError

_BY_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})$")
_S3 = re.compile(r"(?:s3|https)://([^/]+)/?(.*)")
_MOST_FILES: Final = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Datum:
    """One object of model data: `mark` is its sha256 where S3 has one, else its entity tag."""

    address: str
    mark: str
    sha256: str | None


def image_digest(image: str) -> str | None:
    """Return the digest in the name of an image; None where it is named by a tag."""
    found = _BY_DIGEST.search(image)
    return found[1] if found else None


def pinned(aws: Aws, model: str, images: Iterable[str] | None = None) -> Pinned:
    """Return what a model is; `images` are those that an endpoint resolved, if it runs on one.

    Raises InputError where the bytes are not fixed: an image by tag, many models in one container.
    """
    containers = _containers(aws, model)
    named = [str(c.get("Image", "")) for c in containers] if images is None else list(images)
    digests = [_fixed(image, model) for image in named]
    if len(digests) != len(containers):
        raise InputError("SageMaker does not say which images a model runs", where=_where(model))
    data = [_data(aws, container, model) for container in containers]
    every = [datum for one in data for datum in one]
    artifact = every[0].sha256 if len(every) == 1 else None
    return Pinned(image=model, digest=_digest(digests, data), artifact=artifact)


def unchanged(aws: Aws, meant: Pinned) -> None:
    """Raise where a model is not what it was when it was pinned."""
    if pinned(aws, meant.image).digest != meant.digest:
        raise InputError(
            "the model is not what it was when it was pinned: its data in S3 was changed",
            where=_where(meant.image),
            hint="Let the gates judge what lies there now, and begin again.",
        )


def foreign(aws: Aws, model: str, account: str) -> bool:
    """Return whether a container comes from another account's package, as the Marketplace's do."""
    arns = [str(c.get("ModelPackageName", "")) for c in _containers(aws, model)]
    return any(arn.startswith("arn:") and arn.split(":")[4] != account for arn in arns)


def _digest(digests: list[str], data: list[tuple[Datum, ...]]) -> str:
    if len(digests) == 1 and not data[0]:
        return digests[0]  # the image is all there is, and evidence can name it
    parts = [
        [digest, [[datum.address, datum.mark] for datum in one]]
        for digest, one in zip(digests, data, strict=True)
    ]
    text = json.dumps(parts, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _containers(aws: Aws, model: str) -> list[dict[str, Any]]:
    with calling(_where(model), "describe the model"):
        found = aws.sagemaker.describe_model(ModelName=model)
    return list(found.get("Containers") or [found.get("PrimaryContainer") or {}])


def _fixed(image: str, model: str) -> str:
    digest = image_digest(image)
    if digest is None:
        raise InputError(
            "the model's image is named by a tag, or comes from a model package",
            where=_where(model),
            hint="Create the model with REPOSITORY@sha256:…; `aws ecr describe-images "
            "--repository-name NAME --image-ids imageTag=TAG` prints the digest.",
        )
    return digest


def _data(aws: Aws, container: dict[str, Any], model: str) -> tuple[Datum, ...]:
    """Return what lies in S3 for a container."""
    if container.get("Mode") == "MultiModel":
        raise InputError(
            "a container for many models has no model of its own to be pinned",
            where=_where(model),
            hint="Roll out a model in a container for one.",
        )
    found: list[Datum] = []
    if container.get("ModelPackageName"):
        # A version of a package does not change.
        arn = str(container["ModelPackageName"])
        found.append(Datum(address=arn, mark="", sha256=None))
    if container.get("ModelDataUrl"):
        found.append(_object(aws, str(container["ModelDataUrl"]), model))
    for source in _sources(container):
        address = str(source["S3Uri"])
        many = source.get("S3DataType") == "S3Prefix"
        found.extend(_below(aws, address, model) if many else [_object(aws, address, model)])
    return tuple(found)


def _sources(container: dict[str, Any]) -> list[dict[str, Any]]:
    first = container.get("ModelDataSource") or {}
    # SageMaker shows the address of a single compressed object twice.
    own = [] if container.get("ModelDataUrl") else [first]
    every = [*own, *container.get("AdditionalModelDataSources", ())]
    return [source["S3DataSource"] for source in every if source.get("S3DataSource")]


def _object(aws: Aws, address: str, model: str) -> Datum:
    bucket, key = _split(address, model)
    with calling(address, "look at the model data"):
        head = aws.s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    sha256 = _whole(head)
    return Datum(address=address, mark=sha256 or str(head["ETag"]), sha256=sha256)


def _below(aws: Aws, address: str, model: str) -> list[Datum]:
    bucket, key = _split(address, model)
    with calling(address, "list the model data"):
        page = aws.s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=_MOST_FILES)
    if page.get("IsTruncated") or not page.get("Contents"):
        raise InputError(
            f"the model data is no file, or more than {_MOST_FILES:,}",
            where=address,
            hint="Put it into one archive.",
        )
    return [
        Datum(address=f"s3://{bucket}/{item['Key']}", mark=str(item["ETag"]), sha256=None)
        for item in page["Contents"]
    ]


def _whole(head: dict[str, Any]) -> str | None:
    """Return the sha256 of an object's bytes; None where S3 has none, or one of its parts'."""
    text = str(head.get("ChecksumSHA256", ""))
    if head.get("ChecksumType") == "COMPOSITE":
        return None
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None  # a checksum of parts ends in their number
    return f"sha256:{raw.hex()}" if len(raw) == hashlib.sha256().digest_size else None


def _split(address: str, model: str) -> tuple[str, str]:
    found = _S3.fullmatch(address)
    if found is None or address.startswith("https:"):
        raise InputError(
            "the model data has no address of the form s3://BUCKET/KEY", where=_where(model)
        )
    return found[1], found[2]


def _where(model: str) -> str:
    return f"model {model}"
