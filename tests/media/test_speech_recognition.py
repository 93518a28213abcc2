import sys
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmn.errors import CheckpointError, MediaError, SettingsError, SgmnError
from sgmn.media.audio import SAMPLE_RATE_HZ, read_audio
from sgmn.media.live_transcript import LiveTranscript
from sgmn.media.speech_recognition import SpeechRecognizer, Word
from tests.media.footage import frame_times, write_video


class Clockwork:
    """Hears `words` by their time, which the sound tells: each sample's value is its second.

    A word that an edge of the sound cuts is misheard. `jitter_s` are added to the times, a
    new one for each stretch of sound.
    """

    def __init__(self, words, jitter_s=(0.0,)):
        self.said, self.jitter_s, self.stretches = words, jitter_s, []

    def recognize(self, samples):
        from_s, to_s = float(samples[0]), float(samples[-1]) + 1 / SAMPLE_RATE_HZ
        shift_s = self.jitter_s[len(self.stretches) % len(self.jitter_s)]
        self.stretches.append((from_s, to_s))
        for start, end, text in self.said:
            is_whole = from_s - 0.01 <= start and end <= to_s + 0.01
            start, end = max(start, from_s), min(end, to_s)
            if start < end:
                times = (start - from_s + shift_s, end - from_s + shift_s)
                yield Word(*times, text if is_whole else " ???")


def recogniser(engine):
    return SpeechRecognizer("small", load=lambda *_: engine)


def sound(from_s, to_s, piece_s=0.5):
    """Pieces whose samples tell the time, rounded to what float32 holds."""
    first, last = round(from_s * SAMPLE_RATE_HZ), round(to_s * SAMPLE_RATE_HZ)
    piece = round(piece_s * SAMPLE_RATE_HZ)
    for at in range(first, last, piece):
        count = np.arange(at, min(at + piece, last))
        yield at / SAMPLE_RATE_HZ, (count / SAMPLE_RATE_HZ).astype(np.float32)


def listened(engine, chunks, **windows):
    hearing = LiveTranscript()
    recogniser(engine).transcribe_stream(chunks, hearing, **windows)
    return hearing


def spoken(hearing):
    return " ".join(u.text for u in hearing).split()


def row_of_words(pauses_s, lengths_s, from_s=0.0):
    words, at = [], from_s
    for i, (pause_s, length_s) in enumerate(zip(pauses_s, lengths_s, strict=True)):
        words.append(Word(at + pause_s, at + pause_s + length_s, f" w{i}"))
        at += pause_s + length_s
    return words


MANY = 16
PAUSES = st.lists(st.sampled_from([0.0, 0.02, 0.1, 0.5, 2.0]), min_size=MANY, max_size=MANY)
LENGTHS = st.lists(st.sampled_from([0.05, 0.2, 0.3, 0.45, 0.7]), min_size=MANY, max_size=MANY)


@settings(max_examples=12, deadline=None)
@given(
    PAUSES,
    LENGTHS,
    st.sampled_from([0.064, 0.5, 7.0, 50.0]),
    st.sampled_from([(12.0, 6.0), (8.0, 2.0), (5.0, 4.0)]),
    st.sampled_from([0.0, 3.21]),
)
def test_nothing_is_doubled_or_lost_at_the_seams(pauses, lengths, piece_s, windows, from_s):
    words = row_of_words(pauses, lengths, from_s)
    engine = Clockwork(words)
    chunks = sound(from_s, words[-1].end + 0.5, piece_s)
    hearing = listened(engine, chunks, window_s=windows[0], hop_s=windows[1])
    assert spoken(hearing) == [f"w{i}" for i in range(MANY)]
    for utterance in hearing:
        first, *_, last = [words[int(w[1:])] for w in utterance.text.split()] * 2
        assert utterance.start == pytest.approx(first.start, abs=1e-3)
        assert utterance.end == pytest.approx(last.end, abs=1e-3)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.sampled_from([0.1, 0.15, 0.3]), min_size=MANY, max_size=MANY),
    st.lists(st.sampled_from([0.5, 0.6]), min_size=MANY, max_size=MANY),
    st.lists(st.sampled_from([-0.1, 0.0, 0.1]), min_size=1, max_size=5),
)
def test_nor_when_two_stretches_disagree_a_little_about_the_time(pauses, lengths, jitter_s):
    words = row_of_words(pauses, lengths, from_s=0.2)
    hearing = listened(Clockwork(words, jitter_s), sound(0.0, words[-1].end + 0.5))
    assert spoken(hearing) == [f"w{i}" for i in range(MANY)]


