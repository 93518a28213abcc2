"""Config files that ship with the package; commands take them by name, without a path."""

from __future__ import annotations

from pathlib import Path

from sgmn.errors import SettingsError
from sgmn.settings import read_toml

FOLDER = Path(__file__).parent


def resolve(name_or_path: str | Path) -> Path:
    """Return the file of a config: a packaged config by its name, or any TOML file by its path.

    A file in the current directory takes precedence over a packaged config of the same name.

    >>> resolve("own-pairs").name
    'own-pairs.toml'

    Raises:
        SettingsError: no packaged config has this name and no file has this path.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    packaged = FOLDER / f"{path}.toml"
    if path.name == str(path) and packaged.is_file():
        return packaged
    names = ", ".join(file.stem for file in _files())
    raise SettingsError(
        "no such config", path, f"pass the path of a TOML file, or one of the names {names}"
    )


def is_packaged(path: Path) -> bool:
    """Whether a config file ships with the package."""
    return path.resolve().parent == FOLDER.resolve()


def packaged_configs(table: str = "train") -> dict[str, str]:
    """Return the packaged configs that have a table `[table]`: their names and descriptions.

    The description is the first line of the file's leading comment.

    >>> "own-pairs" in packaged_configs("train")
    True
    """
    return {file.stem: _description(file) for file in _files() if table in read_toml(file)}


def _files() -> list[Path]:
    return sorted(FOLDER.glob("*.toml"))


def _description(file: Path) -> str:
    with file.open(encoding="utf-8") as lines:
        return next(lines, "").lstrip("# ").rstrip()
