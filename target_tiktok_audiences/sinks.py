"""Singer sink: stages a stream's identifiers for each audience that the stream feeds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from typing import TYPE_CHECKING, Any, cast

from referencing import Registry
from singer_sdk.exceptions import FatalSyncError, InvalidRecord, MissingKeyPropertiesError
from singer_sdk.sinks import RecordSink
from singer_sdk.sinks.core import JSONSchemaValidator
from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

from target_tiktok_audiences.config.validation import name_errors
from target_tiktok_audiences.singer_io.json_lines import ABSENT, DELETED_AT
from target_tiktok_audiences.singer_io.schema_checks import column_problem, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from singer_sdk import Target

    from target_tiktok_audiences.config.settings import Feed
    from target_tiktok_audiences.contracts.contract import BulkDigester
    from target_tiktok_audiences.contracts.rejection import Rejection
    from target_tiktok_audiences.ledger.record_counts import RecordCounts
    from target_tiktok_audiences.ledger.staging import Part
    from target_tiktok_audiences.singer_io.json_lines import Columns, InputPosition
    from target_tiktok_audiences.singer_io.reader import MessageReader
    from target_tiktok_audiences.sync.run import Run

CREDENTIAL_CHECK_STREAM = "meltano_test_stream"
"""What `meltano config test` sends: it asks whether the credentials are good, and feeds no audience."""

TRANSFORMING = ("stream_maps", "flattening_enabled", "add_record_metadata", "validate_records")
"""Settings that need the SDK's way for records."""


class StreamMismatch(FatalSyncError):
    """A stream that its feed cannot use."""


class BadRecord(FatalSyncError):
    """A record that does not fit its stream's SCHEMA, where `validate_records` asks for that."""


@dataclass(frozen=True)
class Intake:
    """One feed's way in: its column, how that becomes a digest, and where the digest is staged."""

    feed: Feed
    digests: BulkDigester
    part: Part


