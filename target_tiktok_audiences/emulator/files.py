"""Endpoint of files: upload a file, and read the files that a create or an update refers to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.datastructures import UploadFile

from target_tiktok_audiences.emulator import parameters, uploads
from target_tiktok_audiences.emulator.responses import Code, Refusal
from target_tiktok_audiences.emulator.uploads import Contents, Upload
from target_tiktok_audiences.tiktok.models import CalculateType

if TYPE_CHECKING:
    from target_tiktok_audiences.emulator.accounts import Advertiser
    from target_tiktok_audiences.emulator.emulator import Emulator
    from target_tiktok_audiences.emulator.parameters import Fields
    from target_tiktok_audiences.emulator.request import Call, Data

MAX_PATHS = 500


def upload(emulator: Emulator, call: Call) -> Data:
    """Store a file and return its path for create and update."""
    parameters.require(call.fields, "advertiser_id", "file", "file_signature", "calculate_type")
    advertiser = call.advertiser(emulator)
    signature = parameters.text(call.fields, "file_signature")
    file_type = calculate_type(call.fields)
    file = call.fields["file"]
    if not isinstance(file, UploadFile):
        raise Refusal(Code.BAD_PARAMETER, "file: must be a file part with a file name.")
    uploads.check_file(file.file, file.filename or "", file.size or 0, signature)
    _discard_expired_contents(emulator)
    path = uploads.new_path()
    emulator.uploads[path] = Upload(
        advertiser.advertiser_id,
        uploads.same_type(file_type),
        uploads.read_contents(file.file, file_type),
        # A return code shows that files expire; after how long is not documented.
        emulator.now() + timedelta(hours=emulator.file_hours),
    )
    return {"file_path": path}


def contents(emulator: Emulator, advertiser: Advertiser, expected: CalculateType, request: Fields) -> Contents:
    """Return the combined contents of a request's files."""
    parts = [_file(emulator, advertiser, expected, path) for path in _paths(request)]
    return Contents(
        frozenset().union(*(part.digests for part in parts)),
        sum(part.lines for part in parts),
        sum(part.unreadable for part in parts),
    )


def _file(emulator: Emulator, advertiser: Advertiser, expected: CalculateType, path: str) -> Contents:
    if len(path) != uploads.PATH_LENGTH:
        raise Refusal(Code.BAD_PARAMETER, f"file_paths: each must have {uploads.PATH_LENGTH} characters.")
    file = emulator.uploads.get(path)
    if file is None:
        raise Refusal(Code.FILE_UNKNOWN, "The file does not exist.")
    if file.advertiser_id != advertiser.advertiser_id:
        # The rule is documented, its code is not.
        raise Refusal(Code.NO_PERMISSION, "The file was uploaded by another advertiser.")
    if file.expires <= emulator.now():
        raise Refusal(Code.FILE_EXPIRED, "The file has expired.")
    if file.calculate_type is not uploads.same_type(expected):
        # Documented: either no audience id or an invalid audience. The stricter one is used; its code is a guess.
        raise Refusal(Code.BAD_PARAMETER, "The calculate_type of a file is not that of the audience.")
    return file.contents


def _paths(request: Fields) -> list[str]:
    # TikTok recommends fewer than 50 files per request and allows 500.
    return parameters.texts(request, "file_paths", MAX_PATHS)


def _discard_expired_contents(emulator: Emulator) -> None:
    """Free the memory of expired files; their paths remain known as expired."""
    for path, file in emulator.uploads.items():
        if file.expires <= emulator.now():
            emulator.uploads[path] = replace(file, contents=Contents(frozenset(), 0, 0))


def mark_used(emulator: Emulator, request: Fields) -> None:
    """Delete the files of an accepted request if `single_use_files` is set; TikTok's behavior is not documented."""
    if emulator.single_use_files:
        for path in _paths(request):
            emulator.uploads.pop(path, None)


def calculate_type(request: Fields) -> CalculateType:
    """Return the type of a file or an audience from a request."""
    value = parameters.text(request, "calculate_type")
    try:
        return CalculateType(value)
    except ValueError:
        raise Refusal(Code.CALCULATE_TYPE, "The calculate_type is not supported.") from None
