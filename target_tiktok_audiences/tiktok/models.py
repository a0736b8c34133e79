"""What TikTok's endpoints take and give, as far as the client uses it.

Fields keep TikTok's own names. Ids are strings in both directions; unknown fields are ignored.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

import msgspec


class CalculateType(StrEnum):
    """Kinds of identifier that a file, and an audience made from it, may hold."""

    EMAIL_SHA256 = "EMAIL_SHA256"
    PHONE_SHA256 = "PHONE_SHA256"
    IDFA_SHA256 = "IDFA_SHA256"
    GAID_SHA256 = "GAID_SHA256"
    IDFA_MD5 = "IDFA_MD5"
    GAID_MD5 = "GAID_MD5"
    FIRST_SHA256 = "FIRST_SHA256"
    FIRST_MD5 = "FIRST_MD5"
    MAID_SHA256 = "MAID_SHA256"
    MAID_MD5 = "MAID_MD5"
    MULTIPLE_TYPES = "MULTIPLE_TYPES"


class UpdateAction(StrEnum):
    """What an update does with the identifiers of its files; TikTok takes REPLACE when none is sent."""

    APPEND = "APPEND"
    REMOVE = "REMOVE"
    REPLACE = "REPLACE"


class AudienceType(StrEnum):
    """Types of audience that TikTok lists; only the first can be changed by files."""

    CUSTOMER_FILE = "Customer File Audience"
    ENGAGEMENT = "Engagement Audience"
    APP_ACTIVITY = "App Activity Audience"
    WEBSITE = "Website Audience"
    LOOKALIKE = "Lookalike Audience"
    LEAD_GENERATION = "Lead Generation"
    BUSINESS_ACCOUNT = "Rule Business Account"
    SHOP = "Rule ad shop"
    PARTNER = "Partner"
    CHALLENGE = "Challenge"
    PREFERRED_POPULATION = "Preferred Population"


class Audience(msgspec.Struct, frozen=True):
    """An audience as `list/` shows it: what it is, and its times in UTC."""

    audience_id: str
    name: str | None = None
    audience_type: str | None = None
    calculate_type: str | None = None
    cover_num: int | None = None
    """People matched; 0 while TikTok processes, and it may exceed the identifiers sent."""
    is_valid: bool = False
    is_expiring: bool = False
    """Whether it has less than 60 days left."""
    is_creator: bool = False
    create_time: str | None = None
    expired_time: str | None = None

    @property
    def created_at(self) -> datetime | None:
        """When it was created; None where TikTok does not say."""
        return _utc(self.create_time)

    @property
    def expires_at(self) -> datetime | None:
        """When it goes unused for too long and is lost."""
        return _utc(self.expired_time)


class AudienceDetails(msgspec.Struct, frozen=True):
    """An audience as `get/` shows it; its times are in the advertiser's own zone, so none is taken from here."""

    audience_id: str
    name: str | None = None
    type: str | None = None
    calculate_type: str | None = None
    cover_num: int | None = None
    is_valid: bool = False
    is_creator: bool = False
    error_msg: str | None = None
    """Why the last change failed, possibly hours after TikTok accepted it."""


class HistoryEntry(msgspec.Struct, frozen=True):
    """One change of an audience, and what TikTok says went wrong with it in part."""

    msg: str | None = None
    opt_time: str | None = None


class Advertiser(msgspec.Struct, frozen=True):
    """An ad account that the token may see."""

    advertiser_id: str
    name: str | None = None
    status: str | None = None
    country: str | None = None
    timezone: str | None = None
    currency: str | None = None


class GrantedAdvertiser(msgspec.Struct, frozen=True):
    """An ad account that the token may act for."""

    advertiser_id: str
    advertiser_name: str | None = None


class PageInfo(msgspec.Struct, frozen=True):
    """Where a page of a list stands."""

    page: int
    total_page: int


class AudiencePage(msgspec.Struct, frozen=True):
    """`data` of `dmp/custom_audience/list/`."""

    items: list[Audience] = msgspec.field(name="list")
    page_info: PageInfo


class AudienceWithHistory(msgspec.Struct, frozen=True):
    """One item of `dmp/custom_audience/get/`."""

    audience_details: AudienceDetails
    audience_history: list[HistoryEntry] = []

    @property
    def error(self) -> str | None:
        """The newest thing TikTok says went wrong with a change, in full or in part.

        With the time of that change, where the history tells it: two changes that fail alike are two failures.
        """
        partial = max(
            (entry for entry in self.audience_history if entry.msg),
            key=lambda entry: entry.opt_time or "",
            default=None,
        )
        said = self.audience_details.error_msg or (partial.msg if partial else None)
        return f"{said.rstrip('.')} ({partial.opt_time})" if said and partial and partial.opt_time else said


class AudienceDetailsPage(msgspec.Struct, frozen=True):
    """`data` of `dmp/custom_audience/get/`."""

    items: list[AudienceWithHistory] = msgspec.field(name="list")


class AdvertiserPage(msgspec.Struct, frozen=True):
    """`data` of `advertiser/info/`."""

    items: list[Advertiser] = msgspec.field(name="list")


class GrantedAdvertiserPage(msgspec.Struct, frozen=True):
    """`data` of `oauth2/advertiser/get/`."""

    items: list[GrantedAdvertiser] = msgspec.field(name="list")


class UploadedFile(msgspec.Struct, frozen=True):
    """`data` of `dmp/custom_audience/file/upload/`: a path that only the uploading advertiser can use, and soon."""

    file_path: str


class CreatedAudience(msgspec.Struct, frozen=True):
    """`data` of `dmp/custom_audience/create/`."""

    custom_audience_id: str


def _utc(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text or "", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
