"""Says what is wrong with a configuration, setting by setting, and never quotes a value: one may be the token."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from target_tiktok_audiences.contracts.contract import CONTRACTS
from target_tiktok_audiences.contracts.phone import is_country
from target_tiktok_audiences.runtime.sanitize import is_name, is_printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from jsonschema import ValidationError
    from jsonschema.protocols import Validator


CONFIG_WRONG = "The settings are not right"
EMULATOR_TOKEN_PREFIX = "emulator-"  # noqa: S105 - it marks a token as no secret
MAX_NAME_LENGTH = 128


def schema_errors(validator: Validator, config: Mapping[str, Any]) -> list[str]:
    """Describe what does not fit the settings' schema; null fits, and `missing_settings` tells what is not there."""
    errors = validator.iter_errors(config)
    return [_describe(error) for error in errors if error.validator != "required" and error.instance is not None]


def missing_settings(config: Mapping[str, Any], *, needs_token: bool = True) -> Iterator[str]:
    """Describe what is needed and not set, whatever else is wrong."""
    if needs_token and config.get("access_token") is None:
        yield "`access_token` is missing: `target-tiktok-audiences connect` gets one"
    entries = config.get("audiences") or [{}]
    for number, entry in enumerate(entries if isinstance(entries, list) else [{}]):
        where = f"audiences[{number}]: " if config.get("audiences") else ""
        merged = {**config, **{name: value for name, value in dict(entry).items() if value is not None}}
        if not merged.get("contract"):
            yield f"{where}`contract` is missing: one of {', '.join(CONTRACTS)}"
        if not id_text(merged.get("advertiser_id")):
            yield f"{where}`advertiser_id` is missing"


def unknown_settings(config: Mapping[str, Any], known: Collection[str]) -> list[str]:
    """Describe the settings that nobody reads, with the one that was probably meant."""
    unknown = []
    for name in sorted(config.keys() - set(known)):
        meant = get_close_matches(name, known, n=1)
        unknown.append(f"unknown setting `{name}`" + (f"; is `{meant[0]}` meant?" if meant else ""))
    return unknown


def unreadable_variables(environ: Mapping[str, str], prefix: str, schema: Mapping[str, Any]) -> list[str]:
    """Describe the environment variables whose text is not of their setting's type.

    The SDK takes any word that it does not know for false, and fails at others without naming the variable.
    """
    unreadable = []
    for name, setting in schema["properties"].items():
        variable = prefix + name.upper()
        kinds = [kind for kind in setting.get("type", []) if kind != "null"]
        if variable in environ and not _is_of_kind(environ[variable], kinds):
            meant = _KINDS["integer" if "integer" in kinds else kinds[0]]
            unreadable.append(f"the environment variable {variable} must be {meant}")
    return unreadable


_KINDS = {"array": "a JSON array", "object": "a JSON object", "boolean": "true or false", "integer": "a number"}


def _is_of_kind(text: str, kinds: list[str]) -> bool:
    if "integer" in kinds:
        return text.strip().isdecimal()
    if kinds == ["boolean"]:
        return text.lower() in {"true", "1", "yes", "on", "false", "0", "no", "off"}
    if kinds in (["array"], ["object"]):
        try:
            return isinstance(json.loads(text), list if kinds == ["array"] else dict)
        except ValueError:
            return False
    return True


def feed_errors(merged: Mapping[str, Any]) -> Iterator[str]:
    """Describe what is wrong with one feed, its settings merged with those above it."""
    for id_setting in ("advertiser_id", "audience_id"):
        if (identity := id_text(merged.get(id_setting))) and not (identity.isascii() and identity.isdecimal()):
            yield f"`{id_setting}` must be a number, digits only"
    for setting in ("stream", "identifier_field"):
        if merged.get(setting) and not is_name(merged[setting]):
            yield f"`{setting}` is too long or holds control characters"
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
    elif not is_printable(name):
        yield "`audience_name` holds control characters"


def path_errors(config: Mapping[str, Any]) -> Iterator[str]:
    """Describe paths that no file can have."""
    for setting in ("ledger_path", "rejects_path", "report_path"):
        try:
            known = "\0" not in str(Path(config.get(setting) or "").expanduser())
        except RuntimeError:
            known = False
        if not known:
            yield f"`{setting}` is no path, or in the home folder of somebody unknown"
    place = config.get("ledger_path") or ""
    scheme, is_url, rest = place.partition("://")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/(?!/)", place):
        yield "`ledger_path` begins as a URL does, and lacks a slash: `s3://bucket/folder` has two"
    elif is_url and not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        yield "`ledger_path` is no URL of one protocol, such as `s3://bucket/folder`"
    elif is_url and scheme.lower() == "file" and not rest.startswith(("/", "localhost/")):
        yield "`ledger_path` names another machine after `file://`; write `file:///folder`"
    elif is_url and re.search(r"[\[\]\s]|/.*@|^[^/@]*[?#][^/]*@", rest):
        yield "`ledger_path` holds a character where no URL has it; in a password write it as %XX"


def token_errors(token: str, setting: str = "access_token") -> Iterator[str]:
    """Describe what no access token, or other credential of TikTok's, can be."""
    if not token.strip():
        yield f"`{setting}` is empty"
    elif not (token.isascii() and token.isprintable() and " " not in token):
        yield f"`{setting}` holds white space or characters that no token has"


def url_errors(api_url: str, secret: str | None) -> Iterator[str]:
    """Describe an `api_url` that cannot work, or over which the secret, a token, could be read on its way."""
    try:
        url = urlsplit(api_url)
    except ValueError:
        url = urlsplit("")
    if url.scheme not in {"http", "https"} or not url.hostname or url.username or url.query:
        yield "`api_url` must be a plain http or https address"
    elif secret and url.scheme == "http" and not _may_go_by_http(secret, url.hostname):
        yield "`api_url` must be https: over http the access token could be read on its way"


def id_text(value: str | int | None) -> str | None:
    """Give an id as text, however YAML or JSON had it."""
    return None if value is None or value == "" else str(value).strip()


def _may_go_by_http(secret: str, host: str) -> bool:
    return _is_loopback(host) or secret.startswith(EMULATOR_TOKEN_PREFIX)


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
        "additionalProperties": lambda: "; ".join(unknown_settings(value, known)),
    }.get(str(error.validator), lambda: "has not the form that this setting takes")()
    return f"`{where}` {told}" if where else f"the configuration {told}"
