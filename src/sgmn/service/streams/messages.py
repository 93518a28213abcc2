"""Messages between the processes of the service: a JSON object, and optionally binary parts.

A message is a header of three big-endian unsigned 32-bit integers (length of the JSON, number of
parts, total length of the parts' lengths and bytes), the JSON, and each part with its length. The
processes run on one machine as one user, so a broken message is a bug: it ends the connection.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

_HEADER = struct.Struct(">III")
_LENGTH = struct.Struct(">I")
MAX_JSON_BYTES = 16 << 20
MAX_PARTS_BYTES = 256 << 20
_READ_BYTES = 1 << 18


class Message(NamedTuple):
    """A message: `content["type"]` says what it is."""

    content: dict[str, Any]
    parts: Sequence[bytes] = ()

    @property
    def type(self) -> str:
        """The kind of the message."""
        return str(self.content["type"])


class ConnectionLost(Exception):  # noqa: N818 - an event rather than an error
    """The other process has closed the connection, or sent something that is no message."""


def pack(content: dict[str, Any], parts: Sequence[bytes] = ()) -> bytes:
    """Return a message as bytes."""
    text = json.dumps(content, separators=(",", ":")).encode()
    body = b"".join(piece for part in parts for piece in (_LENGTH.pack(len(part)), part))
    return _HEADER.pack(len(text), len(parts), len(body)) + text + body


class MessageBuffer:
    """Splits received bytes into messages.

    Example:
        >>> buffer = MessageBuffer()
        >>> buffer.feed(pack({"type": "stop"})[:9]), buffer.feed(pack({"type": "stop"})[9:])
        ([], [Message(content={'type': 'stop'}, parts=())])
    """

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Add bytes and return the messages that are complete now.

        Raises ConnectionLost if the bytes are no message.
        """
        self._data += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> Message | None:
        if len(self._data) < _HEADER.size:
            return None
        json_length, part_count, parts_length = _HEADER.unpack_from(self._data)
        if json_length > MAX_JSON_BYTES or parts_length > MAX_PARTS_BYTES:
            raise ConnectionLost("a message is too long")
        end = _HEADER.size + json_length + parts_length
        if len(self._data) < end:
            return None
        text = bytes(self._data[_HEADER.size : _HEADER.size + json_length])
        parts = _split_parts(bytes(self._data[_HEADER.size + json_length : end]), part_count)
        del self._data[:end]
        try:
            content = json.loads(text)
        except ValueError as error:
            raise ConnectionLost("a message is not JSON") from error
        if not isinstance(content, dict) or not isinstance(content.get("type"), str):
            raise ConnectionLost("a message has no type")
        return Message(content, parts)


def _split_parts(body: bytes, count: int) -> tuple[bytes, ...]:
    parts, offset = [], 0
    for _ in range(count):
        if offset + _LENGTH.size > len(body):
            raise ConnectionLost("a message is cut short")
        (length,) = _LENGTH.unpack_from(body, offset)
        parts.append(body[offset + _LENGTH.size : offset + _LENGTH.size + length])
        offset += _LENGTH.size + length
    if offset != len(body):
        raise ConnectionLost("the parts of a message do not match their lengths")
    return tuple(parts)


class MessageSocket:
    """Sends and receives whole messages over a connected stream socket.

    One thread may receive while others send, if the senders lock.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._buffer = MessageBuffer()
        self._received: list[Message] = []

    def send(self, content: dict[str, Any], parts: Sequence[bytes] = ()) -> None:
        """Send a message; blocks while the receiver is busy. Raises ConnectionLost."""
        try:
            self.connection.sendall(pack(content, parts))
        except OSError as error:
            raise ConnectionLost(str(error)) from error

    def receive(self) -> Message:
        """Wait for a message.

        Raises:
            ConnectionLost: The other side has closed the connection.
            TimeoutError: The socket has a timeout, and it has passed.
        """
        while not self._received:
            try:
                data = self.connection.recv(_READ_BYTES)
            except TimeoutError:
                raise
            except OSError as error:
                raise ConnectionLost(str(error)) from error
            if not data:
                raise ConnectionLost("the connection was closed")
            self._received.extend(self._buffer.feed(data))
        return self._received.pop(0)

    def close(self) -> None:
        """Close the connection, and wake a thread that waits for a message."""
        with suppress(OSError):  # it was closed by the other side
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()
