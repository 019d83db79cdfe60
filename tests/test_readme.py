"""The README's numbers are the ledgers', and its links lead somewhere."""

import itertools
import re
import runpy
from pathlib import Path

import pytest

from course_lib import ledger, zoo

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(head):
    """Return the lines of the README's table that begins with the line ``head``, all of them."""
    lines = README.splitlines()
    assert lines.count(head) == 1, head
    return list(itertools.takewhile(lambda line: "|" in line, lines[lines.index(head) :]))


def test_the_table_of_networks_says_what_the_ledgers_say():
    rows = table("| network | reference variant | parameters | multiply-adds | variants |")[2:]
    papers = {p.word: p for p in map(ledger.load, zoo.PAPERS)}
    for row in rows:
        name, *numbers = re.fullmatch(
            r"\| .+ \| `(\S+)` \| ([\d,]+) \| ([\d,]+) \| (\d+) \|", row
        ).groups()
        word = next(word for word, paper in papers.items() if name in paper.variants)
        paper = papers.pop(word)  # a second row of one paper finds none
        facts = paper.variants[name]
        counted = [f"{facts['params']:,}", f"{facts['macs']:,}", str(len(paper.variants))]
        assert numbers == counted, name
    assert list(papers) == [], "papers without a row"


@pytest.mark.slow
def test_the_tables_are_what_records_ledgers_and_benchmarks_say():
    """Row by row and both ways: the README between the comments is what the script would write."""
    filled = runpy.run_path(str(ROOT / "scripts/results.py"))["filled"]
    assert filled(README).splitlines() == README.splitlines(), "run python scripts/results.py"


def test_the_table_of_imagenet_is_what_the_benchmarks_say():
    page = (ROOT / "IMAGENET.md").read_text(encoding="utf-8")
    filled = runpy.run_path(str(ROOT / "scripts/results.py"))["filled"]
    assert filled(page).splitlines() == page.splitlines(), "run python scripts/results.py"
    assert filled(page.replace(" hours, ", " days, ")) == page
    assert page.count(" hours, ") == 4
    for place in ("<!-- end of speeed -->", ""):
        with pytest.raises(ValueError, match="allowed: some of results, cost"):
            filled(place)


def test_every_link_to_a_file_leads_somewhere():
    targets = re.findall(r"\]\(((?!https?://)[^)#]+)\)", README)
    assert len(targets) > 8
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_chapter_and_assignment_is_named_here_and_in_chapter_00():
    start = (ROOT / "notebooks/00_start_here.ipynb").read_text(encoding="utf-8")
    for name in ("", "assignments/"):
        for path in (ROOT / "notebooks" / name).glob("[0-9][0-9]_*.ipynb"):
            assert f"(notebooks/{name}{path.name})" in README, path.name
            assert f"({name}{path.name})" in start or path.name[:2] == "00", path.name
