"""The simplest predictor: a file of predictions that is already there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, Strict, StrictStr

from gates.evidence import ArtifactPath, Columns, Source
from gates.fields import Model

Threshold = Annotated[float, Strict(), Field(allow_inf_nan=False)]


class Files(Model):
    """Read the candidate's predictions from a file that the workflow made beforehand."""

    kind: ClassVar[str] = "predictions"

    predictions: StrictStr = Field(description="Parquet, CSV, JSON Lines or Arrow file.")
    columns: Columns = Field(default=Columns(), description="What its columns are called.")
    threshold: Threshold = Field(
        default=0.5, description="Score from which a binary prediction is positive."
    )
    artifact: ArtifactPath | None = None

    def there(self, root: Path) -> Source:
        """Return the predictions file, whether or not it is there."""
        return Source(path=root / self.predictions, columns=self.columns, threshold=self.threshold)

    def fetch(self, root: Path) -> Source:
        """Return the predictions file; whether it can be read is found out when it is opened."""
        return self.there(root)
