"""Object-store backend for ledgers: S3, GCS, Azure or any other fsspec file system.

Objects are written as a whole and never changed. Data that changes is a *series*: objects with the same name and a
number as suffix; the highest number is current. Of several writers of the same number, one wins. If the object store
supports conditional creation (S3, GCS, Azure), that decides. Otherwise each writer creates a *claim* first, and the
earliest claim wins.
"""

from __future__ import annotations

import re
import time
import uuid
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from target_tiktok_audiences.runtime.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_CONDITIONAL = {"s3", "gs", "gcs", "abfs", "az"}
"""Protocols whose drivers let the object store create an object only if it does not exist."""
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "abfs": "azure", "abfss": "azure", "az": "azure"}

SETTLE_S = 3.0
"""How long a writer waits for claims that were created at the same time."""
CLAIM_LIVES = timedelta(minutes=20)
"""A claim that is older than the own one by this much belongs to a process that was killed."""


class ObjectStoreFailed(LedgerUnusable):
    """The object store cannot be read or written; the message contains neither credentials nor stored data."""


class VersionUnreadable(ObjectStoreFailed):
    """The newest object of a series is not a valid version; other series are not affected."""


class ObjectStore:
    """The objects under one URL. Every method raises `ObjectStoreFailed`."""

    def __init__(self, url: str) -> None:
        self.name = shown(url)
        self._protocol = urlsplit(url).scheme
        self._seen: dict[str, bytes] = {}
        from fsspec.core import url_to_fs  # noqa: PLC0415 - few runs need it, and it is slow to import

        try:
            self._files, root = url_to_fs(url, skip_instance_cache=True)
        except Exception as error:  # noqa: BLE001 - drivers raise errors of any type
            raise self._failed("opened", error) from None
        self._root = root.rstrip("/")

    def check(self) -> None:
        """Test that objects can be listed, written and deleted."""
        self.names()
        probe = f"probe-{uuid.uuid4().hex}"
        self._write(probe, b"probe")
        self.remove([probe])

    def names(self) -> list[str]:
        """Return the names of all objects; a missing folder has none."""
        try:
            self._files.invalidate_cache()
            return [path.rstrip("/").rpartition("/")[2] for path in self._files.ls(self._root, detail=False)]
        except FileNotFoundError:
            return []
        except Exception as error:  # noqa: BLE001 - as above
            raise self._failed("listed", error) from None

    def newest(self, series: str, number: int | None = None) -> tuple[int, bytes]:
        """Return the highest number of a series and its content, or 0 and b"" for an empty series.

        `number` is the highest number in a recent listing, if the caller has one. Raises `VersionUnreadable`.
        """
        unreadable = 0
        for _ in range(5):  # an object that is superseded meanwhile is deleted, and the next one exists
            number = number or max((number_of(name, series) for name in self.names()), default=0)
            if not number:
                return 0, b""
            name = _numbered(series, number)
            content = self._seen.get(name) or self._read(name)
            if content:
                self._seen[name] = content
                return number, content
            unreadable, number = number, None
        raise VersionUnreadable(
            f"{_numbered(series, unreadable)} in {self.name} is empty or missing. If no run is in progress, delete it."
        )

    def append(self, series: str, number: int, content: bytes) -> bool:
        """Write the next object of a series, and delete the earlier ones. Returns False if another writer was faster.

        `content` must be unique: after a lost response, the stored content shows who won.
        """
        name = _numbered(series, number)
        won = self._create(name, content) if self._conditional else self._claim(series, number, content)
        if not won:
            return False
        numbers = {number_of(other, series): other for other in self.names()}
        if max(numbers) > number:  # another writer had written this number, and deleted it
            self.remove([name])
            return False
        self._seen[name] = content
        self.remove(older for other, older in numbers.items() if 0 < other < number)
        return True

    def upload(self, file: Path, name: str) -> None:
        """Upload a file to an object."""
        try:
            self._make_folder()
            self._files.put_file(str(file), self._at(name))
        except Exception as error:  # noqa: BLE001 - as above
            raise self._failed("written", error) from None

    def download(self, name: str, file: Path) -> bool:
        """Download an object to a file. Returns False if there is no such object."""
        try:
            self._files.get_file(self._at(name), str(file))
        except FileNotFoundError:
            file.unlink(missing_ok=True)
            return False
        except Exception as error:  # noqa: BLE001 - as above
            raise self._failed("read", error) from None
        return True

    def copy(self, name: str, to: str) -> None:
        """Copy an object within the object store."""
        try:
            self._files.cp_file(self._at(name), self._at(to))
        except Exception as error:  # noqa: BLE001 - as above
            raise self._failed("copied", error) from None

    def remove(self, names: Iterable[str]) -> None:
        """Delete objects; missing ones are ignored."""
        for name in names:
            try:
                self._files.rm_file(self._at(name))
            except FileNotFoundError:
                continue
            except Exception as error:  # noqa: BLE001 - as above
                raise self._failed("removed", error) from None

    @cached_property
    def _conditional(self) -> bool:
        """Whether the store supports conditional creation; tested, because some S3-compatible stores ignore it."""
        if self._protocol not in _CONDITIONAL:
            return False
        probe = f"probe-{uuid.uuid4().hex}"
        try:
            self._create(probe, b"first")  # some stores reject the condition itself
        except ObjectStoreFailed:
            return False
        try:
            return not self._create(probe, b"second")
        finally:
            self.remove([probe])

    def _create(self, name: str, content: bytes) -> bool:
        """Write an object if there is none; return whether the object now has this content."""
        try:
            self._files.pipe_file(self._at(name), content, mode="create")
        except Exception as error:  # noqa: BLE001 - as above; not every store reports that the condition failed
            stored = self._read(name)
            if not stored:
                raise self._failed("written", error) from None
            return stored == content
        return True

    def _claim(self, series: str, number: int, content: bytes) -> bool:
        """Write an object unless another writer has an earlier claim to its number; expired claims do not count."""
        pattern = re.compile(re.escape(_numbered(series, number)) + r"\.[0-9a-f]{32}\.claim")
        own = f"{_numbered(series, number)}.{uuid.uuid4().hex}.claim"
        self._write(own, b"claimed")
        try:
            time.sleep(SETTLE_S)
            names = self.names()
            times = {name: self._modified(name) for name in {own, *filter(pattern.fullmatch, names)}}
            since = {name: moment for name, moment in times.items() if moment is not None}
            expired = {name for name in since if since[own] - since[name] > CLAIM_LIVES} - {own}
            first = min(since.keys() - expired, key=lambda name: (since[name], name))
            if first != own or any(number_of(name, series) >= number for name in names):
                return False
            self._write(_numbered(series, number), content)
            self.remove(expired)
            return True
        finally:
            self.remove([own])

    def _modified(self, name: str) -> Any:
        try:
            return self._files.modified(self._at(name))
        except FileNotFoundError:  # its writer has deleted it
            return None
        except Exception as error:  # noqa: BLE001 - as above
            raise self._failed("listed", error) from None

    def _read(self, name: str) -> bytes | None:
        try:
            content: bytes = self._files.cat_file(self._at(name))
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - as above
            raise self._failed("read", error) from None
        return content

    def _write(self, name: str, content: bytes) -> None:
        try:
            self._make_folder()
            self._files.pipe_file(self._at(name), content)
        except Exception as error:  # noqa: BLE001 - as above
            raise self._failed("written", error) from None

    def _make_folder(self) -> None:
        if (
            self._protocol not in _EXTRAS
        ):  # in these stores, folders are name prefixes, and drivers would create a bucket
            self._files.makedirs(self._root, exist_ok=True)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _failed(self, action: str, error: Exception) -> ObjectStoreFailed:
        return ObjectStoreFailed(
            f"The ledgers in {self.name} cannot be {action}: {self._reason(error)}, and run again."
        )

    def _reason(self, error: Exception) -> str:
        if isinstance(error, ImportError) and self._protocol in _EXTRAS:
            extra = f"[{_EXTRAS[self._protocol]}]"
            return (
                f"their driver is not installed. Append `{extra}` to the target's name or address (in Meltano: to"
                " `pip_url`, and then run `meltano install`)"
            )
        if isinstance(error, FileNotFoundError) or "NotFound" in type(error).__name__:
            return "there is no such bucket or folder. Create it, or correct `ledger_path`"
        if isinstance(error, PermissionError):
            return "access is denied. Give these credentials the permissions to list, read, write and delete there"
        text = re.sub(r"(?<=://)[^/@\s]*@|\?\S*", "", next(iter(str(error).splitlines()), ""))[:200].rstrip(". ")
        advice = "Fix the cause"
        if "Credentials" in type(error).__name__:
            advice = "Provide credentials where the driver looks for them: environment variables, a profile, or a role"
        elif "Connect" in type(error).__name__:
            advice = (
                "Check the network, and the object store's address (`AWS_ENDPOINT_URL` if it is compatible with S3)"
            )
        elif "Protocol not known" in text:
            advice = "Correct `ledger_path`: `s3://`, `gs://` and `abfs://` are supported"
        return f"{text or 'no response'} ({type(error).__name__}). {advice}"


def shown(place: Path | str) -> str:
    """Return a path or URL without parts that may contain credentials."""
    if not isinstance(place, str):
        return str(place)
    parts = urlsplit(place)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2] or parts.netloc, query="", fragment="").geturl()


def number_of(name: str, series: str) -> int:
    """Return an object's number in a series, or 0 if it does not belong to the series."""
    match = re.fullmatch(re.escape(series) + r"\.([0-9]{8})", name)
    return int(match[1]) if match else 0


def _numbered(series: str, number: int) -> str:
    return f"{series}.{number:08d}"
