"""Checks of the installation: packages, built-in model, media support, hardware, extras."""

from __future__ import annotations

import platform
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from time import monotonic
from typing import Literal

import sgmn
from sgmn.errors import SgmnError

State = Literal["ok", "missing", "failed"]

PACKAGES = ("torch", "transformers", "av", "lancedb")
# The native AV1 decoder of FFmpeg needs a GPU, so that AV1 is decoded by dav1d.
DECODERS = {
    "H.264": "h264",
    "HEVC": "hevc",
    "VP9": "vp9",
    "AV1": "libdav1d",
    "AAC": "aac",
    "Opus": "opus",
}
NEEDED_DECODERS = frozenset({"H.264", "AAC"})
PROTOCOLS = ("https", "hls", "rtmp", "rtsp", "tcp", "udp", "srt")
DEMUXERS = frozenset({"hls", "rtsp"})  # formats in FFmpeg's terms, not protocols
EXTRAS = {
    "train": "training",
    "synth": "generated shops and livestreams",
    "synth-speech": "speech in generated livestreams",
    "asr": "speech recognition",
    "asr-offline": "speech recognition without downloads",
    "siglip": "SigLIP backbones",
    "lite": "EfficientNet-Lite backbones",
    "ray": "jobs on a cluster",
}
MIN_FREE_GIB = 1.0
REINSTALL = "reinstall sgmn: pip install --force-reinstall sgmn"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check.

    state: "ok"; "missing" for an optional feature; "failed" for something that sgmn needs.
    detail: a version, a size or an error. remedy: what to do unless the state is "ok".
    """

    group: str
    name: str
    state: State
    detail: str = ""
    remedy: str = ""


def run_checks(folder: Path = Path()) -> Iterator[Check]:
    """Yield the result of each check; `folder` is where free disk space is measured."""
    yield Check("Versions", "Python", "ok", platform.python_version())
    yield Check("Versions", "sgmn", "ok", sgmn.__version__)
    packages = [_check_package(package) for package in PACKAGES]
    yield from packages
    broken = {check.name for check in packages if check.state == "failed"}
    yield _check_builtin_model(broken)
    if "av" not in broken:
        yield from _check_media()
    if "torch" not in broken:
        yield from _check_hardware()
    yield _check_disk(folder)
    yield from map(_check_extra, EXTRAS)


def _check_package(package: str) -> Check:
    if not _is_installed(package):
        return Check("Versions", package, "failed", "is not installed", REINSTALL)
    try:
        import_module(package)
    except Exception as error:  # noqa: BLE001 - a broken native library may raise anything
        return Check("Versions", package, "failed", f"cannot be imported ({error})", REINSTALL)
    ffmpeg = f" (FFmpeg {_ffmpeg_version()})" if package == "av" else ""
    return Check("Versions", package, "ok", version(package) + ffmpeg)


def _ffmpeg_version() -> str:
    import av

    return str(av.ffmpeg_version_info)


def _check_builtin_model(broken: Collection[str]) -> Check:
    """Load the model; that needs all packages."""
    if broken:
        detail = f"cannot be loaded without {', '.join(sorted(broken))}"
        return Check("Model", "builtin", "failed", detail, REINSTALL)
    start_s = monotonic()
    try:
        fingerprint = sgmn.load("builtin").fingerprint
    except SgmnError as error:
        return Check("Model", "builtin", "failed", f"cannot be loaded ({error})", REINSTALL)
    detail = f"fingerprint {fingerprint}, loaded in {monotonic() - start_s:.1f} s"
    return Check("Model", "builtin", "ok", detail)


def _check_media() -> Iterator[Check]:
    for name, decoder in DECODERS.items():
        yield _check_decoder(name, decoder)
    for protocol in PROTOCOLS:
        yield _check_protocol(protocol)


def _check_decoder(name: str, decoder: str) -> Check:
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    try:
        Codec(decoder, "r")
    except UnknownCodecError:
        state: State = "failed" if name in NEEDED_DECODERS else "missing"
        remedy = "install PyAV from PyPI: pip install --force-reinstall av"
        return Check("Decoders", name, state, "not in this FFmpeg", remedy)
    return Check("Decoders", name, "ok")


def _check_protocol(protocol: str) -> Check:
    if has_protocol(protocol):
        return Check("Protocols", protocol, "ok")
    remedy = "convert with an ffmpeg that has it: ffmpeg -i ADDRESS -c copy -f mpegts tcp://…"
    return Check("Protocols", protocol, "missing", "not in this FFmpeg", remedy)


def has_protocol(protocol: str) -> bool:
    """Return whether the FFmpeg within PyAV can read from a protocol; connects to nothing."""
    import av

    if protocol in DEMUXERS:
        return protocol in av.formats_available
    try:
        # An empty whitelist stops FFmpeg after it has looked up the protocol.
        av.open(f"{protocol}://127.0.0.1:9/", options={"protocol_whitelist": "none"})
    except av.ProtocolNotFoundError:
        return False
    except (av.FFmpegError, OSError, ValueError):
        return True
    return True


def _check_hardware() -> Iterator[Check]:
    import torch

    if torch.cuda.is_available():
        yield Check("Hardware", "GPU", "ok", torch.cuda.get_device_name())
    else:
        remedy = "for speed only: install a CUDA build of PyTorch on a machine with an NVIDIA GPU"
        yield Check("Hardware", "GPU", "missing", "models run on the CPU", remedy)
    yield Check("Hardware", "CPU threads", "ok", str(torch.get_num_threads()))


def _check_disk(folder: Path) -> Check:
    free = {place: shutil.disk_usage(place).free / 2**30 for place in _disk_folders(folder)}
    detail = ", ".join(f"{gib:.1f} GiB in {place}" for place, gib in free.items())
    if min(free.values()) < MIN_FREE_GIB:
        remedy = f"free at least {MIN_FREE_GIB:.0f} GiB"
        return Check("Hardware", "free disk space", "missing", detail, remedy)
    return Check("Hardware", "free disk space", "ok", detail)


def _disk_folders(folder: Path) -> list[Path]:
    return list(dict.fromkeys([folder.absolute(), Path(tempfile.gettempdir())]))


def _check_extra(extra: str) -> Check:
    missing = [package for package in required_packages(extra) if not _is_installed(package)]
    if not missing:
        return Check("Extras", extra, "ok", EXTRAS[extra])
    detail = f"{EXTRAS[extra]}; not installed: {', '.join(missing)}"
    return Check("Extras", extra, "missing", detail, f'pip install "sgmn[{extra}]"')


def required_packages(extra: str) -> list[str]:
    """Return the packages that an optional extra of sgmn installs."""
    marker = re.compile(rf"""extra == ['"]{extra}['"]""")
    entries = [entry for entry in requires("sgmn") or [] if marker.search(entry)]
    return [re.split(r"[\s;<>=!~\[(]", entry, maxsplit=1)[0] for entry in entries]


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
