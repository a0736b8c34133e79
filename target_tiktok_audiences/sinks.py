"""Takes a stream's records and stages their identifiers for each audience that the stream feeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import FatalSyncError, InvalidRecord, MissingKeyPropertiesError
from singer_sdk.sinks import RecordSink

from target_tiktok_audiences.config_errors import name_errors
from target_tiktok_audiences.contracts import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from singer_sdk import Target

    from target_tiktok_audiences.contracts import Digester
    from target_tiktok_audiences.membership import Books, Part
    from target_tiktok_audiences.reader import MessageReader
    from target_tiktok_audiences.run import Run
    from target_tiktok_audiences.settings import Feed

CREDENTIAL_CHECK_STREAM = "meltano_test_stream"
"""What `meltano config test` sends: it asks whether the credentials are good, and feeds no audience."""

DELETED_AT = "_sdc_deleted_at"


class StreamMismatch(FatalSyncError):
    """A stream that its feed cannot use."""


class BadRecord(FatalSyncError):
    """A record that does not fit its stream's SCHEMA, where `validate_records` asks for that."""


@dataclass(frozen=True)
class Intake:
    """One feed's way in: its column, how that becomes a digest, and where the digest is staged."""

    feed: Feed
    digest: Digester
    part: Part


class StreamSink(RecordSink):
    """Stages one stream. Nothing is published here: that happens once, at the end of input."""

    def __init__(
        self,
        target: Target,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
        *,
        run: Run,
        reader: MessageReader,
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        self._run = run
        self._reader = reader
        self._intakes: list[Intake] = []
        self._unmatched: list[Books] = []
        if stream_name != CREDENTIAL_CHECK_STREAM:
            self._open()

    def _open(self) -> None:
        """Find the feeds of the stream and check its SCHEMA against their contracts, before any record."""
        feeds = self._run.settings.feeds_of(self.stream_name)
        for feed in feeds:
            problem = _column_problem(feed, self.stream_name, self.schema["properties"])
            if problem is None:
                name = feed.audience_name or self.schema.get("title") or self.stream_name
                self._intakes.append(self._intake(feed, str(name)))
            else:
                self._skip_or_fail(problem)
        if not feeds:
            self._skip_or_fail(f"Stream {self.stream_name} is named by no entry of `audiences`.")

    def _intake(self, feed: Feed, name: str) -> Intake:
        for error in name_errors(name):
            raise StreamMismatch(f"Stream {self.stream_name} cannot name its audience: {error}. Set `audience_name`.")
        digest = feed.contract.digester(apply_hashing=feed.apply_hashing, default_country=feed.default_country)
        return Intake(feed, digest, self._run.part(feed, name, self.stream_name))

    def _skip_or_fail(self, problem: str) -> None:
        if self._run.settings.on_unmatched_stream == "fail":
            raise StreamMismatch(f"{problem} Or set `on_unmatched_stream: skip` to pass over such streams.")
        self.logger.warning("%s It is skipped.", problem)
        self._unmatched.append(self._run.skip(self.stream_name))

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:  # noqa: ARG002
        """Stage the record's identifiers. One marked as deleted adds nobody, in any load method."""
        deleted = record.get(DELETED_AT) is not None
        for intake in self._intakes:
            books = intake.part.books
            books.read += 1
            if deleted:
                books.deleted += 1
                continue
            try:
                digest = intake.digest(record.get(intake.feed.identifier_field))
            except Rejected as rejected:
                books.rejected[rejected.reason.value] += 1
                self._note_reject(intake.feed, rejected, record)
                continue
            if digest is None:
                books.missing += 1
            else:
                intake.part.add(digest)
        for books in self._unmatched:
            books.read += 1
            books.unmatched += 1

    def _note_reject(self, feed: Feed, rejected: Rejected, record: dict[str, Any]) -> None:
        if (rejects := self._run.rejects) is not None:
            key = {name: record.get(name) for name in self.key_properties if name != feed.identifier_field}
            line = self._reader.line_number
            rejects.write(line, self.stream_name, feed.contract.name, rejected.reason.value, key)

    # What follows overrides private methods of the SDK.

    def _remove_sdc_metadata_from_record(self, record: dict[str, Any]) -> None:
        """Leave them in: the SDK takes out `_sdc_deleted_at`, the mark of a deleted row, before we could see it."""

    def _remove_sdc_metadata_from_schema(self) -> None:
        """Leave them in, as in the records; else `validate_records` would refuse the tap's own columns."""

    def _validate_and_parse(self, record: dict[str, Any]) -> dict[str, Any]:
        """Validate without a word of the record, and parse no dates.

        The SDK logs the record's values when one does not fit, and spends more time on dates than on anything
        else; no date ever reaches an audience.
        """
        if self._validator is not None:
            try:
                self._validator.validate(record)
            except InvalidRecord as invalid:
                raise BadRecord(_describe(invalid, self.stream_name, self._reader.line_number)) from None
        return record

    def _singer_validate_message(self, record: dict[str, Any]) -> None:
        """Ask for the key without listing the record, as the SDK does, over two lines."""
        for name in self.key_properties:
            if name not in record:
                line = self._reader.line_number
                raise MissingKeyPropertiesError(
                    f"Line {line:,} of the input: a record of stream {self.stream_name} lacks its key `{name}`."
                )


def _column_problem(feed: Feed, stream: str, columns: dict[str, Any]) -> str | None:
    """Tell why a stream's columns do not fit a feed; None where they do."""
    field, contract = feed.identifier_field, feed.contract.name
    if field not in columns:
        return (
            f"Stream {stream} has no column `{field}`, which {contract} asks for; its columns are"
            f" {', '.join(columns) or 'none'}. Set `identifier_field` to the one that holds the identifier."
        )
    types = set(_types(columns[field]))
    if types and "string" not in types:
        return (
            f"Column `{field}` of stream {stream} is {' or '.join(sorted(types - {'null'}))}, and {contract} takes"
            " text. Cast it in the source or with a stream map, or set `identifier_field` to another column."
        )
    return None


def _types(column: Any) -> Iterator[str]:
    """Give the JSON types that a column's schema allows; none where it allows any."""
    if isinstance(column, dict):
        kind = column.get("type", [])
        yield from [kind] if isinstance(kind, str) else kind
        for choice in (*column.get("anyOf", []), *column.get("oneOf", [])):
            yield from _types(choice)


def _describe(invalid: InvalidRecord, stream: str, line: int) -> str:
    cause = invalid.__cause__
    column = ".".join(str(step) for step in getattr(cause, "absolute_path", [])) or "the record"
    rule = f"{getattr(cause, 'validator', 'rule')}: {getattr(cause, 'validator_value', '')}"
    return (
        f"Line {line:,} of the input: {column} of stream {stream} does not fit the stream's SCHEMA ({rule})."
        " Correct the tap, or leave `validate_records` off."
    )
