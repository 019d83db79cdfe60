"""Every variant of every ledger is built and compared with it, number by number."""

import pytest
from reference import shapes_only

from course_lib import ledger, zoo

# The ledgers themselves carry the facts; this count keeps a variant from being dropped silently.
VARIANTS_BY_PAPER = {
    "alexnet": 6,
    "vgg": 10,
    "googlenet": 4,
    "resnet": 38,
    "densenet": 20,
    "mobilenet": 18,
    "squeezenet": 7,
    "shufflenet": 24,
}
# Networks that differ from another in one argument: their counts follow from the other's ledger
# entry, which is compared with the network itself. name -> (the other, the argument)
TWINS = {"resnet1202_cifar10_B": ("resnet1202_cifar10_A", "shortcut")}
for _name in zoo.names():
    # The smallest two of each builder are built too, so that the argument is known to arrive.
    if "cifar100" in _name and "resnet20_" not in _name and "_L40_" not in _name:
        TWINS[_name] = (_name.replace("cifar100", "cifar10"), "classes")


def cases():
    """Return (word, name) of every variant; only the smallest of each paper is not slow."""
    for word in VARIANTS_BY_PAPER:
        variants = ledger.load(word).variants
        smallest = min(variants, key=lambda name: variants[name]["macs"])
        for name in variants:
            quick = name == smallest or name in TWINS
            yield pytest.param(word, name, marks=() if quick else pytest.mark.slow)


def counts(facts):
    return tuple(facts[quantity] for quantity in ("params", "trainable", "macs"))


def difference(word, name, other):
    """Return how many parameters, trainable ones and multiply-adds more the ledger gives one."""
    variants = ledger.load(word).variants
    pairs = zip(counts(variants[name]), counts(variants[other]), strict=True)
    return tuple(ours - theirs for ours, theirs in pairs)


def assert_follows(word, name):
    """Check a network of `TWINS` against the ledger of its twin and what the argument adds."""
    other, argument = TWINS[name]
    (builder, ours), (same, theirs) = (zoo.variants(word)[key] for key in (name, other))
    assert builder is same
    assert {**ours, argument: None} == {**theirs, argument: None}
    facts, basis = (ledger.load(word).variants[key] for key in (name, other))
    assert facts["input"] == basis["input"]
    *inner, head = facts["stages"].items()
    *same_inner, same_head = basis["stages"].items()
    assert inner == same_inner
    if argument == "classes":
        assert (ours["classes"], theirs.get("classes", 10)) == (100, 10)
        assert (head[1], same_head[1]) == ([100], [10])
        features = inner[-1][1][-1]
        assert difference(word, name, other) == (90 * (features + 1),) * 2 + (90 * features,)
    else:
        assert (ours["shortcut"], theirs.get("shortcut", "A")) == ("B", "A")
        assert head == same_head
        # Two projections, wherever the depth: of the first block of the second and third stage.
        shallow = ("resnet20_cifar10_B", "resnet20_cifar10_A")
        assert difference(word, name, other) == difference(word, *shallow)


@pytest.mark.parametrize("word,name", list(cases()))
def test_variant_equals_its_paper(word, name):
    if name in TWINS:
        assert_follows(word, name)
        return
    with shapes_only():
        rows = ledger.compare(zoo.build(name), word, name)
    assert len(rows) >= 7, "the ledger names fewer than three stages"
    assert [row for row in rows if not row[-1]] == []


def test_no_twin_rests_on_another_twin():
    assert len(TWINS) == 10
    assert not set(TWINS) & {other for other, _ in TWINS.values()}


@pytest.mark.parametrize("word", VARIANTS_BY_PAPER)
def test_ledger_is_complete(word):
    paper = ledger.load(word)
    assert paper.word == word
    assert set(paper.citation) == {"authors", "title", "venue", "year", "arxiv"}
    assert len(paper.variants) == VARIANTS_BY_PAPER[word]
    assert set(paper.variants) | {f"{word}_small"} <= set(zoo.names(word))
    assert [claim["id"] for claim in paper.claims] == list(range(1, len(paper.claims) + 1))
    assert all(claim["text"] and claim["where"] for claim in paper.claims)
    for result in paper.results:
        assert all(len(row) == len(result["columns"]) for row in result["rows"])
    for row in paper.deviations:
        assert set(row) == {"quantity", "paper", "ours", "reason"}


def test_a_wrong_network_is_found():
    model = zoo.build("alexnet_onetower_nogroups")
    differing = [row[0] for row in ledger.compare(model, "alexnet", "alexnet_paper") if not row[-1]]
    assert differing == ["parameters", "trainable parameters", "multiply-adds"]


def test_wrong_names_are_answered_with_the_right_ones():
    with pytest.raises(ValueError, match="alexnet, .*vgg"):
        ledger.load("lenet")
    with pytest.raises(ValueError, match="claims 1 to 8"):
        ledger.load("alexnet").claim(9)
    with pytest.raises(ValueError, match="alexnet_paper"):
        ledger.compare(zoo.build("alexnet_small"), "alexnet", "paper")
    with pytest.raises(ValueError, match="Nearest: alexnet_small"):
        zoo.build("alexnet_smal")
