import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmn.errors import MediaError
from sgmn.live.windows import cut_windows
from sgmn.media.hls_subtitles import follow_webvtt
from sgmn.media.jsonl_follower import follow_jsonl
from sgmn.media.live_transcript import LiveTranscript
from sgmn.media.transcript import select_text
from sgmn.records import Utterance

SECONDS = st.integers(0, 40).map(lambda n: n / 2)
SAID = st.lists(
    st.builds(
        lambda start, lasts, text: Utterance(start, start + lasts, text),
        SECONDS,
        SECONDS,
        st.sampled_from(["one", "two three", "four"]),
    ),
    max_size=12,
)


def texts(hearing):
    return [u.text for u in hearing]


def wait_until(holds, limit_s=30.0):
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.01)


def line(start, end, text):
    return json.dumps({"start": start, "end": end, "text": text}) + "\n"


@given(SAID)
def test_what_comes_late_is_put_in_its_place_and_nothing_comes_twice(said):
    hearing = LiveTranscript()
    for utterance in [*said, *said[:3]]:
        hearing.add(utterance)
    expected = sorted(dict.fromkeys(said), key=lambda u: u.start)
    assert list(hearing) == expected and len(hearing) == len(expected)
    assert list(reversed(hearing)) == expected[::-1]
    assert [hearing[i] for i in range(len(hearing))] == expected
    assert hearing[1:3] == tuple(expected[1:3])


def test_what_says_nothing_is_left_out():
    hearing = LiveTranscript([Utterance(0, 1, " "), Utterance(1, 2, "lime"), Utterance(2, 3, "")])
    assert texts(hearing) == ["lime"]


@given(SAID, SECONDS, SECONDS)
def test_who_reads_on_misses_nothing_that_was_forgotten(said, before_s, more_s):
    hearing = LiveTranscript(said)
    everything = list(hearing)
    hearing.discard_before(before_s)
    assert select_text(hearing, before_s, before_s + more_s) == select_text(
        everything, before_s, before_s + more_s
    )
    assert set(everything) - set(hearing) == {u for u in everything if u.end < before_s}


def test_iterating_goes_through_what_there_was_when_it_began():
    hearing = LiveTranscript([Utterance(0, 1, "one"), Utterance(2, 3, "three")])
    reading = iter(hearing)
    assert next(reading).text == "one"
    hearing.add(Utterance(1, 2, "two"))
    hearing.discard_before(10.0)
    assert texts(reading) == ["three"] and texts(hearing) == []


def test_threads_add_while_others_read_and_forget():
    hearing, seen_unsorted = LiveTranscript(), []
    adders = [
        threading.Thread(
            target=lambda k=k: [
                hearing.add(Utterance(100 + (i * 7 + k) % 500, 700, f"{k}-{i}")) for i in range(500)
            ]
        )
        for k in range(4)
    ]
    for thread in adders:
        thread.start()
    while any(thread.is_alive() for thread in adders):
        starts = [u.start for u in hearing]
        seen_unsorted += [pair for pair in pairwise(starts) if pair[0] > pair[1]]
        hearing.add(Utterance(0, 1, "early"))
        hearing.discard_before(50.0)
    assert not seen_unsorted
    assert sorted(texts(hearing)) == sorted(f"{k}-{i}" for k in range(4) for i in range(500))


def test_windows_see_what_was_heard_until_then():
    hearing, heard = LiveTranscript(), [Utterance(1, 2, "lime"), Utterance(5, 6, "red")]

    def times():
        for second in range(10):
            for utterance in heard:
                if utterance.end == second:
                    hearing.add(utterance)
            yield float(second)

    found = list(cut_windows(times(), hearing, window_s=4.0, hop_s=2.0))
    expected = list(cut_windows(map(float, range(10)), heard, window_s=4.0, hop_s=2.0))
    assert found == expected and {w.text for w in found} == {"", "lime", "red"}


