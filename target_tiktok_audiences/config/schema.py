"""JSON Schema of the configuration: the names, types, defaults, titles and descriptions of all settings."""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th

from target_tiktok_audiences.contracts.contract import CONTRACTS
from target_tiktok_audiences.tiktok.client import API_URL

_ID = th.CustomType({"type": ["string", "integer"]})
"""TikTok's ids have up to 19 digits, and YAML files often contain them unquoted."""


def _feed_settings() -> list[th.Property[Any]]:
    """Return the settings of an entry in `audiences`; at the top level they are the defaults of all entries."""
    return [
        th.Property(
            "advertiser_id",
            _ID,
            title="Advertiser ID",
            description="ID of the TikTok ad account that owns the audience. Required here or in each entry of"
            " `audiences`.",
        ),
        th.Property(
            "contract",
            th.StringType(allowed_values=list(CONTRACTS)),
            title="Data contract",
            description="Kind of identifier in the records. Required here or in each entry of `audiences`.",
        ),
        th.Property(
            "audience_name",
            th.StringType(),
            title="Audience name",
            description="Name of the audience, 1 to 128 characters. Default: the title of the stream's schema, or the"
            " stream's name.",
        ),
        th.Property(
            "audience_id",
            _ID,
            title="Audience ID",
            description="ID of an existing audience to update, regardless of its name. With this setting no audience"
            " is created.",
        ),
        th.Property(
            "identifier_field",
            th.StringType(),
            title="Identifier field",
            description="Field of the records that contains the identifier. Default: `email`, `phone`, `gaid` or"
            " `idfa`, depending on the contract.",
        ),
        th.Property(
            "apply_hashing",
            th.BooleanType(),
            title="Hash identifiers (SHA-256)",
            description="Normalize and hash the identifiers. Set `false` if the field already contains SHA-256 digests"
            " of the normalized identifiers, as 64 hex digits; the target then checks this format.",
        ),
        th.Property(
            "default_country",
            th.StringType(),
            title="Default country",
            description="Two-letter ISO 3166 code of the country of phone numbers without a country code. Without this"
            " setting such numbers are rejected.",
        ),
        th.Property(
            "load_method",
            th.StringType(allowed_values=["append-only", "upsert", "overwrite"]),
            title="Load method",
            description="`append-only` adds the stream's identifiers and removes none. `upsert` matches rows by the"
            " stream's key, and removes the identifiers of rows that are deleted or whose identifier changes or"
            " becomes null. `overwrite` makes the audience match the stream exactly; the stream must contain the whole"
            " table.",
        ),
        th.Property(
            "retention_in_days",
            th.IntegerType(minimum=1, maximum=365),
            title="Retention in days",
            description="TikTok permanently deletes a new audience this many days after its creation. Default: 365"
            " days after its last change or use.",
        ),
        th.Property(
            "max_removal_percent",
            th.IntegerType(minimum=0, maximum=100),
            title="Maximum percentage of removals",
            description="Fail before anything is sent if a run would remove more than this percentage of an audience's"
            " or a stream's members: a crashed tap cannot be told from a finished one. Set 100 to disable the check"
            " for one run.",
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
        description="Access token of TikTok's Business API, with the Audience Management scope.",
    ),
    th.Property(
        "app_id",
        th.StringType(),
        title="App ID",
        description="ID of the app at TikTok for Business Developers that the access token belongs to (quote it in"
        " YAML). Runs do not need it. `connect` uses it to get a token, `advertisers` to list all ad accounts that the"
        " token can access, and `check` to look up `advertiser_id` among them.",
    ),
    th.Property(
        "app_secret",
        th.StringType(),
        secret=True,
        title="App secret",
        description="Secret of the app that `app_id` names.",
    ),
    *_defaults(_feed_settings(), apply_hashing=True, load_method="append-only", max_removal_percent=10),
    th.Property(
        "audiences",
        th.ArrayType(
            th.ObjectType(
                th.Property(
                    "stream",
                    th.StringType(),
                    default="*",
                    title="Stream",
                    description="Name of the streams that feed this audience; `*` and `?` are wildcards.",
                ),
                *_feed_settings(),
                additional_properties=False,
            )
        ),
        title="Audiences",
        description="One entry per stream that feeds an audience: `stream` (wildcards allowed) and any setting from"
        " `advertiser_id` to `max_removal_percent`. Settings that an entry omits are inherited from the top level. A"
        " stream can feed several audiences, and several streams can feed one audience. Without entries, every stream"
        " feeds one audience.",
    ),
    th.Property(
        "batch_size_rows",
        th.IntegerType(minimum=1),
        title="Batch size in rows",
        description="Number of rows per upload file. Default: as many as fit in 250 MB, TikTok's limit.",
    ),
    th.Property(
        "min_audience_size",
        th.IntegerType(minimum=1),
        default=1000,
        title="Minimum audience size",
        description="Number of identifiers required to create an audience. TikTok does not make audiences with fewer"
        " than 1,000 members usable.",
    ),
    th.Property(
        "max_reject_percent",
        th.IntegerType(minimum=0, maximum=100),
        default=50,
        title="Maximum percentage of rejects",
        description="Fail if more than this percentage of a stream's identifiers are rejected, or if all of them are"
        " missing: the field mapping is probably wrong.",
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
        description="Folder of the ledgers, which record the members that were delivered to TikTok; keep it between"
        " runs. On machines without a durable disk, use the URL of a folder in S3, GCS, Azure or another object store"
        " (`s3://bucket/ledgers`). Default: `.meltano/target-tiktok-audiences/<environment>` in a Meltano project,"
        " otherwise the user's state folder. `:memory:` keeps no ledger.",
    ),
    th.Property(
        "rejects_path",
        th.StringType(),
        title="Rejects file",
        description="JSON Lines file of rejected records, with input line, row of a BATCH, stream, contract and"
        " reason, but never the value.",
    ),
    th.Property(
        "rejects_key",
        th.BooleanType(),
        default=False,
        title="Keys in the rejects file",
        description="Add the key values of rejected records, so that you can find the rows. Key values can be personal"
        " data.",
    ),
    th.Property(
        "report_path",
        th.StringType(),
        title="Report file",
        description="JSON file with the report of the run. It is written even if the run fails.",
    ),
    th.Property(
        "dry_run",
        th.BooleanType(),
        default=False,
        title="Dry run",
        description="Read, check, plan and report, but change nothing and emit no state.",
    ),
    th.Property(
        "api_url",
        th.StringType(),
        default=API_URL,
        title="API URL",
        description="URL of TikTok's Business API. It must use https; http is allowed only for this machine or with a"
        " token that starts with `emulator-`.",
    ),
    th.Property(
        "validate_records",
        th.BooleanType(),
        default=False,
        title="Validate records",
        description="Also validate each record against the stream's JSON Schema. Contracts check the identifier"
        " anyway, and are faster.",
    ),
).to_dict()
