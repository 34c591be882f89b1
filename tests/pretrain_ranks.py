"""Trainings of several processes for tests: torch is imported once, and each process is a fork."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corpusmill.pretrain.metrics import read_metrics

FORKS = """
import json, os, sys, traceback
from corpusmill.errors import MillError
from corpusmill.pretrain.loop import train

def work(rank, ranks, jobs):
    codes = []
    for port, shards, out, overrides in jobs:
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(ranks), MASTER_PORT=str(port))
        code = 0
        try:
            train(shards=shards, out=out, config=None, overrides=overrides, echo=print)
        except MillError as error:
            code = error.exit_code
            print(f"rank {rank}: {error}")
        except SystemExit as ending:
            code = ending.code
        codes.append(code)
    return codes

ranks, jobs = int(sys.argv[1]), json.loads(sys.argv[2])
import torch.distributed.checkpoint.state_dict_saver, torch._dynamo
os.environ["MASTER_ADDR"] = "localhost"
children = []
for rank in range(ranks):
    child = os.fork()
    if child == 0:
        try:
            codes = work(rank, ranks, jobs)
            print(f"codes of rank {rank}: {codes}")
            sys.stdout.flush()
            os._exit(int(any(codes)))
        except BaseException:
            traceback.print_exc()
            os._exit(9)
    children.append(child)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def run_ranks(ranks: int, jobs: Sequence[tuple[Path, Path, Sequence[str]]]) -> tuple[int, str]:
    """Train each (shards, folder, settings) with so many processes; exit code, and what was said.

    The exit code is 0 when all went well in all processes.
    """
    listed = [
        (_free_port(), str(shards), str(out), list(overrides)) for shards, out, overrides in jobs
    ]
    done = subprocess.run(
        [sys.executable, "-c", FORKS, str(ranks), json.dumps(listed)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        port: int = taken.getsockname()[1]
        return port


def steps_of(out: Path, name: str = "loss") -> dict[int, Any]:
    """A number of each step, by step."""
    return {row["step"]: row[name] for row in read_metrics(str(out)) if name in row}
