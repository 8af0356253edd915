"""Ask for a place on GPUs that this machine need not have, over real servers."""

from __future__ import annotations

import os

from components.settings import Settings
from flows.connection import job_context

if __name__ == "__main__":
    settings = job_context(Settings.from_environment(os.environ)).settings
    from flows import limits

    limits.on_gpus = lambda: True
    with limits.training_slot(settings):
        pass
