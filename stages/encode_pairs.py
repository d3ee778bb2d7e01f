"""Turn pairs into what the base model reads, once: token ids, or features and states of a language model."""

import os
import shutil
from pathlib import Path

import pyarrow as pa

from fluency.corpus.rows import SPLITS
from fluency.model.device import use_machine
from fluency.model.encode import encode_pairs, encode_share, parts_folder, reader_of
from fluency.model.params import EncodeParams
from fluency.utils.config import read_params
from fluency.utils.files import write_json, write_parquet, written_aside
from fluency.utils.processes import run_stage, share_of_work

PAIRS, BASE, ENCODED = Path("data/pairs"), Path("models/base"), Path("data/encoded")
FIGURES = Path("metrics/encoding.json")
UNSEEN = pa.schema([("split", pa.string()), ("id", pa.string()), ("reason", pa.string())])


def main() -> None:
    use_machine()
    params = read_params("encode", EncodeParams)
    reader = reader_of(BASE, params)
    # outside DVC's outputs, which are deleted before a stage runs
    parts = parts_folder(Path(os.environ.get("DVC_ROOT", "."), ".checkpoints"), BASE, params)
    process, processes = share_of_work(os.environ) if "DVC_STAGE" not in os.environ else (0, 1)
    if processes > 1:  # a launcher has started them; DVC's run comes after them
        for split in SPLITS:
            encode_share(
                PAIRS / f"{split}.parquet", reader, parts=parts, progress=None if process else split,
                drop_unseen=_drops(split, params), process=process, processes=processes,
            )  # fmt: skip
        print(f"process {process} of {processes} has read its share; `dvc repro encode_pairs` goes on from there")
        return
    figures, unseen = {}, []
    with written_aside(ENCODED) as aside:
        for split in SPLITS:
            figures[split], its = encode_pairs(
                PAIRS / f"{split}.parquet",
                aside / split,
                reader,
                parts=parts,
                progress=split,
                drop_unseen=_drops(split, params),
            )
            unseen += [{"split": split} | pair for pair in its]
        write_parquet(aside / "unseen.parquet", unseen, UNSEEN)
    write_json(FIGURES, figures)
    for split, its in figures.items():
        print(f"{split}: {', '.join(f'{count} {name}' for name, count in its.items())}")
    shutil.rmtree(parts, ignore_errors=True)  # another run of the same may be faster


def _drops(split: str, params: EncodeParams) -> bool:
    return split == "train" and not params.keep_unseen


if __name__ == "__main__":
    run_stage(main)
