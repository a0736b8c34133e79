"""What TikTok's endpoints take and give, as far as the client uses it.

Fields keep TikTok's own names. Ids are strings in both directions; unknown fields are ignored.
"""

from __future__ import annotations

from datetime import datetime, timezone
from enum import Enum

import msgspec


class CalculateType(str, Enum):
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


class Action(str, Enum):
    """What an update does with the identifiers of its files; TikTok takes REPLACE when none is sent."""

    APPEND = "APPEND"
    REMOVE = "REMOVE"
    REPLACE = "REPLACE"


class AudienceType(str, Enum):
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
