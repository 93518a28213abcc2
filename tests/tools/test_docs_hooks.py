"""`tools/docs_hooks.py`: the references that are generated from the code."""

from __future__ import annotations

from tests.tools.scripts import import_tool

hooks = import_tool("docs_hooks")


def test_every_command_has_a_section_with_its_options() -> None:
    text = hooks.command_reference()
    for name in ("index", "watch", "evaluate", "import grocery", "doctor"):
        assert f"## {name}\n" in text
    watch = text.split("## watch\n")[1].split("\n## ")[0]
    assert "sgmn watch" in watch and "| `--html` |" in watch
    assert "`--lag` |" in watch and "`6.0`" in watch  # the default


def test_every_key_of_a_training_config_has_a_row() -> None:
    text = hooks.training_config_reference()
    for section, key in (("model", "source"), ("data", "folders"), ("loss", "grounding")):
        part = text.split(f"## `[{section}]`\n")[1].split("\n## ")[0]
        assert f"| `{key}` |" in part
