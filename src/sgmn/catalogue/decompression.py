"""Decompression with a size limit."""

from __future__ import annotations

import zlib


def gunzip(content: bytes, max_bytes: int) -> bytes:
    """Decompress gzip, of one or several members, to at most `max_bytes`.

    Raises ValueError for damaged data, and for data that expand beyond the limit.
    """
    expanded = bytearray()
    while content:
        member = zlib.decompressobj(wbits=31)
        try:
            expanded += member.decompress(content, max_bytes - len(expanded) + 1)
        except zlib.error as error:
            if expanded and not content.strip(b"\0"):
                break  # padding after the last member
            raise ValueError(f"not valid gzip data ({error})") from error
        if len(expanded) > max_bytes:
            raise ValueError(f"larger than {max_bytes / 1e6:g} MB when decompressed")
        if not member.eof:
            raise ValueError("truncated gzip data")
        content = member.unused_data
    return bytes(expanded)