def test_one_word_said_twice_around_a_seam_stays_twice():
    words = [Word(8.5, 8.95, " very"), Word(8.97, 9.3, " very"), Word(9.35, 9.6, " red")]
    assert spoken(listened(Clockwork(words), sound(0.0, 20.0))) == ["very", "very", "red"]


def test_a_word_without_length_is_taken_once():
    class Instant(Clockwork):
        def recognize(self, samples):
            for second, text in ((8.9, " so"), (9.2, " red")):
                yield Word(second - float(samples[0]), second - float(samples[0]), text)

    assert spoken(listened(Instant([]), sound(0.0, 14.0))) == ["so", "red"]


@pytest.mark.parametrize("length_s", [0.02, 0.5, 9.0, 11.99, 12.0, 12.5, 18.0, 24.01])
def test_the_end_is_heard_however_long_the_sound(length_s):
    words = [Word(0.0, 0.02, " first"), Word(length_s - 0.02, length_s, " last")]
    words = words[: 1 if length_s < 0.1 else 2]
    found = listened(Clockwork(words), sound(0.0, length_s))
    assert spoken(found) == [w.text.strip() for w in words]


def test_stretches_overlap_as_asked_and_the_sound_of_hours_is_not_kept():
    engine = Clockwork([])
    listened(engine, sound(0.0, 60.0, piece_s=0.3), window_s=10.0, hop_s=4.0)
    starts, lengths = zip(*((s, e - s) for s, e in engine.stretches), strict=True)
    assert starts == pytest.approx([4.0 * i for i in range(len(starts))])
    assert lengths[:-1] == pytest.approx([10.0] * (len(starts) - 1)) and lengths[-1] <= 10.0
    assert engine.stretches[-1][1] == pytest.approx(60.0)


def test_a_word_comes_in_good_time():
    words = row_of_words([0.2] * 80, [0.3] * 80)
    hearing, behind_s = LiveTranscript(), []

    def chunks():
        for time_s, samples in sound(0.0, 42.0, piece_s=0.1):
            behind_s.append(time_s - max((u.end for u in hearing), default=0.0))
            yield time_s, samples

    recogniser(Clockwork(words)).transcribe_stream(chunks(), hearing, window_s=8.0, hop_s=2.0)
    assert max(t for t in behind_s[80:-20]) <= (8.0 + 2.0) / 2 + 0.5 + 0.2
    assert min(t for t in behind_s[80:-20]) >= (8.0 - 2.0) / 2 - 0.5


def test_after_a_hole_words_lie_where_they_were_said():
    words = row_of_words([0.3] * 60, [0.4] * 60)
    engine = Clockwork(words)
    chunks = [*sound(0.0, 16.0), *sound(30.2, 42.2)]
    hearing = listened(engine, chunks)
    assert all(not (start < 16.0 and end > 30.2) for start, end in engine.stretches)
    heard = {text for u in hearing for text in u.text.split()} - {"???"}
    assert heard == {
        w.text.strip() for w in words if w.end <= 16.0 or (w.start >= 30.2 and w.end < 42.2)
    }
    first = next(u for u in hearing if u.start > 20)
    assert first.start == pytest.approx(words[43].start)


def test_jitter_of_time_stamps_is_no_hole():
    engine = Clockwork([])
    listened(engine, ((t + (-0.05, 0.05)[i % 2], s) for i, (t, s) in enumerate(sound(0, 30))))
    starts = [start for start, _ in engine.stretches]
    assert starts == pytest.approx([0.0, 6.0, 12.0, 18.0, 24.0])


def test_a_pause_parts_utterances_and_a_language_without_spaces_gets_none():
    words = [
        Word(1.0, 1.3, " this"),
        Word(1.4, 1.8, " lime"),
        Word(1.8, 1.9, "-green,"),
        Word(3.0, 3.2, "这"),
        Word(3.2, 3.4, "件"),
    ]
    found = [(u.start, u.end, u.text) for u in listened(Clockwork(words), sound(0.0, 8.0))]
    assert [text for *_, text in found] == ["this lime-green,", "这件"]
    assert [t for s, e, _ in found for t in (s, e)] == pytest.approx([1.0, 1.9, 3.0, 3.4])


def test_no_sound_no_words():
    assert list(listened(Clockwork([]), [])) == []


@pytest.mark.parametrize("windows", [(6.0, 12.0), (6.0, 0.0), (float("inf"), 1.0)])
def test_windows_that_leave_holes_are_refused(windows):
    with pytest.raises(SettingsError, match="leave holes"):
        listened(Clockwork([]), [], window_s=windows[0], hop_s=windows[1])


