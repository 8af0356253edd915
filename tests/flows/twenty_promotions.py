"""Twenty candidates are promoted at once over real servers; prints what came of it as JSON.

Args: a folder to work in.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

from components.settings import Settings
from flows.connection import job_context

sys.path.append(str(Path(__file__).resolve().parents[1] / "unit" / "jobs"))


def main(folder: Path) -> None:
    """Train nothing: twenty models of known skill, one registered model, twenty threads."""
    connected = job_context(Settings.from_environment(os.environ))  # before prefect is imported
    from matplotlib.figure import Figure
    from toy_night import MODEL, PARAMS, alias, night, toy_context, toy_data, trained

    from components.tracking import figures
    from components.tracking.base import CHAMPION, TrackedRun
    from flows.limits import one_promotion_at_a_time

    for name in ("confusion_figure", "worst_mistakes", "reliability_diagram"):
        setattr(figures, name, lambda *_: Figure())
    params = folder / "params.yaml"
    params.write_text(PARAMS, encoding="utf-8")
    settings = connected.settings.model_copy(update={"params_file": params})
    context, data = replace(connected, settings=settings), toy_data(folder / "prepared")
    skills = [0.80 + 0.009 * number for number in range(19)] + [0.995]
    runs = {skill: trained(context, skill, f"skill {skill:.3f}") for skill in skills}
    order: list[float] = []

    def promote(skill: float, run: TrackedRun) -> None:
        with one_promotion_at_a_time(context.settings, MODEL):
            night(context, run, data)
            order.append(skill)

    threads = [threading.Thread(target=promote, args=pair) for pair in runs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    serial = toy_context(folder / "serial")
    for skill in order:
        night(serial, trained(serial, skill, f"skill {skill:.3f}"), data)
    champion, versions = alias(context, CHAMPION), context.registry.versions(MODEL)
    by_run = {run.run_id: skill for skill, run in runs.items()}
    chosen = [by_run[version.run_id] for version in versions if version.version == champion]
    found = {
        "order": order,
        "champion": chosen[0],
        "serial": order[(alias(serial, CHAMPION) or 0) - 1],
        "champions": sum(CHAMPION in version.aliases for version in versions),
        "best": max(skills),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
