"""Write the tables of README.md and IMAGENET.md, each between two comments of its name.

    python scripts/results.py            write them
    python scripts/results.py --print    only print them

Every number has one source: parameters and multiply-adds the audit of the network that a record
names, accuracy the records, outcomes course_lib.evidence, speed and hours benchmarks/results.
tests/test_readme.py compares.
"""

import collections
import json
import re
import statistics
import sys
from pathlib import Path

from course_lib import benchmarks, evidence, experiments, ledger, zoo
from course_lib.audit import audit

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "IMAGENET.md")
# chapter: the run that stands for its network, and the labels of the columns
CHAPTERS = {
    "01": ("mlp", "relu", ()),
    "02": ("convolution", "cnn", ()),
    **{
        f"{number:02}": (word, "short", ("long", "best", "best_medium", "gpu"))
        for number, word in enumerate(zoo.PAPERS, 4)
    },
}
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


def runs(word, label):
    """Return the records of an experiment, or none."""
    try:
        return experiments.load_records(word, label)
    except ValueError:
        return []


def accuracy(found):
    """Return the mean test accuracy in percent, with the standard deviation of the seeds."""
    if not found:
        return "missing"
    each = [100 * run["test"]["accuracy"] for run in found]
    if len(each) == 1:
        return f"{each[0]:.1f} % (one seed)"
    few = "" if len(each) > 2 else f" ({len(each)} seeds)"
    return f"{statistics.mean(each):.1f} ± {statistics.stdev(each):.1f} %{few}"


def results():
    """Return the lines of the table of networks and their accuracy."""
    lines = [
        "| chapter | network | parameters | multiply-adds | short | long | best | medium, best "
        "| GPU | images/s |",
        "|---" * 10 + "|",
    ]
    speeds = benchmarks.load("latency_cpu")["training"]
    for chapter, (word, label, more) in CHAPTERS.items():
        first = runs(word, label)
        if not first:
            lines.append(f"| {chapter} | missing {'| ' * 9}".rstrip())
            continue
        network, changes = first[0]["network"], first[0]["changes"]
        counted = audit(zoo.build(network, **changes))
        speed = speeds.get(network, {}).get("images_per_second")
        changed = ", ".join(f"{name}={value!r}" for name, value in changes.items())
        columns = [accuracy(first)] + [accuracy(runs(word, label)) for label in more]
        columns += [""] * (5 - len(columns)) + [f"{speed:,.0f}" if speed else ""]
        shown = f"`{network}`" + (f" ({changed})" if changed else "")
        lines.append(
            f"| {chapter} | {shown} | {counted.params:,} | {counted.macs:,} "
            f"| {' | '.join(columns)} |"
        )
    return lines


def cost():
    """Return one line: what all recorded trainings took."""
    seconds = collections.Counter()
    for file in sorted((experiments.HERE / "records").glob("*/*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        seconds[record["device"]["kind"]] += record.get("processor_seconds", 0)
        seconds["trainings"] += 1
    return [
        f"All {seconds['trainings']:,} recorded trainings together took "
        f"{seconds['cpu'] / 3600:.1f} hours of one processor core, and those on the GPU "
        f"{seconds['gpu'] / 3600:.1f} hours of a core of its host."
    ]


def claims():
    """Return the lines of the table of claims by kind and outcome."""
    kinds = ("counted", "measured", "trained")
    lines = [f"| paper | {' | '.join(kinds)} | not tested here |", "|---|---|---|---|---|"]
    numbered = [word for _, (word, *_) in CHAPTERS.items() if word in ledger.words()]
    for word in numbered:
        found = collections.defaultdict(lambda: collections.defaultdict(list))
        for verdict in evidence.settle(word):
            found[verdict.kind][verdict.outcome].append(verdict.claim)
        cells = []
        for kind in kinds:
            outcomes = (
                f"{outcome}: {', '.join(map(str, sorted(found[kind][outcome])))}"
                for outcome in evidence.OUTCOMES
                if found[kind][outcome]
            )
            cells.append("; ".join(outcomes))
        untested = ", ".join(map(str, found["none"][evidence.UNTESTED]))
        lines.append(f"| {word} | {' | '.join(cells)} | {untested} |")
    return lines


def speed():
    """Return the lines of the table of ratios: training, then inference in brackets."""
    found = [benchmarks.load(name)["results"] for name in SPEEDS.values()]

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


def imagenet():
    """Return the lines of the table of what the trainings on ImageNet take, if nothing waits."""
    head = [
        "training",
        "network",
        "epochs",
        "pictures/s, a core",
        "core-hours for the pictures",
        "one H100",
        "eight H100",
    ]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    table = ledger.load("ilsvrc").table("size of the 1,000-class set, used from 2012 on")
    pictures = 0.99 * table[0]["images"]
    prepared = benchmarks.load("pipeline_recipes")["results"]
    timed = benchmarks.load("gpu_224_bfloat16")["results"]["resnet_v1.5"]["ours"]["train"]
    trained = statistics.median(timed)
    for label, run in experiments.load("imagenet").items():
        if label == "rehearsal":
            continue
        core, seen = statistics.median(prepared[label]), pictures * run.recipe["epochs"]
        cells = [label, f"`{run.network}`", f"{run.recipe['epochs']}", f"{core:.0f}"]
        cells.append(f"{seen / core / 3600:,.0f}")
        for count in (1, 8):
            hours, cores = seen / (count * trained) / 3600, count * trained / core
            known = run.network.startswith("resnet50")
            cells.append(f"{hours:.1f} hours, {cores:.0f} cores" if known else "not timed")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


TABLES = {"results": results, "cost": cost, "claims": claims, "speed": speed, "imagenet": imagenet}


def filled(text):
    """Return a page's text with each of its tables as it is today.

    Raises:
        ValueError: it has a place for no table, or for one that there is not.
    """
    names = re.findall("<!-- end of (.+) -->", text)
    if not names or not set(names) <= set(TABLES):
        raise ValueError(f"places for {names}; allowed: some of {', '.join(TABLES)}.")
    for name in names:
        lines = TABLES[name]
        start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        between = re.compile(f"(?<={start}\n).*?(?={end})", re.S)
        if not between.search(text):
            raise ValueError(f"no place {start} before {end}.")
        table = "\n".join(lines()) + "\n"
        text = between.sub(lambda _, table=table: table, text)
    return text


if __name__ == "__main__":
    for page in PAGES:
        text = filled(page.read_text(encoding="utf-8"))
        if "--print" in sys.argv:
            print(text)
        else:
            page.write_text(text, encoding="utf-8")
