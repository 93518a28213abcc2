from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sgmn.errors import MediaError
from sgmn.media import clips, video
from sgmn.media.sampling import SamplingSchedule
from sgmn.records import Clip
from tests.media.footage import (
    HEIGHT,
    WIDTH,
    draw_frame,
    frame_times,
    read_frame_number,
    write_video,
)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """One folder for videos that several tests read."""
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def plain(films):
    """Twelve seconds at ten frames a second, with B-frames and a key frame every two seconds."""
    return write_video(films / "plain.mp4", frame_times(12))


def taken(source, **options):
    return [
        (read_frame_number(f.rgb), round(f.time_s, 3)) for f in video.read_frames(source, **options)
    ]


def brute_force(path, rate_hz, start_s=0.0, end_s=float("inf")):
    """The definition, in a loop over everything that plain PyAV decodes."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        tick = float(stream.time_base)
        decoded = [
            ((f.pts - stream.start_time) * tick, read_frame_number(f.to_ndarray(format="rgb24")))
            for f in container.decode(stream)
        ]
    found = []
    for k in range(10_000):
        due = start_s + k / rate_hz
        first = next(((t, n) for t, n in decoded if t >= due - 1e-6 and t < end_s - 1e-6), None)
        if first is None:
            return [(n, round(t, 3)) for t, n in found]
        if first not in found:
            found.append(first)
    raise AssertionError("endless")


def test_one_frame_a_second_is_the_first_of_each_second(plain):
    assert taken(plain) == [(10 * k, float(k)) for k in range(12)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.flv", "a.mov"])
@pytest.mark.parametrize("rate_hz", [0.3, 1.0, 3.0, 25.0])
def test_frames_are_those_of_the_definition(films, name, rate_hz):
    path = films / name
    if not path.exists():
        write_video(path, frame_times(6))
    found = taken(path, rate_hz=rate_hz)
    assert found == brute_force(path, rate_hz)
    assert found[0] == (0, 0.0)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mpeg2video", "libvpx-vp9", "libx265"])
@pytest.mark.parametrize("b_frames", ["0", "3"])
def test_leaving_out_frames_changes_no_pixel(tmp_path, codec, b_frames):
    """The reader does not decode what nothing leans on; what it gives must be the same."""
    options = {"bf": b_frames, "g": "17"}
    tick = Fraction(1, 25)  # the only kind that MPEG-2 takes
    path = write_video(
        tmp_path / "a.mkv",
        frame_times(3, 25),
        codec=codec,
        rate=25,
        time_base=tick,
        codec_options=options,
    )
    with av.open(path) as container:
        every = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    for frame in video.read_frames(path, rate_hz=2.0):
        assert np.array_equal(frame.rgb, every[round(frame.time_s * 25)])


@pytest.mark.parametrize(
    ("start_s", "end_s"),
    [(0.0, 3.0), (0.25, 3.3), (1.0, 1.1), (5.0, 9.05), (8.72, None), (11.9, 99)],
)
def test_start_and_end_cut_as_decoding_everything_does(plain, start_s, end_s):
    expected = brute_force(plain, 1.0, start_s, float("inf") if end_s is None else end_s)
    assert taken(plain, start_s=start_s, end_s=end_s) == expected


@pytest.mark.parametrize("name", ["s.ts", "s.mkv", "s.flv"])
def test_a_late_start_gives_the_same_frames_whatever_the_container(films, name):
    path = write_video(films / name, frame_times(12), codec_options={"g": "45", "keyint_min": "45"})
    for start_s in (2.5, 4.5, 9.3):
        assert taken(path, start_s=start_s) == brute_force(path, 1.0, start_s)


def test_end_is_exclusive(plain):
    assert taken(plain, start_s=2.0, end_s=3.0) == [(20, 2.0)]


def test_times_of_a_variable_frame_rate_are_kept_and_a_gap_repeats_nothing(tmp_path):
    times = [0, 0.4, 1.3, 1.4, 4.7, 4.9, 5.0, 5.1, 6.5]
    path = write_video(tmp_path / "variable.mp4", times)
    assert taken(path) == [(0, 0.0), (2, 1.3), (4, 4.7), (6, 5.0), (8, 6.5)]


def test_time_starts_at_the_file_s_start(tmp_path):
    path = write_video(tmp_path / "late.ts", frame_times(3, start_s=50.0))
    assert taken(path) == [(0, 0.0), (10, 1.0), (20, 2.0)]


def test_pictures_that_start_after_the_sound_keep_their_delay(tmp_path):
    path = write_video(
        tmp_path / "delayed.mkv",
        frame_times(2, start_s=1.5),
        audio_start_s=0.0,
        audio_duration_s=3.5,
    )
    assert [t for _, t in taken(path)] == pytest.approx([1.5, 2.0, 3.0], abs=0.03)


def test_a_stream_without_time_stamps_counts_by_its_frame_rate(tmp_path):
    path = write_video(
        tmp_path / "bare.h264", frame_times(3, 25), rate=25, time_base=Fraction(1, 25)
    )
    assert taken(path) == [(0, 0.0), (25, 1.0), (50, 2.0)]


def test_a_clock_that_restarts_goes_on(tmp_path):
    parts = [write_video(tmp_path / f"{i}.ts", frame_times(3)).read_bytes() for i in range(2)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(parts))
    damage: list[str] = []
    found = list(video.read_frames(path, damage=damage))
    times = [f.time_s for f in found]
    assert times == sorted(times) and times[-1] == pytest.approx(5.0, abs=0.3)
    assert len(damage) == 1 and "clock restarts, later times go on from there;" in damage[0]


def test_longer_side_is_bounded_and_nothing_is_enlarged(plain):
    assert next(video.read_frames(plain, max_side=32)).rgb.shape == (24, 32, 3)
    assert next(video.read_frames(plain, max_side=500)).rgb.shape == (HEIGHT, WIDTH, 3)
    assert taken(plain, max_side=32) == taken(plain)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_rotation_of_the_display_is_honoured(tmp_path, degrees, mirrored):
    path = write_video(
        tmp_path / "turned.mp4", frame_times(0.3), rotation=degrees, is_mirrored=mirrored
    )
    with av.open(path) as container:
        frame = next(container.decode(video=0))
        stored, angle = frame.to_ndarray(format="rgb24"), frame.rotation
        data = frame.side_data["DISPLAYMATRIX"] if degrees or mirrored else None
    shown = next(video.read_frames(path)).rgb
    assert shown.shape == ((WIDTH, HEIGHT, 3) if degrees % 180 else (HEIGHT, WIDTH, 3))
    if data is not None:
        matrix = np.frombuffer(data, np.int32).reshape(3, 3)[:2, :2] // 65536
        assert np.array_equal(shown, by_coordinates(stored, matrix))
    if not mirrored:
        assert np.array_equal(shown, np.rot90(stored, angle // 90))


def by_coordinates(stored, matrix):
    """Move every pixel on its own: shown (x, y) = stored (x, y) times the matrix, shifted."""
    height, width = stored.shape[:2]
    moved = {(x, y): np.array([x, y]) @ matrix for y in range(height) for x in range(width)}
    low = np.min(list(moved.values()), axis=0)
    across, down = np.max(list(moved.values()), axis=0) - low + 1
    shown = np.zeros((down, across, 3), np.uint8)
    for (x, y), place in moved.items():
        column, row = place - low
        shown[row, column] = stored[y, x]
    return shown


def test_a_bounded_portrait_is_bounded_upright(tmp_path):
    path = write_video(tmp_path / "portrait.mp4", frame_times(0.3), rotation=90)
    assert next(video.read_frames(path, max_side=32)).rgb.shape == (32, 24, 3)


def test_pixels_that_are_not_square_are_stretched(tmp_path):
    path = write_video(tmp_path / "wide.mp4", frame_times(0.3), pixel_aspect=Fraction(3, 2))
    frame = next(video.read_frames(path))
    assert frame.rgb.shape == (48, 96, 3) and read_frame_number(frame.rgb) == 0


def test_a_cut_file_gives_what_came_before_and_says_so(tmp_path):
    fast = {"movflags": "faststart"}
    path = write_video(
        tmp_path / "whole.mp4", frame_times(12), container_options=fast, with_noise=True
    )
    data = path.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: int(len(data) * 0.7)])
    damage: list[str] = []
    found = taken(cut, damage=damage)
    assert 3 <= len(found) < 12
    assert found == taken(path)[: len(found)]
    assert len(damage) == 1 and "cut.mp4" in damage[0] and "12.0 s" in damage[0]


@pytest.mark.parametrize("share", [0.5, 0.6, 0.7, 0.8, 0.9])
def test_a_cut_file_loses_no_frame_to_threads(films, tmp_path, share):
    fast = {"movflags": "faststart"}
    path = films / "loud.mp4"
    if not path.exists():
        write_video(path, frame_times(3), container_options=fast, with_noise=True)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with av.open(cut) as container:  # one thread, packet by packet
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"
        alone = []
        for packet in container.demux(stream):
            try:
                alone += [read_frame_number(f.to_ndarray(format="rgb24")) for f in packet.decode()]
            except av.FFmpegError:
                continue
    assert [n for n, _ in taken(cut, rate_hz=100.0, damage=[])] == alone
    assert len(alone) > 5


def test_a_hole_in_the_middle_loses_only_that(tmp_path):
    path = write_video(
        tmp_path / "whole.ts", frame_times(12), codec_options={"g": "10"}, with_noise=True
    )
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 188 * 20] = bytes(188 * 20)
    holed = tmp_path / "holed.ts"
    holed.write_bytes(data)
    damage: list[str] = []
    found = taken(holed, damage=damage)
    assert found[0] == (0, 0.0) and found[-1] == (110, 11.0)
    assert len(damage) == 1 and "holed.ts" in damage[0]


def test_damage_is_logged_where_no_list_is_given(tmp_path, caplog):
    path = write_video(tmp_path / "whole.mkv", frame_times(6), with_noise=True)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert list(video.read_frames(cut))
    assert [r.name for r in caplog.records] == ["sgmn.media"] and "cut.mkv" in caplog.text


def test_a_whole_file_is_not_damaged(plain):
    damage: list[str] = []
    assert list(video.read_frames(plain, damage=damage)) and damage == []


def test_a_reader_that_is_left_early_still_reports(tmp_path):
    path = write_video(
        tmp_path / "whole.ts", frame_times(12), codec_options={"g": "10"}, with_noise=True
    )
    data = bytearray(path.read_bytes())
    data[len(data) // 4 : len(data) // 4 + 188 * 20] = bytes(188 * 20)
    path.write_bytes(data)
    damage: list[str] = []
    for frame in (reader := video.read_frames(path, damage=damage)):
        if frame.time_s > 8:
            break
    reader.close()
    assert len(damage) == 1


def unreadable(folder):
    (folder / "text.mp4").write_text("this is no video")
    (folder / "empty.mp4").touch()
    (folder / "nothing").mkdir()
    (folder / "nothing" / "notes.txt").write_text("no picture")
    sound = av.open(folder / "sound.mp4", "w")
    with sound:
        stream = sound.add_stream("aac", rate=8000, layout="mono")
        block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        block.sample_rate, block.pts = 8000, 0
        sound.mux(stream.encode(block))
        sound.mux(stream.encode(None))
    whole = write_video(folder / "whole.mp4", frame_times(3)).read_bytes()
    (folder / "headless.mp4").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing.mp4", "does not exist"),
        ("text.mp4", "cannot be opened"),
        ("empty.mp4", "is empty"),
        ("nothing", "without pictures"),
        ("sound.mp4", "no video stream, only audio"),
        ("headless.mp4", "cannot be opened"),
        ("null\0byte.mp4", "cannot be opened"),
        ("long" * 100 + ".mp4", "cannot be opened"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path, name, said):
    source = unreadable(tmp_path) / name
    with pytest.raises(MediaError, match=said) as refusal:
        list(video.read_frames(source))
    assert str(source) in str(refusal.value) and refusal.value.remedy


@pytest.fixture
def served(plain):
    """An address under which the folder of `plain` can be fetched."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(plain.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_address_is_read_as_a_file_is(plain, served):
    address = f"{served}/{plain.name}"
    assert taken(address, end_s=3.0) == [(0, 0.0), (10, 1.0), (20, 2.0)]
    with pytest.raises(MediaError, match=r"http://.*/none\.mp4: cannot be opened"):
        list(video.read_frames(f"{served}/none.mp4"))


