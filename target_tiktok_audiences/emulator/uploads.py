"""Uploaded files: what TikTok checks when it takes one, and the digests found in it."""

from __future__ import annotations

import binascii
import csv
import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from target_tiktok_audiences.emulator.responses import Code, Refusal
from target_tiktok_audiences.tiktok.models import CalculateType

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet
    from datetime import datetime
    from typing import BinaryIO


# 250 MB a file is documented; that a MB is a million bytes is the stricter reading.
MAX_FILE_BYTES = 250_000_000
# A file's path is exactly 16 characters, hex in every sample.
PATH_LENGTH = 16

SHA256_BYTES = 32
MD5_BYTES = 16
MD5_TYPES = {CalculateType.IDFA_MD5, CalculateType.GAID_MD5, CalculateType.FIRST_MD5, CalculateType.MAID_MD5}
# Two names for one type each: TikTok gives both of a pair the same internal number.
SYNONYMS = {
    CalculateType.MAID_SHA256: CalculateType.FIRST_SHA256,
    CalculateType.MAID_MD5: CalculateType.FIRST_MD5,
}

# The headers that a file of several types may have, in any case, and the size of their digests; MAID is not hashed.
HEADERS = {
    "maid": None,
    "phone_sha256": SHA256_BYTES,
    "email_sha256": SHA256_BYTES,
    "maid_sha256": SHA256_BYTES,
    "maid_md5": MD5_BYTES,
}
MAX_REPEATED_HEADER = 3
MAID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Contents(NamedTuple):
    """The distinct digests of a file, its lines, and how many of them could not be parsed."""

    digests: AbstractSet[bytes]
    lines: int
    unreadable: int


@dataclass(frozen=True)
class Upload:
    """A file that was taken; only the advertiser that uploaded it may name its path in create and update."""

    advertiser_id: str
    calculate_type: CalculateType
    contents: Contents
    expires: datetime


def new_path() -> str:
    """Make the name under which a file is known from now on."""
    return secrets.token_hex(PATH_LENGTH // 2)


def same_type(calculate_type: CalculateType) -> CalculateType:
    """Resolve the synonyms among the types."""
    return SYNONYMS.get(calculate_type, calculate_type)


def check_file(file: BinaryIO, name: str, size: int, signature: str) -> None:
    """Refuse a file by its name, size or signature. In which order TikTok looks is not documented."""
    if not name.endswith((".csv", ".txt")):
        raise Refusal(Code.FILE_SUFFIX, "The file type is not supported, only .csv and .txt are.")
    if size > MAX_FILE_BYTES:
        raise Refusal(Code.FILE_TOO_LARGE, "The file is too large, the maximum is 250 MB.")
    if size == 0:
        raise Refusal(Code.FILE_EMPTY, "The file is empty.")
    md5 = hashlib.md5(usedforsecurity=False)
    file.seek(0)
    while chunk := file.read(1 << 20):
        md5.update(chunk)
    # Every known client sends lower-case hex; whether TikTok takes upper-case too is unknown.
    if md5.hexdigest() != signature:
        raise Refusal(Code.WRONG_SIGNATURE, "The signature does not match the file.")


def read_contents(file: BinaryIO, calculate_type: CalculateType) -> Contents:
    """Read the digests of a file, line by line."""
    file.seek(0)
    if calculate_type is CalculateType.MULTIPLE_TYPES:
        return _read_table(file)
    return _read_column(file, MD5_BYTES if calculate_type in MD5_TYPES else SHA256_BYTES)


def _read_column(file: Iterable[bytes], width: int) -> Contents:
    """Read a file of one type: one value a line and no header.

    What else a line may be (a header, too) is not documented to refuse the file: here it is a line that cannot be
    parsed, which the audience's history will tell.
    """
    digests: set[bytes] = set()
    lines = unreadable = 0
    for raw in file:
        line = raw.strip()
        if not line:
            continue
        lines += 1
        digest = _digest(line, width)
        if digest is None:
            unreadable += 1
        else:
            digests.add(digest)
    return Contents(digests, lines, unreadable)


def _read_table(file: Iterable[bytes]) -> Contents:
    """Read a file of several types: a CSV with a header, every row as long as the header.

    That such a file is refused at the upload, and with this code, is a guess. Comma and empty cells for what is
    missing are assumed; each cell counts as an identifier of its own.
    """
    rows = csv.reader(raw.decode(errors="replace") for raw in file)
    digests: set[bytes] = set()
    lines = unreadable = 0
    try:
        headers = [header.strip().lower() for header in next(rows, [])]
        if not headers or any(header not in HEADERS for header in headers):
            raise Refusal(Code.FILE_SPECIFICATION, f"The file needs a header row of {', '.join(HEADERS)}.")
        if any(headers.count(header) > MAX_REPEATED_HEADER for header in headers):
            raise Refusal(Code.FILE_SPECIFICATION, f"A header may appear at most {MAX_REPEATED_HEADER} times.")
        for row in rows:
            if not row:
                continue
            lines += 1
            if len(row) != len(headers):
                raise Refusal(Code.FILE_SPECIFICATION, "Every row must have as many fields as the header.")
            found = [
                _cell_digest(cell.strip(), HEADERS[header]) for header, cell in zip(headers, row, strict=True) if cell
            ]
            unreadable += None in found
            digests.update(digest for digest in found if digest is not None)
    except csv.Error:
        raise Refusal(Code.FILE_SPECIFICATION, "The file is not a CSV file.") from None
    return Contents(digests, lines, unreadable)


def _cell_digest(cell: str, width: int | None) -> bytes | None:
    if width is not None:
        return _digest(cell.encode(), width)
    maid = cell.lower()
    return hashlib.sha256(maid.encode()).digest() if MAID.fullmatch(maid) else None


def _digest(line: bytes, width: int) -> bytes | None:
    """Decode hex digits of either case, of exactly this many bytes."""
    if len(line) != 2 * width:
        return None
    try:
        return binascii.unhexlify(line)
    except ValueError:
        return None
