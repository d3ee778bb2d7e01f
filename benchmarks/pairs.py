"""Pairs: a million parallel sentences through fetch_data and build_pairs, and edit extraction against latexdiff.

Time and peak memory (resident, of the stage and its workers) are measured for 100,000 and for 1,000,000 rows. The
sentences are those of a corpus at hand, each with a number that makes it another one. Edit extraction is compared with
the reference's method, Debian's `latexdiff` started once a pair, where that is installed.
"""

import argparse
import itertools
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import yaml

from fluency.corpus.ingest import read_corpus
from fluency.corpus.rows import Row
from fluency.edits.edit import extract
from fluency.pairs.pair import pairs_of
from fluency.params import load_params
from fluency.sources.data import fetch_data
from fluency.utils.files import write_json

RESULT, REFERENCE = Path("benchmarks/pairs.json"), Path("../shared/corpora/fluency_edits")
ROUNDS, EXTRACTED, LATEXDIFFS = 5, 20_000, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    at_hand = f"path:{REFERENCE}" if REFERENCE.is_dir() else "sample"
    parser.add_argument("--source", default=at_hand, help="corpus that the sentences are made from (%(default)s)")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help="how many (%(default)s)")
    chosen = parser.parse_args()
    corpus = list(_sentences(chosen.source))
    print(f"{len(corpus)} pairs of sentences in {chosen.source}")
    result = {
        "source": chosen.source.rpartition("/")[2],
        "stages": [_stages(corpus, rows) for rows in chosen.rows],
        "extraction": _extraction(corpus),
    }
    write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def _sentences(source: str) -> Iterator[tuple[str, str]]:
    """Both sides of the corpus's edits."""
    params = load_params().pairs
    for row in read_corpus(fetch_data(source), "bench"):
        if isinstance(row, Row):
            with suppress(ValueError):  # a sentence that no rule can harm
                pair = pairs_of(row, params, row.before)[0]
                yield pair.before, pair.after


def _stages(corpus: list[tuple[str, str]], rows: int) -> dict[str, float]:
    """Seconds and peak megabytes of both stages on `rows` parallel sentences, in a project of their own."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        for part in ("fluency", "stages"):
            shutil.copytree(part, project / part)
        params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
        params["data"]["source"] = "path:corpus.jsonl"
        (project / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        with (project / "corpus.jsonl").open("w", encoding="utf-8") as file:
            for number, (before, after) in enumerate(itertools.islice(itertools.cycle(corpus), rows)):
                file.write(json.dumps({"src": f"Case {number}: {before}", "tgt": f"Case {number}: {after}"}) + "\n")
        figures: dict[str, float] = {"rows": rows}
        for stage in ("fetch_data", "build_pairs"):
            seconds, megabytes = _watched([sys.executable, "-m", f"stages.{stage}"], project)
            figures |= {f"{stage}_seconds": round(seconds, 1), f"{stage}_peak_mb": round(megabytes)}
        return figures


def _watched(command: list[str], folder: Path) -> tuple[float, float]:
    """Wall seconds of a command, and the peak of the resident memory of all its processes, in MB."""
    started, peak = time.perf_counter(), 0
    process = psutil.Popen(command, cwd=folder)
    while process.poll() is None:
        total = 0
        for member in (process, *_children(process)):
            try:
                total += member.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        peak = max(peak, total)
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - started, peak / 2**20


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _extraction(corpus: list[tuple[str, str]]) -> dict[str, float | None]:
    """Microseconds an edit extraction takes, and how many times as long latexdiff takes; medians of rounds."""
    pairs = list(itertools.islice(itertools.cycle(corpus), EXTRACTED))
    ours, theirs = [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for before, after in pairs:
            extract(before, after)
        ours.append((time.perf_counter() - started) / len(pairs))
        if shutil.which("latexdiff"):
            started = time.perf_counter()
            for before, after in pairs[:LATEXDIFFS]:
                _latexdiff(before, after)
            theirs.append((time.perf_counter() - started) / LATEXDIFFS)
    once = statistics.median(ours)
    ratio = round(statistics.median(theirs) / once) if theirs else None
    return {"microseconds": round(once * 1e6, 1), "latexdiff_times_as_long": ratio}


def _latexdiff(before: str, after: str) -> list[str]:
    """The changes that latexdiff marks, as the reference finds them: one process a pair, on two files."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("before.tex", "after.tex")]
        for file, text in zip(files, (before, after), strict=True):
            file.write_text(text, encoding="utf-8")
        done = subprocess.run(["latexdiff", *files], capture_output=True, text=True, check=True)
    return re.findall(r"\\DIF(?:add|del)\{(.*?)\}", done.stdout)


if __name__ == "__main__":
    main()