def test_a_span_without_frames_is_refused(plain):
    with pytest.raises(MediaError, match=r"no frame at or after 50.* last one read is at 11\.90"):
        list(video.read_frames(plain, start_s=50.0))
    with pytest.raises(MediaError, match=r"no frame from 1\.01 to 1\.05"):
        list(video.read_frames(plain, start_s=1.01, end_s=1.05))


@pytest.mark.parametrize(
    "wrong", [{"rate_hz": 0.0}, {"rate_hz": float("nan")}, {"start_s": -1.0}, {"max_side": 0}]
)
def test_impossible_arguments_are_our_own_fault(plain, wrong):
    with pytest.raises(ValueError, match="give"):
        video.read_frames(plain, **wrong)


def folder_of(folder, names):
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        Image.fromarray(draw_frame(i)).save(folder / name)
    return folder


def test_a_folder_s_pictures_are_frames_in_the_order_of_their_names(tmp_path):
    names = [f"frame{i}.png" for i in range(12)]
    folder = folder_of(tmp_path / "shots", names)
    (folder / "notes.txt").write_text("no picture")
    (folder / "._frame0.png").write_text("what a Mac leaves behind")
    assert taken(folder) == [(i, float(i)) for i in range(12)]
    assert taken(folder, rate_hz=2.0, start_s=1.0, end_s=2.5) == [(2, 1.0), (3, 1.5), (4, 2.0)]


