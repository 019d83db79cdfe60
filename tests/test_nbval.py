"""The notebooks are a regression test: a changed number, word or figure makes them fail."""

import copy
import functools
import re
from decimal import Decimal

import nbformat
import pytest
from nbval_tolerance import DECIMAL, forgive, tolerance
from notebook_tools import NOTEBOOKS, PICTURE, code, replay, run_nbval, write

CHAPTER = NOTEBOOKS / "04_alexnet.ipynb"
COUNT = re.compile(r"\d{1,3}(?:,\d{3})+")
VERDICT = re.compile("holds here|does not show at this scale|contradicts")


def texts(cell):
    """Yield (dictionary, key) for every text of a cell's outputs."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output, "text"
        for kind, value in output.get("data", {}).items():
            if isinstance(value, str) and not kind.startswith("image/"):
                yield output.data, kind


def edit(cells, wanted, new):
    """Replace the first match of a pattern in the outputs; return the cell's number."""
    for number, cell in enumerate(cells):
        for owner, key in texts(cell):
            if wanted.search(owner[key]):
                owner[key] = wanted.sub(lambda match: new(match[0]), owner[key], count=1)
                return number
    raise AssertionError(f"no output has {wanted.pattern}")


def change_count(cells):
    return edit(cells, COUNT, lambda count: count[:-1] + str((int(count[-1]) + 1) % 10))


def change_verdict(cells):
    return edit(
        cells, VERDICT, lambda word: "contradicts" if word == "holds here" else "holds here"
    )


def shift(decimal, limit, times):
    """Move a decimal by so many times its tolerance."""
    number, percent = limit
    step = abs(Decimal(decimal.strip())) * number / 100 if percent else number
    return decimal.replace(decimal.strip(), str(Decimal(decimal.strip()) + times * step))


def shift_decimal(cells, times):
    """Shift the first decimal that is compared by a tolerance; return the cell's number."""
    for number, cell in enumerate(cells):
        limit = tolerance(cell.source)
        if limit and any(DECIMAL.search(owner[key]) for owner, key in texts(cell)):
            edit([cell], DECIMAL, functools.partial(shift, limit=limit, times=times))
            return number
    raise AssertionError("no decimal is compared by a tolerance")


def beyond_tolerance(cells):
    return shift_decimal(cells, Decimal("1.5"))


def within_tolerance(cells):
    shift_decimal(cells, Decimal("0.5"))


def remove_figure(cells):
    for number, cell in enumerate(cells):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                cell.outputs.remove(output)
                return number
    raise AssertionError("no output has a figure")


def remove_picture(cells):
    for number, cell in enumerate(cells):
        for output in cell.outputs:
            if output.get("data", {}).pop("image/png", None):
                return number
    raise AssertionError("no output has a picture")


def change_figure_text(cells):
    return edit(cells, re.compile(r"\[figure: \w+"), lambda text: text + "s")


def unchanged(cells):
    return None


