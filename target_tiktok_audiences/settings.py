"""Every setting once: its JSON Schema, and the typed objects made from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from singer_sdk import typing as th
from singer_sdk.exceptions import ConfigValidationError

from target_tiktok_audiences.contracts import CONTRACTS, Contract
from target_tiktok_audiences.contracts.phone import is_country
from target_tiktok_audiences.tiktok import API_URL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

EMULATOR_TOKEN_PREFIX = "emulator-"  # noqa: S105 - what marks a token as no secret
MAX_NAME_LENGTH = 128

_ID = th.CustomType({"type": ["string", "integer"]})
"""TikTok's ids have up to 19 digits, and arrive unquoted from YAML."""


def _per_feed() -> list[th.Property[Any]]:
    """Give the settings that stand at the top as defaults, and in each entry of `audiences`."""
    return [
        th.Property(
            "advertiser_id",
            _ID,
            title="Advertiser ID",
            description="The TikTok ad account that owns the audience. Needed here or in each entry of `audiences`.",
        ),
        th.Property(
            "contract",
            th.StringType(allowed_values=list(CONTRACTS)),
            title="Data contract",
            description="The kind of identifier in the records. Needed here or in each entry of `audiences`.",
        ),
        th.Property(
            "audience_name",
            th.StringType(),
            title="Audience name",
            description="Name of the audience, 1 to 128 characters. Default: the title of the stream's schema, else the"
            " stream's name.",
        ),
        th.Property(
            "audience_id",
            _ID,
            title="Audience ID",
            description="An existing audience to fill. It is used whatever its name, and none is ever created.",
        ),
        th.Property(
            "identifier_field",
            th.StringType(),
            title="Identifier field",
            description="The records' column that holds the identifier. Default: `email`, `phone`, `gaid` or `idfa`,"
            " by contract.",
        ),
        th.Property(
            "apply_hashing",
            th.BooleanType(),
            title="Apply hashing (SHA-256)",
            description="Normalise and hash the identifiers. Switch off where the column holds SHA-256 already, of the"
            " normal form, as 64 hex digits; values are then checked to be that.",
        ),
        th.Property(
            "default_country",
            th.StringType(),
            title="Default country",
            description="Two-letter ISO 3166 code of the country of phone numbers without a country code. Without it"
            " they are rejected.",
        ),
        th.Property(
            "load_method",
            th.StringType(allowed_values=["append-only"]),
            title="Load method",
            description="What becomes of the audience's members. `append-only` adds the stream's people and removes"
            " nobody.",
        ),
        th.Property(
            "retention_in_days",
            th.IntegerType(minimum=1, maximum=365),
            title="Retention in days",
            description="Lets TikTok drop a new audience that many days after its creation, for good. Default: 365 days"
            " after its last change or use.",
        ),
    ]


def _defaults(properties: list[th.Property[Any]], **defaults: object) -> list[th.Property[Any]]:
    for setting in properties:
        setting.default = defaults.get(setting.name)
    return properties


