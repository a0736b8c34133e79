"""`connect`: get an access token by TikTok's page, and choose the ad account."""

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
    help="Write token and advertiser into a file of variables: env, by default .env here, or that of the Meltano"
    " project. Asked for if neither this nor --print is given.",
)
@click.option("--print", "show_token", is_flag=True, help="Print the token, and nothing else, on standard output.")
@click.option("--no-browser", is_flag=True, help="Open no browser and serve no page: ask in the terminal.")
@click.option("--port", default=8766, type=click.IntRange(0, 65535), help="Port of the page; 0 picks a free one.")
@click.option(
    "--redirect-uri",
    help="Address that is registered for the app, where it is not http://localhost:PORT/, as behind a tunnel.",
)
@click.option("--timeout", default=10.0, type=click.FloatRange(min=0, min_open=True), help="Minutes to wait for you.")
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
    """Authorise your app at TikTok, choose the ad account, and keep the access token.

    The configuration needs only `app_id` and `app_secret`. The token goes where you say, and nowhere else.
    """
    from target_tiktok_audiences.cli.connect.flow import ConnectOptions, run  # noqa: PLC0415 - not for every run

    run(app, ConnectOptions(save, show_token, not no_browser, port, redirect_uri, timeout))
