"""A transcript that another program is still writing, as JSON lines."""

from __future__ import annotations

import json
import os
import select
from pathlib import Path
from stat import S_ISREG
from typing import IO, Any

from sgmn.errors import MediaError
from sgmn.media.container import describe_error
from sgmn.media.live_transcript import LiveTranscript, TranscriptFollower
from sgmn.media.transcript import parse_utterance as utterance_of

__all__ = ["follow_jsonl"]

_GLANCE_S = 0.1  # how often who waits looks whether it still should
_BLOCK, _LONGEST_LINE = 1 << 16, 1 << 20  # bytes


def follow_jsonl(
    source: Path | str | IO[Any], hearing: LiveTranscript, damage: list[str] | None = None
) -> TranscriptFollower:
    """Hear the JSON lines {"start", "end", "text"} that another program is still writing.

    `source` is a file, a named pipe, or an open pipe or file with a descriptor (standard
    input, what another process prints), which stays the caller's to close. A line counts
    once its end is written. One that cannot be read is named with its number and left out.
    An open pipe ends with its writer; a file and a named pipe are followed until closed,
    and a file that is written anew is read anew. Raises MediaError if it cannot be opened.
    """
    is_path = isinstance(source, Path | str)
    name = str(source) if is_path else str(getattr(source, "name", "pipe"))
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for its writer.
        descriptor = (
            os.open(source, os.O_RDONLY | os.O_NONBLOCK)
            if isinstance(source, Path | str)
            else os.dup(source.fileno())
        )
    except (OSError, ValueError) as error:
        remedy = "start the program that writes it, or check the path"
        raise MediaError(f"cannot be opened ({describe_error(error)})", name, remedy) from error
    tail = _Tail(descriptor, name, hearing, returns=is_path)
    return TranscriptFollower(name, tail.run, damage)


class _Tail:
    """Reads a descriptor, which it closes at the end, line by line.

    `returns`: another writer may come after the end of a pipe.
    """

    def __init__(
        self, descriptor: int, name: str, hearing: LiveTranscript, *, returns: bool
    ) -> None:
        self._descriptor, self._name, self._hearing = descriptor, name, hearing
        self._returns = returns
        self._is_file = S_ISREG(os.fstat(descriptor).st_mode)
        self._number, self._rest = 0, b""

    def run(self, follower: TranscriptFollower) -> None:
        try:
            self._read(follower)
        except OSError as error:
            follower.report_error(f"{self._name}: reading stops early ({describe_error(error)})")
        finally:
            os.close(self._descriptor)

    def _read(self, follower: TranscriptFollower) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while not follower.stop_event.is_set():
            if not poll.poll(1000 * _GLANCE_S):
                continue
            block = os.read(self._descriptor, _BLOCK)
            if block:
                self._take(block, follower)
                continue
            if self._is_file:
                self._start_anew_if_cut()
            elif self._rest:
                self._take(b"\n", follower)  # its writer is gone, so nothing completes it
            if not (self._is_file or self._returns):
                return
            follower.stop_event.wait(_GLANCE_S)

    def _start_anew_if_cut(self) -> None:
        if os.fstat(self._descriptor).st_size < os.lseek(self._descriptor, 0, os.SEEK_CUR):
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            self._number, self._rest = 0, b""

    def _take(self, block: bytes, follower: TranscriptFollower) -> None:
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            self._number += 1
            if line.strip():
                self._hear(line, follower)
        if len(self._rest) > _LONGEST_LINE:
            follower.report_error(f"{self._name}: line {self._number + 1} has no end")
            self._rest = b""

    def _hear(self, line: bytes, follower: TranscriptFollower) -> None:
        where = f"line {self._number}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            follower.report_error(f"{self._name}: {where} is no JSON ({error})")
            return
        try:
            self._hearing.add(utterance_of(entry, where, Path(self._name)))
        except MediaError as error:
            follower.report_error(str(error))
