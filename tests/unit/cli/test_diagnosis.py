"""`check`'s judgement: from facts to findings."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.evidence import BOOKS, LATELY, LONG_AGO, NOW, facts, listed, look, run

from target_tiktok_audiences.cli.diagnosis import diagnose, worst
from target_tiktok_audiences.cli.diagnosis.model import Access, Finding, Outcome
from target_tiktok_audiences.contracts.rejection import Rejection
from target_tiktok_audiences.ledger.metadata import LedgerMetadata
from target_tiktok_audiences.ledger.schema import LedgerState as LedgerFacts
from target_tiktok_audiences.sync.overview import Entry
from target_tiktok_audiences.tiktok.codes import refusal
from target_tiktok_audiences.tiktok.errors import NoAnswer, NotTikTok, TikTokError, Unreachable
from target_tiktok_audiences.tiktok.models import Advertiser, Audience

if TYPE_CHECKING:
    from target_tiktok_audiences.ledger.snapshot import LedgerSnapshot

SCOPE = "Permission error: The access token lacks the required scope for endpoint '/x/(method=GET)'."
NOT_OURS = "No permission to operate advertiser 1."


def refused(code: int, message: str = "") -> TikTokError:
    return refusal("user/info/", code, message, "20261122000000AA", NOW)


def run_with(**books: Any) -> tuple[datetime, dict[str, Any]]:
    return run(books=[{**BOOKS, **books}])


def access(**errors: Any) -> dict[str, Any]:
    return {"accesses": [Access("1", **errors)]}


def entry(audience: Audience | None, seen: LedgerSnapshot | None = None, **fields: Any) -> dict[str, Any]:
    return {"entries": [Entry("1", audience, seen or look(), **fields)]}


def troubles(findings: list[Finding]) -> dict[str, Outcome]:
    return {each.check: each.outcome for each in findings if each.outcome in {Outcome.WARNING, Outcome.FAILED}}


def test_nothing_is_wrong() -> None:
    findings = diagnose(facts())
    assert {each.outcome for each in findings} == {Outcome.OK}
    assert worst(findings) is Outcome.OK
    assert len({(each.check, each.about) for each in findings}) == len(findings)


FAILED, WARNING = Outcome.FAILED, Outcome.WARNING


@pytest.mark.parametrize(
    ("given", "check", "outcome", "words"),
    [
        ({"user_error": Unreachable("user/info/", "timed out")}, "host", FAILED, "`api_url`"),
        ({"user_error": NotTikTok("user/info/", "HTTP status 404")}, "host", FAILED, "`api_url`"),
        ({"user_error": NoAnswer("user/info/", "cut off")}, "host", FAILED, "check the network"),
        ({"user_error": refused(60001)}, "host", WARNING, "maintenance"),
        ({"ahead": timedelta(minutes=-6)}, "clock", WARNING, "Set the clock"),
        ({"user_error": refused(40105)}, "token", FAILED, "was revoked"),
        ({"user_error": refused(40102)}, "token", FAILED, "has expired"),
        ({"user_error": refused(40104)}, "token", FAILED, "received an empty token"),
        ({"user_error": refused(40106)}, "token", FAILED, "Admin or Operator"),
        ({"granted": None, "granted_error": refused(40113)}, "app", FAILED, "`app_secret`"),
        ({"ledger_path": None}, "ledger_path", WARNING, "a durable folder"),
        ({"ledger_error": "this user may not write in /x"}, "ledger_path", FAILED, "Grant this user write access"),
        ({"granted": {"2"}}, "advertiser", FAILED, "`advertisers` lists them"),
        (access(info_error=refused(40001, NOT_OURS)), "advertiser", FAILED, "Business Center"),
        (access(info_error=refused(40300)), "advertiser", FAILED, "`advertiser_id`"),
        (access(info=Advertiser("1", status="STATUS_DISABLE")), "advertiser", WARNING, "Ads Manager"),
        (access(read_error=refused(40001, SCOPE)), "scope_30", FAILED, "Audience Management"),
        (access(change_error=refused(40001, SCOPE)), "scope_31", FAILED, "existing tokens do not have it"),
        (access(change_error=refused(40001, NOT_OURS)), "role", FAILED, "Admin or Operator"),
        (entry(None), "audience", FAILED, "If it was deleted"),
        (entry(None, twins=("17", "18")), "audience", FAILED, "`audience_id`"),
        (
            entry(None, look(facts=LedgerFacts("x"), card=LedgerMetadata("host", "1", "EMAIL_SHA256", "Customers"))),
            "audience",
            WARNING,
            "`audience_name`",
        ),
        (entry(listed(calculate_type="PHONE_SHA256")), "contract", FAILED, "Correct `contract`"),
        (entry(listed(audience_type="Partner", calculate_type=None)), "contract", FAILED, "another `audience_name`"),
        (entry(listed(is_creator=False)), "contract", FAILED, "another `audience_name`"),
        (entry(listed(expired_time="2026-11-01 00:00:00")), "size", FAILED, "Delete it"),
        (entry(listed(is_expiring=True)), "size", WARNING, "Use it in an ad group"),
        (entry(listed(is_valid=False, cover_num=0)), "size", FAILED, "`explain --digest`"),
        (entry(listed(), look(failures=1, error="Matching failed.")), "tiktok", WARNING, "sends it again"),
        (entry(listed(), look(failures=3)), "tiktok", FAILED, "support"),
        (entry(listed(), look(held_since=LATELY)), "waiting", WARNING, "Run again"),
        (entry(listed(), look(held_since=LONG_AGO)), "waiting", FAILED, "too long"),
        (entry(listed(), look(seen_at=LONG_AGO)), "upstream", WARNING, "Check that the pipeline runs"),
        (entry(listed(), look(runs=[run(plan="NOTHING")])), "upstream", WARNING, "upstream model"),
        (entry(listed(), look(runs=[run(outcome="failed", message="Why.")])), "last_run", FAILED, "Follow the message"),
        (
            entry(listed(), look(runs=[run_with(rejected={"phone_no_country": 9})])),
            "rejects",
            WARNING,
            "Set `default_country`",
        ),
        (
            entry(listed(), look(runs=[run_with(rejected={"already_hashed": 9})])),
            "rejects",
            WARNING,
            "`apply_hashing: false`",
        ),
        (
            entry(listed(), look(runs=[run_with(rejected={"not_sha256": 9})])),
            "rejects",
            WARNING,
            "`apply_hashing: true`",
        ),
        (entry(listed(), look(runs=[run_with(missing=50)])), "missing", WARNING, "`identifier_field`"),
        (entry(listed(), look(runs=[run_with(missing=100)])), "missing", FAILED, "`identifier_field`"),
        (
            entry(listed(), look(problem="It is no ledger.", facts=None)),
            "ledger",
            FAILED,
            "quarantines a damaged ledger",
        ),
        ({"entries": [Entry("1", listed())]}, "ledger", WARNING, "Run the target once"),
        ({"entries": [Entry("1", listed())], "filled": {"Customers": {"2"}}}, "ledger", WARNING, "for advertiser 2."),
    ],
)
def test_each_cause_is_told_apart(given: dict[str, Any], check: str, outcome: Outcome, words: str) -> None:
    findings = diagnose(facts(**given))
    assert troubles(findings) == {check: outcome}
    found = next(each for each in findings if each.check == check)
    assert words in f"{found.seen} {found.todo}"
    assert found.todo
    assert worst(findings) is outcome


def test_what_cannot_be_judged_is_skipped() -> None:
    findings = diagnose(
        facts(
            user_error=Unreachable("user/info/", "timed out"),
            ahead=None,
            granted=None,
            accesses=[Access("1")],
            entries=[Entry("1", None, look(), asked=False)],
        )
    )
    skipped = {each.check for each in findings if each.outcome is Outcome.SKIPPED}
    of_tiktok = {"clock", "token", "app", "advertiser", "scope_30", "scope_31", "role", "audience", "contract", "size"}
    assert skipped == of_tiktok
    assert troubles(findings) == {"host": FAILED}


def test_a_lost_advertiser_is_no_lack_of_scope_or_role() -> None:
    lost = refused(40001, NOT_OURS)
    findings = diagnose(facts(**access(info_error=lost, read_error=lost, change_error=lost)))
    assert troubles(findings) == {"advertiser": FAILED}


def test_a_token_without_the_scope_of_the_first_call_is_good() -> None:
    assert troubles(diagnose(facts(user_error=refused(40001, SCOPE)))) == {}


def test_quiet_days_are_no_trouble_and_many_reasons_are_told_each() -> None:
    seen = look(runs=[run(plan="NOTHING")], changed_at=LATELY)
    quiet = diagnose(facts(**entry(listed(), seen)))
    assert troubles(quiet) == {}
    assert any("no changes" in each.seen for each in quiet)
    few = diagnose(facts(**entry(listed(), look(runs=[run_with(rejected={"email_syntax": 4})]))))
    assert troubles(few) == {}
    rejected = {reason.value: 6 for reason in Rejection}
    findings = diagnose(facts(**entry(listed(), look(runs=[run_with(rejected=rejected)]))))
    (told,) = [each for each in findings if each.check == "rejects"]
    assert all(f"{reason.value} (" in told.todo for reason in Rejection)


def test_a_ledger_in_use_is_no_fault() -> None:
    findings = diagnose(facts(**entry(listed(), look(busy=True))))
    assert troubles(findings) == {}
    assert any("A run is using it now" in each.seen for each in findings)
    unread = look(busy=True, problem="A run is writing it now.", facts=None, counts=None, parts=[], runs=[])
    assert troubles(diagnose(facts(**entry(listed(), unread)))) == {"ledger": WARNING}
