"""A learner's own copies survive every update of the course."""

import shutil
import subprocess
import sys

import pytest
from notebook_tools import ROOT

from course_lib.workspace import own_copy


@pytest.fixture
def checkout(tmp_path):
    """A small course in a folder whose name has a space and Korean letters."""
    root = tmp_path / "내 course"
    (root / "notebooks/assignments").mkdir(parents=True)
    (root / "notebooks/images").mkdir()
    for name in ("00_start_here.ipynb", "04_alexnet.ipynb", "assignments/04_alexnet.ipynb"):
        (root / "notebooks" / name).write_text(f"{name} of the course", encoding="utf-8")
    (root / "notebooks/images/colab-badge.svg").write_text("<svg/>")
    return root


def test_a_copy_is_made_and_an_update_never_overwrites_it(checkout, capsys):
    copy = own_copy("04_alexnet", root=checkout)
    assert copy == checkout / "my_work/04_alexnet.ipynb"
    exercise = checkout / "my_work/assignments/04_alexnet.ipynb"
    assert copy.read_text() == "04_alexnet.ipynb of the course"
    assert exercise.read_text() == "assignments/04_alexnet.ipynb of the course"
    assert (checkout / "my_work/images/colab-badge.svg").read_text() == "<svg/>"
    assert capsys.readouterr().out == (
        "my_work/04_alexnet.ipynb is now your own copy.\n"
        "my_work/assignments/04_alexnet.ipynb is now your own copy.\n"
    )

    copy.write_text("my answer")
    (checkout / "notebooks/04_alexnet.ipynb").write_text("a new edition")
    exercise.unlink()
    assert own_copy("04_alexnet", root=checkout) == copy
    assert copy.read_text() == "my answer"
    assert exercise.read_text() == "assignments/04_alexnet.ipynb of the course"
    assert capsys.readouterr().out == (
        "my_work/04_alexnet.ipynb is there already and stays as it is.\n"
        "my_work/assignments/04_alexnet.ipynb is now your own copy.\n"
    )


def test_a_chapter_without_an_assignment_and_a_folder_elsewhere(checkout, tmp_path):
    copy = own_copy("00_start_here", tmp_path / "elsewhere", root=checkout)
    assert copy == tmp_path / "elsewhere/00_start_here.ipynb"
    assert copy.read_text() == "00_start_here.ipynb of the course"
    assert not (tmp_path / "elsewhere/assignments").exists()


@pytest.mark.parametrize("chapter", ["05_vgg", "04", "../04_alexnet", ""])
def test_an_unknown_chapter_is_named_with_the_known_ones(checkout, chapter):
    with pytest.raises(ValueError, match=r"Chapters: 00_start_here, 04_alexnet\.$"):
        own_copy(chapter, root=checkout)
    assert not (checkout / "my_work").exists()


def test_without_a_checkout_it_says_what_to_do_in_colab(tmp_path):
    shutil.copytree(ROOT / "course_lib", tmp_path / "course_lib")
    code = "from course_lib.workspace import own_copy; own_copy('04_alexnet')"
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 1
    assert "File > Save a copy in Drive" in run.stderr
    assert not (tmp_path / "my_work").exists()


def test_the_folder_of_own_copies_is_no_part_of_the_repository():
    assert "my_work/" in (ROOT / ".gitignore").read_text().split()
