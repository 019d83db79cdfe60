"""Answers that are alike: what is compared, what is listed."""

from course_lib.checks import alike

PLAIN = """def mean(values):
    # add up, then divide
    total = 0
    for value in values:
        total += value
    return total / len(values)
"""
RENAMED = PLAIN.replace("total", "acc").replace("values", "xs").replace("value", "x")
OTHER = "def mean(values):\n    return float(np.mean(np.asarray(values)))\n"


def test_comments_and_layout_do_not_count():
    wide = PLAIN.replace("    # add up, then divide\n", "").replace("    ", "        ")
    assert alike.words(PLAIN) == alike.words(wide)
    assert alike.likeness({"a": PLAIN}, {"a": wide}) == 1


def test_other_names_count_only_as_written():
    written = alike.likeness({"a": PLAIN}, {"a": RENAMED})
    assert written < alike.ALIKE < alike.likeness({"a": PLAIN}, {"a": RENAMED}, renamed=True)
    assert alike.likeness({"a": PLAIN}, {"a": OTHER}, renamed=True) < alike.ALIKE


def test_long_answers_weigh_more():
    same = alike.likeness({"a": PLAIN, "b": "x = 1"}, {"a": PLAIN, "b": "y = 2"})
    assert 0.9 < same < 1
    assert alike.likeness({"a": PLAIN}, {"b": PLAIN}) == 0


def test_what_is_no_python_is_compared_all_the_same():
    assert alike.words("def f(:\n  'open") == ["def", "f(:", "'open"]


def test_pairs_are_listed_from_the_most_alike():
    answers = {
        "ada": {"a": PLAIN, "b": "b = 7"},
        "ben": {"a": RENAMED, "b": "b = 7"},
        "cy": {"a": OTHER, "b": "b = 7"},
        "di": {"a": PLAIN, "b": "b = 8 + 2"},
        "eve": {},
    }
    failed = {"ada": ["b"], "ben": ["b"], "cy": [], "di": ["b"], "eve": ["a", "b"]}
    rows = alike.pairs(answers, failed)
    assert rows[0][:2] == ("ada", "ben") and rows[0][3:] == (1.0, "b")
    assert [row[:2] for row in rows] == [("ada", "ben"), ("ada", "di"), ("ben", "di")]
    assert alike.pairs({"cy": {"a": OTHER}, "di": {"a": PLAIN}}, {"cy": [], "di": []}) == []


def test_a_same_answer_is_wrong_only_if_both_failed():
    answers = {"ada": {"b": "b = 7"}, "ben": {"b": "b = 7"}}
    for failed in ({"ada": [], "ben": ["b"]}, {"ada": ["b"], "ben": []}):
        assert alike.pairs(answers, failed) == [("ada", "ben", 1.0, 1.0, "")]
