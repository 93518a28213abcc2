"""Times and shares in readable form."""

from __future__ import annotations


def format_time(seconds: float) -> str:
    """Return minutes and seconds, with hours if there are any.

    >>> format_time(75.4), format_time(3675)
    ('1:15', '1:01:15')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_percent(share: float) -> str:
    """Return a share 0..1 in whole percent; only exact 0 and 1 appear as 0% and 100%.

    >>> format_percent(0.987), format_percent(0.001), format_percent(0.999)
    ('99%', '<1%', '>99%')
    """
    if 0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{share:.0%}"
