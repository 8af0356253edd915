"""A worker process of a sweep, told on standard input where its coordinator is.

It imports torch before it is told, and says IMPORTED on standard output; then it opens the data
once, says READY, and trains segment after segment. It ends with 0 at the end of the study, or when
who would have told it is gone.
"""

from __future__ import annotations

import json
import os
import sys

import torch

from components.errors import CheckpointError, DataError, NightforgeError
from components.jobs.learners import Trainee
from components.jobs.trial_processes import IMPORTED, READY
from components.jobs.trials import TrialEnded, TrialSetup, TrialTrainer
from components.tuning.coordinator import Address, Worker


def main() -> None:
    """Work until the study is over."""
    os.write(1, f"{IMPORTED}\n".encode())
    if not (line := sys.stdin.readline()):
        return
    told = json.loads(line)
    torch.set_num_threads(told["threads"])
    if torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(told["share"])
    worker = Worker(Address(**told["address"]))
    setup = TrialSetup.model_validate(worker.setup)
    trainer = TrialTrainer(setup, Trainee(setup.directory))
    os.write(1, f"{READY}\n".encode())
    while segment := worker.claim():
        try:
            trainer.train(segment, worker)
        except TrialEnded:
            continue
        except (CheckpointError, DataError) as error:  # so it would be for every trial
            worker.fatal(error)
        except NightforgeError as error:
            worker.failed(str(error))
        except Exception as error:  # this process may be harmed: another one goes on
            worker.failed(f"{type(error).__name__}: {error}")
            raise
        else:
            worker.done()


if __name__ == "__main__":
    main()