def tone(times_s, rate, hertz=440.0, on=None):
    wave = 0.5 * np.sin(2 * np.pi * hertz * times_s)
    if on is not None:
        wave *= sum(((times_s >= a) & (times_s < b)) for a, b in on)
    return wave.astype(np.float32)


def recording(path, seconds, *, codec, rate=44_100, layout="stereo", hertz=440.0, on=None):
    channels = av.AudioLayout(layout).nb_channels
    wave = tone(np.arange(round(seconds * rate)) / rate, rate, hertz, on)
    with av.open(path, "w") as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        for at in range(0, len(wave), 1024):
            block = wave[at : at + 1024]
            if codec.startswith("pcm"):
                block = np.repeat((block * 32767).astype(np.int16), channels)[None]
                frame = av.AudioFrame.from_ndarray(block, "s16", layout)
            else:
                frame = av.AudioFrame.from_ndarray(np.tile(block, (channels, 1)), "fltp", layout)
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), at
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def pitch(samples):
    strength = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return strength.argmax() * SAMPLE_RATE_HZ / len(samples)


def together(chunks):
    """The samples, after a check that each piece starts where the one before ended."""
    chunks = list(chunks)
    for (before_s, samples), (time_s, _) in pairwise(chunks):
        assert time_s == pytest.approx(before_s + len(samples) / SAMPLE_RATE_HZ, abs=1e-3)
    return chunks[0][0], np.concatenate([samples for _, samples in chunks])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.wav", {"codec": "pcm_s16le"}),
        ("a.wav", {"codec": "pcm_s16le", "rate": 8_000, "layout": "mono"}),
        ("a.wav", {"codec": "pcm_s16le", "rate": 16_000, "layout": "mono"}),
        ("a.mp4", {"codec": "aac"}),
        ("a.ts", {"codec": "aac", "rate": 48_000}),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value.get("rate", "")),
)
def test_a_tone_keeps_its_pitch_its_loudness_and_its_place(tmp_path, name, options):
    source = recording(tmp_path / name, 3.0, on=[(1.0, 2.0)], **options)
    start_s, samples = together(read_audio(source))
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert start_s + len(samples) / SAMPLE_RATE_HZ == pytest.approx(3.0, abs=0.06)
    inside = samples[round((1.2 - start_s) * SAMPLE_RATE_HZ) : round(1.8 * SAMPLE_RATE_HZ)]
    assert pitch(inside) == pytest.approx(440, abs=3)
    assert np.abs(inside).max() == pytest.approx(0.5, rel=0.1)
    loud = np.flatnonzero(np.abs(samples) > 0.25) / SAMPLE_RATE_HZ + start_s
    assert (loud[0], loud[-1]) == pytest.approx((1.0, 2.0), abs=0.05)


def test_sound_is_given_from_the_asked_second_on(tmp_path):
    source = recording(tmp_path / "a.wav", 3.0, codec="pcm_s16le", on=[(2.0, 2.5)])
    start_s, whole = together(read_audio(source))
    later_s, later = together(read_audio(source, 1.2345))
    assert start_s == 0.0 and later_s == pytest.approx(1.2345, abs=1e-4)
    assert np.array_equal(later, whole[len(whole) - len(later) :])
    assert len(whole) - len(later) == round(1.2345 * SAMPLE_RATE_HZ)
    assert list(read_audio(source, 5.0)) == []


@pytest.mark.parametrize("sound_from_s", [0.0, 0.5])
def test_sound_and_pictures_share_time_zero(tmp_path, sound_from_s):
    source = write_video(tmp_path / "a.mkv", frame_times(2), audio_start_s=sound_from_s)
    assert next(read_audio(source))[0] == pytest.approx(sound_from_s, abs=0.13)  # priming of AAC
    source = write_video(tmp_path / "b.mkv", frame_times(2, start_s=5.0), audio_start_s=4.5)
    assert next(read_audio(source))[0] == pytest.approx(0.0, abs=0.13)


def test_a_track_may_change_its_rate(tmp_path):
    parts = [
        recording(tmp_path / f"{rate}.aac", 1.0, codec="aac", rate=rate, layout=layout)
        for rate, layout in ((44_100, "stereo"), (22_050, "mono"))
    ]
    whole = tmp_path / "both.aac"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    samples = np.concatenate([samples for _, samples in read_audio(whole)])
    assert len(samples) == pytest.approx(2 * SAMPLE_RATE_HZ, rel=0.1)
    assert pitch(samples[4_000:12_000]) == pytest.approx(440, abs=5)
    assert pitch(samples[-10_000:-4_000]) == pytest.approx(440, abs=5)


