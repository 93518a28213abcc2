import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmn.errors import MediaError, SettingsError
from sgmn.media.address import parse_address
from sgmn.media.live_source import LiveSource, SourceSettings
from sgmn.media.reconnecting_stream import backoff_delays
from sgmn.media.stream_clock import StreamClock
from tests.media import footage
from tests.media.footage import frame_times, read_frame_number, write_video

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not here")
# Pauses as short as may be, and no state that depends on how busy the machine is.
QUICK = SourceSettings(
    open_timeout_s=5,
    read_timeout_s=5,
    initial_backoff_s=0.02,
    max_backoff_s=0.05,
    max_attempts=1,
    stall_timeout_s=60,
    queue_frames=100,
)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def three(films):
    """Three seconds of MPEG-TS, a key frame a second."""
    return write_video(films / "three.ts", frame_times(3), codec_options={"g": "10"}).read_bytes()


class Heard:
    """What `on_state` heard."""

    def __init__(self):
        self.states, self.times = [], []

    def __call__(self, state, wall_s):
        self.states.append(state)
        self.times.append(wall_s)


def taken(frames):
    return [(read_frame_number(f.rgb), round(f.time_s, 3)) for f in frames]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def sender(*scripts, port=0):
    """Serve one script a connection over TCP, then nobody is there any more."""
    server = socket.create_server(("127.0.0.1", port))
    address, gone = f"tcp://127.0.0.1:{server.getsockname()[1]}", threading.Event()

    def serve():
        for script in scripts:
            try:
                line = server.accept()[0]
            except OSError:
                return
            with line, suppress(OSError):  # the reader left
                script(line, gone)
        server.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield address
    finally:
        gone.set()
        with suppress(OSError):  # it is closed already
            server.shutdown(socket.SHUT_RDWR)
        thread.join()
        server.close()


def sends(data):
    """A script: send it all and hang up."""
    return lambda line, gone: line.sendall(data)


def falls_silent(data=b""):
    """A script: send it all and then nothing, until the other side hangs up."""

    def script(line, gone):
        line.sendall(data)
        while not gone.is_set():
            if select.select([line], [], [], 0.05)[0] and not line.recv(4096):
                return

    return script


def babbles(line, gone):
    """A script: send noise for as long as it is wanted."""
    rng = np.random.default_rng(5)
    while not gone.is_set():
        line.sendall(rng.bytes(4096))


def test_a_tcp_stream_is_read(three):
    heard = Heard()
    started = time.time()
    with (
        sender(sends(three)) as address,
        LiveSource(address, settings=QUICK, on_state=heard) as source,
    ):
        frames = list(source)
        assert taken(frames) == [(0, 0.0), (10, 1.0), (20, 2.0)]
        assert source.state == "ended" and source.reconnects == source.dropped_frames == 0
    assert frames[0].rgb.shape == (48, 64, 3) and frames[0].rgb.dtype == np.uint8
    assert heard.states == ["connecting", "running", "connecting", "ended"]
    walls = [started, *heard.times[:2], frames[0].wall_s, heard.times[-1], time.time()]
    assert walls == sorted(walls)


@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
def test_a_file_is_read_whole_however_slow_the_reader_and_ends(films, name):
    path = write_video(films / name, frame_times(4))
    heard = Heard()
    patience = replace(QUICK, queue_frames=2, max_attempts=None)
    with LiveSource(
        str(path), rate_hz=5.0, max_side=32, settings=patience, on_state=heard
    ) as source:
        frames = []
        for frame in source:
            time.sleep(0.02)
            frames.append(frame)
    assert taken(frames) == [(2 * k, k / 5) for k in range(20)]
    assert frames[0].rgb.shape == (24, 32, 3)
    assert (source.dropped_frames, source.damage) == (0, [])
    assert heard.states == ["connecting", "running", "ended"]


