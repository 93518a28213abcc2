"""Write utterances to an SRT or WebVTT file while they arrive."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Self

from sgmn.errors import MediaError, SgmnError, error_reason
from sgmn.media.subtitles import format_srt_cue, format_vtt_cue
from sgmn.records import Utterance

__all__ = ["SubtitleWriter", "require_subtitle_suffix"]

_SUFFIXES = (".srt", ".vtt")


def require_subtitle_suffix(path: Path) -> None:
    """Raise SgmnError unless the name of a file says whether it is SRT or WebVTT."""
    if path.suffix.lower() not in _SUFFIXES:
        raise SgmnError("has an unknown suffix", path, "pass a .srt or .vtt file")


class SubtitleWriter:
    """Writes a cue per utterance, in the order in which they arrive; any thread may write.

    Each cue is in the file as soon as `write` returns, so that an interrupted run keeps what was
    recognized.

    Args:
        path: A new file, or one to replace. Its suffix, .srt or .vtt, is the format.

    Raises:
        MediaError: If the file cannot be opened.
        SgmnError: If the suffix is neither.
    """

    def __init__(self, path: Path) -> None:
        require_subtitle_suffix(path)
        self._is_vtt = path.suffix.lower() == ".vtt"
        self._count, self._lock = 0, Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            message = f"cannot be written ({error_reason(error)})"
            raise MediaError(message, path, "choose another file") from error
        if self._is_vtt:
            self._file.write("WEBVTT\n")
            self._file.flush()

    def write(self, utterance: Utterance) -> None:
        """Append an utterance."""
        with self._lock:
            if self._is_vtt:
                cue = f"\n{format_vtt_cue(utterance)}"
            else:
                self._count += 1
                separator = "\n" if self._count > 1 else ""
                cue = f"{separator}{self._count}\n{format_srt_cue(utterance)}"
            self._file.write(cue)
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
