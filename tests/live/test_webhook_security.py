"""Signatures and credentials of a webhook, and messages that do not show them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

import pytest

from sgmn.errors import SettingsError, SgmnError
from sgmn.live.webhook import Webhook
from tests.live.webhook_server import (
    LONG_S,
    QUICK,
    WebhookServer,
    build_event,
    send_all,
    unused_host,
)


def test_the_signature_covers_the_bytes_of_the_body(serve: Callable[..., WebhookServer]) -> None:
    server = serve()
    send_all(Webhook(server.url, "hush", QUICK), 2)
    for headers, body in server.requests:
        expected = hmac.new(b"hush", body, hashlib.sha256).hexdigest()
        assert headers["X-Sgmn-Signature"] == f"sha256={expected}"
    assert server.requests[0][0]["X-Sgmn-Signature"] != server.requests[1][0]["X-Sgmn-Signature"]


def test_credentials_and_query_reach_the_server(serve: Callable[..., WebhookServer]) -> None:
    server = serve()
    webhook = Webhook(f"http://us%40er:p%3Ass@{server.host}/a/b?token=x#part", settings=QUICK)
    send_all(webhook, 1)
    assert server.paths == ["/a/b?token=x"]
    basic = server.requests[0][0]["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(basic) == b"us@er:p:ss"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://me:s3cret@host/s3cret",
        "http://me:s3cret/@host",
        "https://me:s3cret@",
        "s3cret",
        "http://me:s3cret@host:0/",
        "http://me:s3cret@host:99999/",
        "http://me:s3cret@host/a b",
        "http://me:s3cret@host/a\nb",
        "http://me:s3cret@hößt/",
        "http://me:s3cret@a..b/",
        "http://me:s3cret@[::1/",
    ],
)
def test_an_invalid_url_is_rejected_and_not_shown(url: str) -> None:
    with pytest.raises(SettingsError, match="webhook URL: is not a valid URL") as caught:
        Webhook(url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__context__ is None


def test_no_message_shows_the_url(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    webhook = Webhook(f"http://me:s3cret@{unused_host()}/s3cret?s3cret", "s3cret", QUICK)
    webhook.send(build_event(1))
    with pytest.raises(SgmnError) as caught:
        webhook.send({"id": 1, "bad": {1, 2}})
    report = webhook.close(LONG_S)
    printed = capsys.readouterr()
    texts = [str(report), repr(report), str(caught.value), repr(webhook), caplog.text, *printed]
    assert not any("s3cret" in text or "me:" in text for text in texts)
    assert report.dropped == 1
