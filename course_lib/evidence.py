"""From records to verdicts: what the trainings and counts of the course say of each claim.

A claim in papers/<word>.toml has tests, or a sentence `untested` that says why it has none:

    [[claims.tests]]
    kind = "trained"               # or "measured", or "counted"
    says = "training error of 56 plain layers is higher than of 20"
    lower = "plain20"              # the side that the claim says is lower: runs of experiments/
    higher = "plain56"
    measure = "training_error"     # see MEASURES
    effect = 0.6                   # what the paper reports, in the measure's unit

Instead of `effect`, `within = [low, high]` tests a claim of closeness: higher minus lower lies
between the two. `ratio = true` compares logarithms, so that differences are read as factors.
`measure = [a, b]` measures the two sides differently. `unit` names the unit of what a probe found
("after.<probe>.<key>"); the other measures have their own. A counted test names registered
networks, or arithmetic, instead of runs; see COUNTS.
"""

import functools
import itertools
import json
import math
import re
import warnings
from dataclasses import asdict, dataclass

import numpy as np

from course_lib import experiments, ledger

HOLDS = "holds here"
CONTRADICTS = "contradicts"
UNSEEN = "does not show at this scale"
UNDECIDED = "undecided"
UNTESTED = "not tested here"
OUTCOMES = (HOLDS, CONTRADICTS, UNSEEN, UNDECIDED, UNTESTED)
SIGNS = dict(zip(OUTCOMES, "+-0?."))

FEWEST_SEEDS = 3
FEWEST_EPOCHS = 20
FLAT, FLAT_TESTED = 2.0, 1.0  # points of training error, of validation error


# ---- what is measured of one run


def _after(record, path):
    """Return a number of record["after"], such as "gradients.first_over_last"."""
    found = record["after"]
    for key in path.split("."):
        found = found[key]
    return float(found)


def _epochs_to(rows, target):
    """Return the epochs until an error (percent) falls to the target, read off a straight line."""
    before = None
    for i, now in enumerate(rows):
        if now <= target:
            before = 90.0 if before is None else before  # ten classes: chance
            return i + (before - target) / (before - now) if before > now else float(i)
        before = now
    return math.nan


def running_errors(record):
    """Return the training error in percent of each epoch: the mean over it, as Keras shows it."""
    return [100 - 100 * row["accuracy"] for row in record["epochs"]]


def validation_errors(record):
    """Return the validation error in percent after each epoch."""
    return [100 - 100 * row["val_accuracy"] for row in record["epochs"]]


# Name: (one number of a record, its unit). Errors are in percent, so differences in points.
MEASURES = {
    "test_error": (lambda r: 100 * r["test"]["error"], "points of test error"),
    "training_error": (lambda r: 100 * r["training"]["error"], "points of training error"),
    "running_training_error": (
        lambda r: running_errors(r)[-1],
        "points of training error, mean of the last epoch",
    ),
    "validation_error": (lambda r: validation_errors(r)[-1], "points of validation error"),
    "gap": (
        lambda r: 100 * r["test"]["error"] - 100 * r["training"]["error"],
        "points of test minus training error",
    ),
    "epochs_to_converge": (
        lambda r: _epochs_to(validation_errors(r), min(validation_errors(r)) + 1),
        "epochs until the validation error is within a point of its lowest",
    ),
}


def measure(record, name):
    """Return one number of a record, and its unit ("" if a probe found it).

    Args:
        record: what `course_lib.experiments.load_records` returns.
        name: one of `MEASURES`; "epochs_to_10": epochs until the running training error is 10 %
            (nan if it never is); or "after.<probe>.<key>", what a probe found.

    Raises:
        ValueError: there is no such measure, or the record does not have it.
    """
    target = re.fullmatch(r"epochs_to_(\d+)", name)
    try:
        unit = _unit(name)
        if record.get("diverged"):
            return math.nan, unit
        if target:
            return _epochs_to(running_errors(record), float(target[1])), unit
        if name.startswith("after."):
            return _after(record, name[6:]), unit
        return MEASURES[name][0](record), unit
    except KeyError as error:
        known = ", ".join([*MEASURES, "epochs_to_10", "after.<probe>.<key>"])
        raise ValueError(
            f"no measure {name!r} in this record ({error}); allowed: {known}."
        ) from None


def _unit(name):
    """Return the unit of a measure."""
    target = re.fullmatch(r"epochs_to_(\d+)", name)
    if target:
        return f"epochs to {target[1]} % training error"
    if name.startswith("after."):
        return ""
    return MEASURES[name][1]


