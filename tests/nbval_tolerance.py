"""A pytest plugin on top of nbval: every output is compared, decimals by a stated tolerance.

A code cell whose first line is ``# tolerance 0.02`` (absolute) or ``# tolerance 15%`` (of the
stored number) may print other decimals than the stored ones, within that tolerance. A decimal is
a number with a decimal point. Integers, words and all other cells are compared strictly. A figure
is compared by its text and must have a picture. Nothing can be ignored: nbval's markers and tags
that switch a comparison off make the cell fail. Kernels run the ``cpu`` profile, whose outputs
are committed, without a network (tests/offline).
"""

import copy
import functools
import os
import re
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell

LINE = re.compile(r"# tolerance (\d+(?:\.\d+)?)(%?)")
# Spaces around a decimal are padding. 3.15.1 is a version, not a decimal.
DECIMAL = re.compile(r"( *(?<![\w.])[-+]?\d+\.\d+(?:[eE][-+]?\d+)?(?!\.?\d) *)")


def tolerance(source):
    """Return (number, is_percent) as the cell states it, or None; ValueError on a bad line."""
    stated = [line for line in source.splitlines() if re.match(r"\s*#+\W*toleran", line, re.I)]
    if not stated:
        return None
    match = LINE.fullmatch(stated[0])
    if len(stated) > 1 or source.splitlines()[0] != stated[0] or not match:
        raise ValueError(
            f"{stated[-1].strip()!r} is not a tolerance. Write '# tolerance 0.02' or "
            "'# tolerance 15%' as the first line of the cell, once, with nothing after it."
        )
    number, percent = Decimal(match[1]), bool(match[2])
    if number == 0 or percent and number >= 100:
        raise ValueError(f"{stated[0]!r}: a tolerance is above 0, and below 100%.")
    return number, percent


def forgive(new, stored, allowed):
    """Return ``new`` with every decimal that is close enough to ``stored`` replaced by it."""
    here, there = DECIMAL.split(new), DECIMAL.split(stored)
    if len(here) != len(there):
        return new
    number, percent = allowed
    for i in range(1, len(here), 2):
        wanted = Decimal(there[i].strip())
        limit = abs(wanted) * number / 100 if percent else number
        if abs(Decimal(here[i].strip()) - wanted) <= limit:
            here[i] = there[i]
    return "".join(here)


def fields(outputs):
    """Yield (kind, dictionary, key) for every compared text and picture of a cell's outputs."""
    for output in outputs:
        if output["output_type"] == "stream":
            yield output["name"], output, "text"
        for kind in output.get("data", {}):
            yield kind, output["data"], kind


def align(new, stored, allowed):
    """Return the fresh outputs with all that may differ set to what is stored."""
    new, texts = copy.deepcopy(new), defaultdict(list)
    for kind, owner, key in fields(stored):
        texts[kind].append(owner[key])
    for kind, owner, key in fields(new):
        if not texts[kind]:
            continue  # one output too many, which nbval will say
        old = texts[kind].pop(0)
        if kind == "image/png":
            owner[key] = old  # pixels may differ, a missing picture may not
        elif allowed and isinstance(old, str) and isinstance(owner[key], str):
            owner[key] = forgive(owner[key], old, allowed)
    return new


def compare(cell, allowed, new, stored):
    """Compare as nbval does, after ``align``; nbval's own list would leave pictures out."""
    skip = [key for key in cell.parent.skip_compare if not key.startswith("image/")]
    return IPyNbCell.compare_outputs(cell, align(new, stored, allowed), stored, skip)


def kernel_environment():
    """Return the variables that a kernel is started with, beside those of this process."""
    offline = str(Path(__file__).parent / "offline")
    paths = [offline, *filter(None, [os.environ.get("PYTHONPATH")])]
    proxy = "http://127.0.0.1:9"  # for what connects without Python: one that is not there
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "COURSE_PROFILE": "cpu",
        "CUDA_VISIBLE_DEVICES": "-1",
        "http_proxy": proxy,
        "https_proxy": proxy,
    }


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    """Refuse what would not be compared. The first cell's set-up starts the kernel."""
    if not isinstance(item, IPyNbCell):
        return (yield)
    if not item.options["check"] or item.options["skip"] or item.options["check_exception"]:
        item.raise_cell_error("This cell asks nbval to ignore something. Here all is compared.")
    if item.cell.execution_count is None:
        item.raise_cell_error("This cell was never run: scripts/notebooks.py execute runs it.")
    try:
        allowed = tolerance(item.cell.source)
    except ValueError as error:
        item.raise_cell_error(str(error))
    item.compare_outputs = functools.partial(compare, item, allowed)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in kernel_environment().items():
            patch.setenv(name, value)
        return (yield)
