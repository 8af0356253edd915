"""Whether there is a GPU is answered without PyTorch where there can be none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ASK = """
import sys
from pathlib import Path
from flows import limits
limits.GPU_DEVICES = (Path(sys.argv[1]),)
found = limits.on_gpus()
if "torch" in sys.modules:
    import torch
    assert found == torch.cuda.is_available()
else:
    assert not found
print("torch" in sys.modules)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="devices are files on Linux alone")
@pytest.mark.parametrize("there", [True, False])
def test_pytorch_is_loaded_only_where_a_gpu_may_be(tmp_path: Path, there: bool) -> None:
    device = tmp_path / "nvidiactl"
    if there:
        device.touch()
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(device)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(there)
