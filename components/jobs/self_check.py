"""Does this machine compute correctly? It has to show that once."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import socket
import time
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from components.errors import SelfCheckError
from components.jobs.context import git_commit
from components.settings import Settings

FOLDER = "self_checks"
PACKAGES = ("torch", "numpy")
BOOT = Path("/proc/sys/kernel/random/boot_id")  # the same in all containers of a machine
IN_CONTAINER = (Path("/.dockerenv"), Path("/run/.containerenv"))
NVIDIA = Path("/proc/driver/nvidia")  # where Linux names the driver and each GPU
STABLE = ("NVRM version:", "Model:", "GPU Firmware:")  # of its lines; interrupts may change


class Finding(BaseModel):
    """One quantity, and the most it may be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    value: float
    limit: float

    @property
    def passed(self) -> bool:
        """Whether the value is within the limit; NaN is not."""
        return self.value <= self.limit


class SelfCheck(BaseModel):
    """What a machine computed, and how long it took."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    worker: str = Field(description="Host, device and versions")
    findings: tuple[Finding, ...]
    seconds: float
    skipped: str | None = Field(None, exclude=True)


def self_check(settings: Settings, *, force: bool = False) -> SelfCheck:
    """Check this machine, unless the same host, device, packages and code passed before.

    Args:
        settings: The state directory keeps what passed.
        force: Check in any case.

    Raises:
        SelfCheckError: If a quantity is beyond its limit.
    """
    worker = describe_worker()
    kept = settings.home / FOLDER / f"{hashlib.sha256(worker.encode()).hexdigest()[:16]}.json"
    if kept.exists() and not force:
        before = SelfCheck.model_validate_json(kept.read_text(encoding="utf-8"))
        return before.model_copy(update={"skipped": "this worker passed before"})
    from components.jobs.known_problems import solve  # PyTorch takes seconds, every night

    start = time.perf_counter()
    findings = solve()
    check = SelfCheck(worker=worker, findings=findings, seconds=time.perf_counter() - start)
    if wrong := [finding for finding in findings if not finding.passed]:
        raise SelfCheckError(
            f"self-check of {worker}",
            got="; ".join(f"{f.what} {f.value:.4g}" for f in wrong),
            wanted="; ".join(f"at most {f.limit:g}" for f in wrong),
            remedy="Do not train here: check the packages, the driver and the memory of this host.",
        )
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(check.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return check


def describe_worker() -> str:
    """Host, devices, and what decides the arithmetic on them; without loading PyTorch."""
    return json.dumps(
        {
            "host": _host(),
            "machine": platform.machine(),
            "processors": os.cpu_count(),
            "gpus": describe_gpus(),
            **{package: version(package) for package in PACKAGES},
            "code": git_commit(),
        },
        sort_keys=True,
    )


def _host() -> str:
    """The machine's name; in a container, which has a new one each time, its machine's boot."""
    contained = "KUBERNETES_SERVICE_HOST" in os.environ or any(f.exists() for f in IN_CONTAINER)
    return BOOT.read_text("ascii").strip() if contained and BOOT.exists() else socket.gethostname()


def describe_gpus() -> list[str]:
    """The NVIDIA driver's version, each GPU's model and firmware, and which are to be seen."""
    files = [NVIDIA / "version", *sorted(NVIDIA.glob("gpus/*/information"))]
    lines = [line for f in files if f.exists() for line in f.read_text("utf-8").splitlines()]
    found = [" ".join(line.split()) for line in lines if line.startswith(STABLE)]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return [*found, f"visible: {visible}"] if found and visible is not None else found
