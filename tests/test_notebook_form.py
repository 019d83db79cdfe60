"""The form of every notebook: what a reader, Colab, nbval and a reviewer rely on."""

import json
import re
from urllib.parse import unquote

import nbformat
import pytest
from nbformat.v4 import new_output
from nbval.plugin import metadata_tags
from notebook_tools import NOTEBOOKS, PICTURE, code, write

import notebooks as commands

CHAPTERS = [
    "00_start_here",
    "01_mlp",
    "02_convolution",
    "03_ilsvrc",
    "04_alexnet",
    "05_vgg",
    "06_googlenet",
    "07_resnet",
    "08_densenet",
    "09_mobilenet",
    "10_squeezenet",
    "11_shufflenet",
    "12_race",
    "13_devices",
]
MAX_LINES, MAX_BYTES = 20, 1_500_000
IMAGE = re.compile(r"!\[[^\]]*\]\(\s*<?https?:|<img[^>]*\bsrc\s*=\s*[\"']?https?:", re.I)
LINK = re.compile(r"\]\(\s*<?([^)\s>#]+)[^)]*\)")
TIMING = re.compile(
    r"\d ?(ms|us|µs)\b|\d\.\d+ ?(s|sec|seconds|min|minutes)\b|(s|ms)/(step|epoch)|it/s|wall time",
    re.I,
)


def source_problems(cell):
    """Yield what is wrong with the source of a code cell."""
    lines = cell.source.splitlines()
    if not cell.source.strip():
        yield "is empty"
    if len(lines) > MAX_LINES:
        yield f"has {len(lines)} lines, more than {MAX_LINES}"
    if any(line.lstrip().startswith(("!", "%")) for line in lines):
        yield "uses a shell command or a magic"
    if lines and lines[-1].rstrip().endswith(";"):
        yield "ends in a semicolon, which hides nothing under nbval"
    if "NBVAL_" in cell.source or set(cell.metadata.get("tags", [])) & set(metadata_tags):
        yield "asks nbval to ignore something"


def output_problems(cell):
    """Yield what is wrong with the outputs of a code cell."""
    for output in cell.outputs:
        data = output.get("data", {})
        if output.output_type == "error" or output.get("name") == "stderr":
            yield "shows an error or a warning"
        if any("widget" in kind for kind in data):
            yield "shows a widget"
        alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
        if "image/png" in data and not (alt and data.get("text/plain") == f"[figure: {alt}]"):
            yield "shows a figure without alternative text: use course_lib.figures.show"
        texts = [value for kind, value in data.items() if kind.startswith("text/")]
        for text in [*texts, output.get("text", "")]:
            if TIMING.search(text):
                yield f"prints a timing: {TIMING.search(text)[0]!r}"
            if IMAGE.search(text):
                yield "shows a picture from the web"


