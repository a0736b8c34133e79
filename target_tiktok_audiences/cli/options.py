"""Click options that subcommands share, and the objects that they load."""

from __future__ import annotations

import logging
import os
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.plugin_base import JSONSchemaValidator

from target_tiktok_audiences import __version__
from target_tiktok_audiences.config import validation
from target_tiktok_audiences.config.settings import AppSettings, Settings
from target_tiktok_audiences.contracts.contract import CONTRACTS
from target_tiktok_audiences.runtime.signals import signals
from target_tiktok_audiences.target import TargetTikTokAudiences
from target_tiktok_audiences.tiktok.client import TikTok

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_VARIABLES = "TARGET_TIKTOK_AUDIENCES_"
PROGRAM = f"{TargetTikTokAudiences.name}/{__version__}"
_OF_RECORDS = {"stream_maps", "stream_map_config", "faker_config"}
"""Settings that no command reads. Meltano 4.4 writes them into the environment in its own format."""
_RETRY_BUDGET_S = 5.0
"""Total wait between retries in read-only commands, where a user is waiting."""


def config_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option `--config` to a command, which receives `settings`."""
    return _option(command, "settings", Settings.from_config, validation.missing_settings)


def offline_config_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--config` to a command that does not call TikTok; it receives `settings`, possibly without a token."""
    make, missing = Settings.from_config, validation.missing_settings
    return _option(command, "settings", partial(make, needs_token=False), partial(missing, needs_token=False))


def app_config_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--config` to a command that runs before a token exists; it receives `app`."""
    return _option(command, "app", AppSettings.from_config, lambda _: ())


def _option(
    command: Callable[..., None],
    name: str,
    make: Callable[[Mapping[str, Any]], Any],
    missing: Callable[[Mapping[str, Any]], Iterable[str]],
) -> Callable[..., None]:
    return click.option(
        "--config",
        name,
        multiple=True,
        required=True,
        callback=partial(_read, make=make, missing=missing),
        help="Configuration file, or ENV for environment variables; may be repeated.",
    )(command)


@contextmanager
def tiktok_of(settings: Settings, *, retry_budget_s: float = _RETRY_BUDGET_S) -> Iterator[TikTok]:
    """Yield a TikTok client for a command. A signal interrupts the command at any point."""
    client = TikTok(
        settings.access_token,
        settings.api_url,
        user_agent=PROGRAM,
        sleep=TargetTikTokAudiences.sleep,
        retry_budget_s=retry_budget_s,
    )
    with closing(client), signals.interrupting():
        yield client


def _read(
    ctx: click.Context,
    param: click.Parameter,
    value: tuple[str, ...],
    *,
    make: Callable[[Mapping[str, Any]], Any],
    missing: Callable[[Mapping[str, Any]], Iterable[str]],
) -> Any:
    logging.getLogger("singer_sdk.configuration").setLevel(logging.WARNING)  # it logs each variable that it reads
    context = TargetTikTokAudiences.cb_config(ctx, param, value)  # type: ignore[arg-type]
    schema: dict[str, Any] = TargetTikTokAudiences.config_jsonschema
    TargetTikTokAudiences.append_builtin_config(schema)
    config = dict(context.config)
    errors = []
    if context.parse_env:
        errors = validation.unreadable_variables(os.environ, _VARIABLES, schema)
        variables = {} if errors else TargetTikTokAudiences._env_var_config  # noqa: SLF001
        config |= {name: value for name, value in variables.items() if name not in _OF_RECORDS}
    if not errors:
        errors = validation.schema_errors(JSONSchemaValidator(schema), config)
        errors += missing(config) if errors else []  # otherwise `make` reports missing settings
    try:
        if not errors:
            return make(config)
    except ConfigValidationError as wrong:
        errors = wrong.errors
    raise click.BadParameter("; ".join(errors), ctx, param)


class _ContractName(click.Choice[str]):
    """A contract name. Unlike click's own choice, its error does not quote the value, which may be an identifier."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"it must be one of {', '.join(CONTRACTS)}.", param, ctx)


def _only_one(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> str | None:
    if len(values) > 1:
        raise click.UsageError("Pass at most one identifier. Quote an identifier that contains spaces.")
    if not values:
        return None
    (value,) = values
    try:
        value.encode()
    except UnicodeEncodeError:  # in a C locale, Python may not decode arguments as UTF-8
        value = os.fsencode(value).decode(errors="surrogateescape")
    return value


CONTRACT = _ContractName(list(CONTRACTS))
identifier_argument = click.argument("identifier", metavar="[IDENTIFIER]", nargs=-1, callback=_only_one)
"""None if omitted."""
