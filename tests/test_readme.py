"""The README's numbers are the ledgers', and its links lead somewhere."""

import re
from pathlib import Path

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


def test_every_link_to_a_file_leads_somewhere():
    targets = re.findall(r"\]\(((?!https?://)[^)#]+)\)", README)
    assert len(targets) > 8
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_chapter_is_in_the_table():
    for chapter in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"):
        assert f"(notebooks/{chapter.name})" in README, chapter.name
