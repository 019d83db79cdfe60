"""What each paper says (papers/<word>.toml), and how a model compares with it."""

import importlib.resources
import tomllib
from dataclasses import dataclass


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
        """Print the claims with the paper's numbers and where they stand in the paper."""
        for claim in self.claims:
            print(f"[{claim['id']}] {claim['text']}")
            number = f"paper: {claim['number']}; " if claim["number"] else ""
            print(f"    {number}{claim['where']}")

    def show_deviations(self):
        """Print where the paper's numbers, or our network, differ, and why."""
        for row in self.deviations:
            print(f"- {row['quantity']}: paper {row['paper']}, here {row['ours']}")
            print(f"    {row['reason']}")


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
    """Print `compare` as a table; each line ends with "equal" or "DIFFERS"."""
    rows = [("", "ledger", "this model", "")]
    for quantity, ledger, ours, equal in compare(model, word, variant):
        shown = [
            f"{v:,}" if isinstance(v, int) else " x ".join(map(str, v)) for v in (ledger, ours)
        ]
        rows.append((quantity, *shown, "equal" if equal else "DIFFERS"))
    width = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in rows:
        cells = [row[0].ljust(width[0])] + [row[i].rjust(width[i]) for i in (1, 2)] + [row[3]]
        print("  ".join(cells).rstrip())
