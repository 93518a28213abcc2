"""Addresses of streams: parsing and redaction."""

from string import ascii_letters, digits

import av
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sgmn.errors import MediaError
from sgmn.media import address
from sgmn.media.address import parse_address, redact_address

WORDS = st.text("abcdefgh", min_size=1, max_size=6)
# Upper case and digits: no other part of the addresses made here has them.
SECRETS = st.text("QXZ0123456789/?#@:;=.%+~ ", min_size=4, max_size=20).map("Z{}Q9".format)
TIDY = st.text("QXZ0123456789-_.~", min_size=4, max_size=20).map("Z{}Q9".format)
SCHEMES = st.sampled_from(["http", "https", "HTTP", "rtsp", "rtmp", "srt", "udp", "tcp", "foo"])
NAMES = """key token sig signature auth pass password KEY Token auth_key access_token
X-Amz-Signature txSecret passphrase streamid %6Bey tok%65n"""
SECRET_NAMES = st.sampled_from(NAMES.split())


def pieces(secret, size=4):
    return [secret[i : i + size] for i in range(len(secret) - size + 1)]


@given(SCHEMES, WORDS, TIDY, WORDS)
def test_user_and_password_are_hidden(scheme, user, secret, host):
    shown = redact_address(f"{scheme}://{user}1:{secret}@{host}.example:8080/a/b")
    assert secret not in shown and f"{user}1" not in shown
    assert shown.startswith(f"{scheme}://***@{host}.example:8080/")


@given(SECRETS, WORDS)
@example("QZ/4?5#6@7Q9", "a")
def test_a_password_that_was_not_escaped_is_hidden_too(secret, host):
    shown = redact_address(f"rtsp://ann:x{secret}@{host}.example/b")
    assert shown == f"rtsp://***@{host}.example/b"


@given(SCHEMES, TIDY)
def test_a_user_alone_may_be_a_token(scheme, secret):
    assert secret not in redact_address(f"{scheme}://{secret}@host.example/a/b")


@given(
    SCHEMES,
    SECRET_NAMES,
    SECRETS.filter(lambda s: "@" not in s),
    st.lists(st.tuples(WORDS, WORDS), max_size=3),
    st.lists(st.tuples(WORDS, WORDS), max_size=3),
    st.sampled_from("?#;"),
)
def test_secrets_of_a_query_are_hidden_wherever_they_stand(
    scheme, name, secret, before, after, mark
):
    assume(scheme != "rtmp")
    pairs = [*before, (name, secret), *after]
    query = "&".join(f"{n}={v}" for n, v in pairs)
    shown = redact_address(f"{scheme}://host.example/live.m3u8{mark}{query}")
    assert not [piece for piece in pieces(secret) if piece in shown]
    assert f"{name}=***" in shown
    assert all(f"{n}={v}" in shown for n, v in before + after)


@given(
    st.sampled_from(["rtmp", "rtmps", "rtmpt", "RTMP", "rtmp-listen"]),
    TIDY,
    st.sampled_from(["", "/", "?bandwidthtest=1", "?expires=5&x=QQQ777", " playpath=QQQ777"]),
)
def test_a_stream_key_is_hidden_with_all_that_follows(scheme, secret, tail):
    shown = redact_address(f"{scheme}://host.example:1935/app/{secret}{tail}")
    assert shown == f"{scheme}://host.example:1935/app/***"


@given(st.text(ascii_letters + digits + ":/?#&;=@%*.[] \n", max_size=60), SCHEMES)
def test_what_is_hidden_once_is_hidden_and_hiding_never_fails(text, scheme):
    for whole in (text, f"{scheme}://{text}"):
        shown = redact_address(whole)
        assert redact_address(shown) == shown


@pytest.mark.parametrize(
    "harmless",
    [
        "video.mp4",
        "C:/videos/a@b.mp4",
        "-",
        "webcam:0",
        "udp://@239.0.0.1:1234",
        "http://host.example/a/b.m3u8?quality=hd&part=3",
        "rtsp://host.example:554/stream/1",
        "tcp://[::1]:5000",
        "rtmp://host.example",
        "http://host.example:80/a?to=a@b",
    ],
)
def test_what_holds_no_secret_stays(harmless):
    assert redact_address(harmless) == harmless


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "https://h.example/proxy?url=rtsp://ann:s3cret@cam/1&x=1",
            "https://h.example/proxy?url=rtsp://***@cam/1&x=1",
        ),
        ("https://h.example/a?x=1;key=s3cret", "https://h.example/a?x=1;key=***"),
        ("https://h.example/token=s3cret/a.m3u8", "https://h.example/token=***"),
        ("rtmp://h.example/s3cret", "rtmp://h.example/***"),
    ],
)
def test_secrets_in_unusual_places_are_redacted(text, expected):
    assert redact_address(text) == expected


