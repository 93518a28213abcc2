"""Speech recognition for `sgmn watch`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from platformdirs import user_cache_path

from sgmn.cli import console
from sgmn.cli.watch_options import WatchOptions
from sgmn.media.hot_words import select_hot_words
from sgmn.media.speech_engine import SpeechSettings
from sgmn.media.speech_recognition import SpeechRecognizer
from sgmn.media.transcript_cache import TranscriptCache
from sgmn.records import Product, Utterance


def create_speech_recognizer(
    options: WatchOptions, products: Sequence[Product], *, is_live: bool
) -> SpeechRecognizer:
    """Load the recognizer that the options request; `products` are those on the shelf.

    For a running stream it uses half of the threads, because images are encoded meanwhile.
    """
    threads = torch.get_num_threads()
    settings = SpeechSettings(
        model=options.asr or "auto",
        language=options.language or "",
        hot_words=select_hot_words(products) if options.hot_words else "",
        cpu_threads=max(1, threads // 2) if is_live else threads,
    )
    return SpeechRecognizer(settings)


def transcribe_recording(
    options: WatchOptions, products: Sequence[Product], duration_s: float
) -> tuple[Utterance, ...]:
    """Transcribe a recording with a progress bar, unless its transcript is cached."""
    recognizer = create_speech_recognizer(options, products, is_live=False)
    cache = TranscriptCache(options.cache or user_cache_path("sgmn") / "transcripts")
    with console.progress_bar() as bar:
        task = bar.add_task("transcribing (s)", total=round(duration_s), visible=False)

        def show_progress(done_s: float) -> None:
            bar.update(task, completed=min(round(done_s), round(duration_s)), visible=True)

        return cache.transcribe(recognizer, Path(options.source), show_progress)
