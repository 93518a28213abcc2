"""Video decoders of the graphics card: NVDEC, VAAPI and others, as far as FFmpeg has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from av import Codec
from av.codec.hwaccel import HWAccel, hwdevices_available

from sgmn.errors import SettingsError
from sgmn.media.container import LIBAV_ERRORS, HardwareDecoder, describe_error

__all__ = ["HardwareDecoder", "HardwareSearch", "find_hardware"]

_OTHER_NAMES = {"nvdec": "cuda"}
_BY_PREFERENCE = ("cuda", "vaapi", "qsv", "videotoolbox", "d3d11va", "vdpau")


@dataclass(frozen=True, slots=True)
class HardwareSearch:
    """The decoder that was found, if any, and why others were not taken.

    Attributes:
        decoder: None for decoding on the CPU.
        note: One line if hardware was wanted and there is none; else "".
    """

    decoder: HardwareDecoder | None = None
    note: str = ""


def find_hardware(name: str) -> HardwareSearch:
    """Find a hardware decoder.

    Args:
        name: "none"; "auto", the first one that can be opened; or the name of one, such as cuda
            (NVDEC), vaapi or qsv.

    Raises:
        SettingsError: The named decoder is not part of FFmpeg, or cannot be opened.
    """
    if name == "none":
        return HardwareSearch()
    built_in = hwdevices_available()
    if name == "auto":
        for candidate in _BY_PREFERENCE:
            if candidate in built_in and not _find_fault(candidate):
                return HardwareSearch(HardwareDecoder(candidate, is_required=False))
        return HardwareSearch(note="no hardware decoder can be opened, so the CPU decodes")
    device = _OTHER_NAMES.get(name, name)
    if device not in built_in:
        known = ", ".join(["auto", "none", *built_in])
        message = f"is {name!r}, which this FFmpeg does not have"
        raise SettingsError(message, "--hwaccel", f"pass one of {known}")
    if fault := _find_fault(device):
        remedy = "install its driver, or pass auto or none"
        raise SettingsError(f"is {name!r}, which cannot be opened ({fault})", "--hwaccel", remedy)
    return HardwareSearch(HardwareDecoder(device, is_required=True))


@cache
def _find_fault(device: str) -> str:
    """Return why a device cannot decode H.264; "" if it can."""
    try:
        HWAccel(device).create(Codec("h264", "r"))
    except (*LIBAV_ERRORS, RuntimeError) as error:  # also NotImplementedError
        return describe_error(error)
    return ""
