"""Three questions from earlier chapters that open a chapter, asked and checked offline.

They are in recall_questions/<chapter>.toml, one table a question:

    [[questions]]
    chapter = "01_mlp"        where the answer was given
    text = "..."
    answer = 27               an integer, or one of the choices
    choices = ["more", "less"]    only for an answer in words
    hint = "..."              shown after a wrong answer
    because = "..."           shown after the right one
"""

import importlib.resources
import tomllib


def load(chapter):
    """Return a chapter's questions, each a dictionary as above.

    Raises:
        ValueError: the chapter has none; the message lists those that have.
    """
    folder = importlib.resources.files("course_lib") / "recall_questions"
    file = folder / f"{chapter}.toml"
    if not file.is_file():
        known = sorted(f.name.removesuffix(".toml") for f in folder.iterdir())
        raise ValueError(f"no questions for {chapter!r}; allowed: {', '.join(known)}.")
    return tomllib.loads(file.read_text(encoding="utf-8"))["questions"]


def ask(chapter):
    """Print a chapter's questions with their numbers."""
    for number, question in enumerate(load(chapter), 1):
        print(f"{number}. {question['text']}  (from {question['chapter']})")
        if "choices" in question:
            print(f"   one of: {', '.join(question['choices'])}")


def answer(chapter, number, given=None):
    """Check an answer and say why it is right, or what to think of again.

    Args:
        chapter: the chapter that asks, for example "05_vgg".
        number: of the question, from 1.
        given: an integer, or one of the choices; None leaves the question open.

    Raises:
        ValueError: there is no question of that number.
    """
    questions = load(chapter)
    if number not in range(1, len(questions) + 1):
        raise ValueError(f"question {number!r}; allowed: 1 to {len(questions)}.")
    question = questions[number - 1]
    if given is None:
        print(f"{number}. open: put your answer in place of None and run the cell again")
    elif _same(given, question["answer"]):
        print(f"{number}. right: {question['because']}")
    elif isinstance(given, str) and "choices" not in question:
        print(f"{number}. {given!r} is text; the answer is a whole number, without quotes")
    elif isinstance(given, str) and given.strip().lower() not in question["choices"]:
        print(f"{number}. {given!r} is not one of: {', '.join(question['choices'])}")
    else:
        print(f"{number}. not yet: {question['hint']} (chapter {question['chapter']})")


def _same(given, right):
    """Compare numbers by value, words without regard to case and surrounding spaces."""
    if isinstance(right, str):
        return isinstance(given, str) and given.strip().lower() == right
    return not isinstance(given, str | bool) and given == right
