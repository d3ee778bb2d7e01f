"""Read the corpora that `data.source` names into canonical rows."""

from itertools import chain
from pathlib import Path

from tqdm import tqdm

from fluency.corpus.ingest import read_corpus
from fluency.corpus.params import DataParams
from fluency.corpus.rows import write_rows
from fluency.sources.data import corpus_names, fetch_data
from fluency.utils.config import read_params
from fluency.utils.files import sha256, write_json, written_aside
from fluency.utils.processes import run_stage

RAW = Path("data/raw")


def main() -> None:
    params = read_params("data", DataParams)
    names = corpus_names([source.name for source in params.sources])
    fetched = dict(zip(names, map(fetch_data, params.sources), strict=True))
    ways = {
        "format": params.format,
        "tasks": params.tasks,
        "relations": params.task_relations,
        "join_tokens": params.join_tokens,
    }
    items = chain.from_iterable(read_corpus(files, corpus, **ways) for corpus, files in fetched.items())
    with written_aside(RAW) as aside:
        aside.mkdir()
        counts = write_rows(tqdm(items, "rows", disable=None), fetched, aside)
        manifest = [
            {
                "source": files.source.name,
                "corpus": corpus,
                "split": files.source.split,
                "revision": files.revision,
                "ignored": files.ignored,
                "files": {path.relative_to(files.root).as_posix(): sha256(path) for path in files.files},
                **counts[corpus],
            }
            for corpus, files in fetched.items()
        ]
        write_json(aside / "manifest.json", manifest)
    for its in manifest:
        print(f"{its['source']}: {its['rows']} rows, {its['rejected']} rejected, from {len(its['files'])} file(s)")
        if its["ignored"]:
            print(f"not read: {', '.join(its['ignored'])}")


if __name__ == "__main__":
    run_stage(main)
