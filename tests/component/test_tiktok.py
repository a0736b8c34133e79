"""The client against the emulator; errors and retries as tables."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import socketserver
import ssl
import threading
import tracemalloc
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
import trustme
import urllib3
from support.emulator_client import ADVERTISER, TOKEN, Client, digests, emulated

from target_tiktok_audiences.tiktok.client import TikTok
from target_tiktok_audiences.tiktok.codes import CODES, refusal
from target_tiktok_audiences.tiktok.errors import (
    AccessDenied,
    Busy,
    DailyLimitReached,
    FileLost,
    Maintenance,
    NoAnswer,
    NotEditable,
    NotFound,
    NotTikTok,
    RateLimited,
    Refused,
    ServiceFailed,
    SignatureMismatch,
    TikTokError,
    Unreachable,
)
from target_tiktok_audiences.tiktok.models import CalculateType, UpdateAction
from target_tiktok_audiences.tiktok.retry import CALL_RETRY_BUDGET_S, may_retry, pause_s, retry_budget_s
from target_tiktok_audiences.tiktok.transport import Call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 22, 20, 30, tzinfo=UTC)


EMAIL = CalculateType.EMAIL_SHA256
UPLOAD, CREATE, UPDATE, LIST = (f"/dmp/custom_audience/{name}/" for name in ("file/upload", "create", "update", "list"))
UNFINISHED = (
    "This replace operation is rejected as there is an existing unfinished replace operation for this audience."
    " Please wait until the current operation completes on this audience before re trying. Recommend no more than one"
    " replace operation per day."
)


@pytest.fixture
def emulator() -> Iterator[Client]:
    with emulated() as client:
        yield client


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def tiktok(emulator: Client, pauses: list[float]) -> Iterator[TikTok]:
    client = TikTok(TOKEN, emulator.base, sleep=pauses.append)
    yield client
    client.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("".join(f"{digest}\n" for digest in digests(1200)))
    return path


@contextlib.contextmanager
def impostor() -> Iterator[str]:
    """Listen with a certificate that nobody has reason to trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    class Handshake(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                context.wrap_socket(self.request, server_side=True).close()

    with socketserver.TCPServer(("127.0.0.1", 0), Handshake) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes()).hexdigest()


# Calls


def test_an_audience_from_file_to_members(tiktok: TikTok, emulator: Client, file: Path) -> None:
    path = tiktok.upload(ADVERTISER, file, md5(file), EMAIL)
    audience_id = tiktok.create(ADVERTISER, "Customers", [path], EMAIL, retention_in_days=30)
    assert emulator.members(audience_id) == sorted(digests(1200))
    (listed,) = tiktok.audiences(ADVERTISER)
    assert (listed.audience_id, listed.name, listed.calculate_type) == (audience_id, "Customers", "EMAIL_SHA256")
    assert listed.created_at
    assert listed.expires_at
    assert (listed.expires_at - listed.created_at).days == 30
    found = tiktok.audience(ADVERTISER, audience_id)
    assert found
    assert (found.audience_details.is_valid, found.audience_details.is_creator, found.error) == (True, True, None)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (UpdateAction.APPEND, digests(2400)),
        (UpdateAction.REMOVE, digests(1200)),
        (UpdateAction.REPLACE, digests(1200, start=1200)),
    ],
)
def test_each_action_is_sent(
    tiktok: TikTok, emulator: Client, tmp_path: Path, action: UpdateAction, expected: list[str]
) -> None:
    start = digests(2400) if action is UpdateAction.REMOVE else digests(1200)
    audience_id = emulator.seed(members=start)
    path = tmp_path / "change.csv"
    path.write_text("\n".join(digests(1200, start=1200)))
    tiktok.update(ADVERTISER, audience_id, [tiktok.upload(ADVERTISER, path, md5(path), EMAIL)], action)
    assert emulator.members(audience_id) == sorted(expected)
    assert [request["action"] for request in emulator.requests() if request["path"].endswith(UPDATE)] == [action.value]


def test_every_page_of_a_list_is_read(tiktok: TikTok, emulator: Client) -> None:
    ids = {emulator.seed(random_members=0) for _ in range(250)}
    assert {audience.audience_id for audience in tiktok.audiences(ADVERTISER)} == ids
    some = sorted(ids)[:3]
    assert sorted(audience.audience_id for audience in tiktok.audiences(ADVERTISER, some)) == some


