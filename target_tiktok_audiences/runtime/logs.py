"""Logging: one line per record, and no values from noisy libraries."""

from __future__ import annotations

import logging
from contextlib import suppress

from target_tiktok_audiences.runtime.sanitize import is_printable, one_line

NOISY_LOGGERS = {
    **dict.fromkeys(("adlfs", "aiobotocore", "azure", "botocore", "fsspec", "gcsfs", "s3fs"), logging.WARNING),
    **dict.fromkeys(("singer_sdk.mapper", "urllib3"), logging.INFO),
}
"""Who would log query strings, addresses with credentials and values of records below these levels."""


def keep_to_one_line(record: logging.LogRecord) -> bool:
    """Filter log records, so that nobody's text can forge a log line: a stream's name, a message of TikTok's."""
    with suppress(TypeError, ValueError, KeyError):  # whoever calls with wrong arguments is told so by `logging`
        message = record.getMessage()
        if not is_printable(message):
            record.msg, record.args = one_line(message), None
    return True


def quiet_noisy_loggers() -> None:
    """Cap `NOISY_LOGGERS` and their children at their levels, whatever the logging configuration asks for."""
    for talker, level in NOISY_LOGGERS.items():
        below = [name for name in logging.root.manager.loggerDict if name.startswith(f"{talker}.")]
        for name in (talker, *below):
            logging.getLogger(name).setLevel(max(level, logging.getLogger(name).level))
