"""Replace the transcripts of a dataset's streams by what a speech recognizer makes of the sound.

    python tools/transcribe_streams.py DATASET OUT --asr MODEL [--language en] [--hot-words]

OUT becomes a dataset for `sgmn evaluate`: the same streams with other transcripts. Prints the
word error rate against the transcripts of DATASET, and the CPU time per second of sound.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from time import process_time
from typing import Any

from sgmn.data.dataset import read_dataset
from sgmn.evaluation.word_errors import word_error_rate
from sgmn.media import video
from sgmn.media.hot_words import select_hot_words
from sgmn.media.speech_engine import SpeechSettings
from sgmn.media.speech_recognition import SpeechRecognizer
from sgmn.records import Product, Utterance


def main() -> None:
    options = parse_arguments()
    products = list(read_dataset(options.dataset).products)
    (options.out / "streams").mkdir(parents=True, exist_ok=True)
    for name in ("products.jsonl", "clips.jsonl"):
        if (options.dataset / name).exists():
            shutil.copyfile(options.dataset / name, options.out / name)
    pairs, sound_s, cpu_s = [], 0.0, 0.0
    for path in sorted((options.dataset / "streams").glob("*.json")):
        start_s = process_time()
        true_text, text = transcribe_stream(path, options, products)
        cpu_s += process_time() - start_s
        sound_s += video.read_duration(path.with_suffix(".mp4"))
        pairs.append((true_text, text))
        print(f"{path.stem}: word error rate {word_error_rate(pairs[-1:]):.1%}", flush=True)
    print(
        f"{len(pairs)} streams, {sound_s:.0f} s: word error rate {word_error_rate(pairs):.1%}, "
        f"{cpu_s / sound_s:.3f} CPU seconds per second, {options.threads} threads"
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--asr", default="auto")
    parser.add_argument("--language", default="en")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hot-words", action="store_true")
    return parser.parse_args()


def transcribe_stream(
    path: Path, options: argparse.Namespace, products: list[Product]
) -> tuple[str, str]:
    """Write a stream with its recognized transcript; return the true text and the text."""
    row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    shelf = [product for product in products if product.shop_id == row["shop_id"]]
    settings = SpeechSettings(
        options.asr,
        options.language,
        hot_words=select_hot_words(shelf) if options.hot_words else "",
        cpu_threads=options.threads,
    )
    utterances = tuple(SpeechRecognizer(settings).transcribe(path.with_suffix(".mp4")))
    true_text = " ".join(entry["text"] for entry in row["transcript"])
    row["transcript"] = [to_row(utterance) for utterance in utterances]
    video_path = options.out / "streams" / row["video"]
    video_path.unlink(missing_ok=True)
    video_path.symlink_to(path.with_name(row["video"]).resolve())
    out = options.out / "streams" / path.name
    out.write_text(json.dumps(row) + "\n", encoding="utf-8")
    return true_text, " ".join(utterance.text for utterance in utterances)


def to_row(utterance: Utterance) -> dict[str, Any]:
    return {"start": utterance.start, "end": utterance.end, "text": utterance.text}


if __name__ == "__main__":
    main()
