"""Checks of the options of `sgmn watch` that exclude or require each other."""

from __future__ import annotations

from sgmn.cli.transcript_source import is_growing
from sgmn.cli.watch_options import STANDARD_STREAM, WatchOptions
from sgmn.errors import SgmnError
from sgmn.media.address import Address, redact_address
from sgmn.media.subtitle_writer import require_subtitle_suffix


def require_compatible(options: WatchOptions, address: Address, is_live: bool) -> None:
    """Raise SgmnError if the options contradict each other or the source."""
    _check_transcript(options, is_live)
    _check_speech_recognition(options, address)
    _check_output(options, address, is_live)
    if options.realtime and (address.is_live or not options.live):
        raise SgmnError(
            "--realtime applies only to a file with --live", address.name, "remove --realtime"
        )
    if options.hwaccel != "none" and is_live:
        remedy = "remove --hwaccel"
        raise SgmnError("--hwaccel applies only to recordings", address.name, remedy)
    if not options.lag >= 0:
        raise SgmnError(f"--lag is {options.lag}", remedy="pass seconds, 0 or more, such as 6")


def _check_transcript(options: WatchOptions, is_live: bool) -> None:
    delay_s, transcript = options.transcript_delay, options.transcript
    if delay_s is not None and not is_live:
        raise SgmnError(
            "--transcript-delay applies only to live streams", remedy="remove --transcript-delay"
        )
    if delay_s is not None and not delay_s >= 0:
        remedy = "pass seconds, 0 or more, such as 6"
        raise SgmnError(f"--transcript-delay is {delay_s}", remedy=remedy)
    if transcript and not is_live and is_growing(transcript):
        remedy = "pass a .srt, .vtt, .json or .txt file"
        raise SgmnError(
            "can only be the transcript of a live stream", redact_address(transcript), remedy
        )
    if transcript == STANDARD_STREAM == options.source:
        remedy = "pass one of them as a file"
        raise SgmnError("SOURCE and --transcript are both standard input", remedy=remedy)


def _check_speech_recognition(options: WatchOptions, address: Address) -> None:
    if options.asr and options.transcript:
        raise SgmnError("--asr and --transcript exclude each other", remedy="remove one of them")
    if options.language and not options.asr:
        raise SgmnError("--language requires --asr", remedy="add --asr auto")
    if options.hot_words and not options.asr:
        raise SgmnError("--hot-words requires --asr", remedy="add --asr auto")
    if options.cache and not options.asr:
        raise SgmnError("--cache requires --asr", remedy="add --asr auto")
    if options.asr and options.live and not (options.realtime or address.is_live):
        remedy = "add --realtime or remove --live"
        raise SgmnError(
            "--asr cannot keep up with a file that is read at full speed", address.name, remedy
        )


def _check_output(options: WatchOptions, address: Address, is_live: bool) -> None:
    if options.srt is not None:
        require_subtitle_suffix(options.srt)
        if not (options.asr or options.transcript):
            remedy = "add --asr auto or --transcript FILE"
            raise SgmnError("--srt requires --asr or --transcript", remedy=remedy)
    if options.html is not None and is_live:
        remedy = "record the stream and watch the recording, or remove --html"
        raise SgmnError("--html requires a recording, not a live stream", address.name, remedy)
    if options.webhook_secret_env and not options.webhook:
        raise SgmnError("--webhook-secret-env requires --webhook", remedy="add --webhook URL")