def reached_end(records, name="training_error"):
    """Say whether runs of one kind were trained to the end.

    That is: at least 20 epochs, and the last quarter of them hardly changed the error that is
    measured (mean of the seeds): of a test or validation error, the validation error by less than a
    point; else the training error, running mean, by less than two. A rate that falls to zero
    flattens every curve, so that few epochs are never enough.

    Args:
        records: of one experiment.
        name: the measure, see `measure`.
    """
    tested = name in ("test_error", "validation_error")
    errors_of, flat = (validation_errors, FLAT_TESTED) if tested else (running_errors, FLAT)
    changes = []
    for record in records:
        errors = errors_of(record)
        if len(errors) < FEWEST_EPOCHS:
            return False
        changes.append(errors[3 * len(errors) // 4 - 1] - errors[-1])
    return abs(float(np.mean(changes))) < flat


# ---- statistics


def welch(lower, higher):
    """Return (difference, low, high): higher minus lower, and its 95 % interval by Welch.

    Args:
        lower, higher: one number a seed, at least two a side.
    """
    from scipy import stats

    difference = float(np.mean(higher) - np.mean(lower))
    if max(np.ptp(lower), np.ptp(higher)) < 1e-9:
        return difference, difference, difference  # no spread: scipy gives nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # one side without spread is no fault
        interval = stats.ttest_ind(higher, lower, equal_var=False).confidence_interval(0.95)
    return difference, float(interval.low), float(interval.high)


def paired(lower, higher):
    """Return (difference, low, high) as `welch` does, for two numbers of the same trainings.

    Args:
        lower, higher: one number a seed, at least two, in the same order.
    """
    from scipy import stats

    changes = np.subtract(higher, lower)
    if np.ptp(changes) < 1e-9:
        return (float(np.mean(changes)),) * 3  # no spread: scipy gives nan
    interval = stats.ttest_rel(higher, lower).confidence_interval(0.95)
    return float(np.mean(changes)), float(interval.low), float(interval.high)


def decide(low, high, *, effect=None, within=None, finished=True):
    """Return the outcome of a comparison from the 95 % interval of its difference.

    Args:
        low, high: the interval of higher minus lower.
        effect: for a claim of direction: the size that the paper reports, above 0.
        within: for a claim of closeness: the bounds of the difference.
        finished: False where a side was not trained to the end; then nothing is decided.

    Raises:
        ValueError: neither or both of effect and within are given.
    """
    if (effect is None) == (within is None):
        raise ValueError(f"effect is {effect!r} and within {within!r}; allowed: one of the two.")
    if not finished or math.isnan(low) or math.isnan(high):
        return UNDECIDED
    if within is not None:
        if within[0] <= low and high <= within[1]:
            return HOLDS
        return CONTRADICTS if high < within[0] or low > within[1] else UNDECIDED
    if low > 0:
        return HOLDS
    if high < 0:
        return CONTRADICTS
    return UNSEEN if -effect < low and high < effect else UNDECIDED


# ---- counts


def _count(side, what):
    """Return a count of a registered network, its blocks or layers; "3 * 9" stands for 27."""
    if isinstance(side, (int, float)):
        return side
    if isinstance(side, str) and re.fullmatch(r"[\d\se.+*/()-]+", side):
        return eval(side)  # arithmetic on literal numbers, nothing else
    for word in ledger.words():
        facts = ledger.load(word).variants.get(side) if isinstance(side, str) else None
        if facts:  # tests/test_papers.py compares every variant with its ledger
            return facts[{"parameters": "params", "multiply-adds": "macs"}[what]]
    side = {"network": side} if isinstance(side, str) else side
    counted = _audited(side["network"], json.dumps(side.get("changes", {})))
    rows = counted.blocks() if "blocks" in side else counted.rows
    wanted = side.get("blocks") or side.get("layers", ".*")
    rows = [row for row in rows if re.fullmatch(wanted, row.path)]
    return COUNTS[what](rows)


@functools.cache
def _audited(network, changes):
    from course_lib import zoo
    from course_lib.audit import audit

    return audit(zoo.build(network, **json.loads(changes)))


# Name: a sum over the audit's rows.
COUNTS = {
    "parameters": lambda rows: sum(row.params for row in rows),
    "multiply-adds": lambda rows: sum(row.macs for row in rows),
}


# ---- verdicts


@dataclass(frozen=True)
class Verdict:
    """What one test says of one claim. `difference`, `low`, `high` are higher minus lower.

    `effect` is the paper's, or the bounds of a claim of closeness. `seeds` counts the runs of both
    sides; `finished` says whether they were trained to the end (None where nothing was trained);
    `runs` describes the trainings of both sides, a sentence each.
    """

    word: str
    claim: int
    test: int
    kind: str
    says: str
    outcome: str
    paper: str = ""
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    effect: float | list | None = None
    unit: str = ""
    seeds: tuple = ()
    finished: bool | None = None
    why: str = ""
    runs: tuple = ()

    def here(self):
        """Return what was found, in words."""
        if self.difference is None:
            return self.why
        if self.low is None:
            return f"{self.difference:.4g} {self.unit}"
        digits = ".2f" if self.unit.startswith("times") or abs(self.high - self.low) < 1 else ".1f"
        sign = "" if self.unit.startswith("times") else "+"
        numbers = (f"{x:{sign}{digits}}" for x in (self.difference, self.low, self.high))
        difference, low, high = numbers
        return f"{difference} ({low} to {high}) {self.unit}" + (f"; {self.why}" if self.why else "")

    def __repr__(self):
        kind = "" if self.outcome == UNTESTED else f"{self.kind}: {self.says} · "
        return f"[{self.claim}] {kind}{self.here()} · {self.outcome}"


class Verdicts(list):
    """The verdicts of a claim or a paper: lines in a terminal, a table in a notebook."""

    def __add__(self, other):
        return Verdicts([*self, *other])

    def __repr__(self):
        return "\n".join(map(repr, self))

    def _repr_markdown_(self):
        lines = ["| claim | test | kind | here | asked | outcome |", "|---|---|---|---|---|---|"]
        for v in self:
            seeds = f", {v.seeds[0]} and {v.seeds[1]} seeds" if v.seeds else ""
            lines.append(
                f"| [{v.claim}] | {v.says} | {v.kind}{seeds} | {v.here()} | {_asked(v)} "
                f"| {SIGNS[v.outcome]} **{v.outcome}** |"
            )
        runs = dict.fromkeys(run for v in self for run in v.runs)
        if runs:
            lines += ["", "<details><summary>The trainings behind it</summary>", ""]
            lines += [*(f"- {run}" for run in runs), "", "</details>"]
        return "\n".join(lines)

    def compared(self):
        """Return those that compare runs."""
        return Verdicts(v for v in self if v.kind in ("trained", "measured"))

    def forest(self, title):
        """Draw those that compare runs: `figures.forest`, a scale for each unit.

        A test whose runs are missing has no row; a line says how many there are.

        Returns:
            The figure, or None where no test has its runs.
        """
        from course_lib import figures

        compared, groups = self.compared(), {}
        for v in compared:
            if v.difference is not None:
                label = re.sub(r" \(.*\)$", "", v.says)
                row = (label, v.difference, v.low, v.high, v.effect)
                groups.setdefault(v.unit, []).append((*row, f"{SIGNS[v.outcome]} {v.outcome}"))
        if not groups:
            return None
        tick = "the paper" if any(verdict.paper for verdict in self) else "effect asked for"
        return figures.forest(groups, title, tick, len(compared) - sum(map(len, groups.values())))

    def draw(self, title):
        """Display the forest plot, or where no test has its runs the table alone."""
        from course_lib import figures

        figure = self.forest(title)
        if figure is None:
            figures.display(self)
        else:
            figures.show(figure, repr(self.compared()))


def describe(run, records):
    """Return a sentence on the trainings of one side: what was trained, how, and where.

    Args:
        run: its `course_lib.experiments.Run`.
        records: its recorded trainings, at least one.
    """
    changes = ", ".join(f"{k}={v!r}" for k, v in run.changes.items())
    recipe = run.recipe
    pictures = run.data.get("train_limit")
    words = [
        f"**{run.label}**: {run.network}{f' ({changes})' if changes else ''}",
        f"{f'{pictures:,}' if pictures else 'all'} training pictures"
        + (", shifted and mirrored" if run.data.get("augment") else ""),
        f"{len(records[0]['epochs'])} epochs"
        + (f" in batches of {run.data['batch_size']}" if "batch_size" in run.data else ""),
    ]
    rate = f"{recipe.get('optimizer', 'adam')} at {recipe.get('learning_rate', 0.001)}"
    if run.candidates:
        tried = ", ".join(map(str, run.candidates["learning_rate"]))
        rate += f", the best of {tried} by {run.candidates.get('by', 'validation_error')}"
    words.append(rate.replace("_", " "))
    schedule = recipe.get("schedule")
    if isinstance(schedule, dict):
        ends = " and ".join(map(str, schedule["at"]))
        words.append(f"rate times {schedule['factor']} after epochs {ends}")
    elif schedule:
        words.append(f"{schedule} rate")
    if recipe.get("weight_decay"):
        words.append(f"decay {recipe['weight_decay']}")
    words.append(f"seeds {', '.join(str(record['seed']) for record in records)}")
    devices = {_device(record["device"]) for record in records}
    words.append(" and ".join(sorted(devices)))
    return "; ".join(words)


def _device(device):
    """Return what computed, in words; early records from a GPU do not name it."""
    unnamed = "a GPU" if device["kind"] == "gpu" else device["processor"]
    return device.get("accelerator") or unnamed


def _asked(verdict):
    if isinstance(verdict.effect, list):
        low, high = verdict.effect
        if math.isinf(low):
            return f"at most {high:g}"
        return f"{low:g} to {high:g}"
    return "" if verdict.effect is None else f"an effect of {verdict.effect:g}"


def settle(word, claim=None):
    """Return the verdicts of one claim, or of all claims of a paper.

    Args:
        word: the paper, for example "alexnet".
        claim: the claim's number in the ledger; None for all.

    Raises:
        ValueError: there is no such paper or claim, or a test of it is not well formed.
    """
    paper = ledger.load(word)
    claims = paper.claims if claim is None else [paper.claim(claim)]
    found = Verdicts()
    for one in claims:
        tests = one.get("tests", [])
        about = {"word": word, "claim": one["id"], "paper": one["number"]}
        for number, test in enumerate(tests, 1):
            found.append(Verdict(test=number, **about, **_settle(word, test)))
        if "untested" in one:
            number = len(tests) + 1
            about |= {"test": number, "kind": "none", "says": one["text"], "why": one["untested"]}
            found.append(Verdict(outcome=UNTESTED, **about))
    return found


def _settle(word, test):
    """Return what one test found: the fields of a `Verdict`."""
    kind, says, lower, higher = (test[key] for key in ("kind", "says", "lower", "higher"))
    if kind == "counted":
        lower, higher = (_count(side, test["measure"]) for side in (lower, higher))
        times = higher / lower
        enough = times == 1 if test.get("equal") else times > 1
        found = {"difference": times, "unit": f"times the {test['measure']}"}
        return {"kind": kind, "says": says, "outcome": HOLDS if enough else CONTRADICTS, **found}
    if kind not in ("trained", "measured"):
        raise ValueError(f"kind is {kind!r}; allowed: 'counted', 'measured', 'trained'.")
    effect, within = test.get("effect"), test.get("within")
    asked = {"kind": kind, "says": says, "effect": effect if within is None else within}
    sides = [_records(word, side) for side in (lower, higher)]
    records = [found for _, found in sides]
    seeds = tuple(map(len, records))
    names = test["measure"] if isinstance(test["measure"], list) else [test["measure"]] * 2
    unit = _unit(names[0]) or test["unit"]
    unit = f"times the {unit}" if test.get("ratio") else unit
    if min(seeds) < FEWEST_SEEDS:
        why = f"{seeds[0]} and {seeds[1]} runs are recorded; a verdict needs {FEWEST_SEEDS} a side"
        return {**asked, "outcome": UNDECIDED, "seeds": seeds, "why": why, "unit": unit}
    values = [[measure(r, name)[0] for r in side] for name, side in zip(names, records)]
    finished = all(map(reached_end, records, names)) if kind == "trained" else None
    if names[0].startswith("epochs_to"):
        finished = not any(map(math.isnan, [*values[0], *values[1]]))  # all have got there
    if test.get("ratio"):
        values = [np.log(side) for side in values]
    difference, low, high = paired(*values) if lower == higher else welch(*values)
    bound = [math.log(x) for x in within] if within and test.get("ratio") else within
    size = math.log(effect) if effect and test.get("ratio") else effect
    outcome = decide(low, high, effect=size, within=bound, finished=finished is not False)
    if test.get("ratio"):
        difference, low, high = map(math.exp, (difference, low, high))
    why = "" if finished is not False else "not trained to the end"
    if any(record.get("diverged") for side in records for record in side):
        why = "a training diverged: its loss was no number"
    found = {"difference": difference, "low": low, "high": high, "unit": unit}
    found["runs"] = tuple(itertools.starmap(describe, sides))
    return {**asked, **found, "outcome": outcome, "seeds": seeds, "finished": finished, "why": why}


def _records(word, label):
    """Return an experiment and the records of its seeds, none if there are none yet."""
    if "/" in label:
        word, label = label.split("/")
    run = experiments.find([f"{word}/{label}"])[0]
    try:
        records = experiments.load_records(word, label)
    except ValueError:
        return run, []
    return run, [record for record in records if record["seed"] in run.seeds]


def show(words=(), as_json=False):
    """Print the verdicts of the papers, all if none is named: lines, or one JSON object a test."""
    for word in words or ledger.words():
        verdicts = settle(word)
        if as_json:
            for verdict in verdicts:
                print(json.dumps(_plain(asdict(verdict)), allow_nan=False))
        else:
            print(f"{word}\n{verdicts}\n")


def _plain(value):
    """Return what JSON can say: nothing in the place of a number that is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value
