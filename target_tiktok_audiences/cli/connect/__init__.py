"""`connect`: get an access token through TikTok's consent page, and choose the ad account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from target_tiktok_audiences.cli.options import app_config_option

if TYPE_CHECKING:
    from target_tiktok_audiences.config.settings import AppSettings


@click.command(context_settings={"show_default": True})
@app_config_option
@click.option(
    "--save",
    metavar="env[:PATH]|meltano",
    help="Write the token and advertiser ID to an environment file: env (default: .env in the current folder) or"
    " meltano (the project's .env). Prompts if neither --save nor --print is set.",
)
@click.option("--print", "show_token", is_flag=True, help="Print only the token to standard output.")
@click.option("--no-browser", is_flag=True, help="Use the terminal instead of a browser and a local page.")
@click.option("--port", default=8766, type=click.IntRange(0, 65535), help="Port of the local page; 0 picks a free one.")
@click.option(
    "--redirect-uri",
    help="Redirect URI registered for the app, if not http://localhost:PORT/; for example behind a tunnel.",
)
@click.option(
    "--timeout", default=10.0, type=click.FloatRange(min=0, min_open=True), help="Minutes to wait for each response."
)
def connect(
    app: AppSettings,
    *,
    save: str | None,
    show_token: bool,
    no_browser: bool,
    port: int,
    redirect_uri: str | None,
    timeout: float,
) -> None:
    """Authorize your app at TikTok, choose the ad account and store the access token.

    The configuration requires only `app_id` and `app_secret`. The token is stored only where you choose.
    """
    from target_tiktok_audiences.cli.connect.flow import ConnectOptions, run  # noqa: PLC0415 - not for every run

    run(app, ConnectOptions(save, show_token, not no_browser, port, redirect_uri, timeout))
