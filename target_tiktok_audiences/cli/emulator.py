"""`emulator`: serve a local TikTok Business API."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import click

from target_tiktok_audiences.cli.output import fail, lacks_extra

# Defaults stand here too, because the emulator can be imported only where its extra is installed.
NEEDED = ("python_multipart", "starlette", "uvicorn")


@click.command(context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=8765, type=click.IntRange(0, 65535), help="Port to listen on; 0 picks a free one.")
@click.option("--token", default="emulator-token", help="Access token with every permission on every advertiser.")
@click.option(
    "--advertiser-id",
    "advertiser_ids",
    multiple=True,
    default=["7000000000000000001"],
    help="ID of an initial advertiser; may be repeated.",
)
@click.option("--app-id", default="emulator-app", help="ID of the app that can request tokens.")
@click.option("--app-secret", default="emulator-secret", help="Secret of that app.")
@click.option(
    "--processing-hours",
    default=24.0,
    type=click.FloatRange(min=0),
    help="How long TikTok processes a change and locks its audience.",
)
@click.option("--match-rate", default=1.0, type=click.FloatRange(min=0), help="TikTok users matched per identifier.")
@click.option(
    "--floor",
    default="async",
    type=click.Choice(["async", "sync"]),
    help="Whether a change that leaves fewer than 1,000 fails during processing (async) or is rejected at once (sync).",
)
@click.option(
    "--floor-counts",
    default="matched",
    type=click.Choice(["matched", "rows"]),
    help="What the minimum of 1,000 counts: matched users, or identifiers (rows).",
)
@click.option(
    "--editable-while-processing",
    default=False,
    is_flag=True,
    help="Keep a valid audience valid and editable while a change is processed.",
)
@click.option(
    "--list-lag-seconds",
    default=0.0,
    type=click.FloatRange(min=0),
    help="How long a new audience is missing from the list.",
)
@click.option("--file-hours", default=24.0, type=click.FloatRange(min=0), help="How long an uploaded file can be used.")
@click.option(
    "--single-use-files", default=False, is_flag=True, help="Allow each file to be used in only one create or update."
)
@click.option(
    "--qps",
    default=10,
    type=click.IntRange(min=0),
    help="Requests per second before error 40100; 0 disables the limit.",
)
def emulator(*, host: str, port: int, **options: Any) -> None:
    """Serve a local TikTok Business API, to test pipelines without TikTok.

    All data is in memory and is lost when the emulator stops.
    """
    if any(find_spec(module) is None for module in NEEDED):
        fail(lacks_extra("The emulator", "emulator"))
    from target_tiktok_audiences.emulator.emulator import Emulator  # noqa: PLC0415
    from target_tiktok_audiences.emulator.server import run  # noqa: PLC0415

    try:
        run(Emulator(**options), host, port, lambda url: click.echo(f"listening on {url}"))
    except OSError as error:
        raise click.ClickException(f"Cannot listen on {host}:{port}: {error.strerror}") from None
