"""An S3 that is moto's, over real HTTP: as Amazon's, or as one of those that ignore the condition of a write."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING, Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pytest

BUCKET = "ledgers"
SECRET = "marker-secret-of-s3"


@dataclass
class S3:
    """A bucket; `before` is called with method and path before each request, and may raise to make it fail."""

    url: str
    client: Any
    conditional: bool
    variables: dict[str, str] = field(default_factory=dict)
    """The environment that its clients need."""
    refuses_conditions: bool = False
    before: list[Callable[[str, str], None]] = field(default_factory=list)

    @property
    def place(self) -> str:
        """What `ledger_path` is set to."""
        return f"s3://{BUCKET}/tiktok"

    def names(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [each["Key"].removeprefix("tiktok/") for each in found]

    def read(self, name: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=BUCKET, Key=f"tiktok/{name}")["Body"].read()
        return content

    def write(self, name: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=f"tiktok/{name}", Body=content)

    def remove(self, name: str) -> None:
        self.client.delete_object(Bucket=BUCKET, Key=f"tiktok/{name}")


@contextmanager
def serve_s3(monkeypatch: pytest.MonkeyPatch, *, conditional: bool = True) -> Iterator[S3]:
    """Serve S3 with one empty bucket, and set the environment for its clients."""
    moto: Any = DomainDispatcherApplication(create_backend_app)
    s3 = S3("", None, conditional)

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if not s3.conditional:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        if s3.refuses_conditions and "HTTP_IF_NONE_MATCH" in environ:
            start("501 Not Implemented", [("Content-Type", "application/xml")])
            return [b"<Error><Code>NotImplemented</Code><Message>no conditions</Message></Error>"]
        try:
            for each in s3.before:
                each(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        except ConnectionError:
            start("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"<Error><Code>AccessDenied</Code><Message>not today</Message></Error>"]
        answer: Iterable[bytes] = moto(environ, start)
        return answer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    s3.url = f"http://127.0.0.1:{server.port}"
    s3.variables = {
        "AWS_ACCESS_KEY_ID": "emulated",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3.url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in s3.variables.items():
        monkeypatch.setenv(name, value)
    s3.client = boto3.client("s3")
    s3.client.create_bucket(Bucket=BUCKET)
    try:
        yield s3
    finally:
        for name in s3.names():
            s3.remove(name)
        s3.client.delete_bucket(Bucket=BUCKET)
        s3.client.close()
        server.shutdown()
        thread.join()
        server.server_close()