def test_a_film_without_sound_goes_on_with_pictures_and_says_so(tmp_path, caplog):
    source, damage = write_video(tmp_path / "a.mp4", frame_times(1)), []
    assert list(read_audio(source, damage=damage)) == []
    assert damage == [f"{source}: has no sound that can be decoded; it goes on with pictures alone"]
    assert list(recogniser(Clockwork([])).transcribe(source)) == []
    assert [record.getMessage() for record in caplog.records] == damage
    assert (
        list(read_audio(tmp_path, damage=damage)) == [] and len(damage) == 2
    )  # a folder of pictures


def test_damage_is_told_and_the_rest_is_heard(tmp_path):
    source, damage = recording(tmp_path / "a.ts", 3.0, codec="aac", rate=48_000), []
    raw = bytearray(source.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 2000] = b"\xaa" * 2000
    source.write_bytes(raw)
    heard = sum(len(samples) for _, samples in read_audio(source, damage=damage))
    assert 2.0 < heard / SAMPLE_RATE_HZ < 3.1
    assert len(damage) == 1 and str(source) in damage[0]


def test_what_cannot_be_opened_is_refused(tmp_path):
    with pytest.raises(MediaError, match="does not exist"):
        list(recogniser(Clockwork([])).transcribe(tmp_path / "gone.mp4"))


class Ear:
    """Hears a tone as a word."""

    def recognize(self, samples):
        loud = np.abs(samples) > 0.1
        loud = np.convolve(loud, np.ones(160), "same") > 0  # bridges the zeros of a wave
        edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
        for start, end in edges.reshape(-1, 2) / SAMPLE_RATE_HZ:
            yield Word(float(start), float(end), " tone")


def test_a_recording_is_transcribed_once_and_where_it_was_said(tmp_path):
    on = [(t, t + 0.5) for t in (0.5, 11.0, 26.6, 27.4, 29.8, 50.7, 69.0)]
    path = tmp_path / "a.wav"
    source = recording(path, 70.0, codec="pcm_s16le", rate=8_000, layout="mono", on=on)
    found = list(recogniser(Ear()).transcribe(source))
    words = [text for u in found for text in u.text.split()]
    assert words == ["tone"] * len(on)
    for utterance in found:
        assert min(abs(utterance.start - start) for start, _ in on) < 0.02
        assert min(abs(utterance.end - end) for _, end in on) < 0.02


def test_without_faster_whisper_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(SgmnError, match=r'pip install "sgmn\[asr\]"'):
        SpeechRecognizer("small")


class Package:
    """faster-whisper as far as it is used, by its own names."""

    def __init__(self, fault=None):
        self.fault, self.asked = fault, []

    def WhisperModel(self, model, **options):  # noqa: N802 - the package's name
        if self.fault is not None:
            raise self.fault
        self.asked.append((model, options))
        return self

    def transcribe(self, samples, **options):
        self.asked.append((samples, options))
        said = [SimpleNamespace(start=np.float64(0.5), end=np.float64(0.9), word=" lime")]
        segments = [SimpleNamespace(words=said), SimpleNamespace(words=None)]
        return iter(segments), SimpleNamespace(language="en")


@pytest.mark.parametrize(("language", "passed"), [("", None), ("zh", "zh")])
def test_whisper_is_asked_for_the_time_of_each_word(monkeypatch, tmp_path, language, passed):
    package = Package()
    monkeypatch.setitem(sys.modules, "faster_whisper", package)
    hearing = LiveTranscript()
    listener = SpeechRecognizer(tmp_path, language, vad=False, device="cpu")
    listener.transcribe_stream(sound(2.0, 4.0), hearing)
    assert [(u.start, u.end, u.text) for u in hearing] == [(2.5, 2.9, "lime")]
    (model, loaded), (samples, asked) = package.asked
    assert (model, loaded) == (str(tmp_path), {"device": "cpu"}) and len(samples) == 32_000
    assert asked["language"] == passed and asked["vad_filter"] is False
    assert asked["word_timestamps"] is True and asked["condition_on_previous_text"] is False


@pytest.mark.parametrize("fault", [RuntimeError("no model.bin"), ValueError("size"), OSError("x")])
def test_a_model_that_cannot_be_loaded_is_refused(monkeypatch, fault):
    monkeypatch.setitem(sys.modules, "faster_whisper", Package(fault))
    with pytest.raises(CheckpointError, match="models/none: cannot be loaded"):
        SpeechRecognizer("models/none")