def test_a_slow_reader_of_a_live_stream_gets_the_newest_frames(films):
    data = write_video(films / "six.ts", frame_times(6)).read_bytes()
    patience = replace(QUICK, queue_frames=3)
    with (
        sender(sends(data)) as address,
        LiveSource(address, rate_hz=10.0, settings=patience) as source,
    ):
        wait_until(lambda: source.state == "ended")
        assert [read_frame_number(f.rgb) for f in source] == [57, 58, 59]
        assert source.dropped_frames == 57


def wait_until(holds, limit_s=30.0):
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.01)


def test_a_sender_that_is_killed_and_started_anew_three_times(three):
    heard, port = Heard(), free_port()
    patience = replace(QUICK, max_attempts=40)
    frames = []
    with LiveSource(f"tcp://127.0.0.1:{port}", settings=patience, on_state=heard) as source:
        for life in range(4):
            with sender(sends(three), port=port):
                frames += islice(source, 2)
                wait_until(lambda life=life: heard.states.count("connecting") == life + 2)
            assert source.reconnects == life
        frames += source
    assert heard.states == ["connecting", "running"] * 4 + ["connecting", "ended"]
    times = [f.time_s for f in frames]
    assert times == sorted(times) and times[0] == 0.0
    assert source.reconnects == 3 and len(times) >= 9


def test_time_goes_on_by_the_wall_clock_between_connections(three):
    def late(line, gone):
        time.sleep(1.5)
        line.sendall(three)

    with (
        sender(sends(three), late) as address,
        LiveSource(address, rate_hz=10.0, settings=replace(QUICK, max_attempts=2)) as source,
    ):
        frames = list(source)
    assert taken(frames[:30]) == [(k, k / 10) for k in range(30)]
    after = next(f for f in frames[30:])
    gap_s = after.wall_s - frames[29].wall_s
    assert gap_s > 1.4
    # A frame may be passed over as not due, so one or two frames of a tenth either way.
    assert after.time_s - frames[29].time_s == pytest.approx(gap_s, abs=0.3)


@pytest.mark.parametrize("is_reached", [False, True])
def test_a_silent_sender_is_stalled_and_then_connected_anew(three, is_reached):
    heard = Heard()
    patience = replace(
        QUICK, open_timeout_s=2, read_timeout_s=2, stall_timeout_s=0.7, max_attempts=2
    )
    with (
        sender(falls_silent(three if is_reached else b""), sends(three)) as address,
        LiveSource(address, settings=patience, on_state=heard) as source,
    ):
        frames = list(source)
    began = ["connecting", "running"] if is_reached else ["connecting"]
    assert heard.states[: len(began) + 3] == [*began, "stalled", "connecting", "running"]
    assert source.reconnects == is_reached
    assert len(frames) >= (5 if is_reached else 3)


def test_noise_is_a_broken_connection(three):
    patience = replace(QUICK, open_timeout_s=1, read_timeout_s=1, max_attempts=2)
    with (
        sender(babbles, sends(three)) as address,
        LiveSource(address, settings=patience) as source,
    ):
        assert taken(source) == [(0, 0.0), (10, 1.0), (20, 2.0)]


def test_noise_after_pictures_is_a_broken_connection(three):
    def turns_to_noise(line, gone):
        line.sendall(three)
        babbles(line, gone)

    patience = replace(QUICK, open_timeout_s=2, read_timeout_s=1, max_attempts=2)
    with (
        sender(turns_to_noise, sends(three)) as address,
        LiveSource(address, settings=patience) as source,
    ):
        frames = list(source)
    assert source.reconnects == 1 and len(frames) >= 5


def test_nothing_but_noise_is_refused():
    patience = replace(QUICK, open_timeout_s=0.5, read_timeout_s=0.5, max_attempts=2)
    with (
        sender(babbles, babbles) as address,
        LiveSource(address, settings=patience) as source,
        pytest.raises(MediaError, match=r"no frame in 2 attempts, at last: no frame came"),
    ):
        list(source)


