"""How LPR4M and MovingFashion are evaluated."""

from __future__ import annotations

from dataclasses import dataclass

from sgmn.errors import SgmnError


@dataclass(frozen=True, slots=True)
class Protocol:
    """The rules of a benchmark.

    Attributes:
        name: Its name, as in `sgmn import`.
        ks: Depths of R@k.
        galleries: What may be searched, see `sgmn.evaluation.protocols.gallery`; the first is the
            default.
    """

    name: str
    ks: tuple[int, ...]
    galleries: tuple[str, ...]

    def require_gallery(self, name: str) -> str:
        """Return the name of a gallery, "" for the default. Raises SgmnError for others."""
        if name and name not in self.galleries:
            remedy = f"pass {' or '.join(self.galleries)}"
            raise SgmnError(f"{self.name} has no gallery {name!r}", "--gallery", remedy)
        return name or self.galleries[0]


LPR4M = Protocol("lpr4m", (1, 3, 5, 10), ("main", "full"))
MOVINGFASHION = Protocol("movingfashion", (1, 5, 10, 20), ("test", "all"))
PROTOCOLS = {protocol.name: protocol for protocol in (LPR4M, MOVINGFASHION)}


def find_protocol(name: str) -> Protocol:
    """Return a protocol by its name. Raises SgmnError for an unknown one."""
    if name not in PROTOCOLS:
        remedy = f"pass {' or '.join(PROTOCOLS)}"
        raise SgmnError(f"{name!r} is not a protocol", "--protocol", remedy)
    return PROTOCOLS[name]
