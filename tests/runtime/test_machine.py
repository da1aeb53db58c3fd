"""What control groups leave to a process: its threads, and the memory of its blobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime._ncnn import default_threads, memory_limit

MB = 1 << 20


def machine(root: Path, groups: str, **files: str) -> str:
    """A /proc and a /sys of this content; names of files with __ for /."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("max", ".max")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


def first_version(root: Path, groups: str, folder: str, files: dict[str, str]) -> str:
    path = machine(root, groups)
    (root / "sys/fs/cgroup" / folder).mkdir(parents=True)
    for name, text in files.items():
        (root / "sys/fs/cgroup" / folder / name).write_text(text)
    return path


def test_no_group_limits_nothing(tmp_path: Path) -> None:
    assert default_threads(str(tmp_path)) >= 1
    free = machine(tmp_path / "free", "0::/\n", cpumax="max 100000\n", memorymax="max\n")
    assert default_threads(free) == default_threads(str(tmp_path))
    assert memory_limit(free) == memory_limit(str(tmp_path)) > 64 * MB


@pytest.mark.parametrize("quota", ["100000 100000", "5000 100000", "90000 90000"])
def test_a_quota_of_one_core_or_less_is_one_thread(tmp_path: Path, quota: str) -> None:
    assert default_threads(machine(tmp_path, "0::/\n", cpumax=quota)) == 1


def test_a_part_of_a_core_is_a_thread(tmp_path: Path) -> None:
    free = default_threads(str(tmp_path / "nowhere"))
    assert default_threads(machine(tmp_path, "0::/\n", cpumax="150000 100000")) == min(2, free)


def test_the_group_itself_and_all_around_it(tmp_path: Path) -> None:
    inner = machine(
        tmp_path / "a", "0::/slice/unit\n", slice__unit__cpumax="100000 100000", slice__unit__memorymax="1048576"
    )
    outer = machine(tmp_path / "b", "0::/slice/unit\n", slice__cpumax="50000 100000", slice__memorymax="2097152")
    other = machine(
        tmp_path / "c", "0::/slice/unit\n", slice__more__cpumax="50000 100000", slice__more__memorymax="2097152"
    )
    assert [(default_threads(root), memory_limit(root)) for root in (inner, outer)] == [(1, MB), (1, 2 * MB)]
    free = str(tmp_path / "nowhere")
    assert (default_threads(other), memory_limit(other)) == (default_threads(free), memory_limit(free))


def test_a_group_beside_the_mount_has_the_limits_at_its_top(tmp_path: Path) -> None:
    assert default_threads(machine(tmp_path, "0::/../../other\n", cpumax="100000 100000")) == 1


def test_without_a_name_of_the_group(tmp_path: Path) -> None:
    root = Path(machine(tmp_path, "", cpumax="100000 100000", memorymax="1048576"))
    (root / "proc/self/cgroup").unlink()
    assert (default_threads(str(root)), memory_limit(str(root))) == (1, MB)


def test_the_first_version(tmp_path: Path) -> None:
    groups = "4:cpu,cpuacct:/docker/5f\n3:memory:/docker/5f\n2:cpuset:/\n0::/\n"
    cpu = {"cpu.cfs_quota_us": "100000", "cpu.cfs_period_us": "100000"}
    free = str(tmp_path / "nowhere")
    for number, folder in enumerate(("cpu,cpuacct", "cpu", "cpu,cpuacct/docker/5f", "cpu/docker", "cpuacct/docker/5f")):
        assert default_threads(first_version(tmp_path / str(number), groups, folder, cpu)) == 1, folder
    none = first_version(tmp_path / "none", groups, "cpu", {**cpu, "cpu.cfs_quota_us": "-1"})
    assert default_threads(none) == default_threads(free)
    memory = first_version(tmp_path / "memory", groups, "memory/docker/5f", {"memory.limit_in_bytes": "1048576"})
    assert memory_limit(memory) == MB
    unlimited = {"memory.limit_in_bytes": "9223372036854771712"}
    assert memory_limit(first_version(tmp_path / "more", groups, "memory", unlimited)) == memory_limit(free)


def test_what_is_no_number_limits_nothing(tmp_path: Path) -> None:
    free = str(tmp_path / "nowhere")
    broken = machine(tmp_path, "0::\n:\nnonsense\n7:cpu\n0:::::\n", cpumax="-5 0", memorymax="many")
    assert (default_threads(broken), memory_limit(broken)) == (default_threads(free), memory_limit(free))
