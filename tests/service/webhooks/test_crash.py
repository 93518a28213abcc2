"""A process that is killed in a delivery: the next one delivers the same message again."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sgmn.service.context import ServiceContext
from tests.media.streaming import wait_until
from tests.service.webhooks.conftest import RunSender, add_row, add_session, add_webhook, deliveries
from tests.service.webhooks.endpoint import Endpoint

SENDER = """
import asyncio, sys
from sgmn.service.app import open_context
from sgmn.service.settings import ServiceSettings
from sgmn.service.webhooks.sender import SenderOptions, WebhookSender
context = open_context(ServiceSettings.from_json(sys.stdin.read()))
options = SenderOptions(timeout_s=60.0, lease_s=1.0, poll_s=0.05)
asyncio.run(WebhookSender(context, options).run())
"""


@pytest.mark.slow
def test_kill_9_in_a_delivery(
    context: ServiceContext, endpoint: Endpoint, run_sender: RunSender
) -> None:
    endpoint.hold.clear()
    _, secret = add_webhook(context, endpoint.url)
    session = add_session(context)
    for seq in (1, 2, 3):
        add_row(context, session, seq)
    process = subprocess.Popen([sys.executable, "-c", SENDER], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(context.settings.to_json().encode())
    process.stdin.close()
    try:
        wait_until(lambda: endpoint.messages, timeout_s=60)
    finally:
        process.kill()
        process.wait()
    assert [row["state"] for row in deliveries(context)] == ["pending"] * 3
    endpoint.hold.set()
    with run_sender():
        wait_until(lambda: all(row["state"] == "delivered" for row in deliveries(context)))
    assert endpoint.seqs == [1, 1, 2, 3]
    ids = [id_ for id_, _ in endpoint.messages]
    assert ids[0] == ids[1] and len(set(ids)) == 3
    endpoint.verify_all(secret)