def test_an_unknown_audience_is_none_or_not_found(tiktok: TikTok) -> None:
    with contextlib.suppress(NotFound):
        assert tiktok.audience(ADVERTISER, "123456789") is None


def test_who_am_i(tiktok: TikTok) -> None:
    tiktok.user()
    assert [advertiser.advertiser_id for advertiser in tiktok.advertisers([ADVERTISER])] == [ADVERTISER]


def test_tiktoks_clock(tiktok: TikTok, emulator: Client) -> None:
    tiktok.user()
    before = tiktok.now
    emulator.advance(48)
    tiktok.user()
    assert 47.9 < (tiktok.now - before).total_seconds() / 3600 < 48.1


class Swallower(requests.Session):
    """Takes any upload without keeping it, and says it is well."""

    swallowed = 0

    def request(self, *_: Any, data: Any = None, **__: Any) -> requests.Response:
        while block := data.read(1 << 16):
            self.swallowed += len(block)
        response = requests.Response()
        response.status_code = 200
        answer = io.BytesIO(b'{"code": 0, "data": {"file_path": "0123456789abcdef"}}')
        response.raw = urllib3.HTTPResponse(answer, preload_content=False)
        return response


def test_a_file_is_never_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as lines:
        lines.truncate(100_000_000)
    session, signature = Swallower(), md5(path)
    tiktok = TikTok(TOKEN, session=session)
    tracemalloc.start()
    tiktok.upload(ADVERTISER, path, signature, EMAIL)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert session.swallowed > 100_000_000
    assert peak < 5_000_000


def test_calls_are_noted_for_the_report(tiktok: TikTok, file: Path) -> None:
    tiktok.create(ADVERTISER, "Customers", [tiktok.upload(ADVERTISER, file, md5(file), EMAIL)], EMAIL)
    assert [(call.path.split("/")[-2], call.code, call.changes) for call in tiktok.calls] == [
        ("upload", 0, False),
        ("create", 0, True),
    ]
    assert isinstance(tiktok.calls[0], Call)


# Errors


@pytest.mark.parametrize(
    ("code", "message", "kind", "safe_to_retry", "transient"),
    [
        (40000, "", Refused, True, False),
        (40001, "No permission to operate advertiser 7.", AccessDenied, True, False),
        (40002, "Missing required field(s): x.", Refused, True, False),
        (40002, "Audience is not editable, please check audience status", NotEditable, True, False),
        (40002, UNFINISHED, NotEditable, True, False),
        (40202, UNFINISHED, NotEditable, True, False),
        (40007, "", NotFound, True, False),
        (40050, "", Refused, False, False),
        (40100, "App reaches the QPS limit 10", RateLimited, True, True),
        (40100, "App reaches the QPD limit 864000", DailyLimitReached, True, False),
        (40133, "Advertiser (7)'s QPS (9) reaches QPS limit 8 for current path", RateLimited, True, True),
        (40016, "", RateLimited, True, True),
        (40102, "", AccessDenied, True, False),
        (40104, "", AccessDenied, True, False),
        (40105, "", AccessDenied, True, False),
        (40110, "", AccessDenied, True, False),
        (40119, "", AccessDenied, True, False),
        (40202, "", Busy, True, True),
        (40300, "", Refused, True, False),
        (40900, "", SignatureMismatch, True, True),
        (40905, "", FileLost, True, False),
        (40910, "", FileLost, True, False),
        (41000, "", AccessDenied, True, False),
        (20001, "", Refused, False, False),
        (50000, "", ServiceFailed, False, True),
        (50002, "", ServiceFailed, False, True),
        (51010, "", ServiceFailed, False, True),
        (52202, "", ServiceFailed, False, True),
        (60001, "", Maintenance, False, False),
        (61000, "", RateLimited, False, True),
    ],
)
def test_what_a_code_means(
    code: int, message: str, kind: type[Refused], *, safe_to_retry: bool, transient: bool
) -> None:
    error = refusal("dmp/custom_audience/update/", code, message, "2026", NOW)
    assert type(error) is kind
    assert (error.safe_to_retry, error.transient) == (safe_to_retry, transient)
    assert f"(code {code}, request 2026)" in str(error)
    assert "\n" not in str(error)
    assert may_retry(error, 1, idempotent=True) is transient
    assert may_retry(error, 1, idempotent=False) is (transient and safe_to_retry)


def limit(text: str) -> Refused:
    return refusal("x", 40100, text, None, NOW)


