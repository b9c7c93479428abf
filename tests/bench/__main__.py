"""``python -m tests.bench [catalogue] [orders] [papers] [workspace] [desk] [history] [importing]``: speed, side by side in one run."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import catalogue, desk, history, importing, orders, papers, workspace

PARTS = {
    "catalogue": catalogue.run,
    "orders": orders.run,
    "papers": papers.run,
    "workspace": workspace.run,
    "desk": desk.run,
    "history": history.run,
    "importing": importing.run,
}


def main(wanted: list[str]) -> None:
    logging.disable(logging.INFO)
    with TemporaryDirectory(prefix="cnn-offset-bench-") as folder:
        for name in wanted or PARTS:
            PARTS[name](Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
