from tests.waiting import comes_true


def test_what_was_so_for_a_moment_came_true() -> None:
    answers = iter([False, True, False])
    assert comes_true(lambda: next(answers))


def test_what_never_is_so_does_not() -> None:
    assert not comes_true(lambda: False, within_s=0.05)
