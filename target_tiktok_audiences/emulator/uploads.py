"""Uploaded files: the checks at upload, and the digests that they contain."""

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


# 250 MB per file is documented; 1 MB = 1,000,000 bytes is the stricter interpretation.
MAX_FILE_BYTES = 250_000_000
# A file's path has exactly 16 characters, hex digits in every sample.
PATH_LENGTH = 16

SHA256_BYTES = 32
MD5_BYTES = 16
MD5_TYPES = {CalculateType.IDFA_MD5, CalculateType.GAID_MD5, CalculateType.FIRST_MD5, CalculateType.MAID_MD5}
# Two names for the same type: TikTok's internal number is the same for both.
SYNONYMS = {
    CalculateType.MAID_SHA256: CalculateType.FIRST_SHA256,
    CalculateType.MAID_MD5: CalculateType.FIRST_MD5,
}

# Headers of a file of several types, in any case, and the size of their digests in bytes; MAID is not hashed.
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
    """Distinct digests of a file, number of its lines, and number of lines that could not be parsed."""

    digests: AbstractSet[bytes]
    lines: int
    unreadable: int


@dataclass(frozen=True)
class Upload:
    """An accepted file; only the advertiser that uploaded it can use its path in create and update."""

    advertiser_id: str
    calculate_type: CalculateType
    contents: Contents
    expires: datetime


def new_path() -> str:
    """Return a new path for a file."""
    return secrets.token_hex(PATH_LENGTH // 2)


def same_type(calculate_type: CalculateType) -> CalculateType:
    """Return the canonical name of a type."""
    return SYNONYMS.get(calculate_type, calculate_type)


def check_file(file: BinaryIO, name: str, size: int, signature: str) -> None:
    """Raise `Refusal` for an invalid name, size or signature. The order of TikTok's checks is not documented."""
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
    # Every known client sends lower-case hex; whether TikTok accepts upper case is unknown.
    if md5.hexdigest() != signature:
        raise Refusal(Code.WRONG_SIGNATURE, "The signature does not match the file.")


def read_contents(file: BinaryIO, calculate_type: CalculateType) -> Contents:
    """Return the contents of a file."""
    file.seek(0)
    if calculate_type is CalculateType.MULTIPLE_TYPES:
        return _read_table(file)
    return _read_column(file, MD5_BYTES if calculate_type in MD5_TYPES else SHA256_BYTES)


def _read_column(file: Iterable[bytes], width: int) -> Contents:
    """Read a file of one type: one value per line, without a header.

    Whether TikTok refuses files with other lines (such as a header) is not documented: here they count as lines that
    cannot be parsed, which the audience's history reports.
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
    """Read a file of several types: a CSV file with a header, in which every row is as long as the header.

    That TikTok refuses an invalid file at upload, and with this code, is a guess. A comma as delimiter and empty cells
    for missing values are assumed; each cell counts as a separate identifier.
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
            row_digests = [
                _cell_digest(cell.strip(), HEADERS[header]) for header, cell in zip(headers, row, strict=True) if cell
            ]
            unreadable += None in row_digests
            digests.update(digest for digest in row_digests if digest is not None)
    except csv.Error:
        raise Refusal(Code.FILE_SPECIFICATION, "The file is not a CSV file.") from None
    return Contents(digests, lines, unreadable)


def _cell_digest(cell: str, width: int | None) -> bytes | None:
    if width is not None:
        return _digest(cell.encode(), width)
    maid = cell.lower()
    return hashlib.sha256(maid.encode()).digest() if MAID.fullmatch(maid) else None


def _digest(line: bytes, width: int) -> bytes | None:
    """Return the bytes of hex digits in either case; None unless they are exactly `width` bytes."""
    if len(line) != 2 * width:
        return None
    try:
        return binascii.unhexlify(line)
    except ValueError:
        return None
