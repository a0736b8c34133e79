"""Settings: what they become, and one clear line for each that is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from singer_sdk.exceptions import ConfigValidationError

from target_tiktok_audiences.config.schema import SCHEMA
from target_tiktok_audiences.config.settings import Settings
from target_tiktok_audiences.config.validation import unreadable_variables
from target_tiktok_audiences.target import TargetTikTokAudiences
from target_tiktok_audiences.tiktok.client import TikTok

GOOD: dict[str, Any] = {
    "access_token": "token-of-tiktok",
    "advertiser_id": 7000000000000000001,
    "contract": "PHONE_SHA256",
}


def settings(**config: Any) -> Settings:
    return Settings.from_config({**GOOD, **config})


def test_every_setting_has_a_title_and_a_description() -> None:
    entry = SCHEMA["properties"]["audiences"]["items"]["properties"]
    for name, setting in [*SCHEMA["properties"].items(), *entry.items()]:
        assert setting["title"], name
        assert len(setting["description"]) > 20, name


def test_without_entries_every_stream_is_one_feed() -> None:
    (feed,) = settings().feeds_of("public-customers")
    assert feed.advertiser_id == "7000000000000000001"
    assert (feed.identifier_field, feed.load_method, feed.apply_hashing) == ("phone", "append-only", True)


def test_an_entry_takes_from_above_what_it_leaves_out() -> None:
    feeds = settings(
        default_country="gb",
        audiences=[
            {"stream": "public-*", "contract": "EMAIL_SHA256", "advertiser_id": "42", "identifier_field": "mail"},
            {"stream": "public-customers", "apply_hashing": False, "audience_id": 17, "retention_in_days": None},
        ],
    ).feeds_of("public-customers")
    assert [(f.contract.name, f.advertiser_id, f.identifier_field) for f in feeds] == [
        ("EMAIL_SHA256", "42", "mail"),
        ("PHONE_SHA256", "7000000000000000001", "phone"),
    ]
    assert [(f.apply_hashing, f.audience_id, f.default_country) for f in feeds] == [
        (True, None, "GB"),
        (False, "17", "GB"),
    ]
    assert settings(audiences=[{"stream": "a"}]).feeds_of("b") == []


def test_nothing_that_holds_the_token_shows_it() -> None:
    with TargetTikTokAudiences(config={**GOOD, "ledger_path": ":memory:"}) as target:
        for holder in (settings(), target, target.run, target.run.settings, TikTok("token-of-tiktok")):
            assert "token-of-tiktok" not in repr(holder) + str(holder)


def test_null_means_the_default() -> None:
    (feed,) = settings(apply_hashing=None, api_url=None, audiences=[{"stream": None, "apply_hashing": None}]).feeds
    assert (feed.stream, feed.apply_hashing) == ("*", True)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"access_token": " "}, ["`access_token` is empty"]),
        ({"access_token": "a b"}, ["`access_token` contains whitespace"]),
        ({"access_token": "a\n"}, ["`access_token` contains whitespace"]),
        ({"contract": None}, ["`contract` is missing", "EMAIL_SHA256"]),
        ({"advertiser_id": None}, ["`advertiser_id` is missing"]),
        ({"advertiser_id": "my account"}, ["`advertiser_id` must be a number"]),
        ({"audience_id": "Customers"}, ["`audience_id` must be a number"]),
        ({"audience_name": "x" * 129}, ["129 characters", "128"]),
        ({"audience_name": " "}, ["`audience_name` is empty"]),
        ({"default_country": "Germany"}, ["`default_country`", "ISO 3166"]),
        ({"api_url": "ftp://example.com"}, ["`api_url`"]),
        ({"api_url": "https://user:pass@example.com"}, ["`api_url`"]),
        ({"api_url": "http://example.com"}, ["`api_url` must be https"]),
        ({"audiences": [{"stream": "a"}, {"stream": "b", "audience_id": "x"}]}, ["audiences[1]: `audience_id`"]),
        ({"access_token": "", "contract": None}, ["access_token", "contract"]),
    ],
)
def test_wrong_settings_are_named_all_at_once(config: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigValidationError) as wrong:
        settings(**config)
    for word in words:
        assert word in "; ".join(wrong.value.errors)
    assert "user:pass" not in str(wrong.value.errors)


@pytest.mark.parametrize(
    ("api_url", "token"),
    [
        ("https://proxy.example.com/tiktok", "real"),
        ("http://127.0.0.1:80", "real"),
        ("http://[::1]:80", "real"),
        ("http://localhost", "real"),
        ("http://emulator.internal", "emulator-x"),
    ],
)
def test_where_http_is_allowed(api_url: str, token: str) -> None:
    assert settings(api_url=api_url, access_token=token).api_url == api_url


def test_environment_variables_that_cannot_be_read() -> None:
    right = {"ACCESS_TOKEN": "[", "MIN_AUDIENCE_SIZE": "5", "DRY_RUN": "off", "AUDIENCES": "[]"}
    wrong = {"BATCH_SIZE_ROWS": "1.5", "AUDIENCES": "{}", "DRY_RUN": "y", "ADVERTISER_ID": "mine"}
    assert unreadable_variables({f"T_{name}": text for name, text in right.items()}, "T_", SCHEMA) == []
    assert unreadable_variables({f"T_{name}": text for name, text in wrong.items()}, "T_", SCHEMA) == [
        "the environment variable T_ADVERTISER_ID must be a number",
        "the environment variable T_AUDIENCES must be a JSON array",
        "the environment variable T_BATCH_SIZE_ROWS must be a number",
        "the environment variable T_DRY_RUN must be true or false",
    ]
