"""Hardware decoders are found, or one line says why not."""

from __future__ import annotations

import pytest
from av.codec.hwaccel import hwdevices_available

from sgmn.errors import SettingsError
from sgmn.media.hardware import HardwareDecoder, HardwareSearch, find_hardware
from tests.media.footage import read_numbers

ABSENT = next(name for name in ("vdpau", "dxva2", "vulkan") if name not in hwdevices_available())


def test_the_cpu_decodes_unless_hardware_is_wanted() -> None:
    assert find_hardware("none") == HardwareSearch(None, "")


def test_a_decoder_that_ffmpeg_lacks_is_an_error() -> None:
    with pytest.raises(SettingsError) as error:
        find_hardware(ABSENT)
    known = ", ".join(["auto", "none", *hwdevices_available()])
    expected = f"--hwaccel: is '{ABSENT}', which this FFmpeg does not have; pass one of {known}"
    assert str(error.value) == expected


def test_hardware_decodes_the_same_frames_or_is_said_to_be_missing(video_path) -> None:
    """On a machine with a decoder the first branch is taken, elsewhere the second."""
    search = find_hardware("auto")
    if search.decoder is not None:
        assert search.note == "" and not search.decoder.is_required
        frames = read_numbers(video_path, hardware=search.decoder)
        assert frames == read_numbers(video_path)
        return
    assert search.note == "no hardware decoder can be opened, so the CPU decodes"
    for name in {"cuda", "nvdec"} if "cuda" in hwdevices_available() else ():
        with pytest.raises(SettingsError, match=rf"is '{name}', which cannot be opened \(.+\)"):
            find_hardware(name)


def test_a_video_that_the_hardware_cannot_decode(video_path, caplog) -> None:
    """A device that no codec of the video knows behaves like one that lacks the codec."""
    optional = HardwareDecoder(ABSENT, is_required=False)
    assert read_numbers(video_path, hardware=optional) == read_numbers(video_path)
    assert f"cannot be decoded by {ABSENT}" in caplog.text and "the CPU decodes" in caplog.text
    from sgmn.errors import MediaError

    with pytest.raises(MediaError, match=f"cannot be decoded by {ABSENT}"):
        read_numbers(video_path, hardware=HardwareDecoder(ABSENT))
