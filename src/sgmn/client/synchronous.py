"""The synchronous client."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sgmn.client import calls
from sgmn.client.models import (
    Catalogue,
    Delivery,
    Key,
    LogRow,
    Now,
    Operation,
    OperationRow,
    Product,
    Review,
    SearchHit,
    Session,
    Timeline,
    Webhook,
)
from sgmn.client.review_methods import ReviewMethods

_POLL_S = 0.5


class Client(ReviewMethods):
    """A client of the HTTP API. Enter it with `with`, or call `close`.

    Requests that fail for now are sent again, as far as that does no harm: each POST that makes
    something has an Idempotency-Key. Every method raises ApiError if the service answers with an
    error, and UnreachableError if it does not answer.

    Args:
        base_url: The address of the service.
        key: An API key.
        timeout_s: Maximum time for connecting, and for a piece of an answer.
        transport: Sends the requests; httpx's own if None.
    """

    def list_keys(self) -> Iterator[Key]:
        """All keys; admins only, as the next two."""
        return self._pages("/v1/keys", Key)

    def make_key(self, name: str, role: str, shops: Sequence[str] | None = None) -> Key:
        """Make a key; the answer is the only one with its secret."""
        return self._send(calls.make_key(name, role, shops))

    def revoke_key(self, key_id: str) -> None:
        """Revoke a key."""
        return self._send(calls.call_for_nothing("DELETE", f"/v1/keys/{key_id}"))

    def list_catalogues(self, shop_id: str | None = None) -> Iterator[Catalogue]:
        """The catalogues of a shop, or of all shops of the key."""
        return self._pages("/v1/catalogues", Catalogue, shop_id=shop_id)

    def make_catalogue(self, shop_id: str, name: str) -> Catalogue:
        """Make a catalogue."""
        return self._send(calls.make_catalogue(shop_id, name))

    def get_catalogue(self, catalogue_id: str) -> Catalogue:
        """Get a catalogue."""
        return self._send(calls.call("GET", calls.catalogue_path(catalogue_id), Catalogue))

    def delete_catalogue(self, catalogue_id: str, if_version: int | None = None) -> None:
        """Delete a catalogue."""
        path = calls.catalogue_path(catalogue_id)
        return self._send(calls.call_for_nothing("DELETE", path, if_version))

    def import_file(
        self, catalogue_id: str, path: Path | str, *, sync: bool = False, strict: bool = False
    ) -> Operation:
        """Import a catalogue file; `sync` removes products that it does not list."""
        return self._send(calls.import_file(catalogue_id, Path(path), sync, strict))

    def import_url(
        self, catalogue_id: str, url: str, *, sync: bool = False, strict: bool = False
    ) -> Operation:
        """Import a catalogue from an address."""
        path = calls.catalogue_path(catalogue_id, "imports")
        return self._send(
            calls.call("POST", path, Operation, {"url": url}, sync=sync, strict=strict)
        )

    def list_products(self, catalogue_id: str) -> Iterator[Product]:
        """The products of a catalogue."""
        return self._pages(calls.catalogue_path(catalogue_id, "products"), Product)

    def get_product(self, catalogue_id: str, product_id: str) -> Product:
        """Get a product."""
        return self._send(calls.get_product(catalogue_id, product_id))

    def put_product(self, catalogue_id: str, product_id: str, **values: Any) -> Operation:
        """Add or replace a product: title, category, images (addresses), attributes."""
        return self._send(calls.put_product(catalogue_id, product_id, values))

    def delete_product(self, catalogue_id: str, product_id: str) -> None:
        """Delete a product."""
        path = calls.product_path(catalogue_id, product_id)
        return self._send(calls.call_for_nothing("DELETE", path))

    def search(
        self,
        catalogue_id: str,
        text: str = "",
        image: bytes | None = None,
        media_type: str = "image/jpeg",
        limit: int = 10,
    ) -> list[SearchHit]:
        """Search by a text, an image, or both; best first."""
        return self._send(calls.search(catalogue_id, text, image, media_type, limit))

    def get_operation(self, operation_id: str) -> Operation:
        """Get an operation."""
        return self._send(calls.call("GET", f"/v1/operations/{operation_id}", Operation))

    def list_operation_rows(self, operation_id: str) -> Iterator[OperationRow]:
        """What an operation says about rows of its input."""
        return self._pages(f"/v1/operations/{operation_id}/rows", OperationRow)

    def cancel_operation(self, operation_id: str) -> Operation:
        """Cancel an operation."""
        return self._send(calls.call("POST", f"/v1/operations/{operation_id}:cancel", Operation))

    def wait_for_operation(self, operation_id: str, timeout_s: float = 3600.0) -> Operation:
        """Wait until an operation is over, and return it. Raises TimeoutError."""
        end_s = time.monotonic() + timeout_s
        while not (operation := self.get_operation(operation_id)).is_over:
            if time.monotonic() > end_s:
                raise TimeoutError(f"{operation_id} is {operation.state} after {timeout_s:g} s")
            time.sleep(_POLL_S)
        return operation

    def list_sessions(
        self, state: str | None = None, shop_id: str | None = None
    ) -> Iterator[Session]:
        """The sessions of the shops of the key."""
        return self._pages("/v1/sessions", Session, state=state, shop_id=shop_id)

    def start_session(self, catalogue_id: str, source: str, **options: Any) -> Session:
        """Start a session; options as in the API, such as transcript and lag_s."""
        return self._send(calls.start_session(catalogue_id, source, options))

    def get_session(self, session_id: str) -> Session:
        """Get a session."""
        return self._send(calls.call("GET", calls.session_path(session_id), Session))

    def stop_session(self, session_id: str) -> Session:
        """Let a session end soon."""
        return self._send(calls.call("POST", calls.session_path(session_id) + ":stop", Session))

    def delete_session(self, session_id: str) -> None:
        """Delete a session and all that belongs to it."""
        return self._send(calls.call_for_nothing("DELETE", calls.session_path(session_id)))

    def add_utterances(self, session_id: str, utterances: Sequence[Mapping[str, Any]]) -> int:
        """Add what was said: start and end in seconds of the stream, and text."""
        return self._send(calls.add_utterances(session_id, utterances))

    def get_now(self, session_id: str) -> Now:
        """What is on sale now."""
        return self._send(calls.get_now(session_id))

    def read_log(
        self, session_id: str, after: int = 0, wait_s: float = 0.0, limit: int = 200
    ) -> list[LogRow]:
        """The rows of a log after a number; with `wait_s` it waits for the first of them."""
        return self._send(calls.read_log(session_id, after, wait_s, limit))

    def get_timeline(self, session_id: str, layer: str = "machine") -> Timeline:
        """The segments of a session; layer machine or reviewed."""
        return self._send(calls.get_timeline(session_id, layer))

    def list_reviews(self, session_id: str) -> list[Review]:
        """The reviews of a session."""
        return self._send(calls.call_for_items(calls.session_path(session_id, "reviews"), Review))

    def put_review(
        self, session_id: str, review_id: str, if_version: int | None = None, **review: Any
    ) -> Review:
        """Make or change a review: start, end, product_id and verdict."""
        return self._send(calls.put_review(session_id, review_id, review, if_version))

    def delete_review(self, session_id: str, review_id: str) -> None:
        """Delete a review."""
        path = calls.session_path(session_id, "reviews", review_id)
        return self._send(calls.call_for_nothing("DELETE", path))

    def get_frame(self, session_id: str, time_s: float) -> bytes:
        """The newest frame at or before a time of the stream, as JPEG."""
        return self._send(
            calls.call_for_bytes(calls.session_path(session_id, "frames", f"{time_s}.jpg"))
        )

    def export(self, session_id: str, format: str = "json", layer: str = "reviewed") -> bytes:
        """A timeline as a file: json, vtt, chapters, csv or pairs."""
        path = calls.session_path(session_id, "export")
        return self._send(calls.call_for_bytes(path, format=format, layer=layer))

    def list_webhooks(self, shop_id: str | None = None) -> Iterator[Webhook]:
        """The webhooks of a shop, or of all shops of the key."""
        return self._pages("/v1/webhooks", Webhook, shop_id=shop_id)

    def make_webhook(self, shop_id: str, url: str, types: Sequence[str] | None = None) -> Webhook:
        """Make a webhook; the answer is the only one with its secret."""
        return self._send(calls.make_webhook(shop_id, url, types))

    def get_webhook(self, webhook_id: str) -> Webhook:
        """Get a webhook."""
        return self._send(calls.call("GET", calls.webhook_path(webhook_id), Webhook))

    def change_webhook(
        self, webhook_id: str, if_version: int | None = None, **values: Any
    ) -> Webhook:
        """Change the url, the types or the state of a webhook."""
        path = calls.webhook_path(webhook_id)
        return self._send(calls.call("PUT", path, Webhook, values, if_version))

    def rotate_secret(self, webhook_id: str, keep_hours: float = 24.0) -> Webhook:
        """Replace the secret of a webhook; that before goes on to sign for some hours."""
        return self._send(calls.rotate_secret(webhook_id, keep_hours))

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook and its deliveries."""
        return self._send(calls.call_for_nothing("DELETE", calls.webhook_path(webhook_id)))

    def list_deliveries(self, webhook_id: str, state: str | None = None) -> Iterator[Delivery]:
        """The deliveries of a webhook, newest first."""
        return self._pages(calls.webhook_path(webhook_id, "deliveries"), Delivery, state=state)

    def retry_delivery(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Deliver again now."""
        path = calls.webhook_path(webhook_id, "deliveries", f"{delivery_id}:retry")
        return self._send(calls.call("POST", path, Delivery))