def test_what_cannot_be_decoded_is_counted(films):
    whole = write_video(
        films / "loud.ts", frame_times(6), codec_options={"g": "10"}, with_noise=True
    )
    data = bytearray(whole.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 188 * 20] = bytes(188 * 20)
    with sender(sends(data)) as address, LiveSource(address, settings=QUICK) as source:
        found = taken(source)
    assert found[0] == (0, 0.0) and found[-1] == (50, 5.0)
    assert source.damage and all(line.startswith(f"{address}: ") for line in source.damage)


def test_joining_in_the_middle_is_no_damage(films):
    """The next key frame is so far away that libav opens the stream without knowing its size."""
    sparse = {"g": "60", "sc_threshold": "0"}
    path = write_video(films / "sparse.ts", frame_times(8), codec_options=sparse, with_noise=True)
    data = path.read_bytes()
    tables, middle = 3 * 188, len(data) // 8 // 188 * 188
    with (
        sender(sends(data[:tables] + data[middle:])) as address,
        LiveSource(address, settings=QUICK) as source,
    ):
        found = taken(source)
    assert found == [(60, 0.0), (70, 1.0)] and source.damage == []


@pytest.mark.parametrize(
    "address",
    [
        "tcp://ann:s3cret@127.0.0.1:{port}",
        "rtmp://ann:s3cret@127.0.0.1:{port}/app/s3cret",
        "http://ann:s3cret@127.0.0.1:{port}/a.m3u8?token=s3cret",
        "rtsp://ann:s3cret@127.0.0.1:{port}/1",
    ],
)
def test_a_dead_port_is_given_up_without_naming_the_secret(address, caplog):
    heard = Heard()
    source = LiveSource(
        address.format(port=free_port()), settings=replace(QUICK, max_attempts=3), on_state=heard
    )
    with source, pytest.raises(MediaError, match="no frame in 3 attempts") as refusal:
        list(source)
    assert "127.0.0.1" in str(refusal.value) and refusal.value.remedy
    assert len(caplog.records) == 2 and "connecting again in" in caplog.text
    assert heard.states == ["connecting", "ended"]
    thread_names = [source._reader.name, source._watcher.name]
    for text in (str(refusal.value), caplog.text, str(thread_names), source.name):
        assert "s3cret" not in text
    assert refusal.value.__context__ is None and refusal.value.__cause__ is None


def test_hls_is_waited_for_longer_than_its_pieces_last():
    hls, tcp = (
        SourceSettings.for_address(parse_address(a), 3) for a in ("https://h/a.m3u8", "tcp://h:1")
    )
    assert tcp == SourceSettings(max_attempts=3) and hls.max_attempts == 3
    assert min(hls.stall_timeout_s, hls.read_timeout_s) > 20 > tcp.read_timeout_s


def test_a_file_that_cannot_be_read_is_refused_at_once(tmp_path):
    (tmp_path / "text.mp4").write_text("this is no video")
    for name, said in (("none.mp4", "does not exist"), ("text.mp4", "cannot be opened")):
        with (
            LiveSource(str(tmp_path / name), settings=replace(QUICK, max_attempts=None)) as source,
            pytest.raises(MediaError, match=said),
        ):
            list(source)


@pytest.mark.parametrize(("first_s", "second_s"), [(0.0, 50.0), (50.0, 0.0), (1000.0, 0.0)])
def test_a_jump_of_time_stamps_goes_on_by_one_frame(tmp_path, first_s, second_s):
    parts = [
        write_video(
            tmp_path / f"{i}.ts", frame_times(3, start_s=from_s), codec_options={"g": "10"}
        ).read_bytes()
        for i, from_s in enumerate((first_s, second_s))
    ]
    with (
        sender(sends(b"".join(parts))) as address,
        LiveSource(address, rate_hz=10.0, settings=QUICK) as source,
    ):
        frames = list(source)
    steps = [b.time_s - a.time_s for a, b in pairwise(frames)]
    assert min(steps) > 0 and max(steps) < 0.35 and source.reconnects == 0
    assert (
        frames[-1].time_s == pytest.approx(5.9, abs=0.4) and read_frame_number(frames[-1].rgb) == 29
    )
    assert len([line for line in source.damage if "its clock" in line]) == 1


