# `just` lists these. All but `quick` make their environments first, once, as `scripts/test` does.
venv := "source scripts/environment && .venv/bin"
set shell := ["bash", "-euc"]

# list the recipes
_default:
    @just --list --unsorted

# everything that must hold before a change is taken
all:
    .ci/run

# unit tests, in less than a minute: no socket, no process
unit *arguments:
    {{venv}}/python -m pytest --numprocesses 2 --quiet tests/unit {{arguments}}

# unit tests, or those that are named; `just test tests` runs all
test *arguments="tests/unit":
    scripts/test {{arguments}}

# Ruff: rules and format
lint:
    {{venv}}/ruff check . && .venv/bin/ruff format --check .

# let Ruff repair and format
fix:
    {{venv}}/ruff check --fix . && .venv/bin/ruff format .

# types, and who may import whom
types:
    {{venv}}/mypy && .venv/bin/lint-imports --no-logo

# write the generated parts of the documentation anew
docs:
    {{venv}}/python scripts/docs.py

# the main job in miniature; `just demo --connect` shows how to connect
demo *arguments:
    scripts/demo {{arguments}}

# how long whole runs take, beside a floor and the alternatives
bench *arguments:
    {{venv}}/python benchmarks/suite.py {{arguments}}

# wheel and sdist, into dist/
build:
    {{venv}}/python -m uv build

# the tests of the core in an environment of their own: another Python, or the lowest versions that pyproject.toml allows
quick python="python3" resolution="highest":
    scripts/quick {{python}} {{resolution}}
