"""A shop, streams and a service for `service_load.py`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path

import av
import httpx
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.service.process import ServiceProcess
from tests.service.streams.api import add_catalogue

from sgmn.catalogue.index import Index
from sgmn.live.effort import Effort
from sgmn.records import Product
from sgmn.service.app import open_context
from sgmn.service.settings import ServiceSettings

PRODUCTS = 50
FRAME_RATE_HZ = 25
SECRET = "the secret of the benchmark"
SHOP = "shop-a"


@dataclass(frozen=True)
class Shop:
    """A catalogue, and a video of its products."""

    catalogue_id: str
    video: Path

    def start_session(
        self, client: httpx.Client, effort: Effort = "adaptive", address: str = ""
    ) -> str:
        """Watch a live stream in a new session, or else the video as if it were one."""
        body = {
            "catalogue_id": self.catalogue_id,
            "source": address or self.video.name,
            "realtime": not address,
            "effort": effort,
        }
        response = client.post("/v1/sessions", json=body)
        response.raise_for_status()
        return str(response.json()["id"])


@dataclass(frozen=True)
class MemoryReport:
    """Memory of the processes of a service, in MB (PSS: shared pages are divided)."""

    workers: list[float]
    encoder: float
    service: float

    def describe(self) -> str:
        """Return the report as one line."""
        workers = f"{np.mean(self.workers):.0f} MB (largest {max(self.workers):.0f})"
        rest = f"encoder {self.encoder:.0f} MB, service {self.service:.0f} MB"
        return f"memory (PSS): {workers} per worker of {len(self.workers)}, {rest}"


def build_shop(folder: Path, model: str, size: str, seconds: int) -> Shop:
    """Build the index of a shop, and a video that shows its products."""
    rng = np.random.default_rng(1)
    images = folder / "images"
    images.mkdir()
    products = []
    for number in range(PRODUCTS):
        path = images / f"{number}.png"
        pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((320, 320), Image.Resampling.NEAREST).save(path)
        products.append(Product(f"p{number}", f"product {number}", path, shop_id=SHOP))
    index = Index.create(folder / "index", model)
    index.add(products)
    settings = ServiceSettings(data=folder / "data", secret=SECRET)
    context = open_context(settings)
    catalogue_id = add_catalogue(context, folder / "index", SHOP)
    context.database.close()
    (folder / "media").mkdir()
    width, height = map(int, size.split("x"))
    video = folder / "media" / "stream.mp4"
    write_video(video, (width, height), seconds, sorted(images.iterdir()))
    return Shop(catalogue_id, video)


def write_video(path: Path, size: tuple[int, int], seconds: int, images: list[Path]) -> None:
    """Write a video that moves a product image over noise, another one every ten seconds.

    After a minute it repeats.
    """
    with av.open(str(path), "w") as video:
        track = video.add_stream("libx264", rate=FRAME_RATE_HZ)
        track.width, track.height = size
        track.pix_fmt, track.options = "yuv420p", {"preset": "ultrafast", "g": "50"}
        track.bit_rate = 3_000_000
        packets = list(_encode_minute(track, min(seconds, 60), images))
        times = [(packet.pts or 0, packet.dts or 0, packet.time_base) for packet in packets]
        for start in range(0, seconds, 60):
            for packet, (pts, dts, unit) in zip(packets, times, strict=True):
                shift = start * FRAME_RATE_HZ
                packet.pts, packet.dts, packet.time_base = pts + shift, dts + shift, unit
                video.mux(packet)


def _encode_minute(
    track: av.VideoStream, seconds: int, images: list[Path]
) -> Iterator[av.Packet[av.VideoStream]]:
    rng = np.random.default_rng(2)
    background = rng.integers(0, 255, (track.height, track.width, 3), dtype=np.uint8)
    side = min(track.height, track.width) // 2
    for number in range(seconds * FRAME_RATE_HZ):
        if number % (10 * FRAME_RATE_HZ) == 0:
            image = Image.open(images[number // (10 * FRAME_RATE_HZ) % len(images)])
            product = np.asarray(image.resize((side, side)))
        frame = background.copy()
        left = number * 2 % (track.width - side)
        frame[side // 2 : side // 2 + side, left : left + side] = product
        yield from track.encode(av.VideoFrame.from_ndarray(frame, "rgb24"))
    yield from track.encode()


def start_service(folder: Path, model: str, sessions: int) -> tuple[ServiceProcess, httpx.Client]:
    """Start a service that may stream the files of the shop."""
    service = ServiceProcess(
        folder / "data",
        model=model,
        secret=SECRET,
        media_folder=folder / "media",
        source_schemes="file,http,https",
        allow_private_addresses="true",
        max_streams=sessions,
        max_load=1.0,
        max_requests_per_s=0,
        log_level="warning",
    )
    return service, service.start()


def wait_until_running(
    client: httpx.Client, sessions: list[str], patience_s: float = inf
) -> str | None:
    """Wait until all sessions run; return why one of them still waits after some seconds."""
    deadline_s = time.monotonic() + patience_s
    for session in sessions:
        while (document := client.get(f"/v1/sessions/{session}").json())["state"] != "running":
            if document["state"] in ("ended", "failed"):
                raise SystemExit(f"{session}: {document['state']}, {document['state_detail']}")
            if time.monotonic() > deadline_s:
                return str(document["state_detail"])
            time.sleep(0.2)
    return None


def measure_memory(service_pid: int) -> MemoryReport:
    """Measure the processes of a service."""
    sizes: dict[str, list[float]] = {"workers": [], "encoder": [], "service": []}
    for role, folder in find_processes(service_pid):
        sizes[role].append(read_pss_mb(int(folder.name)))
    return MemoryReport(sizes["workers"], sum(sizes["encoder"]), sum(sizes["service"]))


def find_processes(service_pid: int) -> list[tuple[str, Path]]:
    """The processes of a service: their role (service, encoder or workers) and folder in /proc."""
    found = [("service", Path(f"/proc/{service_pid}"))]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue
        if parent == service_pid and b"streams.worker" in command:
            found.append(("workers", folder))
        if parent == service_pid and b"streams.encoder" in command:
            found.append(("encoder", folder))
    return found


def read_pss_mb(pid: int) -> float:
    """Read the proportional set size of a process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    raise ValueError(f"process {pid} has no proportional set size")
