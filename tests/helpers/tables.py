"""Tables of edits to score, and a scorer that is watched."""

import gzip
import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fluency import FluencyScorer
from fluency.cli.score import Progress
from fluency.corpus.readers import read_records
from fluency.scorer.table_source import look_over
from fluency.scorer.tables import score_table

WORDS = "the a cat dog runs run is are big very house in on".split()
BAD = {"before": "the cat", "after": " ", "n": -1}


def edits(count: int, seed: int = 1) -> list[dict]:
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=rng.randrange(2, 12))) for _ in range(2 * count)]
    return [
        {"n": n, "before": before, "after": after, "note": 'a "note", naïve'}
        for n, (before, after) in enumerate(zip(texts[::2], texts[1::2], strict=True))
    ]


def lines_of(rows: list[dict | str]) -> bytes:
    return "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows).encode()


def write(path: Path, rows: list[dict]) -> Path:
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    if kind == "arrow":
        with pa.ipc.new_stream(str(path), pa.Table.from_pylist(rows).schema) as writer:
            writer.write_table(pa.Table.from_pylist(rows))
        return path
    if kind in ("json", "jsonl"):
        content = lines_of(rows) if kind == "jsonl" else json.dumps(rows).encode()
    else:
        mark = {"csv": ",", "tsv": "\t"}[kind]
        cells = [list(rows[0]), *(list(row.values()) for row in rows)]
        quoted = [['"' + str(cell).replace('"', '""') + '"' for cell in row] for row in cells]
        content = "".join(f"{mark.join(row)}\n" for row in quoted).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def records(path: Path) -> list[dict]:
    return [record for _, record in read_records(path)]


def as_text(record: dict) -> dict:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in record.items()}


class Watched:
    """A scorer that counts what its model is asked, and can end as Ctrl-C ends it.

    Attributes:
        changes: called before the model answers for the fourth time.
    """

    def __init__(self, scorer: FluencyScorer, *, chunks: float = math.inf, slope: float = 0.5) -> None:
        self.chunks, self.asked, self.answers, self.changes = chunks, 0, 0, lambda: None
        self.classifier = scorer.classifier
        self.reader, self.device = self.classifier.reader, self.classifier.device
        self.scorer = FluencyScorer(self, replace(scorer.calibration, slope=slope))
        self.scorer.at_once = 16

    def logits(self, items):
        if self.chunks == 0:
            raise KeyboardInterrupt
        self.chunks, self.answers = self.chunks - 1, self.answers + 1
        if self.answers == 4:
            self.changes()
        self.asked += len(items)
        return self.classifier.logits(items)

    def score(self, source: str, target: str, *, threshold: float = 0.5) -> list[str]:
        """Score a table; returns what was told of drift."""
        table, told = look_over(Path(source), Path(target)), []
        score_table(self.scorer, table, threshold=threshold, progress=Progress(), tell=told.append)
        return told