def test_a_change_of_size_in_mid_stream(tmp_path, monkeypatch, three):
    monkeypatch.setattr(footage, "WIDTH", 96)
    monkeypatch.setattr(footage, "HEIGHT", 80)
    larger = write_video(
        tmp_path / "larger.ts", frame_times(3, start_s=3.0), codec_options={"g": "10"}
    ).read_bytes()
    with sender(sends(three + larger)) as address, LiveSource(address, settings=QUICK) as source:
        shapes = [f.rgb.shape for f in source]
    assert shapes[:3] == [(48, 64, 3)] * 3
    assert len(shapes) >= 5 and set(shapes[3:]) == {(80, 96, 3)}


STEPS = st.one_of(st.integers(1, 20), st.integers(-(10**6), 10**6), st.none())


@settings(max_examples=60)
@given(st.lists(st.tuples(STEPS, st.integers(0, 999), st.booleans()), min_size=1, max_size=15))
def test_stream_time_never_falls_and_never_jumps(frames):
    """Each a step in ticks of hundredths (None: no time stamp), a wait, whether connected anew."""
    stream = SimpleNamespace(time_base=Fraction(1, 100), guessed_rate=10, average_rate=10)
    faults, clock, pts, seen_s, last = Counter(), StreamClock(10.0), 500, 0.0, None
    for step, wait_s, is_new in frames:
        seen_s += wait_s
        if is_new or last is None:
            clock.connect(stream, faults)
        stamp = None if step is None else (pts := pts + step)
        now = clock.read(SimpleNamespace(pts=stamp, duration=10), seen_s)
        if last is None:
            assert now == 0.0
        elif is_new:
            assert now - last == pytest.approx(wait_s, abs=1e-6)
        else:
            assert 0 <= now - last <= 10.0 + 1e-6
        last = now


def test_stream_time_by_hand():
    stream = SimpleNamespace(time_base=Fraction(1, 100), guessed_rate=10, average_rate=10)
    faults, clock = Counter(), StreamClock(10.0)

    def read(pts, seen_s):
        return round(clock.read(SimpleNamespace(pts=pts, duration=10), seen_s), 6)

    clock.connect(stream, faults)
    assert [read(700, 0.0), read(710, 9.0), read(1700, 9.0)] == [0.0, 0.1, 10.0]  # 9.9 s: a gap
    assert [read(9000, 9.0), read(9010, 9.0)] == [10.1, 10.2]  # 73 s: a jump, of one frame
    assert [read(100, 9.0), read(110, 10.0)] == [10.3, 10.4]  # a step back, of one frame
    assert sum(faults.values()) == 2
    clock.connect(stream, faults)
    assert [read(5, 12.5), read(15, 12.5)] == [12.9, 13.0]  # 2.5 s passed on the wall
    assert sum(faults.values()) == 2


def test_closing_ends_a_reader_that_waits_for_the_other_side():
    patience = replace(QUICK, open_timeout_s=60, read_timeout_s=60)
    port = free_port()
    with sender(falls_silent()) as address:
        for waiting in (address, f"tcp-listen://127.0.0.1:{port}"):
            with LiveSource(waiting, settings=patience) as source:
                time.sleep(0.2)
            assert source.state == "ended"
            assert not source._reader.is_alive() and not source._watcher.is_alive()
            assert list(source) == []


def test_what_libav_cannot_be_stopped_in_ends_at_its_time_out():
    heard = Heard()
    patience = replace(QUICK, open_timeout_s=2, max_attempts=None)
    with sender(falls_silent()) as address:
        web = address.replace("tcp://", "http://")
        with LiveSource(web, settings=patience, on_state=heard) as source:
            time.sleep(0.2)
        assert source.state == "ended" and list(source) == []
        wait_until(lambda: not source._reader.is_alive())
    assert heard.states == ["connecting", "ended"]


