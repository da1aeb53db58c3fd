"""benchmarks.real: in turn, the first round left out."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.real import in_turn


def test_in_turn_and_warm() -> None:
    calls: list[str] = []

    def make(name: str) -> Callable[[int], Callable[[], None]]:
        return lambda threads: lambda: calls.append(f"{name}{threads}")

    found = in_turn({"a": make("a"), "b": make("b")}, threads=2, rounds=2)
    assert calls == ["b1", "a1", "a1", "b1", "b1", "a1", "b2", "a2", "a2", "b2", "b2", "a2"]
    assert set(found) == {"a", "b"} and all(set(times) == {"cpu", "wall"} for times in found.values())
