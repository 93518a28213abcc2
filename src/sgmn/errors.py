"""What can go wrong, said in one line: where, what, and what would do.

Every failure that a user can answer is an `SgmnError`; the command line prints it as one
line and ends with status 2. Anything else is a fault of ours and keeps its traceback.
"""


class SgmnError(Exception):
    """A refusal that names the place, the fault and the remedy.

    >>> print(SgmnError("is empty", where="a.srt", remedy="give a file with cues"))
    a.srt: is empty; give a file with cues
    """

    def __init__(self, message: str, where: object = None, remedy: str | None = None) -> None:
        self.message, self.where, self.remedy = message, where, remedy
        line = message if where is None else f"{where}: {message}"
        super().__init__(line if remedy is None else f"{line}; {remedy}")


class RecordError(SgmnError):
    """A record (clip, product, utterance, dataset line) that contradicts itself."""


class MediaError(SgmnError):
    """A video, picture or transcript that cannot be read."""


class SettingsError(SgmnError):
    """A configuration with an unknown key or an impossible value."""


class CheckpointError(SgmnError):
    """A model folder or name that cannot be loaded."""


class IndexingError(SgmnError):
    """A catalogue index that cannot be opened, or that another model made."""
