"""Settings: the command line wins over the environment, that over the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgmn.errors import SettingsError, SgmnError
from sgmn.service.sealing import Sealer, load_sealer
from sgmn.service.settings import ServiceSettings, read_settings


def test_options_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "service.toml"
    file.write_text(
        'port = 1\nhost = "0.0.0.0"\nmodel = "small"\nallow_networks = ["10.0.0.0/8"]\n'
    )
    environment = {
        "SGMN_PORT": "2",
        "SGMN_MODEL": "builtin",
        "SGMN_DATA": "/srv/sgmn",
        "SGMN_ALLOW_PRIVATE_ADDRESSES": "true",
        "SGMN_WEBHOOK_SCHEMES": "https, http",
        "SGMN_UPLOAD_TIMEOUT_S": "7",
    }
    settings = read_settings(file, environment, port=3, host=None)
    assert (settings.port, settings.host, settings.model) == (3, "0.0.0.0", "builtin")
    assert (settings.data, settings.upload_timeout_s) == (Path("/srv/sgmn"), 7.0)
    assert settings.allow_networks == ("10.0.0.0/8",)
    assert settings.webhook_schemes == ("https", "http")
    assert settings.allow_private_addresses
    assert ServiceSettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"SGMN_PORT": "eighty"}, "SGMN_PORT: is 'eighty'; use a number"),
        ({"SGMN_PORT": "1.5"}, "'port' is 1.5; use an integer"),
        ({"SGMN_PORT": "70000"}, "'port' is 70000; pass a number in 0..65535"),
        ({"SGMN_LOG_LEVEL": "loud"}, "use one of debug, info, warning, error"),
        ({"SGMN_PROT": "80"}, "SGMN_PROT: is no setting; did you mean SGMN_PORT?"),
        ({"SGMN_MAX_ROWS": "0"}, "'max_rows' is 0; pass a number above 0"),
        ({"SGMN_RUNTIME": "cuda"}, "'runtime' is 'cuda'; use one of torch, openvino, "),
    ],
)
def test_invalid_variables_are_named(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_settings(None, environment)
    assert message in str(error.value)


def test_an_unknown_key_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "service.toml"
    file.write_text("prot = 1\n")
    with pytest.raises(SettingsError, match=r"service.toml: unknown key 'prot'; did you mean"):
        read_settings(file, {})


def test_secrets_are_not_shown() -> None:
    settings = ServiceSettings(
        secret="hidden-a", admin_key="hidden-b" * 4, database_url="postgresql://u:hidden-c@h/n"
    )
    assert "hidden" not in repr(settings)
    with pytest.raises(SettingsError, match="'admin_key' is too short; use at least 32") as error:
        read_settings(None, {"SGMN_ADMIN_KEY": "guessable"})
    assert "guessable" not in str(error.value)


def test_the_secret_of_the_instance_is_kept_in_a_private_file(tmp_path: Path) -> None:
    settings = ServiceSettings(data=tmp_path)
    sealed = load_sealer(settings).seal("rtmp://user:password@host")
    assert "password" not in sealed
    assert load_sealer(settings).open(sealed) == "rtmp://user:password@host"
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_another_secret_does_not_open_what_was_sealed() -> None:
    sealed = Sealer("a secret of this instance").seal("text")
    with pytest.raises(SgmnError, match="was sealed with another secret"):
        Sealer("a secret of another one").open(sealed)
    with pytest.raises(SgmnError, match="is too short"):
        Sealer("short")
