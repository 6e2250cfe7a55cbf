"""Folders for compiled code where installation and home cannot be written."""

import os
from pathlib import Path

import pytest

from redoxmc.kernels import cache_folders
from redoxmc.kernels.cache_folders import first_writable, home_cache, temporary_cache, user_cache


def test_the_first_folder_that_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    blocked = tmp_path / "file" / "cache"  # no permission stops root, a file in the way does
    assert first_writable(None, blocked, tmp_path / "a" / "b", tmp_path) == tmp_path / "a" / "b"
    assert first_writable(blocked) is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setattr(cache_folders.tempfile, "gettempdir", lambda: str(tmp_path))
    assert home_cache() == blocked / "redoxmc" and user_cache() == tmp_path / f"redoxmc-{os.getuid()}"


def test_a_folder_that_others_can_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled code is loaded from it."""
    monkeypatch.setattr(cache_folders.tempfile, "gettempdir", lambda: str(tmp_path))
    assert temporary_cache() is not None and temporary_cache() == temporary_cache()
    (tmp_path / f"redoxmc-{os.getuid()}").chmod(0o777)
    assert temporary_cache() is None
