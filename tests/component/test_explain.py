"""`explain`: show how one identifier is normalized and hashed, and why a digest from another system differs."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from support.target import MARKER
from support.terminal import COLUMNS, EXECUTABLE, environment, piped, typed

from target_tiktok_audiences.cli.explain import explain, explanation
from target_tiktok_audiences.contracts.contract import CONTRACTS
from target_tiktok_audiences.contracts.rejection import Rejection

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = f" {MARKER}.Doe+news@Example.com"
NORMAL = f"{MARKER}.doe+news@example.com"
PHONE = "(657) 777-0000"
GAID = "5F3A2B18-9C4D-4E7F-B8E2-17D3A1E69B25"


def sha256(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def answer(value: str, contract: str, digest: str | None = None, country: str | None = None) -> dict[str, Any]:
    return explanation(value, contract, country, digest, hashed=False)


@pytest.mark.parametrize(
    ("contract", "value", "country", "text", "differences"),
    [
        ("EMAIL_SHA256", ADDRESS, None, NORMAL, []),
        ("EMAIL_SHA256", ADDRESS, None, ADDRESS.lower(), ["whitespace was kept"]),
        ("EMAIL_SHA256", "a b@x.org ", None, "a b@x.org", ["whitespace was only trimmed"]),
        ("EMAIL_SHA256", ADDRESS, None, ADDRESS.strip(), ["upper and lower case were kept"]),
        ("EMAIL_SHA256", ADDRESS, None, ADDRESS.strip().upper(), ["letters were converted to upper case"]),
        ("EMAIL_SHA256", ADDRESS, None, NORMAL.replace("+news", ""), ["the +tag before the @ was removed"]),
        ("EMAIL_SHA256", "a.b@x.org", None, "ab@x.org", ["dots before the @ were removed"]),
        ("EMAIL_SHA256", "a.b@x.org", None, "ab@xorg", ["all dots were removed, including those after the @"]),
        (
            "EMAIL_SHA256",
            "a.b+c@x.org",
            None,
            "ab@x.org",
            ["the +tag before the @ was removed", "dots before the @ were removed"],
        ),
        ("EMAIL_SHA256", "a@x.org", None, "a@x.org\n", ["a line break was hashed with it"]),
        ("EMAIL_SHA256", "a@x.org", None, sha256("a@x.org"), ["the digest was hashed again, as lower-case hex"]),
        (
            "EMAIL_SHA256",
            "a@x.org",
            None,
            sha256("a@x.org").upper(),
            ["the digest was hashed again, as upper-case hex"],
        ),
        ("PHONE_SHA256", PHONE, "US", "+16577770000", []),
        ("PHONE_SHA256", PHONE, "US", "16577770000", ["the plus sign was removed"]),
        ("PHONE_SHA256", PHONE, "US", "6577770000", ["the country code and the plus sign were removed"]),
        ("PHONE_SHA256", PHONE, "US", PHONE, ["the number was not changed"]),
        (
            "PHONE_SHA256",
            PHONE,
            "US",
            "+6577770000",
            ["all characters except digits were removed, and a plus sign was added"],
        ),
        ("PHONE_SHA256", PHONE, None, "+16577770000", ["the country code of US was added"]),
        (
            "PHONE_SHA256",
            "0151 23456789",
            "US",
            "4915123456789",
            ["the country code of DE was added", "the plus sign was removed"],
        ),
        (
            "PHONE_SHA256",
            "0151 23456789",
            "DE",
            "015123456789",
            ["the country code was removed, and a leading zero was kept"],
        ),
        ("PHONE_SHA256", "0151 23456789", "DE", "004915123456789", ["the plus sign was replaced with two zeros"]),
        (
            "PHONE_SHA256",
            "0151 23456789",
            "DE",
            "+49015123456789",
            ["a leading zero was kept after the country code"],
        ),
        ("PHONE_SHA256", "00 12", None, "12", ["all characters except digits and all leading zeros were removed"]),
        ("GAID_SHA256", GAID, None, GAID.lower(), []),
        ("GAID_SHA256", GAID, None, GAID, ["upper and lower case were kept"]),
        ("IDFA_SHA256", GAID, None, GAID.lower().replace("-", ""), ["dashes were removed"]),
        ("IDFA_SHA256", f"{GAID} ", None, f"{GAID.lower()} ", ["whitespace was kept"]),
        ("EMAIL_SHA256", sha256("x"), None, sha256("x"), ["it was already hashed, and was hashed again"]),
        (
            "PHONE_SHA256",
            sha256("x"),
            None,
            sha256("x").upper(),
            ["it was already hashed, and was hashed again", "letters were converted to upper case"],
        ),
        ("EMAIL_SHA256", "a@x.org", None, "b@x.org", None),
        ("PHONE_SHA256", "no number", None, "12", None),
    ],
)
def test_what_was_done_differently(
    contract: str, value: str, country: str | None, text: str, differences: list[str] | None
) -> None:
    for digest in (sha256(text), sha256(text).upper()):
        assert answer(value, contract, digest, country)["differences"] == differences


def test_other_algorithms_are_told() -> None:
    md5 = hashlib.md5(b"a@x.org").hexdigest()
    assert answer("A@x.org", "EMAIL_SHA256", md5)["differences"] == ["MD5 was used, not SHA-256"]
    both = answer("a.b@x.org", "EMAIL_SHA256", hashlib.sha1(b"ab@x.org").hexdigest())["differences"]
    assert both == ["dots before the @ were removed", "SHA-1 was used, not SHA-256"]


def test_the_digest_is_the_one_that_a_run_makes() -> None:
    for contract, value, country in (("EMAIL_SHA256", ADDRESS, None), ("PHONE_SHA256", PHONE, "US")):
        made = CONTRACTS[contract].digester(default_country=country)(value)
        told = answer(value, contract, country=country)
        assert made is not None
        assert told["digest"] == made.hex() == sha256(told["normal_form"])


def test_every_reason_has_words_and_something_to_do() -> None:
    for reason in Rejection:
        assert reason.meaning[0].islower()
        assert reason.meaning[-1] != "."
        assert reason.advice[0].isupper()
        assert reason.advice[-1] == "."


def test_a_rejected_value_ends_with_exit_code_1_and_its_reason(tmp_path: Path) -> None:
    ended = piped("explain", PHONE, "--contract", "PHONE_SHA256", folder=tmp_path)
    assert (ended.exit_code, ended.stderr) == (1, "")
    for words in ("phone_no_country", "no country code", "default_country"):
        assert words in ended.stdout
    assert piped("explain", "", "--contract", "EMAIL_SHA256", folder=tmp_path).exit_code == 1


def test_bytes_that_are_no_text_are_rejected(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*EXECUTABLE, "explain", "-", "--contract", "EMAIL_SHA256", "--digest", sha256("a@x.org")],
        input=b"\xff\xfe@x.org",
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env=environment(tmp_path),
    )
    assert (ended.returncode, ended.stderr) == (1, b"")
    assert b"email_syntax" in ended.stdout


def test_json_says_the_same(tmp_path: Path) -> None:
    ended = piped("explain", "-", "--contract", "EMAIL_SHA256", "--json", folder=tmp_path, given=f"{ADDRESS}\n")
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == {
        "contract": "EMAIL_SHA256",
        "normal_form": NORMAL,
        "digest": sha256(NORMAL),
        "rejected": None,
        "reason": None,
        "todo": None,
        "differences": None,
    }


def test_what_is_typed_at_the_prompt_is_not_shown_unless_asked_for(tmp_path: Path) -> None:
    arguments = ("explain", "--contract", "EMAIL_SHA256", "--hashed")
    keys = "secret words"
    hidden = typed(*arguments, folder=tmp_path, keys=keys)
    assert (hidden.exit_code, "not_sha256" in hidden.stdout, keys in hidden.stdout) == (1, True, False)
    assert keys in typed(*arguments, "--echo", folder=tmp_path, keys=keys).stdout


def test_a_digest_fits_on_a_line_of_a_terminal(tmp_path: Path) -> None:
    dotless = sha256(NORMAL.replace(".", "", 2))
    ended = typed("explain", ADDRESS, "--contract", "EMAIL_SHA256", "--digest", dotless, folder=tmp_path)
    assert ended.exit_code == 0, ended.stdout
    assert any(sha256(NORMAL) in line for line in ended.lines)
    assert "dots before the @ were removed" in ended.words
    assert max(map(len, ended.lines)) <= COLUMNS


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([MARKER, MARKER, "--contract", "EMAIL_SHA256"], "Quote an identifier"),
        (["--contract", "EMAIL_SHA256"], "Pass IDENTIFIER"),
        (["--contract", MARKER], "must be one of EMAIL_SHA256"),
        (["-", "--contract", "EMAIL_SHA256"], "Standard input has 2 lines. Pass exactly one identifier."),
        (["x", "--contract", "EMAIL_SHA256", "--digest", MARKER], "64 hex digits"),
        (["x", "--contract", "PHONE_SHA256", "--default-country", MARKER], "ISO 3166"),
    ],
)
def test_what_is_wrong_with_the_command_line_quotes_nothing(arguments: list[str], words: str) -> None:
    ended = CliRunner().invoke(explain, arguments, input=f"{MARKER}\n{MARKER}\n" if "-" in arguments else None)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert words in ended.stderr
    assert MARKER not in ended.stderr
