"""The model for ONNX Runtime on a CPU, with int8 weights: exported once, checked against torch, kept in the cache."""

import hashlib
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from transformers import PreTrainedTokenizerBase

from fluency.evaluation.calibration import Calibration
from fluency.metrics import probabilities
from fluency.model.device import Device
from fluency.model.encoding import collate, encode
from fluency.model.inference import Batch, TorchModel
from fluency.utils.caches import cache_folder, make_once
from fluency.utils.errors import UserError
from fluency.utils.files import read_json, write_json

_INT8, _CHECK = "int8.onnx", "check.json"
LARGEST_DIFFERENCE = 0.1  # between the scores of both, above which int8 is refused

# Edits for the check at export, of usual lengths: (before, after).
_PROBES = (
    ("She goes home.", "She go home."),
    ("She go home.", "She goes home."),
    ("He don't like it.", "He doesn't like it."),
    ("I have seen him yesterday.", "I saw him yesterday."),
    ("We discussed the plan.", "We discussed about the plan."),
    ("The box of old letters is under the bed.", "The box of old letters are under the bed."),
    ("There is less people here than last year.", "There are fewer people here than last year."),
    ("Turn the pump off before you open the lid.", "Turn the pump off before you opens the lid."),
    ("He explained me the rules.", "He explained the rules to me."),
    ("It was a very long, cold winter.", "It was a long, cold winter."),
    ("She is good in chess.", "She is good at chess."),
    ("Their going to be late again, I'm afraid.", "They're going to be late again, I'm afraid."),
    ("The committee met on Monday to review the budget.", "The committee met in Monday to review the budget."),
    ("If I was you, I would wait.", "If I were you, I would wait."),
    ("An honest mistake is soon forgiven.", "A honest mistake is soon forgiven."),
    (
        "Although the report was late, the editors, who had planned for it, printed the paper on time.",
        "Although the report was late, but the editors, who had planned for it, printed the paper on time.",
    ),
    (
        "What he wrote about the town in his letters have been read by many people over the years.",
        "What he wrote about the town in his letters has been read by many people over the years.",
    ),
    (
        "Water the seedlings sparingly until the second pair of leaves shows, then move them to larger pots.",
        "Water the seedlings sparingly until second the pair of leaves shows, then move them to larger pots.",
    ),
)


class OnnxModel:
    """The classifier, run by ONNX Runtime on the CPU.

    Attributes:
        max_tokens: padded tokens of a batch that suit a CPU.
        largest_difference: between its scores and torch's, in the check at export.
    """

    max_tokens = 2048

    def __init__(self, folder: Path, tokenizer: PreTrainedTokenizerBase, calibration: Calibration) -> None:
        # another version of either may make another file of the same weights
        parts = [version("torch"), version("onnxruntime"), *sorted(calibration.files.values())]
        self.folder = cache_folder("onnx", hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16])
        make_once(self.folder, lambda aside: export(folder, aside, tokenizer, calibration))
        self.largest_difference: float = read_json(self.folder / _CHECK)["largest_difference"]
        self._start()

    def __call__(self, batch: Batch) -> np.ndarray:
        """The logits of a padded batch: float32, of shape [pairs, 2]."""
        return self.session.run(["logits"], {name: tensor.numpy() for name, tensor in batch.items()})[0]

    def after_fork(self) -> None:
        """Start anew in one thread, as ONNX Runtime's own are gone."""
        self._inherited = self.session  # to end it would be to wait for them
        torch.set_num_threads(1)
        self._start()

    def _start(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()  # of several processes each has its share of the cores
        self.session = onnxruntime.InferenceSession(self.folder / _INT8, options, providers=["CPUExecutionProvider"])


def export(folder: Path, to: Path, tokenizer: PreTrainedTokenizerBase, calibration: Calibration) -> None:
    """Write the model in `folder` to `to` with int8 weights, and the largest difference of its scores from torch's.

    Of the ways to quantize, the fastest is taken that leaves the scores of the check's edits where they are.

    Raises:
        UserError: with all of them a score differs by more than LARGEST_DIFFERENCE.
    """
    model = TorchModel(folder, Device("cpu", bf16=False))
    encoded = encode(tokenizer, *zip(*_PROBES, strict=True), max_length=calibration.max_length)
    batch = collate(encoded, tokenizer.pad_token_id)
    exact, quantized = to / "float32.onnx", to / _INT8
    any_size = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with _quietly():
        torch.onnx.export(
            model.model,
            kwargs=batch,
            f=exact,
            input_names=list(batch),
            output_names=["logits"],
            dynamic_shapes=dict.fromkeys(batch, any_size),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    expected = probabilities(model(batch), calibration.temperature)
    for way, quantize in _WAYS.items():
        with _quietly():
            quantize(exact, quantized)
        session = onnxruntime.InferenceSession(quantized, providers=["CPUExecutionProvider"])
        (logits,) = session.run(["logits"], {name: tensor.numpy() for name, tensor in batch.items()})
        difference = float(np.abs(probabilities(logits, calibration.temperature) - expected).max())
        if difference <= LARGEST_DIFFERENCE:
            exact.unlink()
            write_json(to / _CHECK, {"edits": len(_PROBES), "largest_difference": difference, "quantized": way})
            print(
                f"exported to ONNX with int8 weights, {way}: the scores of {len(_PROBES)} edits differ from "
                f"torch's by at most {difference:.4f}",
                file=sys.stderr,
            )
            return
    raise UserError(
        f"{folder}: with int8 weights, scores differ from torch's by up to {difference:.3f}, where "
        f"{LARGEST_DIFFERENCE} is the most; use the torch backend"
    )


def _per_channel(exact: Path, quantized: Path) -> None:
    """Each channel of weights has a scale, and all activations of a product one."""
    quantize_dynamic(exact, quantized, weight_type=QuantType.QInt8, per_channel=True)


def _block_wise(exact: Path, quantized: Path) -> None:
    """Each 128 weights or activations have a scale: a few large ones do not make all others coarse."""
    int8 = 4  # the accuracy level with which activations are int8, too
    quantizer = MatMulNBitsQuantizer(str(exact), bits=8, block_size=128, is_symmetric=True, accuracy_level=int8)
    quantizer.process()
    quantizer.model.save_model_to_file(str(quantized))


_WAYS = {"per channel": _per_channel, "block-wise": _block_wise}  # the fastest first


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the exporters' warnings, which are about their own internals."""
    loggers = {logging.getLogger(name): logging.getLogger(name).level for name in ("torch.onnx", None)}
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in loggers.items():
            logger.setLevel(level)
