"""Settings of the service: a TOML file, overridden by environment variables `SGMN_…`."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

from sgmn.errors import SettingsError
from sgmn.model.runtimes import RUNTIMES, TORCH
from sgmn.scale.engines import ENGINES, LOCAL
from sgmn.settings import parse_table, read_toml, require

ENV_PREFIX = "SGMN_"
MIN_KEY_LENGTH = 32


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Settings of `sgmn serve`. In TOML each is a key, in the environment `SGMN_` and its name.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
        data: Folder of the database, the indexes, uploads and frames.
        database_url: A PostgreSQL address; "" for SQLite in the data folder.
        index_url: Object storage for indexes, such as s3://bucket/folder; "" for the data folder.
        model: The model of new catalogues.
        runtime: What runs the towers of models on the CPU: torch, openvino, openvino-bf16, onnx,
            auto, or a folder of `sgmn export`.
        secret: Seals stored addresses and webhook secrets; "" for a file in the data folder.
        admin_key: The secret of the first admin key; "" for a random one, printed once.
        log_level: The lowest level that is logged: debug, info, warning or error.
        log_format: json or console.
        shutdown_grace_s: How long open requests may take when the service stops.
        max_requests_per_s: Requests per second and key, in the long run; 0 for no limit.
        max_requests_at_once: Requests of a key in a burst after a pause.
        max_failed_logins_per_minute: Logins with a wrong key per minute and address, and
            separately requests without a valid key; 0 for no limit.
        max_request_bytes: Maximum size of a request body other than an upload.
        max_upload_bytes: Maximum size of an uploaded catalogue.
        max_unpacked_bytes: Maximum size of all files of an uploaded zip archive.
        max_files: Maximum number of files in an uploaded zip archive.
        max_rows: Maximum number of rows of a catalogue.
        max_search_image_bytes: Maximum size of an image to search for.
        upload_timeout_s: Maximum duration of an upload.
        import_timeout_s: Maximum duration of an import.
        allow_private_addresses: Also fetch from private, loopback and link-local addresses.
        allow_networks: Also fetch from these networks, such as 10.1.0.0/16.
        source_schemes: Schemes of the addresses of streams; also possible: http, tcp, rtsp, rtsps,
            srt, udp, tcp-listen, rtmp-listen, and file and webcam for local sources.
        webhook_schemes: Schemes of the addresses of webhooks: https and http.
        idempotency_hours: How long answers to an Idempotency-Key are kept.
        media_folder: Folder of the files that may be streamed, if `source_schemes` has file; "" for
            none.
        engine: Where streams are watched: local (this machine), or ray (the nodes of a cluster).
        ray_address: The Ray cluster: HOST:PORT of its head node, or auto for that of this machine;
            "" for the environment variable RAY_ADDRESS; without it, one starts on this machine.
        max_streams: Maximum number of streams at once, whatever their load; 0 for 16 per CPU.
        max_load: Share of the CPUs that streams may take, 0..1; further sessions are queued.
        encoder_threads: Threads of the process that encodes the frames of all streams.
        keep_frames_hours: How long frames of streams are kept; 0 to keep none.
        keep_frames_px: Longer side of the frames that are kept, in pixels; smaller frames are
            not enlarged.
        keep_recordings_days: How long recordings of streams are kept.
        keep_journals_days: How long the evidence of ended sessions is kept.
        speech_models: Whisper models that sessions may use: auto, names, or folders.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    data: Path = Path("sgmn-data")
    database_url: str = field(default="", repr=False)
    index_url: str = ""
    model: str = "builtin"
    runtime: str = TORCH
    secret: str = field(default="", repr=False)
    admin_key: str = field(default="", repr=False)
    log_level: str = "info"
    log_format: str = "json"
    shutdown_grace_s: float = 10.0
    max_requests_per_s: float = 50.0
    max_requests_at_once: int = 500
    max_failed_logins_per_minute: float = 30.0
    max_request_bytes: int = 1_000_000
    max_upload_bytes: int = 500_000_000
    max_unpacked_bytes: int = 2_000_000_000
    max_files: int = 200_000
    max_rows: int = 200_000
    max_search_image_bytes: int = 16_000_000
    upload_timeout_s: float = 900.0
    import_timeout_s: float = 7200.0
    allow_private_addresses: bool = False
    allow_networks: tuple[str, ...] = ()
    source_schemes: tuple[str, ...] = ("https", "rtmps", "rtmp")
    webhook_schemes: tuple[str, ...] = ("https",)
    idempotency_hours: float = 24.0
    media_folder: str = ""
    engine: str = LOCAL
    ray_address: str = ""
    max_streams: int = 0
    max_load: float = 0.85
    encoder_threads: int = 1
    keep_frames_hours: float = 24.0
    keep_frames_px: int = 640
    keep_recordings_days: float = 7.0
    keep_journals_days: float = 30.0
    speech_models: tuple[str, ...] = ("auto",)

    def __post_init__(self) -> None:
        require(0 <= self.port <= 65535, "port", self.port, "pass a number in 0..65535")
        levels, formats = ("debug", "info", "warning", "error"), ("json", "console")
        require(self.log_level in levels, "log_level", self.log_level, _one_of(levels))
        require(self.log_format in formats, "log_format", self.log_format, _one_of(formats))
        has_runtime = self.runtime in RUNTIMES or Path(self.runtime).is_dir()
        require(has_runtime, "runtime", self.runtime, _one_of(RUNTIMES))
        require(self.engine in ENGINES, "engine", self.engine, _one_of(ENGINES))
        for name in _NOT_NEGATIVE:
            require(getattr(self, name) >= 0, name, getattr(self, name), "pass 0 or more")
        require(0 < self.max_load <= 1, "max_load", self.max_load, "pass a number in 0..1")
        if 0 < len(self.admin_key) < MIN_KEY_LENGTH:  # its value is not for messages
            remedy = f"use at least {MIN_KEY_LENGTH} random characters"
            raise SettingsError("'admin_key' is too short", remedy=remedy)
        for name in _POSITIVE:
            value = getattr(self, name)
            require(value > 0, name, value, "pass a number above 0")

    def to_json(self) -> str:
        """The settings for another process of the service; holds secrets."""
        return json.dumps(
            {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}
        )

    @classmethod
    def from_json(cls, text: str) -> ServiceSettings:
        """The settings that `to_json` has written."""
        return parse_table(cls, json.loads(text), "settings")


_NOT_NEGATIVE = (
    "max_streams",
    "keep_frames_hours",
    "max_requests_per_s",
    "max_failed_logins_per_minute",
)
_POSITIVE = (
    "shutdown_grace_s",
    "max_requests_at_once",
    "max_request_bytes",
    "max_upload_bytes",
    "max_unpacked_bytes",
    "max_files",
    "max_rows",
    "max_search_image_bytes",
    "upload_timeout_s",
    "import_timeout_s",
    "idempotency_hours",
    "encoder_threads",
    "keep_frames_px",
    "keep_recordings_days",
    "keep_journals_days",
)


def read_settings(
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> ServiceSettings:
    """Read settings: options of the command line win over the environment, that over the file.

    Args:
        path: A TOML file, if any.
        environment: Variables such as SGMN_PORT; by default those of the process.
        options: Values of the command line; None for options that were not given.

    Raises:
        SettingsError: For an unknown key, a wrong type or an invalid value.
    """
    values = {} if path is None else read_toml(path)
    where: object = "settings" if path is None else path
    known = parse_table(ServiceSettings, values, where)  # names the file in its errors
    overrides = _from_environment(os.environ if environment is None else environment)
    given = {name: value for name, value in options.items() if value is not None}
    return replace(known, **{**overrides, **given})


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    hints = get_type_hints(ServiceSettings)
    names = {f"{ENV_PREFIX}{name.upper()}": name for name in hints}
    for variable in environment:
        close = get_close_matches(variable, names, n=1, cutoff=0.8)
        if variable.startswith(ENV_PREFIX) and variable not in names and close:
            raise SettingsError("is no setting", variable, f"did you mean {close[0]}?")
    table = {
        name: _parse(variable, environment[variable], hints[name])
        for variable, name in names.items()
        if variable in environment
    }
    parsed = parse_table(ServiceSettings, table, "the environment")  # with values of the same types
    return {name: getattr(parsed, name) for name in table}


def _parse(variable: str, text: str, hint: Any) -> Any:
    """The value of a variable: text and paths as they are, lists split at commas, else TOML."""
    if hint in (str, Path):
        return text
    if hint not in (int, float, bool):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError as error:
        remedy = "use true or false" if hint is bool else "use a number"
        raise SettingsError(f"is {text!r}", variable, remedy) from error


def _one_of(names: tuple[str, ...]) -> str:
    return f"use one of {', '.join(names)}"
