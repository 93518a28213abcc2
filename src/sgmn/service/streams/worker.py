"""The worker process of one session: decodes its stream, and journals and reports its events.

    python -m sgmn.service.streams.worker FD

`FD` is the number of a socket that is connected to the service. libav may crash or hang in here
without harm to other sessions. The process does not import PyTorch: its frames are recognized by
the encoder process. All that it reports can be derived from its journal again.
"""

from __future__ import annotations

import errno
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sgmn.errors import MediaError, SgmnError
from sgmn.live.windows import FRAME_RATE_HZ, cut_windows
from sgmn.media.address import Address, parse_address
from sgmn.media.live_source import LiveSource, SourceSettings, SourceState
from sgmn.media.recorder import StreamRecorder
from sgmn.service.outbound.gateway import SourceGateway
from sgmn.service.outbound.policy import OutboundPolicy
from sgmn.service.streams.encoder_client import EncoderClient, StoppedError, StreamInfo
from sgmn.service.streams.journal import FILE_NAME, JournalLockedError, JournalWriter
from sgmn.service.streams.kept_frames import FRAMES_FOLDER, KeptFrames
from sgmn.service.streams.recordings import RECORDING_FOLDER
from sgmn.service.streams.resume import ResumePoint
from sgmn.service.streams.timeline import replay_journal
from sgmn.service.streams.worker_config import WorkerConfig
from sgmn.service.streams.worker_control import WorkerControl
from sgmn.service.streams.worker_frames import SessionFrames
from sgmn.service.streams.worker_recognition import Recognition, begin_timeline, report_replay
from sgmn.service.streams.worker_transcript import TimeShift, follow_transcript, transcript_delay_s

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


