"""The map of the house: every module of the package, what it is for, and which others it uses.

The part of CONTRIBUTING.md is made from this by scripts/docs.py.
"""

from __future__ import annotations

import ast
from pathlib import Path

import grimp

PACKAGE = "target_tiktok_audiences"
FOLDER = Path(__file__).parents[1] / PACKAGE


def subject(path: Path) -> str:
    """Give the first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0].rstrip(".")


def uses() -> dict[str, set[str]]:
    """Give for each room, a module or folder of the package, those that it imports from."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True)
    found: dict[str, set[str]] = {room.rpartition(".")[2]: set() for room in graph.find_children(PACKAGE)}
    for module in graph.modules - {PACKAGE}:
        room = module.split(".")[1]
        others = {other.split(".")[1] for other in graph.find_modules_directly_imported_by(module) if "." in other}
        found[room] |= others - {room}
    return found


def height(room: str, used: dict[str, set[str]]) -> int:
    """Tell how many rooms a room stands on, one on another."""
    return 1 + max((height(other, used) for other in used[room]), default=0)


def markdown() -> str:
    """Give the map as Markdown: the rooms, from the door down, then the modules in each folder."""
    rows = ["| | what it is for | uses |", "| --- | --- | --- |"]
    inside = []
    used = uses()
    for room, others in sorted(used.items(), key=lambda item: (-height(item[0], used), item[0])):
        folder = FOLDER / room
        path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
        name = f"`{room}/`" if folder.is_dir() else f"`{room}.py`"
        rows.append(f"| {name} | {subject(path)} | {', '.join(f'`{other}`' for other in sorted(others))} |")
        if folder.is_dir():
            modules = (each for each in sorted(folder.rglob("*.py")) if each.name != "__init__.py")
            told = [f"- `{each.relative_to(folder)}`: {subject(each)}" for each in modules]
            inside += ["", f"`{room}/`", "", *told]
    return "\n".join([*rows, *inside])
