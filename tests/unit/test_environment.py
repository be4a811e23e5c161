"""set-environment and unset-environment."""

from __future__ import annotations

import pytest

from unitd.manager.environment import BadVariable, changed, without


def test_variables_come_and_go() -> None:
    given = changed({"A": "1"}, ["B=a b", "A=2", "C="])
    assert given == {"A": "2", "B": "a b", "C": ""}
    assert without(given, ["A=1", "B", "C=", "D"]) == {"A": "2"}


@pytest.mark.parametrize("word", ["bad", "1X=3", "=x", "a b=1", "A=\x01", ""])
def test_what_is_no_assignment(word: str) -> None:
    with pytest.raises(BadVariable, match="Invalid environment assignments"):
        changed({}, ["OK=1", word])


@pytest.mark.parametrize("word", ["1X", "a b", "", "=x"])
def test_what_is_no_name(word: str) -> None:
    with pytest.raises(BadVariable, match="Invalid environment variable names or assignments"):
        without({"A": "1"}, [word])
