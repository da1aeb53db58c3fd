"""Open sizes against Python's integers: what is computed, compared and written of names is right for every value."""

from __future__ import annotations

import math
import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncnn_builder.errors import BuildError
from ncnn_builder.open_shapes import evaluated, evaluated_text, matched, parsed, shape_at, solved
from ncnn_builder.sizes import OpenSizeError, Size, is_open, least, most, names_of, open_size

BOUNDS = {"h": (2, None), "w": (1, 40), "n": (5, 9)}
NAMES = {name: open_size(name, *bounds) for name, bounds in BOUNDS.items()}
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}
values = st.fixed_dictionaries(
    {name: st.integers(low, 200 if high is None else high) for name, (low, high) in BOUNDS.items()}
)
trees = st.recursive(
    st.sampled_from(sorted(NAMES)) | st.integers(-9, 9),
    lambda part: st.tuples(st.sampled_from(sorted(OPERATORS)), part, part),
    max_leaves=8,
)


def computed(tree: Any, names: Any) -> Any:
    if isinstance(tree, tuple):
        return OPERATORS[tree[0]](computed(tree[1], names), computed(tree[2], names))
    return names[tree] if isinstance(tree, str) else tree


def of_names(tree: Any) -> Any:
    """The size; None where a divisor may be 0 or less."""
    try:
        return computed(tree, NAMES)
    except (OpenSizeError, ZeroDivisionError):
        return None


@given(trees, values)
@settings(max_examples=300, deadline=None)
def test_it_computes_as_python_does(tree: Any, at: dict[str, int]) -> None:
    n = of_names(tree)
    if n is None:
        return
    expected = computed(tree, at)
    assert evaluated(n, at) == expected
    assert evaluated_text(str(n), at) == expected
    low, high = least(n), most(n)
    assert (low is None or low <= expected) and (high is None or expected <= high)
    assert isinstance(n, Size) == bool(names_of(n))
    assert pickle.loads(pickle.dumps(n)) == n


@given(trees, trees, values)
@settings(max_examples=200, deadline=None)
def test_what_it_decides_holds_for_all_values(a: Any, b: Any, at: dict[str, int]) -> None:
    m, n = of_names(a), of_names(b)
    if m is None or n is None:
        return
    x, y = computed(a, at), computed(b, at)
    if m == n:
        assert x == y and hash(m) == hash(n)
    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        try:
            decided = compare(m, n)
        except OpenSizeError:
            continue
        assert decided == compare(x, y)


@given(trees, trees, st.integers(1, 7))
@settings(max_examples=150, deadline=None)
def test_equal_ways_are_equal(a: Any, b: Any, k: int) -> None:
    """The normal form: sums in any order, what cancels, a factor on both sides of a division."""
    m, n = of_names(a), of_names(b)
    if m is None or n is None:
        return
    assert m + n == n + m and m * n == n * m and m - m == 0 and (m + n) - n == m and k * (m + n) == k * m + k * n
    assert (k * m) // k == m and (k * m + k - 1) // k == m and (m + k * n) // k == m // k + n
    assert m % k == (m + k * n) % k
    if "//" not in str(m):
        assert (m // 2) // 3 == m // 6
    if (least(n) or 0) > 0:
        assert (m * n) // n == m


H, W, N = NAMES["h"], NAMES["w"], NAMES["n"]


def test_what_is_decided() -> None:
    assert H > 1 and H >= 2 and H * W >= H and not H < 2 and W <= 40 and H != W and H != 2 and open_size("h") == H
    assert H - 2 * (H // 2) >= 0 and H - 2 * (H // 2) <= 1 and 2 * ((H - 1) // 2 + 1) >= H
    assert (3 * H * W) // W == 3 * H and (H * W) % H == 0 and (8 * H) % 8 == 0 and (H + 2 * 1 - 3) // 1 + 1 == H
    assert max(H, 1) == H and min(H * N, H) == H and math.prod((3, H, W)) == 3 * H * W and sum([H, W, 1]) == H + W + 1
    assert (H - H, type(H - H)) == (0, int) and is_open((3, H)) and not is_open((3, 4))
    assert shape_at((3, 8 * H, H // 2), {"h": 5}) == (3, 40, 2)


NUMBERS = [int, float, range, math.ceil, lambda n: [0, 1][n], lambda n: n / 2, lambda n: 2 / n]
FLOATS = [lambda n: 0.5 * n, lambda n: n + 0.5, lambda n: n // 0.5, lambda n: n < 0.5, lambda n: np.float32(2) - n]


@pytest.mark.parametrize("ask", [*NUMBERS, *FLOATS])
def test_no_number_is_made_of_it(ask: Callable[[Any], Any]) -> None:
    with pytest.raises(OpenSizeError, match=r"known only when the net runs; got h\. ") as caught:
        ask(H)
    assert caught.value.fix


@pytest.mark.parametrize("ask", [lambda: H < 5, lambda: H <= 5, lambda: H < W, lambda: bool(H - 3), lambda: max(H, W)])
def test_what_depends_on_the_size_is_an_error(ask: Callable[[], Any]) -> None:
    with pytest.raises(OpenSizeError, match=r"whether .* depends on the size.* h from 2") as caught:
        ask()
    assert "bounds" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("text", "size", "bounds"),
    [("h", "h", (2, None)), ("8*h", "8*h", (2, None)), ("h=64..512", "h", (64, 512)), ("8*h = 64..", "8*h", (8, None))],
)
def test_sizes_from_text(text: str, size: str, bounds: tuple[int, int | None]) -> None:
    n = parsed(text)
    assert str(n) == size
    (name,) = names_of(n)
    assert (name.least, name.most) == bounds


@pytest.mark.parametrize("text", ["", "8", "h*w", "h=", "h=0..1", "h=9..4", "h=4..4", "-h", "h 2", "h//2"])
def test_text_that_is_no_size(text: str) -> None:
    with pytest.raises(BuildError, match=r"bad (size|bounds)"):
        parsed(text)


def test_the_names_of_a_shape_are_found() -> None:
    found: dict[str, int] = {}
    matched((3, 8 * H, W + 1), (3, 40, 10), found)
    assert found == {"h": 5, "w": 9}
    for shape in ((3, 41, 10), (4, 40, 10), (3, 40, 42), (3, 8, 10), (3, 40), (3, 48, 10)):
        with pytest.raises(BuildError, match=r"not a shape .* h from 2, w from 1 to 40"):
            matched((3, 8 * H, W + 1), shape, dict(found) if shape == (3, 48, 10) else {})
    (name,) = names_of(H)
    assert solved(8 * H + 8, name, 8 * W + 16) == W + 1 and solved(H * H, name, 4) is None
