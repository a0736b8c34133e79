"""Store the token in an environment file that only its owner can read."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from target_tiktok_audiences.runtime.errors import UserError
from target_tiktok_audiences.runtime.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCESS_TOKEN = "TARGET_TIKTOK_AUDIENCES_ACCESS_TOKEN"  # noqa: S105 - the name of a variable
ADVERTISER_ID = "TARGET_TIKTOK_AUDIENCES_ADVERTISER_ID"
_FORMS = "--save accepts env, env:PATH or meltano."


@dataclass(frozen=True)
class EnvFile:
    """An environment file such as `.env`. Meltano reads the one in its project."""

    path: Path

    @classmethod
    def meant_by(cls, text: str) -> EnvFile:
        """Resolve the value of `--save`, and raise UserError if the file is not writable. Called before any prompt."""
        kind, _, path = text.partition(":")
        if kind == "env":
            try:
                found = Path(path or ".env").expanduser()
            except RuntimeError:
                raise UserError(
                    f"The home folder in {path} cannot be resolved. Use an absolute path. {_FORMS}"
                ) from None
        elif text == "meltano":
            found = _meltano_project() / ".env"
        else:
            raise UserError(f"{_FORMS} Nothing was done.")
        file = cls(Path(os.path.realpath(found)))  # write to the target of a symbolic link
        file.check()
        return file

    def check(self) -> None:
        """Raise UserError if the file cannot be written."""
        if self.path.is_dir() or not self.path.parent.is_dir():
            raise UserError(
                f"{self.path} cannot be written: it is a folder, or its parent folder does not exist. {_FORMS}"
            )
        if not os.access(self.path.parent, os.W_OK) or (self.path.exists() and not os.access(self.path, os.R_OK)):
            raise UserError(f"{self.path} cannot be written: no permission. Choose another file. {_FORMS}")

    def set(self, variables: Mapping[str, str]) -> None:
        """Set variables, and keep every other line.

        The file is replaced atomically by one that only its owner can read, whatever its mode was before.
        """
        before = self.path.read_bytes() if self.path.exists() else b""
        after = with_variables(before.decode("utf-8", "surrogateescape"), variables)
        write_atomic(self.path, after.encode("utf-8", "surrogateescape"), mode=0o600)


def with_variables(text: str, variables: Mapping[str, str]) -> str:
    """Return `text` with each variable set exactly once: in its previous place, or at the end."""
    for name, value in variables.items():
        line = f"{name}={shlex.quote(value)}"
        old = re.compile(rf"^([ \t]*(?:export[ \t]+)?){name}[ \t]*=[^\r\n]*(\r?\n|\Z)", re.MULTILINE)
        if first := old.search(text):
            rest = old.sub("", text[first.end() :])
            text = f"{text[: first.start()]}{first[1]}{line}{first[2] or os.linesep}{rest}"
        else:
            text += ("" if not text or text.endswith("\n") else "\n") + f"{line}\n"
    return text


def _meltano_project() -> Path:
    """Find the project as Meltano does: by its variable, or by `meltano.yml` in this folder or a parent."""
    named = os.environ.get("MELTANO_PROJECT_ROOT")
    here = Path.cwd()
    for folder in [Path(named)] if named else [here, *here.parents]:
        if (folder / "meltano.yml").is_file():
            return folder
    raise UserError(
        "No meltano.yml found in this folder or its parents. Change to the Meltano project, or use --save env:PATH."
    )


def in_meltano_project() -> bool:
    """Return whether a Meltano project was found."""
    try:
        _meltano_project()
    except UserError:
        return False
    return True
