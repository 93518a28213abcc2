"""Livestreaming product retrieval: which product is being sold, moment by moment.

    import sgmn

    index = sgmn.Index.open("shop.index")
    result = sgmn.watch("stream.mp4", index, transcript="stream.srt")
    for segment in result.segments:
        print(segment.start, segment.end, segment.product_id, segment.confidence)

All names below are loaded when they are first used: importing `sgmn` does not import PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sgmn.api import Model, load, watch
    from sgmn.catalogue.index import Index
    from sgmn.errors import SgmnError
    from sgmn.live.events import Event
    from sgmn.live.recognizer import RecognitionResult, StreamRecognizer
    from sgmn.live.session import Session
    from sgmn.media.live_source import LiveSource
    from sgmn.records import Clip, Product, Segment, Utterance

__version__ = "0.1.0"

__all__ = [
    "Clip",
    "Event",
    "Index",
    "LiveSource",
    "Model",
    "Product",
    "RecognitionResult",
    "Segment",
    "Session",
    "SgmnError",
    "StreamRecognizer",
    "Utterance",
    "load",
    "watch",
]

_MODULES = {
    "sgmn.api": ("Model", "load", "watch"),
    "sgmn.catalogue.index": ("Index",),
    "sgmn.errors": ("SgmnError",),
    "sgmn.live.events": ("Event",),
    "sgmn.live.recognizer": ("RecognitionResult", "StreamRecognizer"),
    "sgmn.live.session": ("Session",),
    "sgmn.media.live_source": ("LiveSource",),
    "sgmn.records": ("Clip", "Product", "Segment", "Utterance"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # type checkers would accept any name otherwise

    def __getattr__(name: str) -> Any:
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'sgmn' has no attribute {name!r}")
        value = getattr(import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
