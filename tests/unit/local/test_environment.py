"""What a local installation is configured with."""

from __future__ import annotations

from pathlib import Path

from webapp.local import environment
from webapp.local.ports import free_port, is_free, require_free
from webapp.settings import Settings


def test_it_is_a_whole_installation(tmp_path: Path) -> None:
    made = environment.local_environment({}, port=8000, run_dir=tmp_path)
    settings = Settings.parse(made.values)
    assert settings.moorage_env == "development" and settings.database_admin_url is not None


def test_secrets_and_ports_are_kept_and_differ_from_each_other(tmp_path: Path) -> None:
    first = environment.local_environment({}, port=8000, run_dir=tmp_path)
    again = environment.local_environment(first.values, port=8000, run_dir=tmp_path)
    assert again == first
    secrets = [value for name, value in first.values.items() if "SECRET" in name or name.endswith("PASSWORD")]
    assert len(set(secrets)) == len(secrets) == 9


def test_the_file_is_its_owners_alone_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "state" / "local.env"
    environment.write(path, {"A": "1", "B": "x=y"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert environment.read(path) == {"A": "1", "B": "x=y"}
    environment.write(path, {"A": "2"})
    assert environment.read(path) == {"A": "2"} and [path] == list(path.parent.iterdir())


def test_a_port_that_was_used_before_is_preferred() -> None:
    port = free_port()
    assert is_free(port) and free_port(port) == port
    require_free(port)
