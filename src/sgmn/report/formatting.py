"""Times and shares as people read them."""

from __future__ import annotations


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours too.

    >>> clock(75.4), clock(3675)
    ('1:15', '1:01:15')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def percent(share: float) -> str:
    """A share in whole percent; what is more than nothing does not read as nothing.

    >>> percent(0.987), percent(0.001), percent(0.999)
    ('99%', '<1%', '>99%')
    """
    if 0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{share:.0%}"
