"""A plain client for the emulator's tests: it sends what a test says and hides nothing that is answered."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests

from target_tiktok_audiences.emulator.emulator import Emulator
from target_tiktok_audiences.emulator.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ADVERTISER = "7000000000000000001"
OTHER_ADVERTISER = "7000000000000000002"
TOKEN = "emulator-token"
NOWHERE = "http://127.0.0.1:9/open_api/v1.3"
"""For runs that never get as far as TikTok; nobody listens there."""


def digests(count: int, start: int = 0) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in range(start, start + count)]


class Client:
    def __init__(self, url: str) -> None:
        self.url = url
        self.base = f"{url}/open_api/v1.3"
        self.headers: dict[str, str] = {"Access-Token": TOKEN}
        self.advertiser_id = ADVERTISER

    def get(self, path: str, **query: Any) -> Any:
        return requests.get(self.base + path, params=query, headers=self.headers, timeout=10).json()

    def post(self, path: str, **body: Any) -> Any:
        return requests.post(self.base + path, json=body, headers=self.headers, timeout=10).json()

    def send_file(self, content: bytes, name: str = "people.csv", **fields: str | None) -> Any:
        form: dict[str, Any] = {
            "advertiser_id": self.advertiser_id,
            "file_signature": hashlib.md5(content).hexdigest(),
            "calculate_type": "EMAIL_SHA256",
            **fields,
        }
        return requests.post(
            f"{self.base}/dmp/custom_audience/file/upload/",
            data={field: value for field, value in form.items() if value is not None},
            files={"file": (name, content)},
            headers=self.headers,
            timeout=30,
        ).json()

    def upload(self, rows: Sequence[str], calculate_type: str = "EMAIL_SHA256") -> str:
        answer = self.send_file("".join(f"{row}\n" for row in rows).encode(), calculate_type=calculate_type)
        assert answer["code"] == 0, answer
        return str(answer["data"]["file_path"])

    def try_create(self, paths: Sequence[str], **fields: Any) -> Any:
        body = {
            "advertiser_id": self.advertiser_id,
            "custom_audience_name": "Customers",
            "file_paths": paths,
            "calculate_type": "EMAIL_SHA256",
            **fields,
        }
        return self.post("/dmp/custom_audience/create/", **body)

    def create(self, rows: Sequence[str], **fields: Any) -> str:
        answer = self.try_create([self.upload(rows, fields.get("calculate_type", "EMAIL_SHA256"))], **fields)
        assert answer["code"] == 0, answer
        return str(answer["data"]["custom_audience_id"])

    def update(self, audience_id: str, rows: Sequence[str] | None = None, **fields: Any) -> Any:
        if rows is not None:
            fields["file_paths"] = [self.upload(rows)]
        return self.post(
            "/dmp/custom_audience/update/",
            **{"advertiser_id": self.advertiser_id, "custom_audience_id": audience_id, **fields},
        )

    def delete(self, *audience_ids: str) -> Any:
        return self.post(
            "/dmp/custom_audience/delete/", advertiser_id=self.advertiser_id, custom_audience_ids=audience_ids
        )

    def listing(self, **query: Any) -> Any:
        return self.get("/dmp/custom_audience/list/", **{"advertiser_id": self.advertiser_id, **query})

    def try_read(self, *audience_ids: str, **query: Any) -> Any:
        return self.get(
            "/dmp/custom_audience/get/",
            advertiser_id=self.advertiser_id,
            custom_audience_ids=json.dumps(audience_ids),
            **query,
        )

    def details(self, audience_id: str) -> Any:
        return self.try_read(audience_id)["data"]["list"][0]["audience_details"]

    def history(self, audience_id: str, **query: Any) -> Any:
        return self.try_read(audience_id, **query)["data"]["list"][0]["audience_history"]

    def control(self, path: str, body: Any = None, *, method: str | None = None) -> requests.Response:
        method = method or ("GET" if body is None else "POST")
        answer = requests.request(method, f"{self.url}/_emulator/{path}", json=body, timeout=10)
        answer.raise_for_status()
        return answer

    def advance(self, hours: float) -> None:
        self.control("clock", {"advance_hours": hours})

    def members(self, audience_id: str, query: str = "") -> list[str]:
        return self.control(f"audiences/{audience_id}/members{query}").text.split()

    def fault(self, **fault: Any) -> None:
        self.control("faults", fault)

    def seed(self, **seed: Any) -> str:
        return str(self.control("audiences", {"advertiser_id": ADVERTISER, **seed}).json()["audience_id"])

    def requests(self) -> list[dict[str, Any]]:
        log: list[dict[str, Any]] = self.control("requests").json()
        return log

    def posts(self) -> list[dict[str, Any]]:
        """Give the requests that were more than a look."""
        return [request for request in self.requests() if request["method"] != "GET"]


@contextmanager
def emulated(**options: Any) -> Iterator[Client]:
    """Serve an emulator without a rate limit that processes at once, unless the options say otherwise."""
    with serve(Emulator(**{"qps": 0, "processing_hours": 0, **options})) as url:
        yield Client(url)
