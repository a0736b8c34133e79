"""Every setting once: its JSON Schema, and the typed objects made from it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from singer_sdk import typing as th
from singer_sdk.exceptions import ConfigValidationError

from target_tiktok_audiences.config_errors import (
    CONFIG_WRONG,
    feed_errors,
    id_text,
    missing_settings,
    path_errors,
    token_errors,
    url_errors,
)
from target_tiktok_audiences.contracts import CONTRACTS, Contract
from target_tiktok_audiences.tiktok import API_URL

if TYPE_CHECKING:
    from collections.abc import Mapping

IN_MEMORY = ":memory:"

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
            th.StringType(allowed_values=["append-only", "upsert", "overwrite"]),
            title="Load method",
            description="`append-only` adds the stream's people and removes nobody. `upsert` goes by the stream's key:"
            " rows that are deleted, or change or lose their identifier, leave. `overwrite` makes the audience exactly"
            " the stream, which must be the whole table.",
        ),
        th.Property(
            "retention_in_days",
            th.IntegerType(minimum=1, maximum=365),
            title="Retention in days",
            description="Lets TikTok drop a new audience that many days after its creation, for good. Default: 365 days"
            " after its last change or use.",
        ),
        th.Property(
            "max_removal_percent",
            th.IntegerType(minimum=0, maximum=100),
            title="Maximum share of removals",
            description="If more per cent of an audience's people, or of one stream's, would leave in one run, the run"
            " stops before anything is sent: a tap that died looks like one that finished. 100 switches that off, for"
            " one run.",
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
    th.Property(
        "app_id",
        th.StringType(),
        title="App ID",
        description="The app at TikTok for Business Developers that the access token is of (in YAML, put it in quotes)."
        " No run needs it; with it `connect` gets a token, `advertisers` lists all that the token may act for, and"
        " `check` looks among them.",
    ),
    th.Property(
        "app_secret",
        th.StringType(),
        secret=True,
        title="App secret",
        description="The secret of that app.",
    ),
    *_defaults(_per_feed(), apply_hashing=True, load_method="append-only", max_removal_percent=10),
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
        " `advertiser_id` to `max_removal_percent`; what an entry leaves out is taken from above. A stream may feed"
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
        "ledger_path",
        th.StringType(),
        title="Ledger folder",
        description="Folder of the ledgers, which know whom TikTok has been given; keep it between runs. Or the URL of"
        " one in S3, GCS, Azure and the like (`s3://bucket/ledgers`), for machines without a disk that lasts. Default:"
        " `.meltano/target-tiktok-audiences/<environment>` in a Meltano project, else a folder of the user's state."
        " `:memory:` keeps none.",
    ),
    th.Property(
        "rejects_path",
        th.StringType(),
        title="Rejects file",
        description="JSON Lines file of rejected records: input line, row of a BATCH, stream, contract, reason; never"
        " the value.",
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

_DEFAULTS = {name: setting["default"] for name, setting in SCHEMA["properties"].items() if "default" in setting}


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
    max_removal_percent: int


@dataclass(frozen=True)
class Settings:
    """The configuration of a run, checked."""

    access_token: str = field(repr=False)
    app_id: str | None
    app_secret: str | None = field(repr=False)
    api_url: str
    feeds: tuple[Feed, ...]
    batch_size_rows: int | None
    min_audience_size: int
    max_reject_percent: int
    on_unmatched_stream: str
    ledger_path: Path | str | None
    """A folder, the URL of one in a store, or None for memory."""
    """None keeps no ledger."""
    rejects_path: Path | None
    rejects_key: bool
    report_path: Path | None
    dry_run: bool

    @property
    def api_host(self) -> str:
        """Which of TikTok's hosts, or an emulator: part of what a ledger belongs to."""
        return urlsplit(self.api_url).netloc

    def feeds_of(self, stream: str) -> list[Feed]:
        """Give the feeds of a stream; none where no entry of `audiences` matches it."""
        return [feed for feed in self.feeds if fnmatchcase(stream, feed.stream.replace("[", "[[]"))]

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, needs_token: bool = True) -> Settings:
        """Make the settings from a configuration that fits `SCHEMA`; null means the default.

        A command that calls nobody needs no token. Raises `ConfigValidationError`, whose `errors` name every wrong
        setting and never quote a value that could be secret.
        """
        config = {**_DEFAULTS, **_given(config)}
        entries, token = config.get("audiences"), config.get("access_token")
        feeds, errors = [], [*missing_settings(config, needs_token=needs_token), *path_errors(config)]
        errors += token_errors(token) if token is not None else []
        errors += url_errors(config["api_url"], token)
        for number, entry in enumerate(entries or [{}]):
            merged = {**config, "stream": "*", **_given(entry)}
            where = f"audiences[{number}]: " if entries else ""
            problems = [where + problem for problem in feed_errors(merged)]
            errors += problems
            if not errors:
                feeds.append(_feed(merged))
        if config.get("rejects_path") and config.get("rejects_path") == config.get("report_path"):
            errors.append("`rejects_path` and `report_path` are the same file")
        if errors:
            raise ConfigValidationError(CONFIG_WRONG, errors=errors)
        return cls(
            access_token=token or "",
            app_id=(config.get("app_id") or "").strip() or None,
            app_secret=(config.get("app_secret") or "").strip() or None,
            api_url=config["api_url"],
            feeds=tuple(dict.fromkeys(feeds)),
            batch_size_rows=config.get("batch_size_rows"),
            min_audience_size=config["min_audience_size"],
            max_reject_percent=config["max_reject_percent"],
            on_unmatched_stream=config["on_unmatched_stream"],
            ledger_path=ledger_place(config.get("ledger_path")),
            rejects_path=_path(config.get("rejects_path")),
            rejects_key=config["rejects_key"],
            report_path=_path(config.get("report_path")),
            dry_run=config["dry_run"],
        )