def test_an_unreadable_picture_of_a_folder_is_named(tmp_path):
    folder = folder_of(tmp_path / "shots", ["a.png", "b.png"])
    (folder / "b.png").write_text("broken")
    with pytest.raises(MediaError, match=r"b\.png"):
        list(video.read_frames(folder))


def test_pick_by_hand():
    assert video.select_evenly(5, 10) == [0, 1, 2, 3, 4]
    assert video.select_evenly(10, 4) == [0, 2, 5, 7]
    assert video.select_evenly(0, 3) == []
    with pytest.raises(ValueError, match="at least one"):
        video.select_evenly(5, 0)


@given(st.integers(0, 10_000), st.integers(1, 200))
def test_pick_by_exact_fractions(count, wanted):
    found = video.select_evenly(count, wanted)
    if count <= wanted:
        assert found == [*range(count)]
    else:
        assert found == [Fraction(i * count, wanted).__floor__() for i in range(wanted)]
        assert len(set(found)) == wanted and found[0] == 0 and found[-1] < count


@given(
    st.lists(st.floats(0, 50), min_size=1, max_size=60),
    st.floats(0.2, 9),
    st.floats(0, 20),
)
def test_due_by_the_definition(steps, rate_hz, start_s):
    times = sorted(steps)
    due, found = SamplingSchedule(start_s, rate_hz), []
    for t in times:
        if due.is_due(t):
            found.append(t)
            due.advance(t)
    expected = []
    for k in range(600):
        first = next((t for t in times if t + 1e-6 >= start_s + k / rate_hz), None)
        if first is not None and (not expected or first > expected[-1] + 1e-6):
            expected.append(first)
    assert found == pytest.approx(expected, abs=2e-6)


