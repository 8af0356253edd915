"""What is trained, and how."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from components.models import kind_of_model
from components.models.network import NetworkConfig
from components.models.spec import ModelKind
from components.training.config import GanConfig, TrainConfig


class Recipe(BaseModel):
    """What is trained, and how; only the parts that the model's kind reads count.

    Attributes:
        model: Key in the catalog of models.
        training: For classifiers and regressors.
        gan: For GANs.
        network: Sizes and options, a section for each model that has any.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    training: TrainConfig = TrainConfig()
    gan: GanConfig = GanConfig()
    network: NetworkConfig = NetworkConfig()

    @property
    def kind(self) -> ModelKind:
        """What the model learns.

        Raises:
            UnknownKeyError: If the catalog has no such model.
        """
        return kind_of_model(self.model)

    @property
    def config(self) -> TrainConfig | GanConfig:
        """The numbers of the loop that trains it."""
        return self.gan if self.kind.gan else self.training

    def params(self) -> dict[str, object]:
        """What counts, under the names of params.yaml."""
        section = "gan" if self.kind.gan else "training"
        options = self.network.of(self.model)
        network = {"network": {self.model: options}} if options else {}
        return {"model": self.model, section: self.config.model_dump(mode="json"), **network}
