"""DVC's command line, which is its stable interface, run in one folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import components.errors
from components.errors import DataError, NightforgeError, VersioningError
from components.settings import ERROR_FILE_VARIABLE, PREFIX, PROJECT_ROOT, Settings

OnLine = Callable[[str], None]


class Dvc:
    """Runs `dvc` in a workspace, with the project's settings in its environment."""

    def __init__(self, root: Path, settings: Settings) -> None:
        self._root, self._settings = root, settings

    def run(
        self,
        arguments: list[str],
        on_line: OnLine | None = None,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Run a command to its end and return what it printed.

        Args:
            arguments: After `dvc`; the command waits for the repository's lock.
            on_line: Receives the output line by line.
            variables: Added to the environment of the stages.

        Raises:
            DataError: What a stage found, as the stage said it.
            VersioningError: If DVC itself fails.
        """
        note = self._root / ".stage-error.json"
        note.unlink(missing_ok=True)
        environment = {**self._environment(note), **variables}
        code, output = self._call(["--wait-for-lock", *arguments], on_line, environment)
        if code != 0:
            raise _stage_error(note) or _dvc_error(" ".join(arguments), code, output)
        return output

    def _call(
        self, arguments: list[str], on_line: OnLine | None, environment: Mapping[str, str]
    ) -> tuple[int, str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=self._root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        lines = []
        with process:
            for line in process.stdout:
                lines.append(line)
                if on_line and line.strip():
                    on_line(line.rstrip())
        return process.returncode, "".join(lines)

    def _environment(self, note: Path) -> dict[str, str]:
        return {
            **os.environ,
            **environment_of(self._settings),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self._settings.home / "dvc-site"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            # Not the mirrored sources in the workspace, whatever a relative entry may say.
            "PYTHONPATH": str(PROJECT_ROOT),
            # Other S3 services than Amazon's do not know the newer checksums.
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
            ERROR_FILE_VARIABLE: str(note),
        }


def _stage_error(path: Path) -> NightforgeError | None:
    if not path.exists():
        return None
    kind, subject, got, wanted, remedy = json.loads(path.read_text("utf-8"))
    error: DataError = getattr(components.errors, kind)(
        subject, got=got, wanted=wanted, remedy=remedy
    )
    return error


def _dvc_error(command: str, code: int, output: str) -> VersioningError:
    lines = [line.strip() for line in output.splitlines() if line.startswith("ERROR")]
    return VersioningError(
        f"dvc {command}",
        got=f"exit status {code} ({' '.join(lines)[-300:] or 'no message'})",
        wanted="exit status 0",
        remedy="Run the same command in the workspace folder to see more.",
    )


def environment_of(settings: Settings) -> dict[str, str]:
    """The settings as a child process reads them back."""
    values = settings.model_dump(mode="json", exclude_none=True)
    return {PREFIX + name.upper(): str(value) for name, value in values.items()}
