"""Print the README's tables of results and of speed, from records, ledgers and outputs.

    python scripts/results.py

Every number has one source: parameters and multiply-adds the audit of the network that a record
names, accuracy the records, speed records/latency/cpu.json, a claim's status the verdicts that
the chapter prints, ratios benchmarks/results. tests/test_readme.py compares with the README.
"""

import json
import re
import statistics
from pathlib import Path

from course_lib import ledger, training, zoo
from course_lib.audit import audit

ROOT = Path(__file__).resolve().parents[1]
LATENCY = ROOT / "course_lib/records/latency/cpu.json"
HEAD = (
    "| chapter | network | parameters | multiply-adds | accuracy, short run | long run "
    "| training, images/s | claims |",
    "|---|---|---|---|---|---|---|---|",
)
# What benchmarks/speed.py measured: the column's title and the file.
SPEEDS = {
    "64 px, float32": "cpu_64_float32",
    "224 px, float32": "cpu_224_float32",
    "64 px, bfloat16": "cpu_64_bfloat16",
}
AGAINST = {
    "applications": "`keras.applications`",
    "plain": "Keras's own layers",
    "torchvision": "torchvision",
}
# chapter: the labels of its short and its long run
CHAPTERS = {
    "01_mlp": ("relu", None),
    "02_convolution": ("cnn", None),
    **{f"{number:02}_{word}": ("short", "long") for number, word in enumerate(zoo.PAPERS, 4)},
}
STATUS = {ledger.HOLDS: "hold", ledger.UNSEEN: "not shown", ledger.CONTRADICTS: "contradicted"}


def runs(word, label):
    """Return the records of an experiment, or none."""
    try:
        return training.load_records(word, label) if label else []
    except ValueError:
        return []


def accuracy(found):
    """Return the mean test accuracy in percent, with the standard deviation of the seeds."""
    if not found:
        return "not recorded"
    each = [100 * run["test"]["accuracy"] for run in found]
    if len(each) == 1:
        return f"{each[0]:.1f} % (one seed)"
    few = "" if len(each) > 2 else f" ({len(each)} seeds)"
    return f"{statistics.mean(each):.1f} ± {statistics.stdev(each):.1f} %{few}"


def verdicts(chapter):
    """Return {claim: set of the verdicts that the chapter prints for it}."""
    cells = json.loads((ROOT / f"notebooks/{chapter}.ipynb").read_text(encoding="utf-8"))["cells"]
    texts = ("".join(out.get("text", "")) for cell in cells for out in cell.get("outputs", ()))
    found, claim = {}, None
    for line in "\n".join(texts).splitlines():
        line_of = re.match(r"\[(\d+)\] |    (?=\S)", line)
        result = line.rpartition(" · ")[2]
        if line_of and result in STATUS:
            claim = int(line_of[1]) if line_of[1] else claim
            found.setdefault(claim, set()).add(result)
    return found


def claims(chapter):
    """Return a chapter's claims by their status; "mixed" where its tests differ."""
    found = verdicts(chapter)
    groups = {}
    for claim, results in sorted(found.items()):
        status = STATUS[next(iter(results))] if len(results) == 1 else "mixed"
        groups.setdefault(status, []).append(str(claim))
    order = [*STATUS.values(), "mixed"]
    return "; ".join(
        f"{status}: {', '.join(groups[status])}" for status in order if status in groups
    )


def row(chapter):
    """Return one line of the table."""
    word = chapter[3:]
    short, long = (runs(word, label) for label in CHAPTERS[chapter])
    if not short:
        return f"| {chapter[:2]} | no record yet | | | | | | |"
    first = short[0]
    counted = audit(zoo.build(first["network"], **first["changes"]))
    speeds = json.loads(LATENCY.read_text(encoding="utf-8")).get("training", {})
    speed = speeds.get(first["network"], {}).get("images_per_second")
    changes = ", ".join(f"{name}={value!r}" for name, value in first["changes"].items())
    network = f"`{first['network']}`" + (f" ({changes})" if changes else "")
    return (
        f"| {chapter[:2]} | {network} | {counted.params:,} | {counted.macs:,} "
        f"| {accuracy(short)} | {accuracy(long) if CHAPTERS[chapter][1] else ''} "
        f"| {f'{speed:,.0f}' if speed else ''} | {claims(chapter)} |"
    )


def table():
    """Return the table's lines."""
    chapters = [c for c in CHAPTERS if (ROOT / f"notebooks/{c}.ipynb").exists()]
    return [*HEAD, *map(row, chapters)]


def speed_table():
    """Return the lines of the table of ratios: training, then inference in brackets."""
    files = [ROOT / f"benchmarks/results/{name}.json" for name in SPEEDS.values()]
    found = [json.loads(f.read_text(encoding="utf-8"))["results"] for f in files]

    def ratio(results, network, kind):
        contenders = results.get(network, {})
        if kind not in contenders:
            return "not measured"
        train, infer = (
            statistics.median(contenders["ours"][mode]) / statistics.median(contenders[kind][mode])
            for mode in ("train", "infer")
        )
        return f"{train:.2f} ({infer:.2f})"

    lines = [f"| network | against | {' | '.join(SPEEDS)} |", "|---" * (2 + len(SPEEDS)) + "|"]
    for network, contenders in found[0].items():
        for kind in list(contenders)[1:]:
            cells = " | ".join(ratio(results, network, kind) for results in found)
            lines.append(f"| {network} | {AGAINST[kind]} | {cells} |")
    return lines


if __name__ == "__main__":
    print("\n".join([*table(), "", *speed_table()]))
