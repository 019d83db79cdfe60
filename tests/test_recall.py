"""The questions that open a chapter: well formed, and their answers are checked as promised."""

from importlib import resources

import pytest

from course_lib import recall

FOLDER = resources.files("course_lib") / "recall_questions"
CHAPTERS = sorted(file.name.removesuffix(".toml") for file in FOLDER.iterdir())


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_three_questions_on_earlier_chapters_that_accept_only_their_answer(chapter, capsys):
    questions = recall.load(chapter)
    assert len(questions) == 3
    for number, question in enumerate(questions, 1):
        assert question["chapter"] < chapter
        assert question["hint"] and question["because"]
        choices = question.get("choices")
        if choices:
            assert question["answer"] in choices and choices == [c.lower() for c in choices]
            wrong = [choice for choice in choices if choice != question["answer"]]
            assert wrong
        else:
            assert type(question["answer"]) is int
            wrong = [question["answer"] + 1]
        for given, start in [(question["answer"], "right: "), *((w, "not yet: ") for w in wrong)]:
            recall.answer(chapter, number, given)
            assert capsys.readouterr().out.startswith(f"{number}. {start}")


def test_every_question_is_printed_with_its_choices(capsys):
    recall.ask("05_vgg")
    printed = capsys.readouterr().out
    for question in recall.load("05_vgg"):
        assert question["text"] in printed
    assert "one of: convolutional, fully connected" in printed


def test_an_open_question_and_a_word_that_is_no_choice(capsys):
    recall.answer("05_vgg", 3)
    recall.answer("05_vgg", 3, "pooling")
    recall.answer("05_vgg", 3, " Fully connected ")
    recall.answer("05_vgg", 1, "5")
    recall.answer("05_vgg", 1, "Five")
    recall.answer("05_vgg", 1, 5.0)
    lines = capsys.readouterr().out.splitlines()
    starts = ["3. open", "3. 'pooling' is not one of", "3. right"]
    starts += ["1. '5' is text; the answer is a whole number", "1. 'Five' is text", "1. right"]
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True))


def test_what_does_not_exist_is_named():
    with pytest.raises(ValueError, match="allowed: .*05_vgg"):
        recall.load("05_vg")
    with pytest.raises(ValueError, match="question 4; allowed: 1 to 3"):
        recall.answer("05_vgg", 4, 1)
