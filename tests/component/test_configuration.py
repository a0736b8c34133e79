"""A wrong configuration ends the run with one clear line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.target import Target


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"access_token": {"v": "SECRETTOKEN"}}, ["`access_token` must be string"]),
        (
            {"access_token": None, "contract": None, "advertiser_id": None, "load_method": "x"},
            ["`access_token` is missing", "`contract` is missing", "`advertiser_id` is missing", "`load_method`"],
        ),
        ({"access_token": None, "contract": None}, ["`access_token` is missing", "`contract` is missing"]),
        ({"contract": "EMAIL"}, ["`contract` must be one of EMAIL_SHA256, PHONE_SHA256"]),
        ({"load_method": "replace"}, ["`load_method` must be one of append-only"]),
        ({"batch_size_rows": 0}, ["`batch_size_rows` must be at least 1"]),
        ({"retention_in_days": 366}, ["`retention_in_days` must be at most 365"]),
        ({"advertiser_id": True}, ["`advertiser_id` must be string or integer"]),
        ({"audiences": [{"steam": "x"}]}, ["`audiences[0]` unknown setting `steam`; did you mean `stream`?"]),
        ({"audiences": {"customers": {}}}, ["`audiences` must be array"]),
        ({"audiences": [{"contract": "X"}]}, ["`audiences[0].contract` must be one of"]),
        ({"stream_maps": {"a": 5}}, ["`stream_maps.a`"]),
    ],
)
def test_a_wrong_configuration_ends_the_run_with_one_line_that_quotes_no_value(
    target: Target, config: dict[str, Any], words: list[str]
) -> None:
    outcome = target.run([], **config)
    assert outcome.exit_code == 1
    for word in ["The settings are not valid", *words]:
        assert word in outcome.last_line
    assert "SECRETTOKEN" not in outcome.log


def test_a_setting_that_nobody_reads_is_told(target: Target) -> None:
    log = target.run([], audiance_name="x").log
    assert "Ignoring unknown setting `audiance_name`; did you mean `audience_name`?" in log
