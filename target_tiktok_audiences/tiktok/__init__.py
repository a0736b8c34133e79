"""TikTok's Business API: client, models, errors, retries. Knows nothing of Singer."""

from target_tiktok_audiences.tiktok.client import API_URL, TikTok
from target_tiktok_audiences.tiktok.errors import NotEditable, NotFound, TikTokError
from target_tiktok_audiences.tiktok.models import Action, AudienceType, CalculateType

__all__ = ["API_URL", "Action", "AudienceType", "CalculateType", "NotEditable", "NotFound", "TikTok", "TikTokError"]