SCHEMA: dict[str, Any] = th.PropertiesList(
    th.Property(
        "access_token",
        th.StringType(),
        required=True,
        secret=True,
        title="Access token",
        description="Access token of TikTok's Business API, with the scope Audience Management.",
    ),
    *_defaults(_per_feed(), apply_hashing=True, load_method="append-only"),
    th.Property(
        "audiences",
        th.ArrayType(
            th.ObjectType(
                th.Property(
                    "stream",
                    th.StringType(),
                    default="*",
                    title="Stream",
                    description="Streams that feed this audience; `*` and `?` are wildcards.",
                ),
                *_per_feed(),
                additional_properties=False,
            )
        ),
        title="Audiences",
        description="One entry for each stream that feeds an audience: `stream` (with wildcards) and any setting from"
        " `advertiser_id` to `retention_in_days`; what an entry leaves out is taken from above. A stream may feed"
        " several audiences, and several streams one. Without entries every stream feeds one audience.",
    ),
    th.Property(
        "batch_size_rows",
        th.IntegerType(minimum=1),
        title="Batch size in rows",
        description="Rows of one upload file. Default: what 250 MB hold, TikTok's limit.",
    ),
    th.Property(
        "min_audience_size",
        th.IntegerType(minimum=1),
        default=1000,
        title="Minimum audience size",
        description="Identifiers that a new audience needs. TikTok never makes one of fewer than 1,000 usable.",
    ),
    th.Property(
        "max_reject_percent",
        th.IntegerType(minimum=0, maximum=100),
        default=50,
        title="Maximum share of rejects",
        description="If more per cent of a stream's identifiers are rejected, or every one is missing, the run stops:"
        " the mapping is surely wrong.",
    ),
    th.Property(
        "on_unmatched_stream",
        th.StringType(allowed_values=["fail", "skip"]),
        default="fail",
        title="On unmatched stream",
        description="What to do with a stream that feeds no audience or lacks the identifier field: `fail` or `skip`.",
    ),
    th.Property(
        "rejects_path",
        th.StringType(),
        title="Rejects file",
        description="JSON Lines file of rejected records: input line, stream, contract, reason; never the value.",
    ),
    th.Property(
        "rejects_key",
        th.BooleanType(),
        default=False,
        title="Keys in the rejects file",
        description="Add the rejected records' key values, so that the rows can be found. They may be personal data.",
    ),
    th.Property(
        "report_path",
        th.StringType(),
        title="Report file",
        description="JSON report of the run, written on failure too.",
    ),
    th.Property(
        "dry_run",
        th.BooleanType(),
        default=False,
        title="Dry run",
        description="Read, check, plan and report; change nothing and emit no state.",
    ),
    th.Property(
        "api_url",
        th.StringType(),
        default=API_URL,
        title="API URL",
        description="Where TikTok's Business API is. https; http only to this machine, or with a token that begins with"
        " `emulator-`.",
    ),
    th.Property(
        "validate_records",
        th.BooleanType(),
        default=False,
        title="Validate records",
        description="Check each record against the stream's JSON Schema too. Contracts check what matters, faster.",
    ),
).to_dict()


@dataclass(frozen=True)
class Feed:
    """One stream (or the streams that a wildcard matches) into one audience."""

    stream: str
    advertiser_id: str
    contract: Contract
    audience_name: str | None
    audience_id: str | None
    identifier_field: str
    apply_hashing: bool
    default_country: str | None
    load_method: str
    retention_in_days: int | None


@dataclass(frozen=True)
class Settings:
    """The configuration of a run, checked."""

    access_token: str
    api_url: str
    feeds: tuple[Feed, ...]
    batch_size_rows: int | None
    min_audience_size: int
    max_reject_percent: int
    on_unmatched_stream: str
    rejects_path: Path | None
    rejects_key: bool
    report_path: Path | None
    dry_run: bool

    def feeds_of(self, stream: str) -> list[Feed]:
        """Give the feeds of a stream; none where no entry of `audiences` matches it."""
        return [feed for feed in self.feeds if fnmatchcase(stream, feed.stream)]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Make the settings from a configuration that fits `SCHEMA`, defaults filled in.

        Raises `ConfigValidationError`, whose `errors` name every wrong setting and never quote a value that could
        be secret.
        """
        entries = config.get("audiences") or [{"stream": "*"}]
        named = bool(config.get("audiences"))
        feeds, errors = [], [*_token_errors(config["access_token"]), *_url_errors(config)]
        for number, entry in enumerate(entries):
            merged = {**config, **{name: value for name, value in entry.items() if value is not None}}
            where = f"audiences[{number}]: " if named else ""
            problems = [where + problem for problem in _feed_errors(merged)]
            errors += problems
            if not problems:
                feeds.append(_feed(merged))
        if errors:
            raise ConfigValidationError("The settings are not right", errors=errors)
        return cls(
            access_token=config["access_token"],
            api_url=config["api_url"],
            feeds=tuple(feeds),
            batch_size_rows=config.get("batch_size_rows"),
            min_audience_size=config["min_audience_size"],
            max_reject_percent=config["max_reject_percent"],
            on_unmatched_stream=config["on_unmatched_stream"],
            rejects_path=_path(config.get("rejects_path")),
            rejects_key=config["rejects_key"],
            report_path=_path(config.get("report_path")),
            dry_run=config["dry_run"],
        )


def schema_errors(validator: Validator, config: Mapping[str, Any]) -> list[str]:
    """Describe what does not fit the schema, setting by setting, without quoting any value."""
    return [_describe(error) for error in validator.iter_errors(config)]


def unknown_settings(config: Mapping[str, Any], known: Collection[str]) -> list[str]:
    """Describe the settings that nobody reads, with the one that was probably meant."""
    unknown = []
    for name in sorted(config.keys() - set(known)):
        meant = get_close_matches(name, known, n=1)
        unknown.append(f"unknown setting `{name}`" + (f"; is `{meant[0]}` meant?" if meant else ""))
    return unknown


def unreadable_variables(environ: Mapping[str, str], prefix: str, schema: Mapping[str, Any]) -> list[str]:
    """Describe the environment variables whose text is not of their setting's type."""
    return [
        f"the environment variable {variable} must be {kind}, in JSON"
        for name, setting in schema["properties"].items()
        for kind in {"integer", "array", "object"}.intersection(setting.get("type", []))
        if (variable := prefix + name.upper()) in environ and not _is_json(environ[variable])
    ]