class AudienceSink(RecordSink):
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
        bookmark: Callable[[], Mapping[str, Any]],
        dropped: bool,
    ) -> None:
        """Open the stream, unless a stream map drops it whole: the SDK asks for a sink all the same."""
        self._reader = reader
        super().__init__(target, stream_name, schema, key_properties)
        self._run = run
        self._bookmark = bookmark
        self._begun = False
        self._intakes: list[Intake] = []
        self._unmatched: list[RecordCounts] = []
        if not dropped and stream_name != CREDENTIAL_CHECK_STREAM:
            self._open()

    def _open(self) -> None:
        """Find the feeds of the stream and check its SCHEMA against their contracts, before any record."""
        feeds = self._run.settings.feeds_of(self.stream_name)
        for feed in feeds:
            problem = column_problem(feed, self.stream_name, self.schema["properties"])
            if problem is None:
                title = self.schema.get("title")
                name = feed.audience_name or (title if isinstance(title, str) else "") or self.stream_name
                self._intakes.append(self._intake(feed, name))
            else:
                self._skip_or_fail(problem, feed)
        if not feeds:
            self._skip_or_fail(
                f"Stream {self.stream_name} is named by no entry of `audiences`: add one, or correct its `stream`.",
                None,
            )
        if not any(self.config.get(setting) for setting in TRANSFORMING):
            self._reader.fast_path.open(self.stream_name, self.columns, self.take)

    def _intake(self, feed: Feed, name: str) -> Intake:
        for error in name_errors(name):
            raise StreamMismatch(f"Stream {self.stream_name} cannot name its audience: {error}. Set `audience_name`.")
        digests = feed.contract.bulk_digester(apply_hashing=feed.apply_hashing, default_country=feed.default_country)
        return Intake(feed, digests, self._run.part(feed, name, self.stream_name, self.key_properties))

    def _skip_or_fail(self, problem: str, feed: Feed | None) -> None:
        if self._run.settings.on_unmatched_stream == "fail":
            raise StreamMismatch(f"{problem} Or set `on_unmatched_stream: skip` to pass over such streams.")
        self.logger.warning("%s It is skipped.", problem)
        self._unmatched.append(self._run.skip(self.stream_name, feed))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """What of a record counts."""
        fields = (intake.feed.identifier_field for intake in self._intakes)
        return tuple(dict.fromkeys([*fields, *self.key_properties, DELETED_AT]))

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:  # noqa: ARG002
        """Stage the identifiers of one record that came the SDK's way."""
        self._stage({name: [record.get(name, ABSENT)] for name in self.columns}, 1, self._reader.place)

    def take(self, columns: Columns, count: int, place: InputPosition) -> bool:
        """Stage the identifiers of records that came by the express lane, unless one lacks its key."""
        if any(ABSENT in columns[name] for name in self.key_properties):
            return False
        self._stage(columns, count, place)
        self.tally_record_read(count)
        self.tally_record_written(count)
        self.record_counter_metric.increment(count)
        return True

    def _stage(self, columns: Columns, count: int, place: InputPosition) -> None:
        """Stage and count. A record marked as deleted adds nobody, in any load method."""
        if not self._begun:
            self._begun = True
            self._run.begin(self.stream_name, self._bookmark())
        marks = columns[DELETED_AT]
        marked = marks.count(ABSENT) < count
        deleted = [mark not in (ABSENT, None, "", False) for mark in marks] if marked else [False] * count
        for intake in self._intakes:
            part, values = intake.part, columns[intake.feed.identifier_field]
            part.books.read += count
            found = intake.digests([None if value is ABSENT else value for value in values])
            if any(deleted) or set(map(type, found)) != {bytes}:
                digests = self._count(intake, found, deleted, columns, place)
            else:
                digests = cast("list[bytes | None]", found)
            if part.binding.keys:
                keys = zip(*(columns[name] for name in self.key_properties), strict=True)
                said = [gone or value is not ABSENT for gone, value in zip(deleted, values, strict=True)]
                part.add_keyed(list(compress(keys, said)), list(compress(digests, said)))
            else:
                part.add([digest for digest in digests if digest])
        for books in self._unmatched:
            books.read += count
            books.unmatched += count
        self._run.progress.read(count, self._run.count_rejected)

    def _count(
        self,
        intake: Intake,
        found: Sequence[bytes | Rejection | None],
        deleted: Sequence[bool],
        columns: Columns,
        place: InputPosition,
    ) -> list[bytes | None]:
        """Give the digests; where there is none, count why."""
        books, digests = intake.part.books, list[bytes | None]()
        for number, (one, gone) in enumerate(zip(found, deleted, strict=True)):
            digest = None
            if gone:
                books.deleted += 1
            elif one is None:
                books.missing += 1
            elif isinstance(one, bytes):
                digest = one
            else:
                books.rejected[one.value] += 1
                key = {name: columns[name][number] for name in self.key_properties}
                self._note_reject(intake.feed, one, place.after(number), key)
            digests.append(digest)
        return digests

    def _note_reject(self, feed: Feed, reason: Rejection, place: InputPosition, key: dict[str, Any]) -> None:
        if (rejects := self._run.rejects) is not None:
            identifiers = {intake.feed.identifier_field for intake in self._intakes}
            told = {name: value for name, value in key.items() if name not in identifiers}
            rejects.write(place, self.stream_name, feed.contract.name, reason.value, told)

    def get_validator(self) -> JSONSchemaValidator | None:
        """Give the SDK's validator of records, if it is asked for, made to fetch nothing.

        By itself it would open any address or file that the SCHEMA refers to, and quote a SCHEMA that is wrong.
        """
        if not self.validate_schema:
            return None
        try:
            validator = JSONSchemaValidator(self.schema)
        except RecursionError:
            raise
        except Exception as error:  # noqa: BLE001 - a wrong SCHEMA fails in many ways
            raise StreamMismatch(
                f"Line {self._reader.line_number:,} of the input: the SCHEMA of stream {self.stream_name} is no JSON"
                f" Schema ({type(error).__name__}). Correct the tap, or leave `validate_records` off."
            ) from None
        validator.validator = DEFAULT_JSONSCHEMA_VALIDATOR(self.schema, registry=Registry())
        return validator

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
                raise BadRecord(_describe(invalid, self.stream_name, self._reader.place)) from None
            except RecursionError:
                raise
            except Exception as error:  # noqa: BLE001 - a rule may be no rule: a pattern, a reference, a number
                raise BadRecord(
                    f"{self._reader.place}: the SCHEMA of stream {self.stream_name} cannot be"
                    f" applied to a record ({type(error).__name__}). Correct the tap, or leave `validate_records` off."
                ) from None
        return record

    def _singer_validate_message(self, record: dict[str, Any]) -> None:
        """Ask for the key without listing the record, as the SDK does, over two lines."""
        for name in self.key_properties:
            if name not in record:
                raise MissingKeyPropertiesError(
                    f"{self._reader.place}: a record of stream {self.stream_name} lacks its key {quoted(name)}."
                )


def _describe(invalid: InvalidRecord, stream: str, place: InputPosition) -> str:
    cause = invalid.__cause__
    path = list(getattr(cause, "absolute_path", []))  # below the column, keys may be data
    column = f"column {quoted(path[0])}" if path else "a record"
    return (
        f"{place}: {column} of stream {stream} does not fit the stream's SCHEMA"
        f" (rule `{getattr(cause, 'validator', 'unknown')}`)."
        " Correct the tap, or leave `validate_records` off."
    )
