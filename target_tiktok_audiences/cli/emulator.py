"""`emulator`: serve a local TikTok Business API."""

from __future__ import annotations

from dataclasses import Field, fields
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from target_tiktok_audiences.cli.output import fail, lacks_extra
from target_tiktok_audiences.emulator.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable

NEEDED = ("python_multipart", "starlette", "uvicorn")


def _emulator_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add a flag for each field of the emulator's options."""
    for option in reversed(fields(Options)):
        command = _flag(option)(command)
    return command


def _flag(option: Field[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    default: Any = option.default
    several = isinstance(default, tuple)
    if several:
        default = list(default)
    kind: click.ParamType[Any] | None = None
    if option.metadata["choices"]:
        kind = click.Choice(option.metadata["choices"])
    elif isinstance(option.default, float):
        kind = click.FloatRange(min=0)
    elif isinstance(option.default, int) and not isinstance(option.default, bool):
        kind = click.IntRange(min=0)
    return click.option(
        f"--{(option.name.removesuffix('s') if several else option.name).replace('_', '-')}",
        option.name,
        default=default,
        type=kind,
        is_flag=isinstance(option.default, bool),
        multiple=several,
        help=option.metadata["help"],
    )


@click.command(context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=8765, type=click.IntRange(0, 65535), help="Port to listen on; 0 picks a free one.")
@_emulator_options
def emulator(*, host: str, port: int, **options: Any) -> None:
    """Serve a local TikTok Business API, to test pipelines without TikTok.

    All data is in memory and is lost when the emulator stops.
    """
    if any(find_spec(module) is None for module in NEEDED):
        fail(lacks_extra("The emulator", "emulator"))
    from target_tiktok_audiences.emulator.emulator import Emulator  # noqa: PLC0415 - it needs the extra
    from target_tiktok_audiences.emulator.server import run  # noqa: PLC0415 - it needs the extra

    try:
        run(Emulator(**options), host, port, lambda url: click.echo(f"listening on {url}"))
    except OSError as error:
        raise click.ClickException(f"Cannot listen on {host}:{port}: {error.strerror}") from None
