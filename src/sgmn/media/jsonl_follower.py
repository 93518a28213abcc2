"""Follow a transcript in JSON lines that another program is still writing."""

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
from sgmn.media.transcript import parse_utterance

__all__ = ["follow_jsonl"]

_POLL_INTERVAL_S = 0.1  # how often a waiting reader checks whether to stop
_READ_BYTES, _MAX_LINE_BYTES = 1 << 16, 1 << 20


def follow_jsonl(
    source: Path | str | IO[Any], transcript: LiveTranscript, damage: list[str] | None = None
) -> TranscriptFollower:
    """Add the JSON lines {"start", "end", "text"} of a growing source to `transcript`.

    A line counts once its end is written. An invalid line is reported with its number and
    skipped. An open pipe ends with its writer. A file and a named pipe are followed until the
    follower is closed. A file that is rewritten is read again.

    Args:
        source: A file, a named pipe, or an open file or pipe with a descriptor (standard input,
            the output of another process), which the caller closes.
        transcript: Receives the utterances, with times in seconds of the stream.
        damage: Receives a line per error, see `TranscriptFollower`.

    Raises:
        MediaError: If the source cannot be opened.
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
    reader = _LineReader(descriptor, name, transcript, may_reopen=is_path)
    return TranscriptFollower(name, reader.run, damage)


class _LineReader:
    """Reads a descriptor line by line, and closes it at the end.

    `may_reopen`: another writer may follow after the end of a pipe.
    """

    def __init__(
        self, descriptor: int, name: str, transcript: LiveTranscript, *, may_reopen: bool
    ) -> None:
        self._descriptor, self._name, self._transcript = descriptor, name, transcript
        self._may_reopen = may_reopen
        self._is_file = S_ISREG(os.fstat(descriptor).st_mode)
        self._line_number, self._incomplete_line = 0, b""

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
            if not poll.poll(1000 * _POLL_INTERVAL_S):
                continue
            data = os.read(self._descriptor, _READ_BYTES)
            if data:
                self._split_lines(data, follower)
                continue
            if self._is_file:
                self._restart_if_truncated()
            elif self._incomplete_line:
                self._split_lines(b"\n", follower)  # the writer is gone and cannot complete it
            if not (self._is_file or self._may_reopen):
                return
            follower.stop_event.wait(_POLL_INTERVAL_S)

    def _restart_if_truncated(self) -> None:
        if os.fstat(self._descriptor).st_size < os.lseek(self._descriptor, 0, os.SEEK_CUR):
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            self._line_number, self._incomplete_line = 0, b""

    def _split_lines(self, data: bytes, follower: TranscriptFollower) -> None:
        *lines, self._incomplete_line = (self._incomplete_line + data).split(b"\n")
        for line in lines:
            self._line_number += 1
            if line.strip():
                self._parse_line(line, follower)
        if len(self._incomplete_line) > _MAX_LINE_BYTES:
            message = f"line {self._line_number + 1} is longer than {_MAX_LINE_BYTES} bytes"
            follower.report_error(f"{self._name}: {message}")
            self._incomplete_line = b""

    def _parse_line(self, line: bytes, follower: TranscriptFollower) -> None:
        where = f"line {self._line_number}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            follower.report_error(f"{self._name}: {where} is not valid JSON ({error})")
            return
        try:
            self._transcript.add(parse_utterance(entry, where, Path(self._name)))
        except MediaError as error:
            follower.report_error(str(error))