def problems(path, folder=NOTEBOOKS):
    """Return all that is wrong with the form of the notebook at ``path``, as sentences."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    if (stored["nbformat"], stored["nbformat_minor"]) != (4, 5):
        return ["the format is not 4.5"]
    ids = {cell.get("id") for cell in stored["cells"]} - {None}
    if len(ids) < len(stored["cells"]):
        return ["a cell has no id of its own"]  # nbformat would give it one, another each time
    book = nbformat.read(path, as_version=4)
    try:
        nbformat.validate(book)
    except nbformat.ValidationError as error:
        return [f"not a valid notebook: {error.message}"]
    found, address = [], commands.repository(NOTEBOOKS)
    if commands.badge(path, folder, address) not in book.cells[0].source.splitlines():
        found.append("the first cell has no Colab badge: scripts/notebooks.py setup writes it")
    codes = [cell for cell in book.cells if cell.cell_type == "code"]
    if codes[0].source != commands.setup_cell(path, address):
        found.append("the set-up cell is not the common one: scripts/notebooks.py setup writes it")
    if "widgets" in book.metadata:
        found.append("the metadata holds the state of widgets")
    if path.stat().st_size > MAX_BYTES:
        found.append(f"the file is larger than {MAX_BYTES} bytes")
    if path.parent == folder:
        if [cell.execution_count for cell in codes] != list(range(1, len(codes) + 1)):
            found.append("it was not run from top to bottom: scripts/notebooks.py execute")
        if not any(cell.outputs for cell in codes[1:]):
            found.append("it shows no outputs")
        for number, cell in enumerate(book.cells):
            if cell.cell_type == "code":
                for problem in source_problems(cell):
                    found.append(f"cell {number} {problem}")
    for number, cell in enumerate(book.cells):
        if cell.cell_type == "code":
            found += [f"cell {number} {problem}" for problem in output_problems(cell)]
        elif IMAGE.search(cell.source):
            found.append(f"cell {number} shows a picture from the web")
        elif "source" not in path.relative_to(folder).parts:
            for link in LINK.findall(cell.source):
                if ":" not in link and not (path.parent / unquote(link)).exists():
                    found.append(f"cell {number} links to {link}, which does not exist")
    return found


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_chapters_are_there(name):
    assert NOTEBOOKS / f"{name}.ipynb" in commands.every(NOTEBOOKS), "not held to the form below"


def test_there_are_no_other_chapters():
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == CHAPTERS


@pytest.mark.parametrize(
    "path", commands.every(NOTEBOOKS), ids=lambda path: str(path.relative_to(NOTEBOOKS))
)
def test_notebook_has_the_common_form(path):
    assert problems(path) == []


FIGURE = new_output(
    "display_data",
    data={"image/png": PICTURE, "text/plain": "[figure: a]"},
    metadata={"image/png": {"alt": "a"}},
)


def well_formed(path, folder):
    """Write a notebook without a problem; return it as read."""
    address = commands.repository(NOTEBOOKS)
    setup = code(commands.setup_cell(path, address), "04_small\n")
    figure = code("draw()", count=2)
    figure.outputs = [FIGURE]
    head = "# Small\n\n" + commands.badge(path, folder, address) + "\n\n[this](04_small.ipynb)"
    (folder / "images").mkdir()
    (folder / "images/colab-badge.svg").touch()
    write(path, head, setup, figure)
    return nbformat.read(path, 4)


def add_text(text):
    return lambda book: book.cells[2].outputs.append(new_output("stream", text=text))


def set_source(number, source):
    return lambda book: book.cells[number].update(source=source)


def set_output(**changes):
    return lambda book: book.cells[2].outputs[0].update(changes)


BROKEN = {
    "format": (lambda book: book.update(nbformat_minor=4), "not 4.5"),
    "invalid": (lambda book: book.cells[2].pop("execution_count"), "not a valid notebook"),
    "id": (lambda book: book.cells[2].pop("id"), "no id of its own"),
    "badge": (set_source(0, "# Small"), "no Colab badge"),
    "setup": (set_source(1, "import course_lib"), "set-up cell"),
    "widget_state": (lambda book: book.metadata.update(widgets={}), "state of widgets"),
    "size": (lambda book: book.metadata.update(x="x" * MAX_BYTES), "larger than"),
    "order": (lambda book: book.cells[2].update(execution_count=3), "top to bottom"),
    "no_output": (lambda book: book.cells[2].update(outputs=[]), "no outputs"),
    "empty": (set_source(2, " "), "is empty"),
    "long": (set_source(2, "x\n" * 21), "21 lines"),
    "shell": (set_source(2, "!ls"), "magic"),
    "magic": (set_source(2, "if x:\n    %time f()"), "magic"),
    "semicolon": (set_source(2, "f();"), "semicolon"),
    "marker": (set_source(2, "# NBVAL_SKIP"), "ignore"),
    "tag": (lambda book: book.cells[2].metadata.update(tags=["nbval-skip"]), "ignore"),
    "stderr": (
        lambda book: book.cells[2].outputs.append(new_output("stream", name="stderr", text="x")),
        "error or a warning",
    ),
    "error": (lambda book: book.cells[2].outputs.append(new_output("error")), "error or a warning"),
    "widget": (
        set_output(data={"application/vnd.jupyter.widget-view+json": {}, "text/plain": "w"}),
        "widget",
    ),
    "alt": (set_output(metadata={}), "alternative text"),
    "figure_text": (set_output(data={"image/png": PICTURE}), "alternative text"),
    "seconds": (add_text("trained in 12.3 s"), "a timing: '2.3 s'"),
    "step_time": (add_text("2ms/step"), "timing"),
    "picture": (set_source(0, "![x](https://example.com/x.png)"), "from the web"),
    "html_picture": (set_source(0, '<img alt="x" src="http://example.com/x.png">'), "the web"),
    "shown_picture": (add_text('<img src="https://example.com/x.png">'), "from the web"),
    "link": (set_source(0, "[x](05_missing.ipynb#part)"), "05_missing.ipynb, which does not"),
}


def test_a_well_formed_notebook_has_no_problem(tmp_path):
    well_formed(tmp_path / "04_small.ipynb", tmp_path)
    assert problems(tmp_path / "04_small.ipynb", tmp_path) == []


@pytest.mark.parametrize("name", BROKEN)
def test_each_rule_is_enforced(tmp_path, name):
    path = tmp_path / "04_small.ipynb"
    book = well_formed(path, tmp_path)
    change, message = BROKEN[name]
    change(book)
    path.write_text(nbformat.v4.writes_json(book), encoding="utf-8")
    assert any(message in problem for problem in problems(path, tmp_path))
