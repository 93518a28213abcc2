"""Which sources a session may have, as the operator of the service decides."""

from __future__ import annotations

from pathlib import Path

from sgmn.errors import MediaError
from sgmn.service.outbound.policy import OutboundPolicy, source_scheme
from sgmn.service.settings import ServiceSettings


def check_source(text: str, settings: ServiceSettings) -> str:
    """Check the address of a stream, and return it; a file with its whole path.

    Blocks while it asks the DNS.

    Raises:
        MediaError: The address is invalid, or a file outside the media folder.
        FetchError: The scheme or the host is not allowed.
    """
    policy = OutboundPolicy.from_settings(settings)
    if source_scheme(text) == "file" and "file" in policy.source_schemes:
        return str(_find_file(text, settings))
    policy.check_source(text)
    return text


def _find_file(text: str, settings: ServiceSettings) -> Path:
    remedy = "pass the path of a file in the media folder of the service"
    if not settings.media_folder or "\0" in text:
        raise MediaError("is a file, and the service streams none", text[:200], remedy)
    folder = Path(settings.media_folder).resolve()
    try:
        path = (folder / text).resolve()  # of a symbolic link, its target counts
        is_allowed = path.is_relative_to(folder) and path.is_file()
    except OSError:  # a name that is too long
        is_allowed = False
    if not is_allowed:
        raise MediaError("is not a file in the media folder", text[:200], remedy)
    return path