class Worker:
    """Runs one session until its stream ends, or the service stops it."""

    def __init__(self, control: WorkerControl, config: WorkerConfig) -> None:
        self._control, self._config = control, config
        self._source: LiveSource | None = None
        self._frames: SessionFrames | None = None
        self._gateway: SourceGateway | None = None
        self._damage: list[str] = []
        self._shift = TimeShift()
        self._has_frames = self._lost_encoder = False

    def run(self) -> None:
        """Resume or begin the session, and report what becomes of it.

        Raises:
            SgmnError: The session cannot go on.
            OSError: The journal cannot be written.
        """
        config, report = self._config, self._control.report
        path = config.folder / FILE_NAME
        with ExitStack() as stack:
            journal = stack.enter_context(JournalWriter(path))
            replay = replay_journal(path)
            if replay is not None:
                report_replay(report, replay, config)
                if replay.timeline.ended:
                    report("finished", end_s=replay.timeline.end_s)
                    return
            encoder = self._create_encoder()
            stack.callback(encoder.close)
            try:
                info = encoder.open()
            except StoppedError:
                info = None
            if info is None:
                report("stopped")
                return
            timeline = begin_timeline(replay, config, info, journal)
            if timeline.header.product_ids != info.product_ids:
                message = "belongs to other products than those of the session"
                raise SgmnError(message, "the journal", "start a new session")
            self._recognize(Recognition(config, timeline, journal, encoder, report), info)

    def describe(self) -> dict[str, object]:
        """Return what each heartbeat says."""
        source, frames, gateway = self._source, self._frames, self._gateway
        newest = frames if frames is not None and frames.count else None
        refusal = None if gateway is None else gateway.refusal
        return {
            "frame_s": None if newest is None else newest.frame_s,
            "frame_wall_s": None if newest is None else newest.wall_s,
            "is_reduced": source is not None and source.is_reduced,
            "dropped_frames": 0 if source is None else source.dropped_frames,
            "reconnects": 0 if source is None else source.reconnects,
            "refusal": None if refusal is None else str(refusal),
            "damage": [
                *([] if source is None else source.damage),
                *([] if frames is None else frames.faults),
                *self._damage,
            ],
        }

    def _create_encoder(self) -> EncoderClient:
        def on_lost(reason: str) -> None:
            self._lost_encoder = True
            self._control.report("encoder", is_lost=True, reason=reason)

        def on_back() -> None:
            self._control.report("encoder", is_lost=False)

        config = self._config
        return EncoderClient(
            config.encoder,
            config.shelf,
            config.modalities,
            self._control.stop_event,
            on_lost,
            on_back,
        )

    def _recognize(self, recognition: Recognition, info: StreamInfo) -> None:
        config, timeline, shift = self._config, recognition.timeline, self._shift
        settings = timeline.settings
        resume = ResumePoint(
            timeline.last_window, settings, info.context_windows, config.max_gap_s, config.reason
        )
        kept = None
        if config.kept_side is not None:
            kept = KeptFrames(config.folder / FRAMES_FOLDER)
        with self._open_source(info.max_side) as source:
            frames = SessionFrames(
                source, resume, recognition.encoder.frames, kept, shift, recognition.add_gap
            )
            self._frames = frames
            fetch = None if self._gateway is None else self._gateway.fetch_text
            with follow_transcript(
                config.transcript, config.folder, source, shift, fetch, config.threads, self._damage
            ) as (utterances, drain):
                realtime = self._control.stop_event if config.realtime else None
                windows = cut_windows(
                    frames.times_s(drain, realtime),
                    utterances,
                    settings.window_s,
                    settings.hop_s,
                    delay_s=transcript_delay_s(config.transcript),
                )
                recognition.run(windows, frames, utterances, resume)

    @contextmanager
    def _open_source(self, max_side: int) -> Iterator[LiveSource]:
        config = self._config
        with ExitStack() as stack:
            if config.policy is None:
                address = parse_address(config.source)
            else:
                gateway = SourceGateway(OutboundPolicy(**config.policy))
                self._gateway = stack.enter_context(gateway)
                address = gateway.guard(config.source)
            self._source = stack.enter_context(self._create_source(address, max_side))
            self._control.on_stop(self._source.close)
            yield self._source

    def _create_source(self, address: Address, max_side: int) -> LiveSource:
        return LiveSource(
            address,
            rate_hz=FRAME_RATE_HZ,
            max_side=max_side,
            jpeg_side=self._config.kept_side,
            settings=SourceSettings.for_address(address, self._config.attempts),
            on_state=self._report_source,
            with_audio=self._config.transcript.kind == "asr",
            recorder=self._create_recorder() if self._config.record else None,
            may_skip=self._config.may_skip,
        )

    def _create_recorder(self) -> StreamRecorder:
        def shift(time_s: float) -> float | None:
            known = self._shift.known.is_set()
            return time_s + self._shift.shift_s if known else None

        def on_problem(reason: str) -> None:
            self._control.report("recording", problem=reason)

        return StreamRecorder(self._config.folder / RECORDING_FOLDER, on_problem, shift)

    def _report_source(self, state: SourceState, _wall_s: float) -> None:
        if state == "running":
            self._has_frames = True
            self._control.report("source", is_connected=True)
        elif self._has_frames and state in ("connecting", "stalled"):
            self._control.report("source", is_connected=False)


def main() -> None:
    """Run the worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the service ends its workers
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file that is too long is an OSError
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    control = WorkerControl(socket.socket(fileno=int(sys.argv[1])))
    config = control.receive_config()
    config.folder.mkdir(parents=True, exist_ok=True)
    worker = Worker(control, config)
    control.start(worker.describe)
    try:
        worker.run()
    except SgmnError as error:
        # A source that cannot be read was tried often enough in here.
        is_final, is_locked = isinstance(error, MediaError), isinstance(error, JournalLockedError)
        detail = _describe(error, worker)
        control.report("failed", detail=detail, is_final=is_final, is_locked=is_locked)
    except OSError as error:
        logging.exception("the worker cannot go on")  # where, if it is not the journal
        detail = f"the journal cannot be written ({error.strerror}); free disk space"
        control.report("failed", detail=detail, is_final=error.errno in _DISK_ERRORS)


def _describe(error: SgmnError, worker: Worker) -> str:
    refusal = worker.describe()["refusal"]
    is_refused = isinstance(error, MediaError) and refusal is not None
    return f"{refusal} ({error})" if is_refused else str(error)


if __name__ == "__main__":
    main()
