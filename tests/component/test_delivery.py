"""Files on their way: lost ones are uploaded again, and those that TikTok has are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.emulator_client import emulated
from support.singer import STREAM, digests, stream_of

if TYPE_CHECKING:
    from support.emulator_client import Client
    from support.target import Target

UPLOAD, CREATE, UPDATE = (f"/dmp/custom_audience/{name}/" for name in ("file/upload", "create", "update"))
PEOPLE = stream_of(1, 1000)
TOKEN_REVOKED = {"code": 40105, "message": "Access token is incorrect or has been revoked."}


def count(tiktok: Client, path: str) -> int:
    return sum(request["path"] == path for request in tiktok.requests())


@pytest.mark.parametrize("code", [40905, 40910])
@pytest.mark.parametrize("path", [CREATE, UPDATE])
def test_files_that_tiktok_lost_are_uploaded_again(target: Target, tiktok: Client, path: str, code: int) -> None:
    if path == UPDATE:
        target.run(stream_of(2001, 3000))
        tiktok.advance(60)
    before = count(tiktok, UPLOAD)
    tiktok.fault(path=path, code=code, message="The file is gone")
    outcome = target.run(PEOPLE, batch_size_rows=300)
    assert (outcome.exit_code, outcome.audience["outcome"]) == (0, "ok")
    assert count(tiktok, UPLOAD) - before == 8
    assert "Uploading them again" in outcome.log
    assert set(digests(1, 1000)) <= set(tiktok.members(outcome.audience["audience_id"]))


def test_files_that_tiktok_loses_again_end_the_run(target: Target, tiktok: Client) -> None:
    tiktok.fault(path=CREATE, code=40905, message="The file is gone", times=2)
    outcome = target.run(PEOPLE)
    assert (outcome.exit_code, outcome.state, count(tiktok, UPLOAD), count(tiktok, CREATE)) == (1, None, 2, 2)
    assert "40905" in outcome.last_line
    assert target.run(PEOPLE).exit_code == 0


def test_uploads_go_on_where_a_failed_run_left_off(target: Target, tiktok: Client) -> None:
    tiktok.fault(path=UPLOAD, skip=3, **TOKEN_REVOKED)
    assert target.run(PEOPLE, batch_size_rows=100).exit_code == 1
    outcome = target.run(PEOPLE, batch_size_rows=100)
    assert "3 of 10 files are with TikTok already" in outcome.log
    assert count(tiktok, UPLOAD) == 4 + 7
    assert tiktok.members(outcome.audience["audience_id"]) == digests(1, 1000)


def test_a_file_that_has_changed_is_uploaded(target: Target, tiktok: Client) -> None:
    tiktok.fault(path=UPLOAD, skip=3, **TOKEN_REVOKED)
    target.run(PEOPLE, batch_size_rows=100)
    outcome = target.run(stream_of(1001, 2000), batch_size_rows=200)
    assert count(tiktok, UPLOAD) == 4 + 10
    assert tiktok.members(outcome.audience["audience_id"]) == digests(1, 2000)


def test_files_of_long_ago_are_uploaded_again(target: Target, tiktok: Client) -> None:
    tiktok.fault(path=CREATE, **TOKEN_REVOKED)
    tiktok.fault(path=UPLOAD, skip=3, **TOKEN_REVOKED)
    target.run(PEOPLE, batch_size_rows=100)
    tiktok.advance(4)
    tiktok.control("faults", method="DELETE")
    target.run(PEOPLE, batch_size_rows=100)
    assert count(tiktok, UPLOAD) == 4 + 10


def test_a_file_is_used_once(target: Target, tiktok: Client) -> None:
    tiktok.fault(path=CREATE, code=40002, message="No.")
    target.run(PEOPLE)
    assert target.run(PEOPLE).exit_code == 0
    assert count(tiktok, UPLOAD) == 2


def test_files_that_have_expired_within_hours_are_uploaded_again(target: Target) -> None:
    with emulated(file_hours=1, single_use_files=True) as tiktok:
        tiktok.fault(path=UPLOAD, skip=3, **TOKEN_REVOKED)
        target.run(PEOPLE, batch_size_rows=100, api_url=tiktok.base)
        tiktok.advance(2)
        outcome = target.run(PEOPLE, batch_size_rows=100, api_url=tiktok.base)
        assert outcome.exit_code == 0, outcome.log
        assert count(tiktok, CREATE) == 2
        (audience,) = tiktok.control("audiences").json()
        assert (audience["name"], audience["rows"]) == (STREAM, 1000)
