"""Errors that a user can fix, each reported as one line: where, what, and the remedy.

Every such failure is an `SgmnError`. The command line prints it as one line and exits with
status 2. Any other exception is a bug in this package and keeps its traceback.
"""


class SgmnError(Exception):
    """An error with its location, a message and a remedy.

    Args:
        message: What is wrong, as a predicate of `where`.
        where: The file, address, setting or record concerned, if there is one.
        remedy: What the user can do about it.

    >>> print(SgmnError("is empty", where="a.srt", remedy="pass a file with cues"))
    a.srt: is empty; pass a file with cues
    """

    def __init__(self, message: str, where: object = None, remedy: str | None = None) -> None:
        self.message, self.where, self.remedy = message, where, remedy
        line = message if where is None else f"{where}: {message}"
        super().__init__(line if remedy is None else f"{line}; {remedy}")


class RecordError(SgmnError):
    """A record (clip, product, utterance or dataset line) with invalid values."""


class MediaError(SgmnError):
    """A video, image or transcript that cannot be read."""


class SettingsError(SgmnError):
    """A configuration with an unknown key or an invalid value."""


class CheckpointError(SgmnError):
    """A model that cannot be loaded."""


class IndexingError(SgmnError):
    """A catalogue index that cannot be opened, or that was built with another model."""


class FetchError(SgmnError):
    """A feed or an image that cannot be downloaded."""


def error_reason(error: BaseException) -> str:
    """Return the reason of an error, without the number and path of an OSError.

    >>> error_reason(FileNotFoundError(2, "No such file or directory", "a.json"))
    'No such file or directory'
    """
    return (isinstance(error, OSError) and error.strerror) or str(error)
