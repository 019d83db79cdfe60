from course_lib import ledger, rich, zoo
from course_lib.audit import audit
from course_lib.layers import check_choice
from course_lib.shufflenet import ChannelShuffle


def sample(x, way="a"):
    """Double x.

    Args:
        x: a number.
    """
    check_choice("way", way, ("a", "b"))
    if x < 0:
        raise ValueError("x is below 0.")

    # a comment stays
    if x > 5:
        x = 5
    return 2 * x


def test_source_shows_what_computes_and_folds_the_rest():
    shown = rich.source(sample)
    assert repr(shown).splitlines()[1:] == [
        'def sample(x, way="a"):',
        "    # a comment stays",
        "    if x > 5:",
        "        x = 5",
        "    return 2 * x",
    ]
    markdown = shown._repr_markdown_()
    assert markdown.startswith("```python\n# " + sample.__module__ + ".sample\ndef sample")
    assert "x is below 0" in markdown.partition("<details>")[2]


def conditional(x, y=None):
    return x if y is None else [y for _ in (lambda: x)()]


def test_source_takes_expressions_that_have_a_body_of_their_own():
    assert "return x if y is None else" in repr(rich.source(conditional))


def test_source_of_methods_and_classes():
    call = repr(rich.source(ChannelShuffle.call, ChannelShuffle.build))
    assert call.startswith("# course_lib.shufflenet.ChannelShuffle.call\ndef call(self, inputs):")
    assert "raise" not in call
    whole = repr(rich.source(ChannelShuffle))
    assert "@serializable" not in whole
    assert "Deal the channels" not in whole
    assert "return input_shape" in whole


def test_tables_align_and_keep_their_columns():
    assert rich.table(("a", "b"), [("x|y", 1)], right=(1,)) == (
        "| a | b |\n| --- | ---: |\n| x\\|y | 1 |"
    )
    assert rich.columns([("a", "12"), ("bcd", "3")], right=(1,)) == "a    12\nbcd   3"


def test_an_audit_is_a_table_in_a_notebook_and_text_in_print():
    counted = audit(zoo.build("mlp_small"))
    assert repr(counted) == str(counted) == counted.table()
    lines = counted._repr_markdown_().splitlines()
    assert lines[0].startswith("| layer | output | parameters")
    assert f"**{counted.params:,}**" in lines[-1]
    assert len(lines) == len(counted.table().splitlines()) + 1


def test_a_comparison_says_in_one_sentence_that_all_is_equal_or_what_is_not():
    model = zoo.build("mobilenet_0.25_128")
    shown = ledger.show_comparison(model, "mobilenet", "mobilenet_0.25_128")
    assert repr(shown).splitlines()[1].endswith("equal")
    assert shown._repr_markdown_().startswith("**All ")
    shown = ledger.show_comparison(model, "mobilenet", "mobilenet_0.5_128")
    assert "numbers differ from the ledger" in shown._repr_markdown_()
    assert "DIFFERS" in repr(shown)


def test_three_deviations_are_shown_and_the_rest_is_folded():
    for word in ledger.words():
        paper = ledger.load(word)
        claims, deviations = paper.show_claims(), paper.show_deviations()
        assert len(claims._repr_markdown_().splitlines()) == len(paper.claims) + 2
        assert len(repr(deviations).splitlines()) == 2 * len(paper.deviations)
        shown, _, rest = deviations._repr_markdown_().partition("<details>")
        assert shown.count("\n| ") - 1 == min(3, len(paper.deviations))
        assert rest.count("\n| ") == (len(paper.deviations) - 1 if len(paper.deviations) > 3 else 0)
