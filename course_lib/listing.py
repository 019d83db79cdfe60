"""Source code as a chapter prints it: the lines that compute."""

import ast
import inspect
import textwrap


class Listing(str):
    """Lines of source: coloured in a notebook, plain in a terminal."""

    def __repr__(self):
        return str(self)

    def _repr_markdown_(self):
        return f"```python\n{self}\n```"


def _left_out(statement):
    """Say whether a statement only checks an argument: it raises, or calls `check_...`."""
    if isinstance(statement, ast.If) and not statement.orelse:
        return all(isinstance(inner, ast.Raise) for inner in statement.body)
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and ast.unparse(call.func).startswith("check_")


def show(*objects):
    """Return the source of functions or classes, without docstrings and checks of arguments.

    Args:
        objects: functions, methods or classes, in the order of the listing.
    """
    parts = []
    for thing in objects:
        source = textwrap.dedent(inspect.getsource(thing))
        lines = source.splitlines()
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                continue
            gone = [one for one in node.body if _left_out(one)]
            if ast.get_docstring(node) is not None:
                gone.append(node.body[0])
            for one in gone:
                lines[one.lineno - 1 : one.end_lineno] = [None] * (one.end_lineno - one.lineno + 1)
        kept = [line for line in lines if line is not None]
        parts.append("\n".join(kept).rstrip())
    return Listing("\n\n\n".join(parts))
