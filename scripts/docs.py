"""Write the generated parts of README.md, CONTRIBUTING.md, meltano.yml, the plugin's definition and docs/.

Settings are as `--about` gives them, contracts as `contracts` prints them, the map of the house as its modules tell.

`.venv/bin/python scripts/docs.py` rewrites them; a test fails while they are stale.
"""

from __future__ import annotations

import json
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import fault_table
import house
from click.testing import CliRunner

from target_tiktok_audiences.cli.contracts import contracts
from target_tiktok_audiences.contracts.rejection import Rejection
from target_tiktok_audiences.history.funnel import WORDS
from target_tiktok_audiences.target import TargetTikTokAudiences

if TYPE_CHECKING:
    from collections.abc import Collection

ROOT = Path(__file__).parents[1]
FIRST_SETTINGS = (
    "access_token",
    "advertiser_id",
    "contract",
    "audience_name",
    "identifier_field",
    "apply_hashing",
    "default_country",
    "load_method",
    "max_removal_percent",
    "audiences",
    "ledger_path",
    "dry_run",
)
"""Those that the README shows."""
KINDS = {"integer": "integer", "boolean": "boolean", "array": "array", "object": "object"}


def about() -> dict[str, Any]:
    """Give what `--about --format=json` prints."""
    with redirect_stdout(StringIO()) as printed:
        TargetTikTokAudiences.print_about("json")
    found: dict[str, Any] = json.loads(printed.getvalue())
    return found


def settings_table(names: Collection[str] | None = None) -> str:
    """Give the settings, or those that are named, as a Markdown table."""
    settings = about()["settings"]["properties"]
    in_entries = set(settings["audiences"]["items"]["properties"])
    rows = ["| setting | default | meaning |", "| --- | --- | --- |"]
    for name in settings if names is None else names:
        setting = settings[name]
        star = "\\*" if name in in_entries else ""
        default = setting.get("default")
        shown = "" if default is None else f"`{json.dumps(default) if not isinstance(default, str) else default}`"
        shown = "required" if name in about()["settings"]["required"] else shown
        rows.append(f"| `{name}`{star} | {shown} | {setting['description'].replace('|', '/')} |")
    return "\n".join(rows)


def contracts_and_reasons() -> str:
    """Give every reason for a rejection, and the contracts, as Markdown."""
    rows = ["## Reasons", "", "| reason | meaning | what to do |", "| --- | --- | --- |"]
    rows += [f"| `{reason.value}` | {reason.meaning} | {reason.advice} |" for reason in Rejection]
    printed = CliRunner().invoke(contracts).stdout.rstrip()
    told = "`target-tiktok-audiences contracts` prints this; `--hashed` is for identifiers that are hashed already."
    return "\n".join([*rows, "", "## As JSON Schemas", "", told, "", "```json", printed, "```"])


def funnel_steps() -> str:
    """Return the steps from a table to its audience as a Markdown table."""
    rows = ["| step | what it means |", "| --- | --- |"]
    return "\n".join([*rows, *(f"| `{name}` | {meaning} |" for name, meaning in WORDS.items())])


def meltano_settings() -> str:
    """Give the settings as YAML of a Meltano plugin."""
    lines = []
    for name, setting in about()["settings"]["properties"].items():
        types = [kind for kind in setting.get("type", []) if kind != "null"]
        lines += [f"    - name: {name}", f"      label: {json.dumps(setting['title'])}"]
        if setting.get("secret"):
            lines.append("      sensitive: true")
        if "enum" in setting:
            lines.append("      kind: options")
            lines.append("      options:")
            lines += [f"      - {{label: {value}, value: {value}}}" for value in setting["enum"] if value]
        else:
            lines.append(f"      kind: {KINDS.get(types[0], 'string') if len(types) == 1 else 'string'}")
        if setting.get("default") is not None:
            lines.append(f"      value: {json.dumps(setting['default'])}")
        lines.append(f"      description: {json.dumps(setting['description'], ensure_ascii=False)}")
    return "\n".join(lines)


def definition(meltano_yml: str) -> str:
    """Give all that the plugin's definition has in common with the project's own entry, which ends with it."""
    common = dedent(meltano_yml[meltano_yml.index("    commands:") :])
    return re.sub(r"^# generated: .*\n", "", common, flags=re.MULTILINE).rstrip()


def generated(path: Path, text: str) -> str:
    """Give a file's text with its generated part made anew: from the line that marks its begin to its end, or all."""
    old = re.compile(r"(^.*generated: begin.*\n)[\s\S]*?(^.*generated: end.*$|\Z)", re.MULTILINE)
    return old.sub(lambda marks: f"{marks[1]}{text}\n{marks[2]}", path.read_text())


def files() -> dict[Path, str]:
    """Give every file with a generated part, as it should be."""
    meltano_yml = ROOT / "meltano.yml"
    parts = {
        ROOT / "README.md": settings_table(FIRST_SETTINGS),
        meltano_yml: meltano_settings(),
        ROOT / "docs/reference/settings.md": settings_table(),
        ROOT / "docs/reference/contracts.md": contracts_and_reasons(),
        ROOT / "docs/smaller.md": funnel_steps(),
        ROOT / "docs/reference/faults.md": fault_table.markdown(),
        ROOT / "CONTRIBUTING.md": house.markdown(),
    }
    texts = {path: generated(path, text) for path, text in parts.items()}
    plugin = ROOT / "docs/target-tiktok-audiences.yml"
    return {**texts, plugin: generated(plugin, definition(texts[meltano_yml]))}


if __name__ == "__main__":
    for file, text in files().items():
        file.write_text(text)