def test_a_file_is_followed_and_its_half_written_line_waits(tmp_path):
    path, hearing, damage = tmp_path / "words.jsonl", LiveTranscript(), []
    path.write_text(line(1, 2, "one"))
    with follow_jsonl(path, hearing, damage) as follower, path.open("a") as out:
        wait_until(lambda: texts(hearing) == ["one"])
        late = line(0, 0.5, "zero — café")
        out.write(late[:30])
        out.flush()
        time.sleep(0.3)
        assert texts(hearing) == ["one"] and damage == []
        out.write(late[30:] + "\n" + line(3, 4, "three"))
        out.flush()
        wait_until(lambda: texts(hearing) == ["zero — café", "one", "three"])
    assert not follower.is_running and follower.errors == 0 and damage == []


def test_what_a_character_is_cut_in_is_heard_whole(tmp_path):
    path, hearing, damage = tmp_path / "words.jsonl", LiveTranscript(), []
    raw = '{"start": 1, "end": 2, "text": "café"}\n'.encode()
    cut = raw.index("é".encode()) + 1
    path.write_bytes(raw[:cut])
    with follow_jsonl(path, hearing, damage), path.open("ab") as out:
        time.sleep(0.3)
        out.write(raw[cut:])
        out.flush()
        wait_until(lambda: texts(hearing) == ["café"])
    assert damage == []


MALFORMED = [
    "not json",
    '{"start": 5, "end": 4, "text": "back"}',
    '{"start": 1, "end": 2}',
    '{"start": "1", "end": 2, "text": "a"}',
    '{"start": NaN, "end": 2, "text": "a"}',
    "[1, 2]",
    "[" * 100_000,
    '{"start": 1, "end": 1e999, "text": "a"}',
]


@pytest.mark.parametrize("wrong", MALFORMED, ids=lambda text: text[:24])
def test_a_malformed_line_is_named_with_its_number_and_left_out(tmp_path, wrong):
    path, hearing, damage = tmp_path / "words.jsonl", LiveTranscript(), []
    path.write_text(line(1, 2, "one") + "\n" + wrong + "\n" + line(3, 4, "three"))
    with follow_jsonl(path, hearing, damage) as follower:
        wait_until(lambda: texts(hearing) == ["one", "three"])
    assert follower.errors == len(damage) == 1
    assert "words.jsonl: line 3 " in damage[0]


def test_bytes_that_are_no_text_are_malformed_too(tmp_path):
    path, hearing, damage = tmp_path / "words.jsonl", LiveTranscript(), []
    path.write_bytes(b"\xff\xfe\x00\n" + line(3, 4, "three").encode())
    with follow_jsonl(path, hearing, damage):
        wait_until(lambda: texts(hearing) == ["three"])
    assert len(damage) == 1 and "line 1 " in damage[0]


def test_many_errors_are_counted_but_not_all_named(tmp_path):
    path, hearing, damage = tmp_path / "words.jsonl", LiveTranscript(), []
    path.write_text("wrong\n" * 1000 + line(3, 4, "three"))
    with follow_jsonl(path, hearing, damage) as follower:
        wait_until(lambda: texts(hearing) == ["three"])
    assert follower.errors == 1000 and len(damage) == 100


def test_a_line_without_end_is_given_up(tmp_path):
    path, hearing, damage = tmp_path / "words.jsonl", LiveTranscript(), []
    path.write_text("x" * (3 << 20) + "\n" + line(3, 4, "three"))
    with follow_jsonl(path, hearing, damage):
        wait_until(lambda: texts(hearing) == ["three"])
    assert "line 1 is longer than" in damage[0]


def test_without_a_list_the_log_tells(tmp_path, caplog):
    path, hearing = tmp_path / "words.jsonl", LiveTranscript()
    path.write_text("wrong\n" + line(3, 4, "three"))
    with follow_jsonl(str(path), hearing):
        wait_until(lambda: texts(hearing) == ["three"])
    assert "line 1 is not valid JSON" in caplog.text


def test_an_open_pipe_ends_with_its_writer_and_stays_the_callers_to_close():
    script = (
        "import sys, time\n"
        'print(\'{"start": 1, "end": 2, "text": "one"}\', flush=True)\n'
        "time.sleep(0.2)\n"
        'sys.stdout.write(\'{"start": 3, "end": 4, "text": "three"}\')\n'
    )
    hearing, damage = LiveTranscript(), []
    writer = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    with writer, follow_jsonl(writer.stdout, hearing, damage) as follower:
        wait_until(lambda: not follower.is_running)
        assert texts(hearing) == ["one", "three"] and damage == []
        assert not writer.stdout.closed and os.fstat(writer.stdout.fileno())


