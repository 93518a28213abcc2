"""Measures the console in a browser: from an event to the page, page weight, and reviewing.

    python tools/console_speed.py [--events 100] [--segments 7] [--json FILE]

It starts a service with a tiny model of its own, and opens Chromium on it (Debian: chromium).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.service.console.browser import open_browser
from tests.service.console.shop import ConsoleService, run_console
from tests.service.console.visitor import Visitor

# Notes when the lane of the reviews has how many segments.
OBSERVE = """() => {
  const lane = () => document.querySelectorAll(".lane")[1]?.childElementCount ?? 0;
  window.seen = {};
  new MutationObserver(() => { window.seen[lane()] ??= Date.now() / 1000; })
    .observe(document.querySelector(".lanes"), { childList: true, subtree: true });
}"""
COUNT_KEYS = """() => {
  window.presses = 0;
  addEventListener("keydown", () => { window.presses += 1; }, { capture: true });
}"""
PICTURE = "() => document.querySelector('.frame-view img, .wall img')?.naturalWidth > 0"
FIRST_VISITS = 5
SHOWN = """() => document.querySelector(".review-about .number")?.innerText
  + document.querySelector(".frame-view").dataset.time"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--segments", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures to a file")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        run_console(Path(folder)) as service,
        open_browser() as browser,
    ):
        figures = {
            "weight": measure_weight(browser, service),
            "first_picture_s": measure_first_picture(browser, service),
            "event_to_page_s": measure_events(browser, service, arguments.events),
            "review": measure_reviewing(browser, service, arguments.segments),
        }
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures))


def measure_events(browser: Any, service: ConsoleService, count: int) -> dict[str, float]:
    """Seconds from just before a review is sent by HTTP until another browser shows it."""
    visitor = open_page(browser, service, f"/console/live/{service.running}")
    visitor.wait("() => document.querySelector('.page').dataset.connection === 'open'")
    visitor.page.evaluate(OBSERVE)
    sent = []
    for number in range(count):
        body = {"start": 0.1 * number, "end": 0.1 * number + 0.1, "verdict": "nothing"}
        sent.append(time.time())
        path = f"/v1/sessions/{service.running}/reviews/e-{number}"
        service.client.put(path, json=body).raise_for_status()
        visitor.wait("(count) => window.seen[count]", number + 1)
    seen = visitor.page.evaluate("() => window.seen")
    delays = sorted(seen[str(number + 1)] - at for number, at in enumerate(sent))
    assert not visitor.close()
    return {"median": statistics.median(delays), "p95": delays[int(0.95 * count)], "n": count}


def measure_weight(browser: Any, service: ConsoleService) -> dict[str, int]:
    """Bytes of the first visit of each page without pictures and videos, as transferred."""
    session = f"/console/sessions/{service.ended}"
    pages = {"live": f"/console/live/{service.running}", "timeline": session}
    pages |= {"review": "/console/review", "wall": "/console/live", "why": f"{session}/why/12.0"}
    return {name: weigh(browser, service, path) for name, path in pages.items()}


def weigh(browser: Any, service: ConsoleService, path: str) -> int:
    visitor = Visitor(browser, service, may_fail=True)
    visitor.log_in(service.process.admin_key)
    count_bytes = visitor.count_bytes()
    visitor.open(path)
    visitor.page.wait_for_timeout(1500)
    weight = count_bytes()
    visitor.close()
    return weight


def measure_first_picture(browser: Any, service: ConsoleService) -> dict[str, float]:
    """Seconds from a first visit, with an empty cache, until the page shows a frame; the median."""
    pages = {"live": f"/console/live/{service.running}", "wall": "/console/live"}
    pages |= {"review": f"/console/review?session={service.ended}"}
    found = {}
    for name, path in pages.items():
        waits = []
        for _ in range(FIRST_VISITS):
            visitor = Visitor(browser, service)
            visitor.log_in(service.process.admin_key)
            started = time.perf_counter()
            visitor.open(path)
            visitor.wait(PICTURE)
            waits.append(time.perf_counter() - started)
            assert not visitor.close()
        found[name] = statistics.median(waits)
    return found


def measure_reviewing(browser: Any, service: ConsoleService, count: int) -> dict[str, float]:
    """Seconds from a key until the next segment is shown with its picture, and keys per review."""
    visitor = open_page(browser, service, f"/console/review?session={service.ended}")
    visitor.wait("() => document.querySelector('.frame-view')?.dataset.time")
    visitor.page.evaluate(COUNT_KEYS)
    waits = []
    for number in range(count):
        before, started = visitor.page.evaluate(SHOWN), time.perf_counter()
        visitor.press("Enter" if number % 2 else "1")
        visitor.wait(f"(before) => ({SHOWN})() !== before", before)
        waits.append(time.perf_counter() - started)
    visitor.wait("() => document.querySelector('.saving').dataset.saving === 'saved'")
    saved = len(service.reviews(service.ended))
    presses = visitor.page.evaluate("() => window.presses") / saved
    assert not visitor.close()
    return {"median_s": statistics.median(waits), "presses_per_review": presses, "n": saved}


def open_page(browser: Any, service: ConsoleService, path: str) -> Visitor:
    visitor = Visitor(browser, service)
    visitor.log_in(service.process.admin_key)
    visitor.open(path)
    return visitor


if __name__ == "__main__":
    main()
