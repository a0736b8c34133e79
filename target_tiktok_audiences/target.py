"""Singer target: message handling and exit status.

The target and its sink hold all overrides of the SDK's private methods, each with the behavior that it corrects.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import time
import traceback
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click
import simplejson
from singer_sdk import Target
from singer_sdk.exceptions import ConfigValidationError, InvalidInputLine, SingerSDKError, StreamMapConfigError
from singer_sdk.helpers.capabilities import PluginCapabilities, TargetCapabilities
from singer_sdk.mapper import RemoveRecordTransform
from singer_sdk.plugin_base import JSONSchemaValidator
from singer_sdk.singerlib.exceptions import SingerError

from target_tiktok_audiences import __version__
from target_tiktok_audiences.config import validation
from target_tiktok_audiences.config.schema import SCHEMA
from target_tiktok_audiences.config.settings import Settings
from target_tiktok_audiences.ledger.database import describe
from target_tiktok_audiences.runtime import stdio
from target_tiktok_audiences.runtime.errors import UserError
from target_tiktok_audiences.runtime.logs import keep_to_one_line, quiet_noisy_loggers
from target_tiktok_audiences.runtime.sanitize import is_plain, one_line
from target_tiktok_audiences.runtime.signals import signals
from target_tiktok_audiences.singer_io.batch import Batch
from target_tiktok_audiences.singer_io.json_lines import DELETED_AT, records_of
from target_tiktok_audiences.singer_io.reader import MessageReader
from target_tiktok_audiences.singer_io.schema_checks import map_problem
from target_tiktok_audiences.sinks import CREDENTIAL_CHECK_STREAM, AudienceSink, StreamMismatch
from target_tiktok_audiences.sync import state
from target_tiktok_audiences.sync.run import Run, RunFailed
from target_tiktok_audiences.tiktok.client import TikTok
from target_tiktok_audiences.tiktok.errors import TikTokError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from singer_sdk import Sink
    from singer_sdk.helpers.capabilities import CapabilitiesEnum

    from target_tiktok_audiences.singer_io.json_lines import InputPosition

EXPECTED = (SingerSDKError, SingerError, TikTokError, UserError, RunFailed, OSError)
"""Errors that end a run with one clear line; any other is an internal error."""


class TargetTikTokAudiences(Target):
    """Keeps TikTok Custom Audiences in step with any table a Singer tap can read."""

    name = "target-tiktok-audiences"
    config_jsonschema: ClassVar[dict[str, Any]] = SCHEMA
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
        PluginCapabilities.BATCH,
        TargetCapabilities.VALIDATE_RECORDS,
    ]
    message_reader_class = MessageReader
    message_reader: MessageReader
    sleep: Callable[[float], None] = staticmethod(time.sleep)

    # The SDK drains, and emits STATE, every five minutes; here nothing is published before the end of input.
    _MAX_RECORD_AGE_IN_MINUTES = math.inf

    def __init__(self, **options: Any) -> None:
        if options.get("parse_env_config"):
            errors = validation.unreadable_variables(os.environ, self._env_var_prefix, self.config_jsonschema)
            if errors:
                raise ConfigValidationError(validation.CONFIG_WRONG, errors=errors)
        super().__init__(**options)
        self.max_parallelism = 1  # the SDK drains in threads, which signals do not reach
        settings = Settings.from_config(self.config)
        tiktok = TikTok(
            settings.access_token, settings.api_url, user_agent=f"{self.name}/{__version__}", sleep=type(self).sleep
        )
        self.run = Run(settings, tiktok, __version__)

    def get_sink_class(self, stream_name: str) -> type[Sink]:
        """Give the one kind of sink, with what it needs of this run."""
        maps = [m for maps in self.mapper.stream_maps.values() for m in maps if m.stream_alias == stream_name]
        dropped = bool(maps) and all(isinstance(m, RemoveRecordTransform) for m in maps)
        bookmark = partial(self._bookmark, stream_name)
        return partial(  # type: ignore[return-value]
            AudienceSink, run=self.run, reader=self.message_reader, bookmark=bookmark, dropped=dropped
        )

    def _bookmark(self, stream_name: str) -> dict[str, Any]:
        """Give what the tap's STATE last said of a stream, also of one that a stream map has renamed."""
        bookmarks = (self._latest_state or {}).get("bookmarks")
        sources = [
            raw for raw, maps in self.mapper.stream_maps.items() if any(m.stream_alias == stream_name for m in maps)
        ]
        found = [bookmarks.get(raw) for raw in sources] if isinstance(bookmarks, dict) else []
        return next((bookmark for bookmark in found if isinstance(bookmark, dict)), {})

    def process_endofpipe(self) -> None:
        """Bring the audiences up to date, then let the SDK emit the tap's STATE if it may go out."""
        if state.is_too_deep(self._latest_state):
            raise InvalidInputLine(
                f"The tap's last STATE is nested more than {state.DEEPEST} levels deep, so it could not be passed on."
                " Nothing was sent. Correct the tap."
            )
        if self.sink_exists(CREDENTIAL_CHECK_STREAM):
            self.run.check_credentials()
            self.logger.info("The credentials are valid; no audience was changed")
            super().process_endofpipe()
            return
        try:
            self.run.finish(self._bookmark)
        except RunFailed as failed:
            try:
                super().process_endofpipe()
            except RunFailed as too:
                raise RunFailed(f"{failed} {too}") from None
            raise
        super().process_endofpipe()
        if self.run.settled and not self.run.report.state_published:
            for audience in self.run.report.audiences:
                self.logger.info("%s: the tap keeps no state; set `audience_id` to pin this audience", audience.title)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self.run.close(_last_words(error) if error else "", _exit_code(error))

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: Any = None,
        file_input: IO[str] | None = None,
    ) -> None:
        """Run the target. Whatever ends it, the last line says what happened and what to do.

        Exits with 1 on failure, with 128 + its number on a signal, and never shows a stack trace for what a user can
        mend.
        """
        if about:
            cls.print_about(about_format)
            sys.exit(0)
        for handler in logging.getLogger().handlers:
            handler.addFilter(keep_to_one_line)
        os.umask(0o077)  # output files hold digests and row keys; make them private
        quiet_noisy_loggers()
        if sys.stdin is None or sys.stdout is None:
            cls.logger.error("Standard input and standard output are needed, and one of them is closed")
            sys.exit(1)
        signals.watch()
        try:
            with (
                cls(
                    config=config.config if config else {}, parse_env_config=bool(config and config.parse_env)
                ) as target,
                signals.interrupting(),
            ):
                target.listen(file_input)
            signals.check()
        except BaseException as error:  # noqa: BLE001 - the SDK would print any error whole, and it may quote a record
            cls.logger.error("%s", _last_words(error))  # noqa: TRY400
            sys.exit(_exit_code(error))

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Give the SDK's command, with `--input` as bytes, like standard input."""
        command = super().get_singer_command()
        for option in command.params:
            if option.name == "file_input":
                option.type = click.File("rb")
        return command

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Take the SDK's settings but `batch_config`, which says where a tap writes; a target reads what it is told."""
        super().append_builtin_config(config_jsonschema)
        config_jsonschema["properties"].pop("batch_config", None)

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        """Read the configuration files, with one line for one that cannot be read."""
        try:
            return super().cb_config(ctx, param, value)
        except (OSError, RecursionError, TypeError, ValueError) as exc:
            why = str(exc) if isinstance(exc, OSError) else "it is not JSON, or not one object"
            where = f" (line {exc.lineno}, column {exc.colno})" if isinstance(exc, simplejson.JSONDecodeError) else ""
            raise click.BadParameter(
                f"no configuration can be read from {', '.join(value)}: {why.rstrip('.')}{where}.", ctx, param
            ) from None

    # What follows overrides private methods of the SDK.

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Describe wrong settings without their values; the SDK quotes them, and one may be the token."""
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        errors = validation.schema_errors(JSONSchemaValidator(schema), self._config)
        errors += validation.missing_settings(self._config) if errors else []  # else the settings tell
        for unknown in validation.unknown_settings(self._config, schema["properties"]):
            self.logger.warning("Ignoring %s", unknown)
        if errors and raise_errors:
            raise ConfigValidationError(validation.CONFIG_WRONG, errors=errors)
        return errors

    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        """Let go of a sink that a changed SCHEMA replaced; the SDK keeps every one of them until the end of input.

        It also lists the key where a stream map does not fit that; a key whose name may be data is not repeated.
        """
        tells_deletions = DELETED_AT in (message_dict["schema"].get("properties") or ())
        try:
            super()._process_schema_message(message_dict)
        except StreamMapConfigError:
            if all(map(is_plain, message_dict.get("key_properties") or ())):
                raise
            raise StreamMapConfigError(
                f"Line {self.message_reader.line_number:,} of the input: the stream map of {message_dict['stream']} and"
                " the key in its SCHEMA, whose name is unusual, do not fit. Check `stream_maps`, or the tap's output."
            ) from None
        for replaced in self._sinks_to_clear:
            replaced.clean_up()
        self._sinks_to_clear.clear()
        self._check_maps(message_dict["stream"], tells_deletions=tells_deletions)

    def _check_maps(self, stream: str, *, tells_deletions: bool) -> None:
        """Stop before any record where a stream map would let people stay who were deleted."""
        primary, *others = self.mapper.stream_maps[stream]
        filtered = set()
        for name, definition in (self.config.get("stream_maps") or {}).items():
            if isinstance(definition, dict) and definition.get("__filter__"):
                source = definition.get("__source__")
                if fnmatch(stream, source or name):
                    filtered.add(name if source else primary.stream_alias)
        for stream_map in (primary, *others):
            alias = stream_map.stream_alias
            kept = tells_deletions <= (DELETED_AT in stream_map.transformed_schema["properties"])
            for feed in self.run.settings.feeds_of(alias):
                problem = map_problem(feed, alias, filtered=alias in filtered, keeps_deletions=kept)
                if problem:
                    raise StreamMismatch(problem)

    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        """Read our own entry on its way past; the SDK keeps nothing for a target."""
        self.run.remember(state.read(message_dict["value"]))
        super()._process_state_message(message_dict)

    def _write_state_message(self, state_of_tap: dict[str, Any]) -> None:
        """Emit STATE only when all is with TikTok, and with our entry; the SDK emits it whatever became of the data.

        What a tap keeps as NaN or Infinity stays so; the SDK would make it null.
        """
        if not self.run.settled:
            self.logger.info("No STATE is emitted; the tap sends these records again")
            return
        signals.check()
        signals.defer()  # a STATE that has begun to go out goes out whole
        try:
            written = state.write(state_of_tap, self.run.remembered)
            sys.stdout.write(simplejson.dumps(written, allow_nan=True, separators=(",", ":")) + "\n")
            sys.stdout.flush()
        except OSError as error:
            stdio.discard(sys.stdout)
            raise RunFailed(
                f"The state could not be written to standard output ({error.strerror}). TikTok has accepted what was"
                " sent; the tap sends it again, which is safe. Run again, and keep the process that reads stdout alive."
            ) from None
        self.run.report.state_published = True

    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        """Ignore it: it comes before the records it speaks of. The SDK warns at each one."""

    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        """Read the files here: the SDK would hold each one whole, and pass by contracts, stream maps and validation.

        Rows that nothing transforms go to their sink column by column, all others as the records that they are.
        """
        stream, reader = message_dict["stream"], self.message_reader
        if stream not in self.mapper.stream_maps:
            self._assert_sink_exists(stream)
        batch = Batch(message_dict, reader.line_number)
        lane = reader.fast_path.lane(stream)
        try:
            if lane is None:
                for record in batch.records():
                    self._process_row(stream, record, batch.place)
                return
            for columns, rows in batch.columns(lane.columns):
                if not lane.take(columns, rows, batch.place):
                    for number, record in enumerate(records_of(columns, rows)):
                        self._process_row(stream, record, batch.place.after(number))
        finally:
            reader.row = None

    def _process_row(self, stream: str, record: dict[str, Any], place: InputPosition) -> None:
        """Let a row of a BATCH go the way of a RECORD."""
        self.message_reader.row = place.row
        self._process_record_message({"type": "RECORD", "stream": stream, "record": record})

    def _setup_signal_handlers(self) -> None:
        """Leave ours in place; at a signal the SDK would drain half a stream, emit its STATE and exit 0."""


def _exit_code(error: BaseException | None) -> int:
    if signals.received:
        return 128 + signals.received
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code
    return 1 if error else 0


def _last_words(error: BaseException) -> str:
    """Give the line that ends a failed run; the text of an unexpected error stays out, for it may quote a record."""
    if signals.received:
        code = 128 + signals.received
        return f"Stopped by a signal (exit {code}): nothing more was sent and no STATE was emitted"
    if isinstance(error, ConfigValidationError):
        return one_line(f"{error}: {'; '.join(error.errors)}")
    if isinstance(error, EXPECTED):
        return one_line(describe(error))
    frames = traceback.extract_tb(error.__traceback__)
    if any(frame.filename.endswith(("mapper.py", "simpleeval.py")) for frame in frames):
        return (
            f"A stream map, or flattening, cannot be applied ({type(error).__name__}). Check `stream_maps`: does it fit"
            " every record? That of a deleted row may hold only the key: `_.get('email')` is null where there is no"
            " `email`."
        )
    where = " > ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[-5:])
    return f"Internal error; please report this line: {type(error).__name__} at {where}"
