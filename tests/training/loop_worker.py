"""One rank of a gloo group that trains: RANK SIZE PORT DATASET OUT, settings on standard input."""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from dataset.store import ImageDataset
from foundation.workers import World
from training.loop import train
from training.run_settings import RunSettings

rank, size, port, dataset, out = sys.argv[1:]
os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
torch.set_num_threads(1)
dist.init_process_group("gloo", rank=int(rank), world_size=int(size))
settings = RunSettings.model_validate_json(sys.stdin.read())
train(settings, ImageDataset(Path(dataset)), Path(out), World.current("cpu"))
dist.destroy_process_group()
