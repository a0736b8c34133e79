"""Parameters and response data of TikTok's endpoints, as far as the client uses them.

Fields have TikTok's names. Ids are strings in requests and responses; unknown fields are ignored.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

import msgspec


class CalculateType(StrEnum):
    """Kinds of identifiers that a file, and the audience created from it, can contain."""

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
    """What an update does with the identifiers of its files. TikTok's default is REPLACE."""

    APPEND = "APPEND"
    REMOVE = "REMOVE"
    REPLACE = "REPLACE"


class AudienceType(StrEnum):
    """Types of audiences that TikTok lists; only the first can be updated with files."""

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
    """An audience as `list/` returns it; its times are in UTC."""

    audience_id: str
    name: str | None = None
    audience_type: str | None = None
    calculate_type: str | None = None
    cover_num: int | None = None
    """Number of matched users; 0 while TikTok processes a change. It can exceed the number of identifiers sent."""
    is_valid: bool = False
    is_expiring: bool = False
    """Whether it expires in less than 60 days."""
    is_creator: bool = False
    create_time: str | None = None
    expired_time: str | None = None

    @property
    def created_at(self) -> datetime | None:
        """Time of its creation; None if TikTok does not report it."""
        return _utc(self.create_time)

    @property
    def expires_at(self) -> datetime | None:
        """Time at which TikTok deletes it, unless it is used or changed before."""
        return _utc(self.expired_time)


class AudienceDetails(msgspec.Struct, frozen=True):
    """An audience as `get/` returns it. Its times are in the advertiser's time zone and therefore not used."""

    audience_id: str
    name: str | None = None
    type: str | None = None
    calculate_type: str | None = None
    cover_num: int | None = None
    is_valid: bool = False
    is_creator: bool = False
    error_msg: str | None = None
    """Why the last change failed; this can appear hours after TikTok accepted the change."""


class HistoryEntry(msgspec.Struct, frozen=True):
    """One change of an audience, with the error message of a partial failure."""

    msg: str | None = None
    opt_time: str | None = None


class Advertiser(msgspec.Struct, frozen=True):
    """An ad account that the token can read."""

    advertiser_id: str
    name: str | None = None
    status: str | None = None
    country: str | None = None
    timezone: str | None = None
    currency: str | None = None


class GrantedAdvertiser(msgspec.Struct, frozen=True):
    """An ad account that the token is granted access to."""

    advertiser_id: str
    advertiser_name: str | None = None


class PageInfo(msgspec.Struct, frozen=True):
    """Position of a page in a list."""

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
        """The latest error of a change that failed in full or in part.

        It includes the time of that change if the history has it, so that two equal failures differ.
        """
        partial = max(
            (entry for entry in self.audience_history if entry.msg),
            key=lambda entry: entry.opt_time or "",
            default=None,
        )
        message = self.audience_details.error_msg or (partial.msg if partial else None)
        return f"{message.rstrip('.')} ({partial.opt_time})" if message and partial and partial.opt_time else message


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
    """`data` of `dmp/custom_audience/file/upload/`: a path that expires, and only the same advertiser can use."""

    file_path: str


class CreatedAudience(msgspec.Struct, frozen=True):
    """`data` of `dmp/custom_audience/create/`."""

    custom_audience_id: str


def _utc(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text or "", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