def _feed(merged: Mapping[str, Any]) -> Feed:
    contract = CONTRACTS[merged["contract"]]
    return Feed(
        stream=merged["stream"],
        advertiser_id=str(merged["advertiser_id"]),
        contract=contract,
        audience_name=merged.get("audience_name"),
        audience_id=_text(merged.get("audience_id")),
        identifier_field=merged.get("identifier_field") or contract.field,
        apply_hashing=merged["apply_hashing"],
        default_country=(merged.get("default_country") or "").upper() or None,
        load_method=merged["load_method"],
        retention_in_days=merged.get("retention_in_days"),
    )


def _feed_errors(merged: Mapping[str, Any]) -> Iterator[str]:
    if not merged.get("contract"):
        yield f"`contract` is missing: one of {', '.join(CONTRACTS)}"
    if not _text(merged.get("advertiser_id")):
        yield "`advertiser_id` is missing"
    for id_setting in ("advertiser_id", "audience_id"):
        if (identity := _text(merged.get(id_setting))) and not (identity.isascii() and identity.isdecimal()):
            yield f"`{id_setting}` must be a number, digits only"
    if merged.get("audience_name") is not None:
        yield from name_errors(merged["audience_name"])
    country = merged.get("default_country")
    if country and not is_country(country.upper()):
        yield "`default_country` must be a two-letter ISO 3166 code such as US (in YAML, put NO in quotes)"


def name_errors(name: str) -> Iterator[str]:
    """Tell what TikTok would refuse in an audience's name."""
    if not name.strip():
        yield "`audience_name` is empty"
    if len(name) > MAX_NAME_LENGTH:
        yield f"`audience_name` has {len(name)} characters; TikTok takes {MAX_NAME_LENGTH}"


def _token_errors(token: str) -> Iterator[str]:
    if not token.strip():
        yield "`access_token` is empty"
    elif not (token.isascii() and token.isprintable() and " " not in token):
        yield "`access_token` holds white space or characters that no token has"


def _url_errors(config: Mapping[str, Any]) -> Iterator[str]:
    url = urlsplit(config["api_url"])
    if url.scheme not in {"http", "https"} or not url.hostname or url.username or url.query:
        yield "`api_url` must be a plain http or https address"
    elif url.scheme == "http" and not (
        _is_loopback(url.hostname) or config["access_token"].startswith(EMULATOR_TOKEN_PREFIX)
    ):
        yield "`api_url` must be https: over http the access token could be read on its way"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _describe(error: ValidationError) -> str:
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path).lstrip(".")
    rule: Any = error.validator_value
    value: Any = error.instance
    known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
    told = {
        "type": lambda: "must be " + " or ".join([rule] if isinstance(rule, str) else [t for t in rule if t != "null"]),
        "enum": lambda: f"must be one of {', '.join(rule)}",
        "minimum": lambda: f"must be at least {rule}",
        "maximum": lambda: f"must be at most {rule}",
        "required": lambda: "lacks " + ", ".join(f"`{name}`" for name in rule if name not in value),
        "additionalProperties": lambda: "; ".join(unknown_settings(value, known)),
    }.get(str(error.validator), lambda: "has not the form that this setting takes")()
    return f"`{where}` {told}" if where else f"the configuration {told}"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _text(value: str | int | None) -> str | None:
    return None if value is None or value == "" else str(value).strip()


def _path(value: str | None) -> Path | None:
    return Path(value).expanduser() if value else None