def test_closing_leaves_no_thread_and_no_file_open(three):
    handles = Path("/proc/self/fd")
    if not handles.is_dir():
        pytest.skip("this system does not list open files")

    def once(address):
        with LiveSource(address, settings=QUICK) as source:
            next(source)

    with sender(*[falls_silent(three)] * 21) as address:
        once(address)
        threads, before = threading.active_count(), len([*handles.iterdir()])
        for _ in range(20):
            once(address)
        wait_until(lambda: threading.active_count() <= threads)
        wait_until(lambda: len([*handles.iterdir()]) <= before)


def test_a_reader_in_another_thread_is_let_go_though_libav_is_not():
    patience = replace(QUICK, open_timeout_s=60)
    with sender(falls_silent()) as address:
        with LiveSource(address.replace("tcp", "http"), settings=patience) as source:
            found = []
            reader = threading.Thread(target=lambda: found.append(list(source)))
            reader.start()
            time.sleep(0.2)
            source.close()
            reader.join(10)
        assert found == [[]] and source._reader.is_alive()
    source._reader.join(10)
    assert not source._reader.is_alive()


def test_a_listener_may_close_the_source(three):
    heard = Heard()

    def listener(state, wall_s):
        heard(state, wall_s)
        if state == "running":
            source.close()

    with sender(falls_silent(three)) as address:
        source = LiveSource(address, settings=QUICK, on_state=listener)
        with source:
            assert list(source) == []
    assert heard.states == ["connecting", "running", "ended"]


def test_a_listener_that_fails_is_heard_and_leaves_no_connection_open(three):
    hung_up = threading.Event()

    def script(line, gone):
        falls_silent(three)(line, gone)
        if not gone.is_set():
            hung_up.set()

    def listener(state, wall_s):
        if state == "running":
            raise ArithmeticError("ours")

    with (
        sender(script) as address,
        LiveSource(address, settings=QUICK, on_state=listener) as source,
    ):
        with pytest.raises(ArithmeticError, match="ours"):
            list(source)
        wait_until(hung_up.is_set)


def test_standard_input_is_read_to_its_end(three, monkeypatch):
    out, into = os.pipe()
    writer = threading.Thread(target=lambda: (os.write(into, three), os.close(into)))
    with os.fdopen(out) as piped:
        monkeypatch.setattr(sys, "stdin", piped)
        writer.start()
        with LiveSource("-", settings=replace(QUICK, max_attempts=None)) as source:
            assert taken(source) == [(0, 0.0), (10, 1.0), (20, 2.0)]
        writer.join()
        assert (source.state, source.reconnects) == ("ended", 0)


def test_standard_input_that_pauses_is_waited_for(three, monkeypatch):
    heard = Heard()
    out, into = os.pipe()
    with os.fdopen(out) as piped, os.fdopen(into, "wb", buffering=0) as feed:
        monkeypatch.setattr(sys, "stdin", piped)
        feed.write(three)
        patience = replace(QUICK, read_timeout_s=0.5, open_timeout_s=2, max_attempts=None)
        with LiveSource("-", settings=patience, on_state=heard) as source:
            assert len(list(islice(source, 3))) == 3
            wait_until(lambda: heard.states.count("connecting") == 2)
            feed.write(three)
            assert next(source).time_s > 2.0
            assert source.reconnects == 1


def test_a_sender_that_pushes_over_tcp(three):
    port = free_port()
    patience = replace(QUICK, open_timeout_s=2)
    with LiveSource(f"tcp-listen://127.0.0.1:{port}", settings=patience) as source:
        wait_until(lambda: pushed(port, three))
        assert taken(source) == [(0, 0.0), (10, 1.0), (20, 2.0)]


def pushed(port, data):
    try:
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(data)
    except OSError:
        return False
    return True


def test_mpeg_ts_in_datagrams(three):
    port, done = free_port(), threading.Event()

    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            while not done.is_set():  # nobody knows when the other side begins to listen
                for at in range(0, len(three), 1316):
                    line.sendto(three[at : at + 1316], ("127.0.0.1", port))
                time.sleep(0.1)

    thread = threading.Thread(target=send)
    thread.start()
    with LiveSource(f"udp://127.0.0.1:{port}", settings=QUICK) as source:
        found = list(islice(source, 5))
        done.set()
    thread.join()
    times = [f.time_s for f in found]
    assert len(times) == 5 and times[0] == 0.0 and times == sorted(times)


