"""A target as the SDK's template makes one: its reader, validation and batches, and the hashing in `process_batch`."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

from singer_sdk import BatchSink, Target
from singer_sdk import typing as th


class HashingSink(BatchSink):
    """Appends one digest a line to the file of the configuration."""

    def process_batch(self, context: dict[str, Any]) -> None:
        """Hash and write a batch."""
        column = self.config["column"]
        values = [value for record in context["records"] if (value := record.get(column))]
        with Path(self.config["file"]).open("a", encoding="ascii") as lines:
            lines.writelines([sha256("".join(value.split()).lower().encode()).hexdigest() + "\n" for value in values])


class TargetSdkDefault(Target):
    """Everything but the sink is the SDK's."""

    name = "target-sdk-default"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("column", th.StringType()), th.Property("file", th.StringType())
    ).to_dict()
    default_sink_class = HashingSink


if __name__ == "__main__":
    TargetSdkDefault.cli()