def test_repr_contains_no_secrets():
    for text in ("rtmp://ann:s3cret@h/app/s3cret", "tcp://ann:s3cret@h:5000"):
        assert "s3cret" not in repr(parse_address(text)) and "s3cret" in parse_address(text).url


@pytest.mark.parametrize(
    ("text", "kind", "url", "format_", "options"),
    [
        ("a.mp4", "file", "a.mp4", None, {}),
        ("-", "pipe", "-", "mpegts", {}),
        ("http://h/a.m3u8", "libav", "http://h/a.m3u8", None, {}),
        ("RTMP://h/app/k", "libav", "RTMP://h/app/k", None, {}),
        ("rtmp-listen://h:1/app/k", "libav", "rtmp://h:1/app/k", None, {"listen": "1"}),
        ("rtsp://h/1", "libav", "rtsp://h/1", None, {"rtsp_transport": "tcp"}),
        ("udp://h:1", "libav", "udp://h:1", "mpegts", {"overrun_nonfatal": "1"}),
        ("srt://h:1", "libav", "srt://h:1", "mpegts", {}),
    ],
)
def test_formats_and_options_for_libav(monkeypatch, text, kind, url, format_, options):
    monkeypatch.setattr(address, "require_srt_support", lambda name: None)
    parsed = parse_address(text)
    assert (parsed.kind, parsed.url, parsed.format, dict(parsed.options)) == (
        kind,
        url,
        format_,
        options,
    )
    assert parsed.is_live == (kind != "file") and parsed.is_listener == ("listen" in text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("tcp://h:5000", "h", 5000), ("tcp-listen://:5000", "", 5000), ("tcp://[::1]:1", "::1", 1)],
)
def test_tcp_addresses(text, host, port):
    parsed = parse_address(text)
    assert (parsed.host, parsed.port, parsed.format) == (host, port, "mpegts")
    assert parsed.is_listener == text.startswith("tcp-listen")


@pytest.mark.parametrize(
    "text",
    [
        "tcp://s3cret@h",
        "tcp://:5000",
        "tcp-listen://h",
        "tcp://s3cret@h:port",
        "tcp://s3cret@h:99999",
        "tcp://s3cret@[::1",
        "foo://ann:s3cret@h/1",
        "webcam:",
        "webcam:first",
        "webcam:../../etc",
    ],
)
def test_an_invalid_address_is_refused_with_a_remedy(text):
    with pytest.raises(MediaError, match="pass ") as raised:
        parse_address(text)
    assert raised.value.remedy and "s3cret" not in str(raised.value)


def test_srt_is_refused_only_if_libav_does_not_support_it(monkeypatch):
    def set_open_error(error: type[av.FFmpegError]) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error(0, "an error of libav")

        monkeypatch.setattr(av, "open", fail)

    set_open_error(av.error.ProtocolNotFoundError)
    with pytest.raises(MediaError, match=r"uses SRT.* mpegts tcp://") as raised:
        parse_address("srt://host.example:9000?passphrase=s3cret")
    assert "s3cret" not in str(raised.value)
    set_open_error(av.error.InvalidDataError)
    assert parse_address("srt://host.example:9000").format == "mpegts"


def test_a_webcam_is_a_device(tmp_path, monkeypatch):
    monkeypatch.setattr(address, "Path", lambda text: tmp_path / text.lstrip("/"))
    with pytest.raises(MediaError, match=r"webcam:0: does not exist .*; connect one"):
        parse_address("webcam:0")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "video2").touch()
    with pytest.raises(MediaError, match=r"webcam:0: does not exist .*; available: webcam:2"):
        parse_address("webcam:0")
    parsed = parse_address("webcam:2")
    assert (parsed.url, parsed.format) == (str(tmp_path / "dev" / "video2"), "v4l2")
