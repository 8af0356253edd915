"""Several command lines in one process, which imports everything once; prints what came of each.

Args: a JSON list of lists of arguments.
"""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout

from flows import cli


def main(commands: list[list[str]]) -> None:
    """Run one after the other; none of them sees what another changed in the environment."""
    environment, found = dict(os.environ), []
    for arguments in commands:
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["nightforge", *arguments]
        out, err, code = io.StringIO(), io.StringIO(), 0
        with redirect_stdout(out), redirect_stderr(err):
            try:
                cli.main()
            except SystemExit as ended:
                code = int(ended.code or 0)
        found.append({"code": code, "stdout": out.getvalue(), "stderr": err.getvalue()})
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
