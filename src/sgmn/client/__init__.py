"""Clients of the HTTP API of `sgmn serve`, synchronous and asynchronous.

Example:
    >>> from sgmn.client import Client
    >>> with Client("http://127.0.0.1:8080", "sgmn_…") as client:  # doctest: +SKIP
    ...     catalogue = client.make_catalogue("shop-7", "Spring")
    ...     operation = client.import_file(catalogue.id, "products.csv")
    ...     client.wait_for_operation(operation.id)
    ...     session = client.start_session(catalogue.id, "https://shop.example/live.m3u8")
    ...     for row in client.follow(session.id):
    ...         print(row.type, row.data)
"""

from sgmn.client.asynchronous import AsyncClient
from sgmn.client.errors import ApiError, UnreachableError
from sgmn.client.models import (
    Alternative,
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
    Segment,
    Session,
    Timeline,
    Webhook,
)
from sgmn.client.review_models import (
    FrameSpan,
    Improvement,
    Improvements,
    QueuedSegment,
    RecordedPart,
    Reviewed,
    ReviewQueue,
    SessionSegment,
)
from sgmn.client.synchronous import Client

__all__ = [
    "Alternative",
    "ApiError",
    "AsyncClient",
    "Catalogue",
    "Client",
    "Delivery",
    "FrameSpan",
    "Improvement",
    "Improvements",
    "Key",
    "LogRow",
    "Now",
    "Operation",
    "OperationRow",
    "Product",
    "QueuedSegment",
    "RecordedPart",
    "Review",
    "ReviewQueue",
    "Reviewed",
    "SearchHit",
    "Segment",
    "Session",
    "SessionSegment",
    "Timeline",
    "UnreachableError",
    "Webhook",
]
