"""Typed, validated settings of a run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from singer_sdk.exceptions import ConfigValidationError

from target_tiktok_audiences.config.schema import SCHEMA
from target_tiktok_audiences.config.validation import (
    CONFIG_WRONG,
    feed_errors,
    id_text,
    missing_settings,
    path_errors,
    token_errors,
    url_errors,
)
from target_tiktok_audiences.contracts.contract import CONTRACTS, Contract

if TYPE_CHECKING:
    from collections.abc import Mapping

IN_MEMORY = ":memory:"

_DEFAULTS = {name: setting["default"] for name, setting in SCHEMA["properties"].items() if "default" in setting}


@dataclass(frozen=True)
class Feed:
    """Settings of one feed: one stream, or the streams that a wildcard matches, into one audience."""

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
    """Validated configuration of a run."""

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
    """A folder, the URL of a folder in an object store, or None to keep no ledger."""
    rejects_path: Path | None
    rejects_key: bool
    report_path: Path | None
    dry_run: bool

    @property
    def api_host(self) -> str:
        """Host of the API: one of TikTok's or an emulator's. It is part of a ledger's metadata."""
        return urlsplit(self.api_url).netloc

    def feeds_of(self, stream: str) -> list[Feed]:
        """Return the feeds of a stream; empty if no entry of `audiences` matches it."""
        return [feed for feed in self.feeds if fnmatchcase(stream, feed.stream.replace("[", "[[]"))]

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, needs_token: bool = True) -> Settings:
        """Create the settings from a configuration that matches `SCHEMA`; null means the default.

        Commands that do not call TikTok pass `needs_token=False`. Raises `ConfigValidationError`, whose `errors` name
        every invalid setting and never quote a value that could be secret.
        """
        config = {**_DEFAULTS, **_without_nulls(config)}
        entries, token = config.get("audiences"), config.get("access_token")
        feeds, errors = [], [*missing_settings(config, needs_token=needs_token), *path_errors(config)]
        errors += token_errors(token) if token is not None else []
        errors += url_errors(config["api_url"], token)
        for number, entry in enumerate(entries or [{}]):
            merged = {**config, "stream": "*", **_without_nulls(entry)}
            where = f"audiences[{number}]: " if entries else ""
            errors += [where + message for message in feed_errors(merged)]
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
    """Validated settings that an app needs to request access."""

    app_id: str
    app_secret: str = field(repr=False)
    api_url: str

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> AppSettings:
        """Create the settings as `Settings.from_config` does, without requiring any other setting."""
        config = {**_DEFAULTS, **_without_nulls(config)}
        app_id, secret, api_url = (
            (config.get("app_id") or "").strip(),
            config.get("app_secret") or "",
            config["api_url"],
        )
        errors = (
            [] if app_id else ["`app_id` is missing: set the ID of the app at TikTok for Business that requests access"]
        )
        errors += (
            token_errors(secret, "app_secret") if secret else ["`app_secret` is missing: set the secret of that app"]
        )
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


def _without_nulls(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if value is not None}


def _path(value: str | None) -> Path | None:
    return Path(value).expanduser() if value else None


def ledger_place(value: str | None) -> Path | str | None:
    """Return the ledger folder for a value of `ledger_path`: a path, an object store URL, or None for `:memory:`.

    Raises `ConfigValidationError` if the value is empty and the user has no home folder.
    """
    if value == IN_MEMORY:
        return None
    if value and "://" in value:
        scheme, _, rest = value.partition("://")
        path = url2pathname(urlsplit(value).path)
        return Path(path) if scheme.lower() == "file" else f"{scheme.lower()}://{rest}"
    if value:
        return Path(value).expanduser()
    project = os.environ.get("MELTANO_PROJECT_ROOT")
    if project:
        # Each Meltano environment has its own state and therefore its own ledger: an audience that one environment
        # created must not be changed by another.
        return Path(project, ".meltano", "target-tiktok-audiences", os.environ.get("MELTANO_ENVIRONMENT", ""))
    import platformdirs  # noqa: PLC0415 - few runs have neither a ledger path nor a Meltano project

    try:
        return platformdirs.user_state_path("target-tiktok-audiences")
    except RuntimeError:  # in a container, under a user id without an account
        missing = "`ledger_path` is missing, and this user has no home folder: set it to a durable folder"
        raise ConfigValidationError(CONFIG_WRONG, errors=[missing]) from None
