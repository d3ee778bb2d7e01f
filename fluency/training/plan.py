"""The plan of a training: what runs on which devices, so that an experiment stays the same on any of them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import yaml

from fluency.model.device import gpu_has_bf16
from fluency.training.params import TrainParams
from fluency.utils.errors import UserError


@dataclass(frozen=True)
class Devices:
    """What a launch may use, over all machines.

    Attributes:
        type: `cuda` or `cpu`.
        count: GPUs, or processes that may share the CPUs.
        bf16: whether they do bfloat16 well.
        machines: how many machines they stand in, equally many in each.
        sharded: whether they share out one model (FSDP, DeepSpeed); its checkpoints have a form of their own.
    """

    type: str
    count: int
    bf16: bool = False
    machines: int = 1
    sharded: bool = False


@dataclass(frozen=True)
class Plan:
    """What runs: `processes` x `batch` x `accumulation` pairs, or tokens, make one optimiser step.

    Attributes:
        device: `cuda` or `cpu`.
        bf16: whether matrix products run in bfloat16 (autocast).
        machines: machines, each with as many processes.
        processes: processes over all machines.
        batch: pairs of one process at a time, or tokens.
        unit: which of them, `pairs` or `tokens`.
        accumulation: batches of one process in an optimiser step.
        sharded: as in `Devices`.
        cuda_graphs: whether steps run as CUDA graphs.
    """

    device: str
    bf16: bool
    machines: int
    processes: int
    batch: int
    unit: str
    accumulation: int
    sharded: bool
    cuda_graphs: bool

    @property
    def global_batch(self) -> int:
        """Pairs, or tokens, of one optimiser step."""
        return self.processes * self.batch * self.accumulation

    def to_json(self) -> str:
        """For the processes that carry it out: `Plan(**json.loads(text))` is the plan again."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        where = f"{self.processes} {self.device} process{'es' if self.processes > 1 else ''}"
        if self.machines > 1:
            where += f" on {self.machines} machines"
        return (
            f"{where} x {self.batch} {self.unit} x {self.accumulation} accumulated = "
            f"{self.global_batch} {self.unit} a step, "
            f"{'bf16' if self.bf16 else 'float32'}{', sharded' if self.sharded else ''}"
            f"{', CUDA graphs' if self.cuda_graphs else ''}"
        )


def plan_for(params: TrainParams, devices: Devices) -> Plan:
    """Share the params' global batch out among the devices; fewer devices accumulate more batches.

    At most `train.num_processes` devices are used. The batch of a process shrinks only where the share of a process
    is no multiple of it. A batch of so many tokens stays whole.

    Raises:
        UserError: the global batch does not divide; the nearest choices are named.
    """
    tokens = params.per_device_train_batch_tokens
    wanted_batch = 1 if tokens else params.per_device_train_batch_size
    a_process = wanted_batch * params.gradient_accumulation_steps
    global_batch, parts = params.num_processes * a_process, "batches" if tokens else "pairs"

    def divides(wanted: int) -> bool:
        used = min(wanted, devices.count)
        return wanted * a_process % used == 0 and used % devices.machines == 0

    processes = min(params.num_processes, devices.count)
    if not divides(params.num_processes):
        nearest = sorted(
            filter(divides, range(1, params.num_processes + 2 * devices.count)),
            key=lambda n: abs(n - params.num_processes),
        )[:2]
        fewer = [n for n in range(devices.machines, processes, devices.machines) if global_batch % n == 0]
        raise UserError(
            f"train.num_processes: {params.num_processes} x {wanted_batch} x "
            f"{params.gradient_accumulation_steps} = {global_batch} {parts} a step do not divide among {processes} "
            f"processes on {devices.machines} machine(s); set "
            + " or ".join(f"train.num_processes={n} ({n * a_process} {parts})" for n in sorted(nearest))
            + (f", or use {fewer[-1]} processes (CUDA_VISIBLE_DEVICES chooses GPUs)" if fewer else "")
        )
    share = global_batch // processes
    batch = max(size for size in range(1, wanted_batch + 1) if share % size == 0)
    return Plan(
        device=devices.type,
        bf16=params.bf16 and devices.bf16,
        machines=devices.machines,
        processes=processes,
        batch=tokens or batch,
        unit="tokens" if tokens else "pairs",
        accumulation=share // batch,
        sharded=devices.sharded and processes > 1,
        # not with gradients shared among processes, or with a backward pass that computes the forward pass again
        cuda_graphs=params.cuda_graphs
        and devices.type == "cuda"
        and processes == 1
        and not params.gradient_checkpointing,
    )


def devices_at_hand(accelerate_config: str | None) -> Devices:
    """The devices that an accelerate configuration allows, or this machine's where there is none.

    bfloat16 is used on GPUs that have it. On CPUs it isn't: float32 gives nearer results on another machine, and only
    some CPUs are faster in bfloat16 (`make bench` measures it).

    Raises:
        UserError: the configuration cannot be read, or wants more GPUs a machine than this one of several has.
    """
    config = read_accelerate_config(accelerate_config)
    machines, gpus = int(config.get("num_machines", 1)), torch.cuda.device_count()
    wanted = int(config.get("num_processes", -1))
    sharded = config.get("distributed_type") in ("FSDP", "DEEPSPEED", "MEGATRON_LM")
    if config.get("use_cpu"):
        return Devices("cpu", max(wanted, 1), machines=machines)
    if machines > 1 and wanted > gpus * machines:
        raise UserError(
            f"train.accelerate_config: {accelerate_config} wants {wanted // machines} GPUs on each of {machines} "
            f"machines, and {gpus} are here; lower num_processes there, or set train.accelerate_config to null"
        )
    if not gpus:
        return Devices("cpu", 1)
    count = gpus * machines
    return Devices("cuda", min(count, wanted) if wanted > 0 else count, gpu_has_bf16(), machines, sharded)


def read_accelerate_config(path: str | None) -> Mapping[str, object]:
    """An accelerate configuration as a mapping; empty without one.

    Raises:
        UserError: there is no such file, or it is no mapping.
    """
    if path is None:
        return {}
    try:
        config = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"train.accelerate_config: {path} cannot be read ({' '.join(str(error).split())})") from None
    if not isinstance(config, dict):
        raise UserError(
            f"train.accelerate_config: {path} is no accelerate configuration; `accelerate config` makes one"
        )
    return config