def test_a_clip_of_a_video_is_cut_and_picked(plain):
    clip = Clip("c", video=plain, start=2.0, end=11.0)
    found = [read_frame_number(rgb) for rgb in clips.read_clip_frames(clip, max_frames=4)]
    assert found == [[20, 30, 40, 50, 60, 70, 80, 90, 100][i] for i in (0, 2, 4, 6)]


def test_of_a_clip_of_pictures_only_the_picked_are_read(tmp_path):
    folder = folder_of(tmp_path / "shots", [f"{i}.png" for i in range(5)])
    paths = [folder / f"{i}.png" for i in range(5)]
    paths[1] = Path("never-read.png")
    found = clips.read_clip_frames(Clip("c", frames=tuple(paths)), max_frames=2)
    assert [read_frame_number(rgb) for rgb in found] == [0, 2]


def test_a_clip_that_cannot_be_read_is_named(tmp_path, plain):
    for clip in (
        Clip("lost", video=tmp_path / "none.mp4"),
        Clip("lost", frames=(tmp_path / "none.png",)),
        Clip("lost", video=plain, start=90.0),
    ):
        with pytest.raises(MediaError, match=r"^clip 'lost': .*(none|plain)") as refusal:
            clips.read_clip_frames(clip)
        assert refusal.value.remedy


def test_the_duration_of_a_folder_is_that_of_its_pictures(tmp_path):
    folder = folder_of(tmp_path / "shots", ["a.png", "b.png", "c.png"])
    (folder / "notes.txt").write_text("no picture")
    assert video.read_duration(folder) == 3.0
    assert video.read_duration(folder, rate_hz=2.0) == 1.5
    (tmp_path / "none").mkdir()
    with pytest.raises(MediaError, match="folder without pictures"):
        video.read_duration(tmp_path / "none")
    with pytest.raises(ValueError, match="rate_hz"):
        video.read_duration(folder, rate_hz=0.0)


def test_duration_is_the_container_s(plain):
    assert video.read_duration(plain) == pytest.approx(12.0, abs=0.05)
    with pytest.raises(MediaError, match="does not exist"):
        video.read_duration(Path("none.mp4"))