@pytest.fixture
def web(tmp_path):
    """A folder, and the address under which its files can be fetched."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_recording_on_a_web_server_ends_for_good(web):
    folder, address = web
    write_video(folder / "a.mp4", frame_times(3), container_options={"movflags": "faststart"})
    patience = replace(QUICK, max_attempts=None)
    with LiveSource(f"{address}/a.mp4", settings=patience) as source:
        assert taken(source) == [(0, 0.0), (10, 1.0), (20, 2.0)]
        assert source.state == "ended"


FFMPEG = ["ffmpeg", "-v", "error", "-nostdin"]
TESTCARD = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=10"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-pix_fmt", "yuv420p"]


@needs_ffmpeg
def test_hls_is_read_and_one_that_goes_on_is_connected_anew(web):
    folder, address = web
    pieces = ["-f", "hls", "-hls_time", "1", "-hls_list_size", "0", str(folder / "a.m3u8")]
    subprocess.run([*FFMPEG, *TESTCARD, "-t", "4", *H264, *pieces], check=True)
    with LiveSource(f"{address}/a.m3u8", settings=replace(QUICK, max_attempts=None)) as source:
        assert [round(f.time_s, 3) for f in source] == [0.0, 1.0, 2.0, 3.0]
        assert source.state == "ended"
    listed = (folder / "a.m3u8").read_text().replace("#EXT-X-ENDLIST\n", "")
    (folder / "live.m3u8").write_text(listed)
    patience = replace(QUICK, read_timeout_s=2, max_attempts=None)
    with LiveSource(f"{address}/live.m3u8", settings=patience) as source:
        times = [f.time_s for f in islice(source, 5)]  # a running list begins three pieces early
        assert times[:3] == pytest.approx([0.0, 1.0, 2.0]) and times == sorted(times)
        assert source.reconnects == 1


@needs_ffmpeg
def test_an_hls_stream_that_ends_is_not_read_again(web):
    """When its list is closed, a reader that comes anew would get all that it still holds."""
    folder, address = web
    pieces = ["-f", "hls", "-hls_time", "1", "-hls_list_size", "0", str(folder / "b.m3u8")]
    subprocess.run([*FFMPEG, *TESTCARD, "-t", "4", *H264, *pieces], check=True)
    closed = (folder / "b.m3u8").read_text()
    (folder / "on.m3u8").write_text(closed.replace("#EXT-X-ENDLIST\n", ""))
    patience = replace(QUICK, read_timeout_s=20, open_timeout_s=20, max_attempts=None)
    with LiveSource(f"{address}/on.m3u8", settings=patience) as source:
        times = [f.time_s for f in islice(source, 3)]
        (folder / "on.m3u8").write_text(closed)
        assert [*times, *(f.time_s for f in source)] == pytest.approx([0.0, 1.0, 2.0])
        assert source.state == "ended" and source.reconnects == 0


@contextmanager
def ffmpeg(*arguments):
    process = subprocess.Popen([*FFMPEG, "-re", *TESTCARD, *H264, *arguments])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@needs_ffmpeg
def test_an_ffmpeg_that_is_killed_and_started_anew_three_times():
    heard, address = Heard(), f"tcp://127.0.0.1:{free_port()}"
    times = []
    patience = replace(QUICK, max_attempts=None)
    with LiveSource(address, rate_hz=5.0, settings=patience, on_state=heard) as source:
        for life in range(4):
            with ffmpeg("-f", "mpegts", f"{address}?listen=1"):
                wait_until(
                    lambda life=life: source.state == "running" and source.reconnects == life
                )
                times += [f.time_s for f in islice(source, 4)]
            wait_until(lambda life=life: heard.states.count("connecting") == life + 2)
        assert source.reconnects == 3
    assert heard.states == ["connecting", "running"] * 4 + ["connecting", "ended"]
    assert times == sorted(times) and times[0] == 0.0


@needs_ffmpeg
def test_rtmp_that_is_pushed_and_pushed_again():
    port = free_port()
    where = f"127.0.0.1:{port}/app/s3cret"
    patience = replace(QUICK, open_timeout_s=8, max_attempts=None)
    with LiveSource(f"rtmp-listen://{where}", rate_hz=5.0, settings=patience) as source:
        times = []
        for push in range(2):
            wait_until(lambda: is_taken(port))
            with ffmpeg("-f", "flv", f"rtmp://{where}"):
                wait_until(lambda push=push: source.reconnects == push)
                times += [f.time_s for f in islice(source, 4)]
        assert source.reconnects == 1 and times == sorted(times)


def is_taken(port):
    """Whether somebody listens, found out without calling there: a listener hears one call."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return True
    return False


