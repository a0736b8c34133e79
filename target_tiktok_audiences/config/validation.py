"""Validate a configuration: one message per invalid setting. Messages never quote a value: it may be the token."""

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

CONFIG_WRONG = "The settings are not valid"
EMULATOR_TOKEN_PREFIX = "emulator-"  # noqa: S105 - it marks a token that is not secret
MAX_NAME_LENGTH = 128


def schema_errors(validator: Validator, config: Mapping[str, Any]) -> list[str]:
    """Return what does not match the settings' schema. Null matches; `missing_settings` reports missing settings."""
    errors = validator.iter_errors(config)
    return [_describe(error) for error in errors if error.validator != "required" and error.instance is not None]


def missing_settings(config: Mapping[str, Any], *, needs_token: bool = True) -> Iterator[str]:
    """Yield a message for each required setting that is missing."""
    if needs_token and config.get("access_token") is None:
        yield "`access_token` is missing: run `target-tiktok-audiences connect` to get one"
    entries = config.get("audiences") or [{}]
    for number, entry in enumerate(entries if isinstance(entries, list) else [{}]):
        where = f"audiences[{number}]: " if config.get("audiences") else ""
        merged = {**config, **{name: value for name, value in dict(entry).items() if value is not None}}
        if not merged.get("contract"):
            yield f"{where}`contract` is missing: set one of {', '.join(CONTRACTS)}"
        if not id_text(merged.get("advertiser_id")):
            yield f"{where}`advertiser_id` is missing: set the ID of the TikTok ad account"


def unknown_settings(config: Mapping[str, Any], known: Collection[str]) -> list[str]:
    """Return a message for each unknown setting, with the most similar known name."""
    unknown = []
    for name in sorted(config.keys() - set(known)):
        similar = get_close_matches(name, known, n=1)
        unknown.append(f"unknown setting `{name}`" + (f"; did you mean `{similar[0]}`?" if similar else ""))
    return unknown


def unreadable_variables(environ: Mapping[str, str], prefix: str, schema: Mapping[str, Any]) -> list[str]:
    """Return a message for each environment variable whose text does not match the type of its setting.

    The SDK reads an unknown word as false, and for other types fails without naming the variable.
    """
    unreadable = []
    for name, setting in schema["properties"].items():
        variable = prefix + name.upper()
        kinds = [kind for kind in setting.get("type", []) if kind != "null"]
        if variable in environ and not _is_of_kind(environ[variable], kinds):
            expected = _KINDS["integer" if "integer" in kinds else kinds[0]]
            unreadable.append(f"the environment variable {variable} must be {expected}")
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
    """Yield a message for each invalid setting of one feed, after it is merged with the top-level settings."""
    for id_setting in ("advertiser_id", "audience_id"):
        if (identity := id_text(merged.get(id_setting))) and not (identity.isascii() and identity.isdecimal()):
            yield f"`{id_setting}` must be a number that consists of digits only"
    for setting in ("stream", "identifier_field"):
        if merged.get(setting) and not is_name(merged[setting]):
            yield f"`{setting}` is too long or contains control characters"
    if merged.get("audience_name") is not None:
        yield from name_errors(merged["audience_name"])
    country = merged.get("default_country")
    if country and not is_country(country.upper()):
        yield "`default_country` must be a two-letter ISO 3166 code such as US (in YAML, put NO in quotes)"


def name_errors(name: str) -> Iterator[str]:
    """Yield what TikTok would reject in an audience's name."""
    if not name.strip():
        yield "`audience_name` is empty"
    if len(name) > MAX_NAME_LENGTH:
        yield f"`audience_name` has {len(name)} characters; TikTok allows {MAX_NAME_LENGTH}"
    elif not is_printable(name):
        yield "`audience_name` contains control characters"


def path_errors(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each path that is not valid."""
    for setting in ("ledger_path", "rejects_path", "report_path"):
        try:
            is_valid = "\0" not in str(Path(config.get(setting) or "").expanduser())
        except RuntimeError:
            is_valid = False
        if not is_valid:
            yield f"`{setting}` is not a valid path, or names the home folder of an unknown user"
    location = config.get("ledger_path") or ""
    scheme, is_url, rest = location.partition("://")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/(?!/)", location):
        yield "`ledger_path` starts like a URL but has only one slash: write it like `s3://bucket/folder`"
    elif is_url and not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        yield "`ledger_path` is not a valid URL: write it like `s3://bucket/folder`"
    elif is_url and scheme.lower() == "file" and not rest.startswith(("/", "localhost/")):
        yield "`ledger_path` names another machine after `file://`: write it like `file:///folder`"
    elif is_url and re.search(r"[\[\]\s]|/.*@|^[^/@]*[?#][^/]*@", rest):
        yield "`ledger_path` contains a character that is not valid there in a URL: in a password, write it as %XX"


def token_errors(token: str, setting: str = "access_token") -> Iterator[str]:
    """Yield a message if a text is not a valid access token or other credential of TikTok's."""
    if not token.strip():
        yield f"`{setting}` is empty"
    elif not (token.isascii() and token.isprintable() and " " not in token):
        yield f"`{setting}` contains whitespace or other characters that are not valid in it"


def url_errors(api_url: str, secret: str | None) -> Iterator[str]:
    """Yield a message if `api_url` is not valid, or would send the secret (a token) over the network in clear text."""
    try:
        url = urlsplit(api_url)
    except ValueError:
        url = urlsplit("")
    if url.scheme not in {"http", "https"} or not url.hostname or url.username or url.query:
        yield "`api_url` must be an http or https URL without a user name or query"
    elif secret and url.scheme == "http" and not _may_use_http(secret, url.hostname):
        yield "`api_url` must be https: http would send the access token in clear text"


def id_text(value: str | int | None) -> str | None:
    """Return an id as text, whether YAML or JSON had it as text or as a number."""
    return None if value is None or value == "" else str(value).strip()


def _may_use_http(secret: str, host: str) -> bool:
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
    message = {
        "type": lambda: "must be " + " or ".join([rule] if isinstance(rule, str) else [t for t in rule if t != "null"]),
        "enum": lambda: f"must be one of {', '.join(rule)}",
        "minimum": lambda: f"must be at least {rule}",
        "maximum": lambda: f"must be at most {rule}",
        "additionalProperties": lambda: "; ".join(unknown_settings(value, known)),
    }.get(str(error.validator), lambda: "does not have the form that this setting requires")()
    return f"`{where}` {message}" if where else f"the configuration {message}"
