"""Every setting once, as the JSON Schema of a configuration: names, types, defaults, and what users read of them."""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th

from target_tiktok_audiences.contracts.contract import CONTRACTS
from target_tiktok_audiences.tiktok.client import API_URL

_ID = th.CustomType({"type": ["string", "integer"]})
"""TikTok's ids have up to 19 digits, and arrive unquoted from YAML."""


def _per_feed() -> list[th.Property[Any]]:
    """Give the settings that stand at the top as defaults, and in each entry of `audiences`."""
    return [
        th.Property(
            "advertiser_id",
            _ID,
            title="Advertiser ID",
            description="The TikTok ad account that owns the audience. Needed here or in each entry of `audiences`.",
        ),
        th.Property(
            "contract",
            th.StringType(allowed_values=list(CONTRACTS)),
            title="Data contract",
            description="The kind of identifier in the records. Needed here or in each entry of `audiences`.",
        ),
        th.Property(
            "audience_name",
            th.StringType(),
            title="Audience name",
            description="Name of the audience, 1 to 128 characters. Default: the title of the stream's schema, else the"
            " stream's name.",
        ),
        th.Property(
            "audience_id",
            _ID,
            title="Audience ID",
            description="An existing audience to fill. It is used whatever its name, and none is ever created.",
        ),
        th.Property(
            "identifier_field",
            th.StringType(),
            title="Identifier field",
            description="The records' column that holds the identifier. Default: `email`, `phone`, `gaid` or `idfa`,"
            " by contract.",
        ),
        th.Property(
            "apply_hashing",
            th.BooleanType(),
            title="Apply hashing (SHA-256)",
            description="Normalise and hash the identifiers. Switch off where the column holds SHA-256 already, of the"
            " normal form, as 64 hex digits; values are then checked to be that.",
        ),
        th.Property(
            "default_country",
            th.StringType(),
            title="Default country",
            description="Two-letter ISO 3166 code of the country of phone numbers without a country code. Without it"
            " they are rejected.",
        ),
        th.Property(
            "load_method",
            th.StringType(allowed_values=["append-only", "upsert", "overwrite"]),
            title="Load method",
            description="`append-only` adds the stream's people and removes nobody. `upsert` goes by the stream's key:"
            " rows that are deleted, or change or lose their identifier, leave. `overwrite` makes the audience exactly"
            " the stream, which must be the whole table.",
        ),
        th.Property(
            "retention_in_days",
            th.IntegerType(minimum=1, maximum=365),
            title="Retention in days",
            description="Lets TikTok drop a new audience that many days after its creation, for good. Default: 365 days"
            " after its last change or use.",
        ),
        th.Property(
            "max_removal_percent",
            th.IntegerType(minimum=0, maximum=100),
            title="Maximum share of removals",
            description="If more per cent of an audience's people, or of one stream's, would leave in one run, the run"
            " stops before anything is sent: a tap that died looks like one that finished. 100 switches that off, for"
            " one run.",
        ),
    ]


def _defaults(properties: list[th.Property[Any]], **defaults: object) -> list[th.Property[Any]]:
    for setting in properties:
        setting.default = defaults.get(setting.name)
    return properties


SCHEMA: dict[str, Any] = th.PropertiesList(
    th.Property(
        "access_token",
        th.StringType(),
        required=True,
        secret=True,
        title="Access token",
        description="Access token of TikTok's Business API, with the scope Audience Management.",
    ),
    th.Property(
        "app_id",
        th.StringType(),
        title="App ID",
        description="The app at TikTok for Business Developers that the access token is of (in YAML, put it in quotes)."
        " No run needs it; with it `connect` gets a token, `advertisers` lists all that the token may act for, and"
        " `check` looks among them.",
    ),
    th.Property(
        "app_secret",
        th.StringType(),
        secret=True,
        title="App secret",
        description="The secret of that app.",
    ),
    *_defaults(_per_feed(), apply_hashing=True, load_method="append-only", max_removal_percent=10),
    th.Property(
        "audiences",
        th.ArrayType(
            th.ObjectType(
                th.Property(
                    "stream",
                    th.StringType(),
                    default="*",
                    title="Stream",
                    description="Streams that feed this audience; `*` and `?` are wildcards.",
                ),
                *_per_feed(),
                additional_properties=False,
            )
        ),
        title="Audiences",
        description="One entry for each stream that feeds an audience: `stream` (with wildcards) and any setting from"
        " `advertiser_id` to `max_removal_percent`; what an entry leaves out is taken from above. A stream may feed"
        " several audiences, and several streams one. Without entries every stream feeds one audience.",
    ),
    th.Property(
        "batch_size_rows",
        th.IntegerType(minimum=1),
        title="Batch size in rows",
        description="Rows of one upload file. Default: what 250 MB hold, TikTok's limit.",
    ),
    th.Property(
        "min_audience_size",
        th.IntegerType(minimum=1),
        default=1000,
        title="Minimum audience size",
        description="Identifiers that a new audience needs. TikTok never makes one of fewer than 1,000 usable.",
    ),
    th.Property(
        "max_reject_percent",
        th.IntegerType(minimum=0, maximum=100),
        default=50,
        title="Maximum share of rejects",
        description="If more per cent of a stream's identifiers are rejected, or every one is missing, the run stops:"
        " the mapping is surely wrong.",
    ),
    th.Property(
        "on_unmatched_stream",
        th.StringType(allowed_values=["fail", "skip"]),
        default="fail",
        title="On unmatched stream",
        description="What to do with a stream that feeds no audience or lacks the identifier field: `fail` or `skip`.",
    ),
    th.Property(
        "ledger_path",
        th.StringType(),
        title="Ledger folder",
        description="Folder of the ledgers, which know whom TikTok has been given; keep it between runs. Or the URL of"
        " one in S3, GCS, Azure and the like (`s3://bucket/ledgers`), for machines without a disk that lasts. Default:"
        " `.meltano/target-tiktok-audiences/<environment>` in a Meltano project, else a folder of the user's state."
        " `:memory:` keeps none.",
    ),
    th.Property(
        "rejects_path",
        th.StringType(),
        title="Rejects file",
        description="JSON Lines file of rejected records: input line, row of a BATCH, stream, contract, reason; never"
        " the value.",
    ),
    th.Property(
        "rejects_key",
        th.BooleanType(),
        default=False,
        title="Keys in the rejects file",
        description="Add the rejected records' key values, so that the rows can be found. They may be personal data.",
    ),
    th.Property(
        "report_path",
        th.StringType(),
        title="Report file",
        description="JSON report of the run, written on failure too.",
    ),
    th.Property(
        "dry_run",
        th.BooleanType(),
        default=False,
        title="Dry run",
        description="Read, check, plan and report; change nothing and emit no state.",
    ),
    th.Property(
        "api_url",
        th.StringType(),
        default=API_URL,
        title="API URL",
        description="Where TikTok's Business API is. https; http only to this machine, or with a token that begins with"
        " `emulator-`.",
    ),
    th.Property(
        "validate_records",
        th.BooleanType(),
        default=False,
        title="Validate records",
        description="Check each record against the stream's JSON Schema too. Contracts check what matters, faster.",
    ),
).to_dict()
