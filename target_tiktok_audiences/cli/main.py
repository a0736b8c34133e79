"""The command line: the SDK's options, plus subcommands."""

from __future__ import annotations

from typing import Any

import click

from target_tiktok_audiences.cli.advertisers import advertisers
from target_tiktok_audiences.cli.audiences import audiences
from target_tiktok_audiences.cli.check import check
from target_tiktok_audiences.cli.connect import connect
from target_tiktok_audiences.cli.contracts import contracts
from target_tiktok_audiences.cli.copy_ledgers import copy_ledgers
from target_tiktok_audiences.cli.emulator import emulator
from target_tiktok_audiences.cli.erase import erase_command
from target_tiktok_audiences.cli.explain import explain
from target_tiktok_audiences.cli.forget import forget
from target_tiktok_audiences.cli.history import history
from target_tiktok_audiences.target import TargetTikTokAudiences

COMMANDS = (
    advertisers,
    audiences,
    check,
    connect,
    contracts,
    copy_ledgers,
    emulator,
    erase_command,
    explain,
    forget,
    history,
)


def run_command() -> None:
    """Parse the command line and run it."""
    singer = TargetTikTokAudiences.cli  # also sets up logging
    click.Group(
        name=singer.name,
        help=f"{TargetTikTokAudiences.__doc__} Without a command: read Singer messages from standard input.",
        params=singer.params,
        callback=_run_target,
        invoke_without_command=True,
        commands=COMMANDS,
    )(prog_name=singer.name)


@click.pass_context
def _run_target(ctx: click.Context, /, **options: Any) -> None:
    if ctx.invoked_subcommand is None:
        TargetTikTokAudiences.invoke(**options)
