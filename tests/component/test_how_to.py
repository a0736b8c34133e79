"""What the how-to pages promise, with the configurations that they show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.emulator_client import ADVERTISER, OTHER_ADVERTISER
from support.pages import blocks
from support.singer import digests, email, people, record, schema, state

if TYPE_CHECKING:
    from support.emulator_client import Client
    from support.target import Target

TABLE = "public-customers"


def configured(target: Target, page: str, words: str) -> None:
    """Set the target up as a page shows it."""
    (shown,) = (yaml.safe_load(block.text)["config"] for block in blocks(f"docs/how-to/{page}") if words in block.text)
    target.config.update(shown)
    if "audiences" not in shown:
        target.config["audience_name"] = "Customers"


def table(*rows: dict[str, Any], columns: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return [schema(TABLE, **(columns or {})), *rows, state(1, TABLE)]


def members(tiktok: Client, name: str, advertiser_id: str = ADVERTISER) -> list[str]:
    (audience,) = (
        audience["audience_id"]
        for audience in tiktok.control("audiences").json()
        if (audience["name"], audience["advertiser_id"]) == (name, advertiser_id)
    )
    return sorted(tiktok.members(audience))


def phones(first: int, last: int) -> list[dict[str, Any]]:
    return [
        record(number, TABLE, email=email(number), phone=f"(657) 555-{number:04}") for number in range(first, last + 1)
    ]


def test_a_suppression_list_is_the_table(target: Target, tiktok: Client) -> None:
    configured(target, "suppression-list.md", "Existing customers")
    assert target.run(table(*phones(1, 1200))).exit_code == 0
    tiktok.advance(49)
    assert target.run(table(*phones(101, 1250))).exit_code == 0
    assert members(tiktok, "Existing customers by e-mail") == digests(101, 1250)
    assert len(members(tiktok, "Existing customers by phone")) == 1150
    tiktok.advance(49)
    half = target.run(table(*phones(101, 700)))
    assert half.exit_code == 1
    assert "max_removal_percent" in half.last_line
    assert members(tiktok, "Existing customers by e-mail") == digests(101, 1250)


def test_who_has_opted_out_leaves(target: Target, tiktok: Client) -> None:
    configured(target, "suppression-list.md", "opted_out")
    text = {"type": ["string", "null"]}
    columns = {"email": text, "opted_out": {"type": ["boolean", "null"]}}

    def rows(first: int, last: int, *, opted_out: bool) -> list[dict[str, Any]]:
        return [record(n, TABLE, email=email(n), opted_out=opted_out) for n in range(first, last + 1)]

    first = target.run(table(*rows(1, 1200, opted_out=False), columns=columns))
    assert first.exit_code == 0, first.log
    tiktok.advance(49)
    second = target.run(table(*rows(1, 50, opted_out=True), columns=columns))
    assert second.exit_code == 0, second.log
    assert members(tiktok, "Customers") == digests(51, 1200)


@pytest.mark.parametrize("words", ["contract: EMAIL_SHA256\n  load_method: upsert", "_sdc_deleted_at: deleted_at"])
def test_deleted_rows_leave(target: Target, tiktok: Client, words: str) -> None:
    configured(target, "deletes.md", words)
    text = {"type": ["string", "null"]}
    mark = "deleted_at" if "stream_maps" in target.config else "_sdc_deleted_at"
    columns = {"email": text, mark: text}
    rows = [{**row, "record": {**row["record"], mark: None}} for row in people(1, 1200, TABLE)]
    assert target.run(table(*rows, columns=columns)).exit_code == 0
    tiktok.advance(49)
    gone = "2026-11-22T00:00:00Z"
    with_all = [record(number, TABLE, email=email(number), **{mark: gone}) for number in range(1, 51)]
    key_only = [record(number, TABLE, **{mark: gone}) for number in range(51, 81)]
    changed = [record(number, TABLE, email=email(number + 2000), **{mark: None}) for number in range(81, 101)]
    assert target.run(table(*with_all, *key_only, *changed, columns=columns)).exit_code == 0
    tiktok.advance(49)
    assert target.run(table(columns=columns)).exit_code == 0  # additions and removals take turns
    assert members(tiktok, "Customers") == sorted([*digests(101, 1200), *digests(2081, 2100)])


def test_one_table_fills_audiences_of_several_advertisers(target: Target, tiktok: Client) -> None:
    tiktok.control("advertisers", [{"advertiser_id": OTHER_ADVERTISER}])
    configured(target, "several-advertisers.md", "audiences:")
    tiktok.fault(path="/dmp/custom_audience/create/", code=40001, message="No permission to operate advertiser.")
    first = target.run(table(*people(1, 1200, TABLE)))
    assert first.exit_code == 1
    assert [audience["outcome"] for audience in first.report["audiences"]] == ["failed", "ok"]
    assert ADVERTISER in first.last_line
    assert first.state is None
    assert members(tiktok, "Customers", OTHER_ADVERTISER) == digests(1, 1200)
    second = target.run(table(*people(1, 1200, TABLE)))
    assert (second.exit_code, second.state is not None) == (0, True)
    assert members(tiktok, "Customers", ADVERTISER) == digests(1, 1200)
