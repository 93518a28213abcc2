"""The tables of the service, for SQLite and PostgreSQL.

Ids are text, see `ids.py`. Columns that end in `_s` are times in seconds since 1970.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

instance = Table(
    "instance",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),  # admin, editor or viewer
    Column("shops", JSON),  # a list of shop ids; null for all shops
    Column("secret_sha256", Text, nullable=False, unique=True),
    Column("created_s", Double, nullable=False),
    Column("revoked_s", Double),
    Column("last_used_s", Double),
)

logins = Table(
    "logins",  # of browsers
    metadata,
    Column("secret_sha256", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("created_s", Double, nullable=False),
    Column("expires_s", Double, nullable=False),
)

catalogues = Table(
    "catalogues",
    metadata,
    Column("id", Text, primary_key=True),
    Column("shop_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("index_version", Integer, nullable=False),  # of LanceDB; 0 before the first product
    Column("product_count", Integer, nullable=False),
    Column("model_id", Text),  # the operation that trained it; null for the first model
    Column("version", Integer, nullable=False),  # the ETag
    Column("created_s", Double, nullable=False),
    Column("updated_s", Double, nullable=False),
    Column("deleted_s", Double),
    Index(None, "shop_id"),
)

operations = Table(
    "operations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("shop_id", Text, nullable=False),
    Column("catalogue_id", Text),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),  # queued, running, succeeded, failed or cancelled
    Column("request", JSON, nullable=False),
    Column("progress", JSON, nullable=False),
    Column("result", JSON),
    Column("problem", JSON),
    Column("attempt", Integer, nullable=False),  # claims so far; a process writes only its own
    Column("worker", Text),
    Column("created_s", Double, nullable=False),
    Column("started_s", Double),
    Column("ended_s", Double),
    Column("heartbeat_s", Double),
    Index(None, "state", "created_s"),
    Index(None, "shop_id", "created_s"),
)

operation_rows = Table(
    "operation_rows",
    metadata,
    Column("operation_id", Text, nullable=False),
    Column("number", Integer, nullable=False),  # from 1
    Column("level", Text, nullable=False),  # error or warning
    Column("location", Text, nullable=False),  # such as products.csv:12:3
    Column("message", Text, nullable=False),
    PrimaryKeyConstraint("operation_id", "number"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("shop_id", Text, nullable=False),
    Column("catalogue_id", Text, nullable=False),
    Column("index_version", Integer, nullable=False),
    Column("source_redacted", Text, nullable=False),
    Column("source_sealed", Text, nullable=False),
    Column("options", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("state_detail", Text),
    Column("created_s", Double, nullable=False),
    Column("started_s", Double),
    Column("ended_s", Double),
    Column("last_seq", Integer, nullable=False),
    Column("last_event_id", Integer, nullable=False),  # of the events in the log
    Column("gap_count", Integer, nullable=False),  # of the gaps in the log
    Column("version", Integer, nullable=False),
    Index(None, "shop_id", "created_s"),
    Index(None, "state"),
)

log = Table(
    "log",
    metadata,
    Column("session_id", Text, nullable=False),
    Column("seq", Integer, nullable=False),  # from 1, without holes
    Column("type", Text, nullable=False),
    Column("wall_s", Double, nullable=False),
    Column("data", JSON, nullable=False),
    PrimaryKeyConstraint("session_id", "seq"),
)

reviews = Table(
    "reviews",
    metadata,
    Column("session_id", Text, nullable=False),
    Column("review_id", Text, nullable=False),
    Column("start_s", Double, nullable=False),  # of the stream, not since 1970
    Column("end_s", Double, nullable=False),
    Column("product_id", Text),
    Column("verdict", Text, nullable=False),
    Column("author_key_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("updated_s", Double, nullable=False),
    PrimaryKeyConstraint("session_id", "review_id"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("shop_id", Text, nullable=False),
    Column("url_redacted", Text, nullable=False),
    Column("url_sealed", Text, nullable=False),
    Column("secret_sealed", Text, nullable=False),
    Column("previous_secret_sealed", Text),
    Column("previous_secret_until_s", Double),
    Column("types", JSON, nullable=False),
    Column("state", Text, nullable=False),  # active or disabled
    Column("created_s", Double, nullable=False),
    Column("version", Integer, nullable=False),
    Index(None, "shop_id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("webhook_id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("state", Text, nullable=False),  # pending, delivered or dead
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_s", Double),
    Column("last_status", Integer),
    Column("last_error", Text),
    Column("created_s", Double, nullable=False),
    Column("updated_s", Double, nullable=False),
    UniqueConstraint("webhook_id", "session_id", "seq"),
    Index(None, "state", "next_attempt_s"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key_id", Text, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("request_sha256", Text, nullable=False),
    Column("status", Integer),  # null while the first request runs
    Column("headers", JSON),
    Column("body_sealed", Text),
    Column("created_s", Double, nullable=False),
    PrimaryKeyConstraint("key_id", "idempotency_key"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Text, primary_key=True),
    Column("wall_s", Double, nullable=False),
    Column("key_id", Text),
    Column("action", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("shop_id", Text),
    Column("request_id", Text),
    Column("detail", JSON),
    Index(None, "wall_s"),
)