@needs_ffmpeg
def test_rtmp_that_is_pulled():
    port = free_port()
    patience = replace(QUICK, max_attempts=None)
    with (
        ffmpeg("-listen", "1", "-f", "flv", f"rtmp://127.0.0.1:{port}/app/s3cret"),
        LiveSource(f"rtmp://127.0.0.1:{port}/app/s3cret", settings=patience) as source,
    ):
        assert [round(f.time_s, 1) for f in islice(source, 3)] == [0.0, 1.0, 2.0]


def rtsp_camera(data, asked):
    """A script: as little of RTSP as a camera needs to send MPEG-TS within its TCP connection."""
    tracks = "v=0\r\nm=video 0 RTP/AVP 33\r\na=control:track\r\n"
    answers = {
        "DESCRIBE": f"Content-Type: application/sdp\r\nContent-Length: {len(tracks)}\r\n",
        "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n",
    }

    def script(line, gone):
        lines = line.makefile("r", newline="\r\n")
        method = ""
        while method != "PLAY":
            request = "".join(iter(lines.readline, "\r\n"))
            asked.append(request)
            method = request.split()[0]
            number = request.split("CSeq:")[1].split()[0]
            body = tracks if method == "DESCRIBE" else ""
            answer = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{answers.get(method, '')}\r\n{body}"
            line.sendall(answer.encode())
        for i, at in enumerate(range(0, len(data), 1316)):
            packet = struct.pack(">BBHII", 0x80, 33, i, 3000 * i, 7) + data[at : at + 1316]
            line.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
        falls_silent()(line, gone)

    return script


def test_rtsp_is_read_over_tcp(three):
    asked = []
    with sender(rtsp_camera(three, asked)) as address:
        camera = address.replace("tcp://", "rtsp://") + "/1"
        with LiveSource(camera, settings=QUICK) as source:
            assert taken(islice(source, 3)) == [(0, 0.0), (10, 1.0), (20, 2.0)]
    assert any(request.startswith("SETUP") and "RTP/AVP/TCP" in request for request in asked)


@given(st.floats(0.01, 5), st.floats(0.01, 60), st.integers(0, 99))
def test_pauses_double_up_to_the_longest_and_vary_by_chance(first_s, longest_s, seed):
    found = list(islice(backoff_delays(first_s, longest_s, Random(seed)), 12))
    for k, pause_s in enumerate(found):
        full_s = min(first_s * 2**k, longest_s)
        assert full_s / 2 <= pause_s <= full_s
    assert found == list(islice(backoff_delays(first_s, longest_s, Random(seed)), 12))
    assert found != list(islice(backoff_delays(first_s, longest_s, Random(seed + 1)), 12))


def test_settings_and_arguments_that_cannot_be():
    for wrong in (
        {"stall_timeout_s": 0},
        {"max_attempts": 0},
        {"max_jump_s": -1.0},
        {"queue_frames": 0},
    ):
        with pytest.raises(SettingsError, match="give a number above 0"):
            SourceSettings(**wrong)
    with pytest.raises(ValueError, match="rate_hz"):
        LiveSource("a.mp4", rate_hz=0.0)
    with pytest.raises(MediaError, match="no stream is read from"):
        LiveSource("gopher://host/1")