DOCTORED = [
    unchanged,
    within_tolerance,
    change_count,
    beyond_tolerance,
    change_verdict,
    remove_figure,
    remove_picture,
    change_figure_text,
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """nbval's verdict on doctored copies of the chapter, and the cell that each one changed."""
    folder, changed = tmp_path_factory.mktemp("doctored"), {}
    cells = [cell for cell in nbformat.read(CHAPTER, 4).cells if cell.cell_type == "code"]
    for doctor in DOCTORED:
        copies = [replay(cell) for cell in cells]
        changed[doctor.__name__] = doctor(copies)
        write(folder / f"{doctor.__name__}.ipynb", *copies)
    return changed, *run_nbval(folder)


@pytest.mark.slow
@pytest.mark.parametrize("doctor", DOCTORED, ids=lambda doctor: doctor.__name__)
def test_a_doctored_chapter_fails_in_the_changed_cell_only(outcomes, doctor):
    changed, cells, log = outcomes
    name = doctor.__name__
    bad = {
        number for (book, number), outcome in cells.items() if book == name and outcome != "PASSED"
    }
    expected = set() if changed[name] is None else {changed[name]}
    assert any(book == name for book, _ in cells)
    assert bad == expected, log[-3000:]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """nbval's outcomes for the cells of one notebook, one rule each."""
    folder = tmp_path_factory.mktemp("small")
    table = "from IPython.display import HTML, display\ndisplay(HTML('<td>{}</td>'))"
    shown = {"text/html": "<td>0.51</td>", "text/plain": "<IPython.core.display.HTML object>"}
    figure = {"image/png": PICTURE, "text/plain": "[figure: a]"}
    draw = f"from IPython.display import display\ndisplay({figure!r}, raw=True)"
    near = "# tolerance 0.02\n"
    cells = {
        "html_near": code(near + table.format("0.52"), shown),
        "html_far": code(near + table.format("0.54"), shown),
        "html_strict": code(table.format("0.52"), shown),
        "figure": code(draw, figure),
        "other_pixels": code(draw, {**figure, "image/png": "aGVsbG8="}),
        "figure_not_drawn": code("print('no figure')", "no figure\n", figure),
        "malformed": code("# tolerance: 0.02\nprint(0.5)", "0.5\n"),
        "ignored": code("# NBVAL_IGNORE_OUTPUT\nprint(0.5)", "0.7\n"),
        "skipped": code("# NBVAL_SKIP\nprint(0.5)", "0.7\n"),
        "tag_ignored": code("print(0.5)", "0.7\n", tags=["nbval-ignore-output"]),
        "tag_raises": code("raise ValueError", tags=["raises-exception"]),
        "never_run": code("print(0.5)", count=None),
        "warning": code("import sys\nprint('oh', file=sys.stderr)"),
    }
    write(folder / "small.ipynb", *cells.values())
    outcomes, log = run_nbval(folder)
    return {name: outcomes["small", number] for number, name in enumerate(cells)}, log


@pytest.mark.slow
def test_html_tables_follow_the_same_rule_and_nothing_can_be_ignored(small):
    outcomes, log = small
    passed = {name for name, outcome in outcomes.items() if outcome == "PASSED"}
    assert passed == {"html_near", "figure", "other_pixels"}
    assert "'# tolerance: 0.02' is not a tolerance" in log


@pytest.mark.parametrize(
    ("new", "stored", "limit", "same"),
    [
        ("accuracy 0.89", "accuracy 0.87", "# tolerance 0.02", True),
        ("accuracy 0.90", "accuracy 0.87", "# tolerance 0.02", False),
        ("accuracy -0.01", "accuracy 0.01", "# tolerance 0.02", True),
        ("loss 1.14", "loss 1.00", "# tolerance 15%", True),
        ("loss 1.16", "loss 1.00", "# tolerance 15%", False),
        ("loss 2.3e-05", "loss 2.1e-05", "# tolerance 15%", True),
        ("| 10.2 | x", "|  9.9 | x", "# tolerance 0.5", True),
        ("8731 of 10000", "8730 of 10000", "# tolerance 5.0", False),
        ("epoch 3 0.50", "epoch 4 0.50", "# tolerance 5.0", False),
        ("61,100,841", "61,100,840", "# tolerance 5.0", False),
        ("keras 3.15.2", "keras 3.15.1", "# tolerance 5.0", False),
        ("0.87 contradicts", "0.87 holds here", "# tolerance 0.02", False),
        ("0.87 0.50", "0.87", "# tolerance 5.0", False),
        ("loss nan", "loss 0.51", "# tolerance 5.0", False),
        ("0.87 and 0.99", "0.86 and 0.50", "# tolerance 0.02", False),
    ],
)
def test_only_close_decimals_are_forgiven(new, stored, limit, same):
    assert (forgive(new, stored, tolerance(limit)) == stored) is same


@pytest.mark.parametrize(
    "source",
    [
        "# tolerance",
        "#tolerance 0.02",
        "# Tolerance 0.02",
        "# tolerance 0.02 of the accuracy",
        "# tolerance = 0.02",
        "# tolerance -1",
        "# tolerance 0",
        "# tolerance 100%",
        "x = 1\n# tolerance 0.02",
        "# tolerance 0.02\n# tolerance 0.03",
    ],
)
def test_a_malformed_tolerance_is_an_error(source):
    with pytest.raises(ValueError, match="tolerance"):
        tolerance(source)


def test_cells_without_a_tolerance_line_are_strict():
    assert tolerance("x = 1  # tolerance of the machine") is None
    assert tolerance("") is None


def test_replayed_cells_show_what_is_stored():
    cell = code("print(1)", "1\n")
    assert replay(copy.deepcopy(cell)).outputs == cell.outputs