def test_pauses() -> None:
    assert 1 <= pause_s(limit("QPS limit 10"), 1, 0) <= pause_s(limit("QPS limit 10"), 1, 1) <= 2
    assert 300 <= pause_s(limit("QPM limit 600"), 1, 0) <= 310
    growing = [pause_s(NoAnswer("x", "y"), attempt, 0.5) for attempt in range(1, 12)]
    assert growing == sorted(growing)
    assert 200 <= growing[-1] <= 300


def test_a_limit_that_does_not_say_its_period_is_taken_for_one_by_the_minute_in_the_end() -> None:
    assert [round(pause_s(limit("Too frequent"), attempt, 0)) for attempt in (1, 2, 3)] == [1, 2, 300]


def test_a_file_that_arrives_damaged_is_uploaded_twice() -> None:
    error = refusal("x", 40900, "", None, NOW)
    assert [may_retry(error, attempt, idempotent=True) for attempt in (1, 2)] == [True, False]


def test_when_to_come_back() -> None:
    assert "00:00 UTC, which is in 3 h 30 min" in str(limit("QPD limit 864000"))
    assert "run again after 21:30 UTC" in str(refusal("x", 60001, "", None, NOW))


def test_retry_budget() -> None:
    assert retry_budget_s(Unreachable("x", "y")) < retry_budget_s(limit("QPM")) == CALL_RETRY_BUDGET_S


def test_every_code_has_a_meaning_that_stands_in_for_a_message() -> None:
    for code, known in CODES.items():
        assert known.meaning in str(refusal("x", code, "", None, NOW))


FAULTS: list[tuple[dict[str, Any], type[TikTokError]]] = [
    ({"code": 40100, "message": "App reaches the QPS limit 10"}, RateLimited),
    ({"code": 50000}, ServiceFailed),
    ({"http_status": 429}, Unreachable),
    ({"http_status": 502}, NoAnswer),
    ({"http_status": 503, "body": "<html>"}, NoAnswer),
    ({"body": "not JSON"}, NoAnswer),
    ({"body": '{"code": 0, "data": 5}'}, NoAnswer),
    ({"body": '{"code": 0}'}, NoAnswer),
    ({"truncate": True}, NoAnswer),
    ({"drop": "before"}, NoAnswer),
    ({"drop": "after"}, NoAnswer),
]


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
def test_reading_and_uploading_are_repeated(
    tiktok: TikTok, emulator: Client, file: Path, pauses: list[float], fault: dict[str, Any], kind: type[TikTokError]
) -> None:
    emulator.fault(path=LIST, times=2, **fault)
    emulator.fault(path=UPLOAD, times=2, **fault)
    assert list(tiktok.audiences(ADVERTISER)) == []
    assert len(tiktok.upload(ADVERTISER, file, md5(file), EMAIL)) == 16
    assert len(pauses) == 4
    del pauses[:]
    emulator.fault(path=LIST, times=None, **fault)
    with pytest.raises(kind, match="Tried ") as raised:
        list(tiktok.audiences(ADVERTISER))
    assert retry_budget_s(raised.value) * 0.5 < sum(pauses) <= retry_budget_s(raised.value)


def test_a_run_does_not_wait_for_ever(tiktok: TikTok, emulator: Client, pauses: list[float]) -> None:
    emulator.fault(times=None, code=50000)
    for _ in range(10):
        with pytest.raises(ServiceFailed):
            tiktok.user()
    assert 3000 < sum(pauses) <= 3600


def test_each_pause_is_logged(tiktok: TikTok, emulator: Client, caplog: pytest.LogCaptureFixture) -> None:
    emulator.fault(code=40100, message="App reaches the QPS limit 10", times=2)
    tiktok.user()
    pauses = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(pauses) == 2
    assert all(re.search(r"QPS limit 10\. Retrying in [1-3] s\.$", pause) for pause in pauses)


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
def test_a_change_is_repeated_only_where_nothing_was_done(
    tiktok: TikTok, emulator: Client, file: Path, fault: dict[str, Any], kind: type[TikTokError]
) -> None:
    path = tiktok.upload(ADVERTISER, file, md5(file), EMAIL)
    emulator.fault(path=CREATE, **fault)
    if issubclass(kind, (RateLimited, Unreachable)):
        tiktok.create(ADVERTISER, "Customers", [path], EMAIL)
    elif fault == {"body": '{"code": 0}'}:
        with pytest.raises(kind):
            tiktok.create(ADVERTISER, "Customers", [path], EMAIL)
    else:
        with pytest.raises(kind) as raised:
            tiktok.create(ADVERTISER, "Customers", [path], EMAIL)
        assert raised.value.safe_to_retry is False
    attempts = [request for request in emulator.requests() if request["path"].endswith(CREATE)]
    assert len(attempts) == (2 if issubclass(kind, (RateLimited, Unreachable)) else 1)


