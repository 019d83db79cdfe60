"""What each paper says (papers/<word>.toml), and how a model compares with it."""

import importlib.resources
import tomllib
from dataclasses import dataclass

from course_lib import rich


@dataclass(frozen=True)
class Ledger:
    """One paper: citation, numbered claims, printed results, variants, declared deviations.

    Each is the TOML file's own table; see papers/alexnet.toml for the fields.
    """

    word: str
    citation: dict
    claims: list
    results: list
    variants: dict
    deviations: list

    def claim(self, number):
        """Return claim [number].

        Raises:
            ValueError: the paper has no claim of that number.
        """
        for claim in self.claims:
            if claim["id"] == number:
                return claim
        raise ValueError(f"{self.word} has claims 1 to {len(self.claims)}, not {number!r}.")

    def table(self, name):
        """Return a printed table as one dictionary a row, for example table("table 1").

        Raises:
            ValueError: the ledger has no table of that name.
        """
        for result in self.results:
            if result["table"] == name:
                return [dict(zip(result["columns"], row)) for row in result["rows"]]
        known = ", ".join(result["table"] for result in self.results)
        raise ValueError(f"{self.word} has no table {name!r}; allowed: {known}.")

    def show_claims(self):
        """Show the claims with the paper's numbers and where they stand in the paper.

        Returns:
            An object that a notebook shows as a table and a terminal as text.
        """
        lines, rows = [], []
        for claim in self.claims:
            number = f"paper: {claim['number']}; " if claim["number"] else ""
            lines += [f"[{claim['id']}] {claim['text']}", f"    {number}{claim['where']}"]
            rows.append((f"[{claim['id']}]", claim["text"], claim["number"], claim["where"]))
        head = ("", "claim", "the paper's number", "where")
        return rich.Shown("\n".join(lines), rich.table(head, rows))

    def show_deviations(self):
        """Show where the paper's numbers, or our network, differ, and why: three, the rest folded.

        Returns:
            An object that a notebook shows as a table and a terminal as text.
        """
        lines, rows = [], []
        for row in self.deviations:
            lines.append(f"- {row['quantity']}: paper {row['paper']}, here {row['ours']}")
            lines.append(f"    {row['reason']}")
            rows.append((row["quantity"], row["paper"], row["ours"], row["reason"]))
        head = ("what", "paper", "here", "why")
        markdown, more = rich.table(head, rows[:3]), rows[3:]
        if more:
            markdown += "\n\n" + rich.folded(f"{len(more)} more", rich.table(head, more))
        return rich.Shown("\n".join(lines), markdown)


def words():
    """Return the words of all ledgers."""
    folder = importlib.resources.files("course_lib") / "papers"
    return sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml"))


def load(word):
    """Read one paper's ledger.

    Raises:
        ValueError: there is no such ledger; the message lists those there are.
    """
    folder = importlib.resources.files("course_lib") / "papers"
    file = folder / f"{word}.toml"
    if not file.is_file():
        raise ValueError(f"no ledger is called {word!r}; allowed: {', '.join(words())}.")
    facts = tomllib.loads(file.read_text(encoding="utf-8"))
    parts = ("citation", "claims", "results", "variants", "deviations")
    empty = {"citation": {}, "variants": {}}
    return Ledger(facts["word"], *(facts.get(part, empty.get(part, [])) for part in parts))


def compare(model, word, variant):
    """Compare a model with a variant of the ledger, number by number.

    Args:
        model: the built `keras.Model`.
        word: the paper, for example "alexnet".
        variant: a name among the ledger's variants.

    Returns:
        A list of (quantity, ledger, model, equal): parameters, trainable parameters,
        multiply-adds, and the output shape of each named stage.

    Raises:
        ValueError: the ledger has no such variant.
    """
    from course_lib.audit import audit

    facts = load(word).variants
    if variant not in facts:
        raise ValueError(f"{word} has no variant {variant!r}; allowed: {', '.join(facts)}.")
    facts, counted = facts[variant], audit(model)
    rows = [
        ("input", tuple(facts["input"]), tuple(counted.input_shapes[0])),
        ("parameters", facts["params"], counted.params),
        ("trainable parameters", facts["trainable"], counted.trainable),
        ("multiply-adds", facts["macs"], counted.macs),
    ]
    for name, shape in facts.get("stages", {}).items():
        rows.append(
            (f"output of {name}", tuple(shape), tuple(model.get_layer(name).output.shape[1:]))
        )
    return [(quantity, ledger, ours, ledger == ours) for quantity, ledger, ours in rows]


def show_comparison(model, word, variant):
    """Show `compare`: in a notebook one sentence if all is equal, and the table at a click.

    Returns:
        An object that a notebook shows as a table and a terminal as text, in which each line ends
        with "equal" or "DIFFERS".
    """
    head, rows, different = ("", "ledger", "this model", ""), [], 0
    for quantity, ledger, ours, equal in compare(model, word, variant):
        shown = [
            f"{v:,}" if isinstance(v, int) else " x ".join(map(str, v)) for v in (ledger, ours)
        ]
        rows.append((quantity, *shown, "equal" if equal else "DIFFERS"))
        different += not equal
    whole = rich.table(head, rows, right=(1, 2))
    if different:
        markdown = f"**{different} of {len(rows)} numbers differ from the ledger.**\n\n{whole}"
    else:
        facts = f"{rows[1][1]} parameters, {rows[3][1]} multiply-adds"
        markdown = f"**All {len(rows)} numbers are equal to the ledger's**: {facts}.\n\n"
        markdown += rich.folded("number by number", whole)
    return rich.Shown(rich.columns([head, *rows], right=(1, 2)), markdown)
