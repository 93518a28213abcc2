"""What a worker process tells the service, without a process."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from sgmn.service.streams import worker_control
from sgmn.service.streams.messages import MessageSocket
from sgmn.service.streams.worker_control import LAST_MESSAGES, WorkerControl


@pytest.mark.parametrize("kind", LAST_MESSAGES)
def test_the_last_message_comes_after_all_damage(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its threads would end this process as soon as the connection is closed.
    thread = SimpleNamespace(start=lambda: None)
    monkeypatch.setattr(worker_control, "Thread", lambda **options: thread)
    service, worker = socket.socketpair()
    with service, worker:
        control, damage = WorkerControl(worker), list[str]()
        control.start(lambda: {"damage": list(damage)})
        damage.append("a packet is broken")
        control.report("window", time_s=1.0)
        control.report(kind, end_s=2.0)
        messages = MessageSocket(service)
        found = [messages.receive() for _ in range(3)]
    assert [message.type for message in found] == ["window", "alive", kind]
    assert found[1].content["damage"] == damage
