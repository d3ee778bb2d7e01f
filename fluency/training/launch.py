"""Starting the processes of a plan: through accelerate where they are several, and without leaving orphans."""

import json
import logging
import math
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from fluency.training.checkpoints import claimed, experiment_digest
from fluency.training.failures import GOES_ON, LostProcessError
from fluency.training.params import TrainParams
from fluency.training.plan import Plan, devices_at_hand, plan_for, read_accelerate_config
from fluency.utils.errors import UserError

ONE_MACHINE = "accelerate_configs/four_gpus.yaml"  # the number of processes is the plan's

Work = Callable[[Plan, Path], None]


def run_plan(work: Work, params: TrainParams, *, module: str, inputs: Iterable[Path], checkpoint_root: Path) -> None:
    """Plan, claim the experiment's checkpoints, and carry `work(plan, checkpoints)` out in every process.

    One process works here. Several are started as `python -m MODULE PLAN CHECKPOINTS`, and have to come back to this
    function.

    Args:
        inputs: the files and folders that the result comes from; they name its checkpoints.
        checkpoint_root: where checkpoints stand until training has succeeded.

    Raises:
        UserError: the plan does not work out, the experiment is being trained already, or the work failed.
    """
    if len(sys.argv) == 3:
        _work_in_group(work, Plan(**json.loads(sys.argv[1])), Path(sys.argv[2]))
        return
    config = read_accelerate_config(params.accelerate_config)
    plan = plan_for(params, devices_at_hand(params.accelerate_config))
    machine = int(os.environ.get("MACHINE_RANK", config.get("machine_rank", 0))) if plan.machines > 1 else 0
    print(f"training: {plan}", flush=True)
    digest = experiment_digest(params, plan, inputs)
    # each machine its own folder, so that they need not share a disk; for a sharded model they have to
    shares = machine > 0 and plan.sharded
    folder = checkpoint_root / (digest if machine == 0 or shares else f"{digest}-{machine}")
    try:
        with nullcontext() if shares else claimed(folder):
            if plan.processes == 1:
                work(plan, folder)
            else:
                _launch(plan, config, machine, [module, plan.to_json(), str(folder)], params.accelerate_config)
    except KeyboardInterrupt:
        raise UserError(f"training was interrupted; {GOES_ON}") from None
    except UserError:
        print(file=sys.stderr)  # ends the line of the progress bar
        raise


def _work_in_group(work: Work, plan: Plan, folder: Path) -> None:
    """Do the share of one process of several; what goes wrong is handed to the launcher, which tells it once."""
    from torch.distributed.elastic.multiprocessing.errors import record

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches all; the launcher speaks for them
    try:
        record(work)(plan, folder)
    except UserError:
        sys.stderr.flush()
        os._exit(1)  # at once: others may be waiting in a collective that will not come


def _launch(
    plan: Plan, config: Mapping[str, object], machine: int, module: list[str], accelerate_config: str | None
) -> None:
    """Start the plan's processes on this machine and wait for them."""
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    options = {
        "config_file": accelerate_config or ONE_MACHINE,
        "num_processes": plan.processes,
        "num_machines": plan.machines,
        "machine_rank": machine,
        "main_process_port": 0,
        "mixed_precision": "no",  # the plan's precision goes to the Trainer
    }
    if plan.machines > 1:
        options |= {
            "main_process_ip": os.environ.get("MASTER_ADDR", config.get("main_process_ip")),
            "main_process_port": os.environ.get("MASTER_PORT", config.get("main_process_port")),
        }
        if None in options.values():
            raise UserError("train.accelerate_config: several machines need main_process_ip and main_process_port "
                            "there, or MASTER_ADDR and MASTER_PORT in the environment")  # fmt: skip
    # accelerate starts one process for a CPU configuration; told that it has GPUs, it starts all, and they find none
    arguments = [*(f"--{name}={value}" for name, value in options.items()), *(["--multi_gpu"] * (plan.device == "cpu"))]
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "5")  # seconds; there is nothing to save on the way out
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # its reports run over pages
    chosen = launch_command_parser().parse_args([*arguments, "--module", *module])
    try:
        launch_command(chosen)
    except ChildFailedError as error:
        raise UserError(_first_cause(error.failures)) from None
    except SignalException as stop:
        raise UserError(f"training was stopped by {stop.sigval.name}; {GOES_ON}") from None


def _first_cause(failures: Mapping[int, Any]) -> str:
    """What went wrong first: other processes then only miss the one that failed.

    Args:
        failures: torch's ProcessFailure by rank.
    """

    def told(failure: Any) -> tuple[str, str]:
        if not isinstance(failure.message, dict):
            return "", f"exit code {failure.exitcode}"
        kind, _, text = failure.message["message"].partition(": ")
        return kind, text

    def moment(failure: Any) -> float:
        if failure.exitcode == -signal.SIGTERM and not told(failure)[0]:
            return math.inf  # the launcher ended it
        # a loss is noticed within a second; much later it is the launcher that killed what did not answer
        return failure.timestamp + (1.5 if told(failure)[0] == LostProcessError.__name__ else 0)

    rank, failure = min(failures.items(), key=lambda item: moment(item[1]))
    kind, text = told(failure)
    if failure.exitcode < 0 and not kind:
        why = ", maybe for lack of memory" if failure.exitcode == -signal.SIGKILL else ""
        return f"training process {rank} was killed ({failure.signal_name()}){why}; {GOES_ON}"
    if kind in (UserError.__name__, LostProcessError.__name__):
        return text
    reason = f"{kind}: {text}" if kind else text
    return f"training process {rank} failed ({reason}); {GOES_ON}"
