"""The maintainers' commands on notebooks: execute, chapter, setup."""

import nbformat
import pytest
from nbformat.v4 import new_output
from notebook_tools import PICTURE, code, write

import notebooks as commands

pytestmark = pytest.mark.slow  # runs notebooks

FIGURE = {"image/png": PICTURE, "text/plain": "[figure: a]"}
DRAW = f"""from IPython.display import display
display({FIGURE!r}, raw=True, metadata={{"image/png": {{"alt": "a"}}}})"""


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "노트 books"
    path.mkdir()
    return path


def stored(path):
    return nbformat.read(path, 4)


def test_execute_stores_clean_outputs_and_a_second_run_changes_no_byte(folder):
    noisy = code("print('one')\nprint('two')", "stale\n", count=17, tags=["hide"])
    noisy.metadata.update({"execution": {"iopub.status.busy": "2026"}, "collapsed": False})
    native = code("import os\n_ = os.write(2, b'a log line of a C++ library')")
    profile = code("print(os.environ['COURSE_PROFILE'])\nopen('here', 'w').close()")
    path = write(folder / "04_small.ipynb", "# Small", noisy, native, profile, code(DRAW))
    ids = [cell.id for cell in stored(path).cells]
    book = stored(path)
    book.metadata.update({"widgets": {"state": {}}, "language_info": {"version": "3.9"}})
    nbformat.write(book, path)

    commands.main(["execute", "4"], folder)
    first = path.read_bytes()
    commands.main(["execute"], folder)

    assert path.read_bytes() == first
    assert (folder / "here").exists()
    book = stored(path)
    assert book.metadata == {
        "kernelspec": commands.KERNEL,
        "language_info": {"name": "python"},
    }
    assert [cell.id for cell in book.cells] == ids
    assert [cell.metadata for cell in book.cells] == [{}, {"tags": ["hide"]}, {}, {}, {}]
    assert [cell.execution_count for cell in book.cells[1:]] == [1, 2, 3, 4]
    text = [[output.get("text") for output in cell.outputs] for cell in book.cells[1:4]]
    assert text == [["one\ntwo\n"], [], ["cpu\n"]]
    assert book.cells[4].outputs == [
        new_output("display_data", data=FIGURE, metadata={"image/png": {"alt": "a"}})
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import warnings\nwarnings.warn('mind the gap')", "cell 1 wrote to stderr:.*mind the gap"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_execute_refuses_stderr_and_errors_and_leaves_the_notebook_alone(folder, source, message):
    path = write(folder / "04_small.ipynb", "# Small", code(source))
    before = path.read_bytes()
    with pytest.raises(SystemExit, match=f"(?s)04_small.ipynb: .*{message}"):
        commands.main(["execute"], folder)
    assert path.read_bytes() == before


def test_chapter_prints_its_verdicts_and_leaves_the_notebook_alone(folder, capsys, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(folder.parent))
    claims = "print('claim 1: holds here')\nprint('claim 2: no verdict')"
    path = write(folder / "04_small.ipynb", code(claims), code("'claim 3: contradicts'"))
    before = path.read_bytes()
    commands.main(["chapter", "04"], folder)
    *verdicts, last = capsys.readouterr().out.splitlines()
    assert verdicts == ["claim 1: holds here", "'claim 3: contradicts'"]
    head, _, result = last.partition(" Outputs: ")
    assert head.startswith("04_small.ipynb: ") and head.endswith(" s, all cells ran.")
    assert stored(result).cells[0].outputs[0].text.startswith("claim 1")
    assert path.read_bytes() == before


@pytest.mark.parametrize("number", ["7", "", "alexnet", "040"])
def test_an_unknown_chapter_is_named_with_the_known_ones(folder, number):
    write(folder / "00_start.ipynb")
    write(folder / "04_small.ipynb")
    with pytest.raises(SystemExit, match=rf"no chapter '{number}'\. Chapters: 00, 04\."):
        commands.main(["chapter", number], folder)


def test_setup_writes_the_one_address_into_chapters_and_sources(folder):
    address = "https://github.com/somebody/some.course"
    project = f'[project.urls]\nRepository = "{address}"\n'
    (folder.parent / "pyproject.toml").write_text(project, encoding="utf-8")
    text = "# Title\n\n[![Open in Colab](old)](old)\n\nProse."
    inner = ["04_small", "assignments/source/04_small/04_small", "assignments/04_small"]
    for name in inner:
        path = folder / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, text, code("old"), code("kept"))
    commands.main(["setup"], folder)
    page = "colab.research.google.com/github/somebody/some.course/blob/main/notebooks/"
    for name, up, below in [(inner[0], "", ""), (inner[1], "../", "assignments/")]:
        first, setup, kept = stored(folder / f"{name}.ipynb").cells
        badge = (
            f"[![Open in Colab]({up}images/colab-badge.svg)](https://{page}{below}04_small.ipynb)"
        )
        assert first.source == f"# Title\n\n{badge}\n\nProse."
        assert f'"git+{address}"' in setup.source
        assert setup.source.endswith('profile = course_lib.start("04_small")')
        assert kept.source == "kept"
    assert stored(folder / "assignments/04_small.ipynb").cells[0].source == text
