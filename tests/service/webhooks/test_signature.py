"""Signatures agree with the test vector and the library of the specification."""

from __future__ import annotations

import base64
import time

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from sgmn.service.webhooks.signature import new_secret, signed_headers


def test_the_reference_library_accepts_a_message_and_no_change_of_it() -> None:
    secret, body = new_secret(), '{"seq":1,"text":"红"}'.encode()
    headers = dict(signed_headers([secret], "dlv_1", int(time.time()), body))
    assert Webhook(secret).verify(body, headers) == {"seq": 1, "text": "红"}
    changes = [(body + b" ", headers), (body, {**headers, "webhook-id": "dlv_2"})]
    old = dict(signed_headers([secret], "dlv_1", int(time.time()) - 3600, body))
    for changed, with_headers in [*changes, (body, old)]:
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(changed, with_headers)


def test_the_example_of_the_specification() -> None:
    headers = signed_headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_secrets_are_random_and_long() -> None:
    first, second = new_secret(), new_secret()
    assert first != second
    assert len(base64.b64decode(first.removeprefix("whsec_"))) == 32
