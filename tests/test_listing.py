from course_lib import convolution, ilsvrc, listing, mlp


def test_a_listing_holds_the_lines_that_compute_and_no_others():
    assert str(listing.show(mlp.loss)).splitlines() == [
        "def loss(logits, labels):",
        "    n, classes = logits.shape",
        "    return -log_softmax(logits)[np.arange(n), labels].mean()",
    ]


def test_comments_stay_and_several_functions_follow_each_other():
    shown = str(listing.show(mlp.log_softmax, mlp.backward))
    assert "# changes no probability" in shown
    assert shown.count("def ") == 2 and '"""' not in shown


def test_an_if_that_does_more_than_raise_stays():
    def pick(x):
        """Choose."""
        if x < 0:
            raise ValueError(x)
        if x > 1:
            x = 1
        for part in range(2):
            if part:
                raise RuntimeError
        return x

    assert str(listing.show(pick)).splitlines() == [
        "def pick(x):",
        "    if x > 1:",
        "        x = 1",
        "    for part in range(2):",
        "        if part:",
        "            raise RuntimeError",
        "    return x",
    ]


def test_what_is_left_still_runs():
    names = {"np": mlp.np, "log_softmax": mlp.log_softmax}
    exec(str(listing.show(mlp.loss)), names)
    logits, labels = mlp.np.eye(3), mlp.np.arange(3)
    assert names["loss"](logits, labels) == mlp.loss(logits, labels)
    for whole in (mlp.MLP, convolution.ConvNet, convolution.conv2d, ilsvrc.ten_crops):
        compile(str(listing.show(whole)), "listing", "exec")


def test_a_notebook_colours_it_and_a_terminal_does_not():
    shown = listing.show(mlp.step)
    assert shown._repr_markdown_() == f"```python\n{shown}\n```"
    assert repr(shown) == str(shown)
