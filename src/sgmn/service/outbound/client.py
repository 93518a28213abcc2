"""HTTP clients that connect only to allowed addresses, and only by allowed schemes."""

from __future__ import annotations

from collections.abc import Collection

import httpx

from sgmn.catalogue.fetch.addresses import AddressRules
from sgmn.catalogue.fetch.client import CheckedTransport
from sgmn.errors import FetchError
from sgmn.media.address import redact_address

USER_AGENT = "sgmn (service)"


class OutboundTransport(CheckedTransport):
    """Sends requests of the allowed schemes to allowed addresses.

    Raises FetchError for a refused address, and errors of httpcore otherwise.
    """

    def __init__(
        self, rules: AddressRules, schemes: Collection[str], max_connections: int = 100
    ) -> None:
        super().__init__(rules, max_connections)
        self.schemes = schemes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        if request.url.scheme not in self.schemes:
            message = f"uses {request.url.scheme!r}, which this service does not allow"
            remedy = f"use an address of {', '.join(sorted(self.schemes)) or 'another kind'}"
            raise FetchError(message, redact_address(str(request.url)), remedy)
        return await super().handle_async_request(request)


def open_outbound_client(
    rules: AddressRules, schemes: Collection[str], timeout_s: float
) -> httpx.AsyncClient:
    """A client with an OutboundTransport, without proxies and automatic redirects."""
    return httpx.AsyncClient(
        transport=OutboundTransport(rules, schemes),
        headers={"user-agent": USER_AGENT, "accept-encoding": "identity"},
        timeout=httpx.Timeout(timeout_s),
    )
