"""A place for ledgers that is no disk of this machine: S3, GCS, Azure, or whatever else fsspec can open.

Objects are written whole and never changed. What changes is a *series*: objects of one name with a number behind it, of
which the highest counts. Of all who write the same number one wins. Where the store creates an object only if there is
none (S3, GCS, Azure), that decides; where it cannot, the earliest of the *claims* does that all must lay down first.
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
"""Protocols whose drivers leave it to the store to create an object only if there is none."""
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "abfs": "azure", "abfss": "azure", "az": "azure"}

SETTLE_S = 3.0
"""How long a claim waits for others that were laid down at the same time."""
CLAIM_LIVES = timedelta(minutes=20)
"""After that a claim is taken to be of somebody who was killed."""


class ObjectStoreFailed(LedgerUnusable):
    """The store cannot be read or written; the text names neither credentials nor what is stored."""


class VersionUnreadable(ObjectStoreFailed):
    """The newest of a series is no version that this program knows; others are not to blame for it."""


class ObjectStore:
    """The objects under one URL. Every method raises `ObjectStoreFailed`."""

    def __init__(self, url: str) -> None:
        self.name = shown(url)
        self._protocol = urlsplit(url).scheme
        self._seen: dict[str, bytes] = {}
        from fsspec.core import url_to_fs  # noqa: PLC0415 - few runs need it, and it takes long to load

        try:
            self._files, root = url_to_fs(url, skip_instance_cache=True)
        except Exception as error:  # noqa: BLE001 - whatever the driver of that protocol raises
            raise self._failed("opened", error) from None
        self._root = root.rstrip("/")

    def check(self) -> None:
        """Try whether objects can be listed, written and removed."""
        self.names()
        probe = f"probe-{uuid.uuid4().hex}"
        self._write(probe, b"probe")
        self.remove([probe])

    def names(self) -> list[str]:
        """List all objects; without the folder there are none."""
        try:
            self._files.invalidate_cache()
            return [path.rstrip("/").rpartition("/")[2] for path in self._files.ls(self._root, detail=False)]
        except FileNotFoundError:
            return []
        except Exception as error:  # noqa: BLE001 - as above
            raise self._failed("listed", error) from None

    def newest(self, series: str, number: int | None = None) -> tuple[int, bytes]:
        """Give the highest number of a series and what it holds; 0 and nothing if there is none.

        `number` is the highest as of a moment ago, if that is known. Raises `VersionUnreadable`.
        """
        unreadable = 0
        for _ in range(5):  # one that is superseded right now is removed, and the next one is there
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
            f"{_numbered(series, unreadable)} in {self.name} is empty or cannot be found. If no run goes on now,"
            " remove it."
        )

    def append(self, series: str, number: int, content: bytes) -> bool:
        """Write the next of a series, and remove those before it; tell whether nobody else was faster.

        `content` must be like no other's. Who was not told, because the answer was lost, finds out by what is there.
        """
        name = _numbered(series, number)
        won = self._create(name, content) if self._conditional else self._claim(series, number, content)
        if not won:
            return False
        numbers = {number_of(other, series): other for other in self.names()}
        if max(numbers) > number:  # ours had been written before, and removed
            self.remove([name])
            return False
        self._seen[name] = content
        self.remove(older for other, older in numbers.items() if 0 < other < number)
        return True

    def upload(self, file: Path, name: str) -> None:
        """Write a file's content to an object."""
        try:
            self._make_folder()
            self._files.put_file(str(file), self._at(name))
        except Exception as error:  # noqa: BLE001 - as above
            raise self._failed("written", error) from None

    def download(self, name: str, file: Path) -> bool:
        """Write an object's content to a file; tell whether there was one."""
        try:
            self._files.get_file(self._at(name), str(file))
        except FileNotFoundError:
            file.unlink(missing_ok=True)
            return False
        except Exception as error:  # noqa: BLE001 - as above
            raise self._failed("read", error) from None
        return True

    def copy(self, name: str, to: str) -> None:
        """Copy an object within the store."""
        try:
            self._files.cp_file(self._at(name), self._at(to))
        except Exception as error:  # noqa: BLE001 - as above
            raise self._failed("copied", error) from None

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; those that are gone already are no fault."""
        for name in names:
            try:
                self._files.rm_file(self._at(name))
            except FileNotFoundError:
                continue
            except Exception as error:  # noqa: BLE001 - as above
                raise self._failed("removed", error) from None

    @cached_property
    def _conditional(self) -> bool:
        """Whether of two who create an object one is refused: tried, for some that speak S3 ignore the condition."""
        if self._protocol not in _CONDITIONAL:
            return False
        probe = f"probe-{uuid.uuid4().hex}"
        try:
            self._create(probe, b"first")  # some refuse the condition itself
        except ObjectStoreFailed:
            return False
        try:
            return not self._create(probe, b"second")
        finally:
            self.remove([probe])

    def _create(self, name: str, content: bytes) -> bool:
        """Write an object if there is none; tell whether it is this one that is there now."""
        try:
            self._files.pipe_file(self._at(name), content, mode="create")
        except Exception as error:  # noqa: BLE001 - as above; whether it was the condition, not every store tells
            there = self._read(name)
            if not there:
                raise self._failed("written", error) from None
            return there == content
        return True

    def _claim(self, series: str, number: int, content: bytes) -> bool:
        """Write an object if no claim to its number is earlier than ours; claims of the dead do not count."""
        claims = re.compile(re.escape(_numbered(series, number)) + r"\.[0-9a-f]{32}\.claim")
        ours = f"{_numbered(series, number)}.{uuid.uuid4().hex}.claim"
        self._write(ours, b"claimed")
        try:
            time.sleep(SETTLE_S)
            names = self.names()
            laid = {name: self._modified(name) for name in {ours, *filter(claims.fullmatch, names)}}
            since = {name: moment for name, moment in laid.items() if moment is not None}
            dead = {name for name in since if since[ours] - since[name] > CLAIM_LIVES} - {ours}
            first = min(since.keys() - dead, key=lambda name: (since[name], name))
            if first != ours or any(number_of(name, series) >= number for name in names):
                return False
            self._write(_numbered(series, number), content)
            self.remove(dead)
            return True
        finally:
            self.remove([ours])

    def _modified(self, name: str) -> Any:
        try:
            return self._files.modified(self._at(name))
        except FileNotFoundError:  # taken back
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
        if self._protocol not in _EXTRAS:  # there folders are but names, and drivers would make a bucket
            self._files.makedirs(self._root, exist_ok=True)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _failed(self, what: str, error: Exception) -> ObjectStoreFailed:
        return ObjectStoreFailed(f"The ledgers in {self.name} cannot be {what}: {self._reason(error)}, and run again.")

    def _reason(self, error: Exception) -> str:
        if isinstance(error, ImportError) and self._protocol in _EXTRAS:
            extra = f"[{_EXTRAS[self._protocol]}]"
            return (
                f"their driver is not installed. Put `{extra}` behind the target's name or address (in Meltano: of"
                " `pip_url`, and then `meltano install`)"
            )
        if isinstance(error, FileNotFoundError) or "NotFound" in type(error).__name__:
            return "there is no such bucket or folder. Make it, or correct `ledger_path`"
        if isinstance(error, PermissionError):
            return "access is denied. Let these credentials list, read, write and delete there"
        text = re.sub(r"(?<=://)[^/@\s]*@|\?\S*", "", next(iter(str(error).splitlines()), ""))[:200].rstrip(". ")
        advice = "Put that right"
        if "Credentials" in type(error).__name__:
            advice = "Give them where the store's driver looks for them: variables, a profile, or the machine's role"
        elif "Connect" in type(error).__name__:
            advice = (
                "Check the network, and the address of the store's service (`AWS_ENDPOINT_URL` for one that speaks S3)"
            )
        elif "Protocol not known" in text:
            advice = "Correct `ledger_path`: `s3://`, `gs://` and `abfs://` are known"
        return f"{text or 'no answer'} ({type(error).__name__}). {advice}"


def shown(place: Path | str) -> str:
    """Give a path or URL without what may be a credential."""
    if not isinstance(place, str):
        return str(place)
    parts = urlsplit(place)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2] or parts.netloc, query="", fragment="").geturl()


def number_of(name: str, series: str) -> int:
    """Give an object's number in a series, 0 if it is not of it."""
    found = re.fullmatch(re.escape(series) + r"\.([0-9]{8})", name)
    return int(found[1]) if found else 0


def _numbered(series: str, number: int) -> str:
    return f"{series}.{number:08d}"
