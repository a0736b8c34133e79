"""Logging filters: one line per record, and no sensitive values from noisy libraries."""

from __future__ import annotations

import logging
from contextlib import suppress

from target_tiktok_audiences.runtime.sanitize import is_printable, one_line

NOISY_LOGGERS = {
    **dict.fromkeys(("adlfs", "aiobotocore", "azure", "botocore", "fsspec", "gcsfs", "s3fs"), logging.WARNING),
    **dict.fromkeys(("singer_sdk.mapper", "urllib3"), logging.INFO),
}
"""Below these levels, these loggers print query strings, URLs with credentials, and values of records."""


def keep_to_one_line(record: logging.LogRecord) -> bool:
    """Sanitize a log record in place, so that text from outside (a stream name, a TikTok message) cannot forge lines.

    Always returns True, so that a `logging` filter keeps the record.
    """
    with suppress(TypeError, ValueError, KeyError):  # `logging` itself reports a call with wrong arguments
        message = record.getMessage()
        if not is_printable(message):
            record.msg, record.args = one_line(message), None
    return True


def quiet_noisy_loggers() -> None:
    """Raise `NOISY_LOGGERS` and their children to their minimum levels, whatever the logging configuration sets."""
    for parent, level in NOISY_LOGGERS.items():
        children = [name for name in logging.root.manager.loggerDict if name.startswith(f"{parent}.")]
        for name in (parent, *children):
            logging.getLogger(name).setLevel(max(level, logging.getLogger(name).level))
