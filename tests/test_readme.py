"""The README's numbers are the ledgers', and its links lead somewhere."""

import re
import runpy
from pathlib import Path

import pytest

from course_lib import ledger, zoo

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_networks_says_what_the_ledgers_say():
    rows = re.findall(r"^\| .+ \| `(\S+)` \| ([\d,]+) \| ([\d,]+) \| (\d+) \|$", README, re.M)
    assert len(rows) == len(zoo.PAPERS)
    for name, parameters, macs, count in rows:
        paper = next(p for p in map(ledger.load, zoo.PAPERS) if name in p.variants)
        facts = paper.variants[name]
        assert f"{facts['params']:,}" == parameters, name
        assert f"{facts['macs']:,}" == macs, name
        assert len(paper.variants) == int(count), name


@pytest.mark.parametrize("table", ["table", "speed_table"])
def test_the_tables_of_results_are_what_records_and_notebooks_say(table):
    lines = runpy.run_path(str(ROOT / "scripts/results.py"))[table]()
    missing = [line for line in lines if line not in README.splitlines()]
    assert missing == [], "python scripts/results.py prints the tables"


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