@dataclass(frozen=True)
class AppSettings:
    """The part of the configuration with which an app asks for access, checked."""

    app_id: str
    app_secret: str = field(repr=False)
    api_url: str

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> AppSettings:
        """Make them from a configuration that fits `SCHEMA`, as `Settings.from_config` does; nothing else is needed."""
        config = {**_DEFAULTS, **_given(config)}
        app_id, secret, api_url = (
            (config.get("app_id") or "").strip(),
            config.get("app_secret") or "",
            config["api_url"],
        )
        errors = [] if app_id else ["`app_id` is missing: the app at TikTok for Business that asks for access"]
        errors += token_errors(secret, "app_secret") if secret else ["`app_secret` is missing: the secret of that app"]
        errors += url_errors(api_url, secret)
        if errors:
            raise ConfigValidationError(CONFIG_WRONG, errors=errors)
        return cls(app_id, secret, api_url)


def _feed(merged: Mapping[str, Any]) -> Feed:
    contract = CONTRACTS[merged["contract"]]
    return Feed(
        stream=merged["stream"],
        advertiser_id=str(merged["advertiser_id"]).strip(),
        contract=contract,
        audience_name=merged.get("audience_name"),
        audience_id=id_text(merged.get("audience_id")),
        identifier_field=merged.get("identifier_field") or contract.field,
        apply_hashing=merged["apply_hashing"],
        default_country=(merged.get("default_country") or "").upper() or None,
        load_method=merged["load_method"],
        retention_in_days=merged.get("retention_in_days"),
        max_removal_percent=merged["max_removal_percent"],
    )


def _given(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if value is not None}


def _path(value: str | None) -> Path | None:
    return Path(value).expanduser() if value else None


def ledger_place(value: str | None) -> Path | str | None:
    """Give what a value of `ledger_path` means: a folder, the URL of one in a store, or None for memory."""
    if value == IN_MEMORY:
        return None
    if value and "://" in value:
        url = urlsplit(value)
        return Path(url2pathname(url.path)) if url.scheme == "file" else value
    if value:
        return Path(value).expanduser()
    project = os.environ.get("MELTANO_PROJECT_ROOT")
    if project:
        # Each environment has a state of its own, and so a ledger: what one has created another may not shrink.
        return Path(project, ".meltano", "target-tiktok-audiences", os.environ.get("MELTANO_ENVIRONMENT", ""))
    import platformdirs  # noqa: PLC0415 - few runs have neither a ledger path nor a Meltano project

    return platformdirs.user_state_path("target-tiktok-audiences")