def test_an_update_without_effect_is_no_failure(tiktok: TikTok, emulator: Client) -> None:
    emulator.fault(path=UPDATE, code=40012, message="No update")
    tiktok.update(ADVERTISER, "1", ["0" * 16], UpdateAction.APPEND)


def test_a_redirect_is_not_followed(tiktok: TikTok, emulator: Client) -> None:
    emulator.fault(path=LIST, http_status=307, location=f"{emulator.base}/user/info/")
    with pytest.raises(NotTikTok, match="HTTP status 307"):
        list(tiktok.audiences(ADVERTISER))
    assert [request["path"].split("/")[-2] for request in emulator.requests()] == ["list"]


def test_nobody_there(pauses: list[float]) -> None:
    tiktok = TikTok(TOKEN, "http://127.0.0.1:9", sleep=pauses.append)
    with pytest.raises(Unreachable) as raised:
        tiktok.create(ADVERTISER, "Customers", [], EMAIL)
    assert raised.value.safe_to_retry is True
    assert TOKEN not in str(raised.value)
    tiktok.close()


def test_a_slow_answer_is_given_up(emulator: Client, monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    monkeypatch.setattr("target_tiktok_audiences.tiktok.transport.ANSWER_TIMEOUT_S", 0.05)
    emulator.fault(path="/user/info/", delay_s=0.5)
    tiktok = TikTok(TOKEN, emulator.base, sleep=pauses.append)
    tiktok.user()
    assert len(pauses) == 1
    tiktok.close()


def test_an_answer_that_never_ends_is_given_up(
    emulator: Client, tiktok: TikTok, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    monkeypatch.setattr("target_tiktok_audiences.tiktok.transport.ANSWER_TIMEOUT_S", 0.2)
    emulator.fault(path="/user/info/", drip_s=0.01)
    tiktok.user()
    assert len(pauses) == 1


def test_an_answer_that_is_too_large_is_given_up(
    emulator: Client, tiktok: TikTok, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("target_tiktok_audiences.tiktok.transport.LARGEST_ANSWER_BYTES", 100_000)
    emulator.fault(path="/user/info/", body="x" * 1_000_000, times=None)
    with pytest.raises(NoAnswer, match="exceeds 100,000 bytes"):
        tiktok.user()


def test_an_upload_that_is_cut_off_in_the_middle(emulator: Client, tiktok: TikTok, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as lines:
        lines.truncate(50_000_000)  # far more than the buffers of a socket
    emulator.fault(path=UPLOAD, drop="during", times=None)
    with pytest.raises(NoAnswer, match=r"Connection reset|Broken pipe|the connection broke"):
        tiktok.upload(ADVERTISER, path, "0" * 32, EMAIL)


@pytest.mark.parametrize(
    ("url", "kind", "words"),
    [
        ("http://127.0.0.1:9", Unreachable, "Connection refused"),
        ("https://nowhere.invalid", Unreachable, "[Nn]ame"),
        ("https://127.0.0.1:{port}", Unreachable, "(?i)wrong.version.number|record layer failure"),
    ],
)
def test_why_no_connection_was_made(
    emulator: Client, pauses: list[float], url: str, kind: type[TikTokError], words: str
) -> None:
    tiktok = TikTok(TOKEN, url.format(port=emulator.url.rsplit(":", 1)[1]), sleep=pauses.append)
    with pytest.raises(kind, match=words) as raised:
        tiktok.user()
    assert "127.0.0.1" not in str(raised.value)
    assert sum(pauses) < 120
    tiktok.close()


def test_a_certificate_that_is_not_to_be_trusted(pauses: list[float]) -> None:
    with impostor() as url:
        tiktok = TikTok(TOKEN, url, sleep=pauses.append)
        with pytest.raises(Unreachable, match="the certificate was not accepted") as raised:
            tiktok.create(ADVERTISER, "Customers", [], EMAIL)
        tiktok.close()
    assert raised.value.safe_to_retry
