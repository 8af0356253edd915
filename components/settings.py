"""Addresses, paths and credentials, read once from the environment by entry points.

Everything a person may set is listed in infra/env.example; tunable numbers live in params.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components.catalog import unknown_key
from components.errors import ConfigError, StateDirectoryError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
PREFIX = "NIGHTFORGE_"
SUPERVISED_VARIABLE = PREFIX + "SUPERVISED"
ERROR_FILE_VARIABLE = PREFIX + "ERROR_FILE"
REFRESH_VARIABLE = PREFIX + "REFRESH"
MLFLOW_VARIABLE = PREFIX + "MLFLOW_URI"
# Set by Nightforge for the processes it starts, not by people.
INTERNAL_VARIABLES = frozenset({SUPERVISED_VARIABLE, ERROR_FILE_VARIABLE, REFRESH_VARIABLE})
ADDRESS = r"^https?://[^@\s?#/]+(/[^@\s?#]*)?$"  # without a name and password in it
ADDRESSES = ("prefect_uri", "mlflow_uri", "mlflow_ui")


class Settings(BaseModel):
    """Where this installation keeps its state and finds its servers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(PROJECT_ROOT / ".nightforge", description="State directory")
    host: str = Field("127.0.0.1", description="Address the embedded servers bind to")
    prefect_port: int = Field(0, ge=0, le=65535, description="Prefect port; 0 picks a free one")
    mlflow_port: int = Field(0, ge=0, le=65535, description="MLflow port; 0 picks a free one")
    params_file: Path = Field(PROJECT_ROOT / "params.yaml", description="Tunable numbers")
    data_dir: Path | None = Field(None, description="Folder searched for raw dataset files first")
    remote: str | None = Field(
        None, description="Where `data push` puts versions: a folder or s3://bucket/prefix"
    )
    sweep_runner: str = Field(
        "local",
        pattern=r"^(local|dask|ray|tcp://.+|tls://.+|ray://.+)$",
        description="Where sweeps' workers run: local processes, a dask or ray cluster of this "
        "machine, or the address of a running one (tcp://host:8786, ray://host:10001)",
    )
    s3_endpoint: str | None = Field(None, description="S3 service other than Amazon's, as a URL")
    s3_region: str | None = Field(None, description="S3 region")
    prefect_uri: str | None = Field(
        None, pattern=ADDRESS, description="Prefect server of a stack, instead of the embedded one"
    )
    mlflow_uri: str | None = Field(
        None, pattern=ADDRESS, description="MLflow server of a stack, instead of the embedded one"
    )
    mlflow_ui: str | None = Field(
        None, pattern=ADDRESS, description="Where browsers find that server, if not at its address"
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Build the settings from `environ` (usually `os.environ`).

        Raises:
            ConfigError: If a variable is unknown or holds an unusable value.
        """
        known = {PREFIX + name.upper() for name in cls.model_fields} | INTERNAL_VARIABLES
        for variable in environ:
            if variable.startswith(PREFIX) and variable not in known:
                raise unknown_key("environment variable", variable, known - INTERNAL_VARIABLES)
        values: dict[str, str] = {
            name: environ[key]
            for name in cls.model_fields
            if environ.get(key := PREFIX + name.upper())
        }
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            field = str(first["loc"][0])
            # Somebody may have put a password into an address; it must not be shown.
            got = "an unusable address" if field in ADDRESSES else repr(first["input"])
            raise ConfigError(
                f"environment variable {PREFIX}{field.upper()}",
                got=got,
                wanted=first["msg"].removeprefix("Input should be "),
                remedy="Correct or unset it; infra/env.example lists every variable.",
            ) from None
        paths = {name: value for name, value in settings if isinstance(value, Path)}
        return settings.model_copy(
            update={name: path.expanduser().resolve() for name, path in paths.items()}
        )

    @property
    def workspace(self) -> Path:
        """The DVC workspace; never the clone, which may be read-only."""
        return self.home / "workspace"

    @property
    def checkpoints(self) -> Path:
        """One folder per training fingerprint."""
        return self.home / "checkpoints"

    @property
    def studies(self) -> Path:
        """One folder for each study of a sweep: its trial log, and checkpoints by trial."""
        return self.home / "studies"

    @property
    def mlflow_store(self) -> Path:
        """The database of the embedded MLflow server."""
        return self.home / "mlflow" / "mlflow.db"

    @property
    def reports(self) -> Path:
        """One JSON summary per flow run, and latest.json."""
        return self.home / "reports"

    @property
    def logs(self) -> Path:
        """What the embedded services print."""
        return self.home / "logs"

    @property
    def lives(self) -> Path:
        """One file for each flow run that is at work: which process it is."""
        return self.home / "run" / "flow_runs"

    @property
    def reconciled(self) -> Path:
        """Touched at each look of the reconciler."""
        return self.home / "run" / "reconciled"

    @property
    def up_since(self) -> Path:
        """Holds the time of the `up` whose crashed runs are to be started again."""
        return self.home / "run" / "up_since"

    def ensure_home(self) -> Path:
        """Create the state directory and prove that it can be written.

        Raises:
            StateDirectoryError: If it cannot be created or written.
        """
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=self.home) as probe:
                probe.write(b"nightforge")
        except OSError as error:
            raise StateDirectoryError(
                f"state directory {self.home}",
                got=error.strerror or str(error),
                wanted="a folder this user may write",
                remedy="Make it writable or point NIGHTFORGE_HOME at another folder.",
            ) from None
        return self.home