def test_a_writer_that_is_gone_in_mid_line_is_named():
    reading, writing = os.pipe()
    hearing, damage = LiveTranscript(), []
    with os.fdopen(reading, "rb") as stream, follow_jsonl(stream, hearing, damage) as follower:
        os.write(writing, (line(1, 2, "one") + '{"start": 3, "en').encode())
        os.close(writing)
        wait_until(lambda: not follower.is_running)
    assert texts(hearing) == ["one"]
    assert len(damage) == 1 and "line 2 is not valid JSON" in damage[0]


def test_a_named_pipe_waits_for_its_writers_one_after_another(tmp_path):
    path, hearing, damage = tmp_path / "words", LiveTranscript(), []
    os.mkfifo(path)
    with follow_jsonl(path, hearing, damage) as follower:
        with path.open("w") as out:
            out.write(line(1, 2, "one") + '{"start":')
        wait_until(lambda: len(damage) == 1)
        with path.open("w") as out:
            out.write(line(3, 4, "three"))
        wait_until(lambda: texts(hearing) == ["one", "three"])
        assert follower.is_running and follower.errors == 1


def test_a_file_that_is_written_anew_is_read_anew_and_nothing_comes_twice(tmp_path):
    path, hearing, damage = tmp_path / "words.jsonl", LiveTranscript(), []
    path.write_text(line(1, 2, "one") + line(3, 4, "three") + '{"start"')
    with follow_jsonl(path, hearing, damage):
        wait_until(lambda: len(hearing) == 2)
        path.write_text(line(1, 2, "one"))
        time.sleep(0.3)
        with path.open("a") as out:
            out.write(line(2, 3, "two") + "wrong\n")
        wait_until(lambda: texts(hearing) == ["one", "two", "three"])
        wait_until(lambda: damage)
    assert len(damage) == 1 and "line 3 " in damage[0]


def test_what_cannot_be_opened_is_refused_at_once(tmp_path):
    with pytest.raises(MediaError, match=r"gone\.jsonl: cannot be opened"):
        follow_jsonl(tmp_path / "gone.jsonl", LiveTranscript(), [])


def test_closing_leaves_no_thread_and_no_file_open(tmp_path):
    handles = Path("/proc/self/fd")
    if not handles.is_dir():
        pytest.skip("this system does not list open files")
    path = tmp_path / "words.jsonl"
    path.write_text(line(1, 2, "one"))
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as silent, os.fdopen(writing, "wb"):
        threads, before = threading.active_count(), len([*handles.iterdir()])
        for source in [path, silent] * 5:
            follower = follow_jsonl(source, LiveTranscript(), [])
            assert follower.is_running
            follower.close()
            assert not follower.is_running
        assert threading.active_count() <= threads
        assert len([*handles.iterdir()]) <= before


class Web:
    """What a server gives for each path: text, or a number as its status."""

    def __init__(self, address):
        self.address, self.pages, self.asked = address, {}, []

    def times(self, path):
        return self.asked.count(path)


@pytest.fixture
def web():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.split("?")[0]
            site.asked.append(path)
            page = site.pages.get(path, 404)
            if isinstance(page, threading.Event):
                page.wait(30)
                return
            if isinstance(page, int):
                self.send_error(page)
                return
            body = page if isinstance(page, bytes) else page.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) + site.missing.get(path, 0)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        site = Web(f"http://127.0.0.1:{server.server_port}")
        site.missing = {}
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield site
        server.shutdown()


