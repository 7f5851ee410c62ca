"""Two processes train one model: PyTorch's launcher, real processes, gloo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import models

PROGRAM = """
import json, os, sys
from pathlib import Path
import numpy as np
import torch
from models.ganomaly import Architecture
from models.train import train
from models.training_config import TrainConfig
from models.training_run import TrainingRun

torch.set_num_threads(1)
folder = Path(sys.argv[1])
rank, how = os.environ["RANK"], sys.argv[3]
seed = int(rank) if how == "own pictures" else 0
pictures = np.random.default_rng(seed).integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
config = TrainConfig(architecture=Architecture(size=32, nz=8, ngf=4), batch=8, max_steps=6, minutes=None,
                     evaluate_every=3, average=0.5, device="cpu", precision="fp32",
                     patience=3 if how == "own losses" else None)
if how == "own losses":  # the second process finds each look better than the one before, the first does not
    looks = iter(range(9))
    TrainingRun._loss = lambda *_: 9.0 - next(looks) if rank == "1" else 9.0
seen = []
kept = {}
loop = TrainingRun.loop

def watched(run, *args):
    step = run.method.step
    def spy(x):
        seen.append(x.shape[0])
        return step(x)
    run.method.step = spy
    ended = loop(run, *args)
    kept["rank"] = run.together.rank
    kept["trained"] = [float(p.double().abs().sum()) for p in run.method.parameters()]
    return ended

TrainingRun.loop = watched
stop = int(sys.argv[2])
def asked():
    return kept.get("asks", 0) and len(seen) >= stop
kept["asks"] = rank == "1" and stop
def interrupted(progress):
    if how == "interrupt" and rank == "1" and progress.step == 2:
        raise KeyboardInterrupt
result = train(pictures, config, folder / "model.safetensors", interrupted, should_stop=lambda: bool(asked()))
(folder / f"rank{kept['rank']}.json").write_text(json.dumps({
    "trained": kept["trained"], "shares": seen, "steps": result.steps, "stopped": result.stopped,
    "scores": result.scores.tolist()}))
"""


def launched(folder: Path, stop: int = 0, how: str = "") -> subprocess.CompletedProcess[str]:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*launcher, str(program), str(folder), str(stop), how],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(models.__file__).parents[1])},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def together(folder: Path, stop: int = 0, how: str = "") -> list[dict[str, object]]:
    done = launched(folder, stop, how)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.slow
def test_both_end_with_the_same_weights_from_half_of_each_batch(tmp_path: Path) -> None:
    one, other = together(tmp_path)
    assert one["trained"] == other["trained"]
    assert one["shares"] == other["shares"] == [4] * 6
    assert one["scores"] == other["scores"]
    assert (one["stopped"], one["steps"]) == ("budget", 6)
    assert sorted(p.name for p in tmp_path.glob("model*")) == [
        "model.log.csv",
        "model.safetensors",
        "model.safetensors.resume",
    ]


@pytest.mark.slow
def test_what_one_is_asked_all_do(tmp_path: Path) -> None:
    one, other = together(tmp_path, stop=2)
    assert (one["stopped"], other["stopped"]) == ("asked", "asked")
    assert one["steps"] == other["steps"] == 2
    assert one["trained"] == other["trained"]


@pytest.mark.slow
def test_one_that_waits_for_nothing_better_ends_all(tmp_path: Path) -> None:
    one, other = together(tmp_path, how="own losses")
    assert (one["stopped"], other["stopped"]) == ("no better", "no better")
    assert one["steps"] == other["steps"] == 6


@pytest.mark.slow
@pytest.mark.parametrize(("how", "told"), [("own pictures", "given different pictures"), ("interrupt", "")])
def test_what_cannot_be_agreed_ends_with_an_error(tmp_path: Path, how: str, told: str) -> None:
    done = launched(tmp_path, how=how)
    assert done.returncode != 0 and told in done.stderr
