"""Trainings of several processes for tests: torch is imported once, and each process is a fork."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpusmill.pretrain.metrics import read_metrics

FORKS = """
import json, os, signal, sys, traceback
from corpusmill.errors import MillError
from corpusmill.pretrain.loop import train
import torch.distributed.checkpoint.state_dict_saver, torch._dynamo

ranks, jobs = int(sys.argv[1]), json.loads(sys.argv[2])
os.environ.update(
    MASTER_ADDR="localhost", WORLD_SIZE=str(ranks), TORCHELASTIC_USE_AGENT_STORE="True"
)

def exit_code(job):
    def echo(line):
        print(line, flush=True)
        if job["signal"] and line.startswith(f"step {job['at']}/"):
            os.kill(os.getpid(), job["signal"])

    try:
        train(shards=job["shards"], out=job["out"], config=None, overrides=job["set"], echo=echo)
    except MillError as error:
        print(f"error of rank {os.environ['RANK']}: {error}", flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except SystemExit as leaving:
        return leaving.code
    except BaseException:
        traceback.print_exc()
        return 99
    return 0

for number, job in enumerate(jobs):
    # as with torchrun the store is in a process that outlives those that train
    store = torch.distributed.TCPStore("localhost", 0, None, True, wait_for_workers=False)
    os.environ["MASTER_PORT"] = str(store.port)
    children = {}
    for rank in range(ranks):
        child = os.fork()
        if child == 0:
            os.environ["RANK"] = str(rank)
            code = exit_code(job)
            sys.stderr.flush()
            os._exit(code)
        children[child] = rank
    for _ in range(ranks):
        child, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        print(f"\\ncode {number} {children[child]} {code}", flush=True)
"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training."""

    shards: Path
    out: Path
    settings: Sequence[str]
    signal: int = 0
    """That the first process sends itself, if any."""
    at: int = 0
    """When it has said that this step was taken."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What came of all jobs."""

    codes: dict[tuple[int, int], int]
    """Exit codes by job and rank."""
    said: str
    """By all processes, job after job."""


def run_ranks(ranks: int, jobs: Sequence[Job]) -> Ended:
    """Train one after another with so many processes."""
    listed = [
        {
            "shards": str(job.shards),
            "out": str(job.out),
            "set": list(job.settings),
            "signal": job.signal,
            "at": job.at,
        }
        for job in jobs
    ]
    done = subprocess.run(
        [sys.executable, "-c", FORKS, str(ranks), json.dumps(listed)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=True,
    )
    found = re.findall(r"^code (\d+) (\d+) (-?\d+)$", done.stdout, re.MULTILINE)
    codes = {(int(job), int(rank)): int(code) for job, rank, code in found}
    return Ended(codes=codes, said=done.stdout)


def steps_of(out: Path, name: str = "loss") -> dict[int, Any]:
    """A number of each step, by step."""
    return {row["step"]: row[name] for row in read_metrics(str(out)) if name in row}
