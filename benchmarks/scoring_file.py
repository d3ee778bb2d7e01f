"""A million pairs through the command line: memory against a tenth of them, and ten kills at random moments.

Run as `python -m benchmarks.scoring_file`; writes benchmarks/scoring_file.json. It is reading, parts and writing that
are measured, so the model is a tiny one with random weights. The sentences are those of a corpus at hand, each with a
number that makes it another one.
"""

import itertools
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from fluency.corpus.readers import read_records
from fluency.evaluation.calibration import Calibration
from fluency.evaluation.certificate import Certificate
from fluency.evaluation.monitor import FEATURES, Reference
from fluency.evaluation.support import Support
from fluency.metrics import LABELS
from fluency.utils.files import sha256, write_json

RESULT, REFERENCE = Path(__file__).with_suffix(".json"), Path("../shared/corpora/fluency_edits/train.parquet")
ROWS, KILLS = (100_000, 1_000_000), 10


def main() -> None:
    sentences = [record["original_sentence"] for _, record in read_records(REFERENCE)]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _write_model(folder / "models", sentences)
        runs = []
        for rows in ROWS:
            _write_pairs(folder / f"{rows}.jsonl", sentences, rows)
            started = time.perf_counter()
            peak = _finished(_started(folder, rows, "whole"))
            runs.append({"rows": rows, "seconds": round(time.perf_counter() - started), "peak_mb": peak})
            print(runs[-1], flush=True)
        result = {"runs": runs, "kills": _killed(folder, rows, runs[-1]["seconds"])}
        result["same_bytes"] = sha256(folder / "whole.jsonl") == sha256(folder / "killed.jsonl")
        result["rows_out"] = sum(1 for _ in (folder / "killed.jsonl").open("rb"))
    write_json(RESULT, result)
    print(RESULT.read_text(encoding="utf-8"), end="")


def _killed(folder: Path, rows: int, seconds: float) -> list[int]:
    """Kill the run at random moments, and then let it end; returns how many parts were finished at each kill."""
    rng, noted = random.Random(0), []
    while len(noted) < KILLS:
        process = _started(folder, rows, "killed")
        time.sleep(rng.uniform(0, seconds / 4))
        process.kill()
        process.wait()
        if (folder / "killed.jsonl").exists():
            raise SystemExit(f"it ended before it was killed {KILLS} times")
        noted.append(len(list(folder.glob(".killed.jsonl.parts/*/[0-9]*.parquet"))))
        print(f"killed, {noted[-1]} parts finished", flush=True)
    _finished(_started(folder, rows, "killed"))
    return noted


def _started(folder: Path, rows: int, name: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "fluency", "score", f"{rows}.jsonl", "-o", f"{name}.jsonl"]
    one_thread = {"OMP_NUM_THREADS": "1"}  # of so small a model, another would only wait
    environment = os.environ | one_thread | {"PYTHONPATH": os.fspath(Path.cwd())}
    return subprocess.Popen(command, cwd=folder, env=environment)


def _finished(process: subprocess.Popen) -> int:
    """Wait for a process; returns the peak of its resident memory in MB."""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("scoring failed")
    return usage.ru_maxrss // 1024


def _write_pairs(file: Path, sentences: list[str], rows: int) -> None:
    with file.open("w", encoding="utf-8") as pairs:
        for number, sentence in enumerate(itertools.islice(itertools.cycle(sentences), rows)):
            words = sentence.split()[:12]
            before, after = (" ".join([f"{number}:", *part]) for part in (words, words[1:]))
            pairs.write(json.dumps({"before": before, "after": after or f"{number}"}, ensure_ascii=False) + "\n")


def _write_model(folder: Path, sentences: list[str]) -> None:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = dict.fromkeys([*special, *map(str, range(10)), *(word for text in sentences for word in text.split())])
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder / "fluency")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16,
        label2id={name: label for label, name in enumerate(LABELS)}, id2label=dict(enumerate(LABELS)),
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder / "fluency")
    files = {path.name: sha256(path) for path in sorted((folder / "fluency").iterdir())}
    names = ("threshold", "precision", "recall", "accepted", "groups", "effective", "lower")
    calibration = Calibration(
        slope=1.0,
        intercept=0.0,
        threshold=0.5,
        certificate=Certificate("precision", None, 0.95, 0.0, 0),
        curve={name: [] for name in names},
        max_length=512,
        files=files,
        support=Support(
            1.0, dict.fromkeys(("words", "characters", "changed", "share", "out_of_vocabulary"), (0, 20_000))
        ),
        reference=Reference(*(dict.fromkeys(FEATURES, its) for its in ([], [1.0], [1.0]))),
    )
    calibration.save(folder / "calibration.json")


if __name__ == "__main__":
    main()
