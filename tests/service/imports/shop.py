"""A catalogue of the service with the client that fills it, and uploads of six products."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from sgmn.service.context import ServiceContext
from sgmn.service.operations import queue
from sgmn.service.operations.worker import run_job
from tests.service.conftest import SHOP, Headers

TITLES = "product_id,title\np1,red milk\np2,green milk\n"


def run_waiting(context: ServiceContext) -> int:
    """Run all operations that wait in this process; return how many there were."""
    count = 0
    while (job := queue.claim(context.database, "test")) is not None:
        run_job(context, job)
        count += 1
    return count


def zip_folder(folder: Path, prefix: str = "") -> bytes:
    """The files of a folder as a zip archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, prefix + path.name)
    return packed.getvalue()


def zip_texts(**files: str) -> bytes:
    """Texts as the files of a zip archive; `__` in a name stands for a dot."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "."), text)
    return packed.getvalue()


class Shop:
    """One catalogue, and what its editor does with it."""

    def __init__(self, client: TestClient, context: ServiceContext, editor: Headers) -> None:
        self.client, self.context, self.editor = client, context, editor
        new = {"shop_id": SHOP, "name": "test"}
        self.id = client.post("/v1/catalogues", json=new, headers=editor).json()["id"]
        self.place = f"/v1/catalogues/{self.id}"

    def get(self, path: str = "", **query: Any) -> Any:
        """The document at an address of the catalogue."""
        answer = self.client.get(self.place + path, params=query, headers=self.editor)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def upload(self, body: bytes | str, media_type: str = "text/csv", **query: Any) -> Any:
        """Start an import; return the answer."""
        headers = self.editor | {"Content-Type": media_type}
        place = f"{self.place}/imports"
        return self.client.post(place, content=body, params=query, headers=headers)

    def import_url(self, url: str) -> Any:
        """Start an import of an address; return the answer."""
        return self.client.post(f"{self.place}/imports", json={"url": url}, headers=self.editor)

    def finish(self, answer: Any) -> Any:
        """Run the operation that an answer names, and return it with its report as `rows`."""
        assert answer.status_code == 202, answer.text
        run_waiting(self.context)
        place = answer.headers["Location"]
        operation = self.client.get(place, headers=self.editor).json()
        report = self.client.get(f"{place}/rows", headers=self.editor).json()
        return operation | {"rows": report["items"]}

    def products(self) -> list[str]:
        """The ids of all products."""
        return [product["product_id"] for product in self.get("/products")["items"]]


def json_lines(*rows: dict[str, Any]) -> str:
    """Rows as JSON Lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)
