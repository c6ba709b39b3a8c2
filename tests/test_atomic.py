"""Files that appear whole or not at all."""

import os

import pytest

from refold._atomic import write_whole


def test_the_file_is_there_after_success(tmp_path):
    with write_whole(tmp_path / "new" / "a.txt") as temporary:
        assert temporary.suffix == ".txt" and temporary.parent == tmp_path / "new"
        temporary.write_text("whole")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert (tmp_path / "new" / "a.txt").read_text() == "whole"
    assert os.listdir(tmp_path / "new") == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_old_file_stays_after_failure(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(error), write_whole(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise error
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_nothing_written_is_a_failure(tmp_path):
    with pytest.raises(FileNotFoundError), write_whole(tmp_path / "a.txt"):
        pass
    assert os.listdir(tmp_path) == []