def playlist(*segments, first=0, ends=False, target="0.2"):
    rows = ["#EXTM3U", f"#EXT-X-TARGETDURATION:{target}", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
    rows += [row for segment in segments for row in ("#EXTINF:6.0,", segment)]
    return "\n".join([*rows, *["#EXT-X-ENDLIST"] * ends]) + "\n"


def vtt(*cues, ticks=None, local="00:00:00.000"):
    head = "WEBVTT\n" + ("" if ticks is None else f"X-TIMESTAMP-MAP=LOCAL:{local},MPEGTS:{ticks}\n")
    return head + "\n" + "\n".join(f"{times}\n{text}\n" for times, text in cues)


@contextmanager
def followed(web, origin_s=0.0, path="/s.m3u8"):
    hearing, damage = LiveTranscript(), []
    with follow_webvtt(web.address + path, hearing, damage, origin_s) as follower:
        yield hearing, damage, follower
        wait_until(lambda: not follower.is_running)


ONE = ("00:01.000 --> 00:02.500", "one")


def test_segments_come_in_as_the_playlist_grows_until_it_is_whole(web):
    web.pages = {
        "/s.m3u8": playlist("a.vtt"),
        "/a.vtt": vtt(ONE, ("00:05.000 --> 00:07.000", "on the seam")),
        "/b.vtt": vtt(("00:05.000 --> 00:07.000", "on the seam"), ("00:08.000 --> 00:09.000", "b")),
    }
    with followed(web) as (hearing, damage, follower):
        wait_until(lambda: len(hearing) == 2 and web.times("/s.m3u8") > 2)
        assert follower.is_running
        web.pages["/s.m3u8"] = playlist("b.vtt", first=1, ends=True)
    assert [(u.start, u.end, u.text) for u in hearing] == [
        (1.0, 2.5, "one"),
        (5.0, 7.0, "on the seam"),
        (8.0, 9.0, "b"),
    ]
    assert web.times("/a.vtt") == web.times("/b.vtt") == 1
    assert damage == [] and follower.errors == 0


@pytest.mark.parametrize(
    ("ticks", "local", "origin_s", "start_s"),
    [
        (900_000, "00:00:00.000", 0.0, 11.0),  # time stamp 10 s is cue time 0
        (900_000, "00:00:00.000", 10.0, 1.0),
        (900_000, "00:00.500", 1.4, 9.1),
        (126_000, "00:00:01.000", 1.4, 0.0),
        (0, "00:00:00.000", 2**33 / 90_000 - 4.0, 5.0),  # the clock began anew meanwhile
        (2**33 - 90_000, "00:00:00.000", 0.0, 0.0),  # from 1 s before it began anew
    ],
)
def test_cues_lie_on_the_time_of_the_pictures(web, ticks, local, origin_s, start_s):
    web.pages = {
        "/s.m3u8": playlist("a.vtt", ends=True),
        "/a.vtt": vtt(ONE, ticks=ticks, local=local),
    }
    with followed(web, origin_s) as (hearing, damage, _):
        pass
    assert [(u.start, u.end) for u in hearing] == [(start_s, start_s + 1.5)] and damage == []


def test_what_was_said_before_time_zero_is_left_out(web):
    cues = [ONE, ("00:03.000 --> 00:05.000", "across"), ("00:06.000 --> 00:07.000", "after")]
    web.pages = {"/s.m3u8": playlist("a.vtt", ends=True), "/a.vtt": vtt(*cues)}
    with followed(web, origin_s=4.0) as (hearing, _, _):
        pass
    found = [(u.start, u.end, u.text) for u in hearing]
    assert found == [(0.0, 1.0, "across"), (2.0, 3.0, "after")]


def test_nothing_is_read_before_time_zero_is_known(web):
    web.pages = {"/s.m3u8": playlist("a.vtt", ends=True), "/a.vtt": vtt(ONE, ticks=900_000)}
    known = []
    with followed(web, lambda: known[0] if known else None) as (hearing, _, _):
        wait_until(lambda: web.times("/s.m3u8") > 1)
        assert web.times("/a.vtt") == 0
        known.append(9.0)
    assert [u.start for u in hearing] == [2.0]


def test_a_segment_is_known_again_though_its_token_is_new(web):
    web.pages = {"/s.m3u8": playlist("a.vtt?token=1"), "/a.vtt": vtt(ONE)}
    with followed(web) as (hearing, _, _):
        wait_until(lambda: len(hearing) == 1)
        web.pages["/s.m3u8"] = playlist("a.vtt?token=2", ends=True)
    assert web.times("/a.vtt") == 1


def test_a_server_that_starts_counting_anew_is_read_on(web):
    web.pages = {"/s.m3u8": playlist("a.vtt", first=70), "/a.vtt": vtt(ONE)}
    with followed(web) as (hearing, _, _):
        wait_until(lambda: len(hearing) == 1)
        web.pages["/b.vtt"] = vtt(("00:08.000 --> 00:09.000", "b"))
        web.pages["/s.m3u8"] = playlist("b.vtt", first=0, ends=True)
    assert texts(hearing) == ["one", "b"]


def test_errors_of_a_server_are_counted_and_it_is_asked_again(web):
    web.pages = {"/s.m3u8": 500}
    with followed(web, path="/s.m3u8?token=s3cret") as (hearing, damage, follower):
        wait_until(lambda: follower.errors == 1)
        web.pages |= {
            "/s.m3u8": playlist("gone.vtt", "bad.vtt", "map.vtt", "film.ts", "short.vtt", "a.vtt"),
            "/bad.vtt": "WEBVTT\n\n00:09.000 --> 00:02.000\nback\n",
            "/map.vtt": "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000\n\n00:01.000 --> 00:02.000\nx\n",
            "/film.ts": b"G\xff\xff",
            "/short.vtt": vtt(("00:03.000 --> 00:04.000", "short")),
            "/a.vtt": vtt(ONE),
        }
        web.missing["/short.vtt"] = 100
        wait_until(lambda: texts(hearing) == ["one"])
        wait_until(lambda: web.times("/gone.vtt") == 3)
        web.pages["/s.m3u8"] = web.pages["/s.m3u8"] + "#EXT-X-ENDLIST\n"
    assert web.times("/gone.vtt") == 3 and web.times("/bad.vtt") == web.times("/map.vtt") == 1
    assert texts(hearing) == ["one"]
    for told in ["500", "404", "bad.vtt: line 3 ends", "time map", "film.ts", "cut short"]:
        assert any(told in row for row in damage), told
    assert not any("s3cret" in row for row in damage)
    assert follower.errors == len(damage)


def test_a_segment_that_comes_late_is_heard(web):
    web.pages = {"/s.m3u8": playlist("a.vtt", ends=True)}
    with followed(web) as (hearing, damage, follower):
        wait_until(lambda: follower.errors == 1)
        web.pages["/a.vtt"] = vtt(ONE)
    assert texts(hearing) == ["one"] and len(damage) == 1


def test_a_playlist_cannot_name_files_of_this_machine(web, tmp_path):
    secret = tmp_path / "a.vtt"
    secret.write_text(vtt(ONE))
    web.pages = {"/s.m3u8": playlist(secret.as_uri(), ends=True)}
    with followed(web) as (hearing, damage, _):
        pass
    assert len(hearing) == 0 and "is not a web address" in damage[0]
    with pytest.raises(MediaError, match="not a web address"):
        follow_webvtt(secret.as_uri(), LiveTranscript())


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("<html>", "is not a playlist"),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n", "pass the playlist of the subtitles"),
        ("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:x\na.vtt\n", "cannot be read"),
        (b"#EXTM3U\n\xff", "cannot be read"),
    ],
)
def test_what_is_no_playlist_is_told(web, page, told):
    web.pages = {"/s.m3u8": page}
    damage = []
    with follow_webvtt(f"{web.address}/s.m3u8", LiveTranscript(), damage):
        wait_until(lambda: damage)
    assert told in damage[0]


def test_closing_does_not_wait_for_a_server_that_is_silent(web):
    web.pages = {"/s.m3u8": playlist("a.vtt"), "/a.vtt": threading.Event()}
    hearing = LiveTranscript()
    follower = follow_webvtt(f"{web.address}/s.m3u8", hearing, [])
    wait_until(lambda: web.times("/a.vtt") == 1)
    follower.close()
    assert follower.stop_event.is_set()  # reached although the server has not answered
    web.pages["/a.vtt"].set()
    wait_until(lambda: not follower.is_running)
    assert web.times("/s.m3u8") == 1 and len(hearing) == 0
