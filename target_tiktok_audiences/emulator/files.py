"""Files on their way: uploaded once, then named by their paths in create and update."""

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
    """Take a file, and give the path under which create and update may use it."""
    parameters.require(call.fields, "advertiser_id", "file", "file_signature", "calculate_type")
    advertiser = call.advertiser(emulator)
    signature = parameters.text(call.fields, "file_signature")
    file_type = calculate_type(call.fields)
    file = call.fields["file"]
    if not isinstance(file, UploadFile):
        raise Refusal(Code.BAD_PARAMETER, "file: must be a file part with a file name.")
    uploads.check_file(file.file, file.filename or "", file.size or 0, signature)
    _empty_expired(emulator)
    path = uploads.new_path()
    emulator.uploads[path] = Upload(
        advertiser.advertiser_id,
        uploads.same_type(file_type),
        uploads.read_contents(file.file, file_type),
        # Files do expire, for a code says so; after how long is not documented.
        emulator.now() + timedelta(hours=emulator.file_hours),
    )
    return {"file_path": path}


def contents(emulator: Emulator, advertiser: Advertiser, wanted: CalculateType, request: Fields) -> Contents:
    """Put together what the files of a request hold."""
    found = [_file(emulator, advertiser, wanted, path) for path in _paths(request)]
    return Contents(
        frozenset().union(*(each.digests for each in found)),
        sum(each.lines for each in found),
        sum(each.unreadable for each in found),
    )


def _file(emulator: Emulator, advertiser: Advertiser, wanted: CalculateType, path: str) -> Contents:
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
    if file.calculate_type is not uploads.same_type(wanted):
        # Documented: no audience id, or an invalid audience. The stricter one is taken, its code is a guess.
        raise Refusal(Code.BAD_PARAMETER, "The calculate_type of a file is not that of the audience.")
    return file.contents


def _paths(request: Fields) -> list[str]:
    # TikTok recommends fewer than 50 a request, and takes 500.
    return parameters.texts(request, "file_paths", MAX_PATHS)


def _empty_expired(emulator: Emulator) -> None:
    """Free the memory of files that nobody can use any more; their paths stay known as expired."""
    for path, file in emulator.uploads.items():
        if file.expires <= emulator.now():
            emulator.uploads[path] = replace(file, contents=Contents(frozenset(), 0, 0))


def spend(emulator: Emulator, request: Fields) -> None:
    """Forget the files of an accepted request, if a file can be used only once; TikTok does not say."""
    if emulator.single_use_files:
        for path in _paths(request):
            emulator.uploads.pop(path, None)


def calculate_type(request: Fields) -> CalculateType:
    """Read the type of a file or an audience."""
    value = parameters.text(request, "calculate_type")
    try:
        return CalculateType(value)
    except ValueError:
        raise Refusal(Code.CALCULATE_TYPE, "The calculate_type is not supported.") from None
