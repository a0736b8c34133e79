"""TikTok's Business API: client, transport, models, codes, errors, retries. Knows nothing of Singer."""

from target_tiktok_audiences.tiktok.client import API_URL, TikTok
from target_tiktok_audiences.tiktok.errors import FileLost, NotEditable, NotFound, Refused, TikTokError
from target_tiktok_audiences.tiktok.models import Action, Advertiser, AudienceType, CalculateType

__all__ = [
    "API_URL",
    "Action",
    "Advertiser",
    "AudienceType",
    "CalculateType",
    "FileLost",
    "NotEditable",
    "NotFound",
    "Refused",
    "TikTok",
    "TikTokError",
]
