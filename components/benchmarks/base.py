"""What a benchmark reports: both sides' figures, their ratio, and where they were measured."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, get_type_hints

from pydantic import BaseModel, ConfigDict

from components.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 110
SECONDS = "seconds: "
PACKAGES = ("torch", "torchvision", "numpy", "d2l", "optuna", "ray", "transformers")


class Drawable(Protocol):
    """A result with a picture."""

    def figure(self) -> Figure:
        """Draw it."""


def refuse_undrawable(name: str, benchmark: Callable[..., BaseModel], path: Path) -> None:
    """Refuse a picture that cannot be made, before the benchmark takes its minutes.

    Raises:
        ConfigError: If the benchmark's result has no picture, or there is no such format.
    """
    from matplotlib.figure import Figure

    formats = Figure().canvas.get_supported_filetypes()
    if not hasattr(get_type_hints(benchmark)["return"], "figure"):
        got, wanted = "a benchmark without a picture", "one that can be drawn"
    elif path.suffix.removeprefix(".") not in formats:
        got, wanted = f"the file name {path}", f"a name that ends with .{', .'.join(formats)}"
    else:
        return
    raise ConfigError(
        f"bench {name} --figure",
        got=got,
        wanted=wanted,
        remedy="Leave --figure out, or draw `nightforge bench gate --figure gate.png`.",
    )


def save_figure(result: BaseModel, path: Path) -> None:
    """Draw a result that `refuse_undrawable` let pass."""
    cast(Drawable, result).figure().savefig(path, dpi=DOTS_PER_INCH)


class Side(BaseModel):
    """One contestant; seconds of each counted round, in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    seconds: tuple[float, ...]
    median: float


class BenchmarkResult(BaseModel):
    """A comparison; `ratio` is the median over the rounds of reference seconds / our seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str
    what: str
    ratio: float
    ratios: tuple[float, ...]
    n: int
    reference: Side
    ours: Side
    hardware: str
    versions: dict[str, str]


def compare(
    benchmark: str,
    what: str,
    reference: tuple[str, Sequence[float]],
    ours: tuple[str, Sequence[float]],
) -> BenchmarkResult:
    """Build the result from two equally long series of seconds, taken in turn."""
    ratios = tuple(a / b for a, b in zip(reference[1], ours[1], strict=True))
    return BenchmarkResult(
        benchmark=benchmark,
        what=what,
        ratio=statistics.median(ratios),
        ratios=ratios,
        n=len(ratios),
        reference=_side(*reference),
        ours=_side(*ours),
        hardware=hardware(),
        versions=versions(),
    )


class Contestant:
    """One side of a benchmark in a process of its own, so that neither tunes the other.

    Not through multiprocessing: inside its children the reference's data loader, which forks
    workers itself, takes five times as long as in a program of its own.

    Args:
        make: "module:function", called there with `root`; returns the work to be timed.
        root: A folder with the data.

    Attributes:
        peak_bytes: Largest resident memory of the process until the last run's end.
    """

    peak_bytes = 0

    def __init__(self, make: str, root: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "components.benchmarks.side", make, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self) -> float:
        """Run the work once; wall-clock seconds.

        Raises:
            ConfigError: If the process could not do it; it has said why on its error output.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("run\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith(SECONDS):
                seconds, peak = line.removeprefix(SECONDS).split()
                self.peak_bytes = int(peak)
                return float(seconds)
        raise ConfigError(
            "benchmark",
            got=f"exit status {self._process.wait()} of one side",
            wanted="its seconds",
            remedy="Its message stands above; the references are installed by `make setup-bench`.",
        )

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def _side(name: str, seconds: Sequence[float]) -> Side:
    return Side(name=name, seconds=tuple(seconds), median=statistics.median(seconds))


def require_gpu() -> None:
    """Refuse a benchmark that says nothing about a CPU.

    Raises:
        ConfigError: If there is no GPU.
    """
    import torch

    if not torch.cuda.is_available():
        raise ConfigError(
            "benchmark",
            got="a machine without a CUDA device",
            wanted="one with a GPU",
            remedy="Run the benchmark of the same name that ends in -cpu.",
        )


def hardware() -> str:
    """GPU if there is one, processor, and the number of cores this process may use."""
    import torch

    model = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    processor = f"{model}, {len(os.sched_getaffinity(0))} cores"
    if not torch.cuda.is_available():
        return processor
    return f"{torch.cuda.get_device_name()}, {processor}"


def versions() -> dict[str, str]:
    """Python and the packages that decide the figures."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
