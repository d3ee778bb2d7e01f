"""Read the corpora that `data.source` names into canonical rows."""

from itertools import chain
from pathlib import Path

from tqdm import tqdm

from fluency.corpus.ingest import read_corpus
from fluency.corpus.params import DataParams
from fluency.corpus.rows import write_rows
from fluency.sources.data import corpus_names, fetch_data
from fluency.utils.config import read_params
from fluency.utils.errors import run_stage
from fluency.utils.files import sha256, write_json, written_aside

RAW = Path("data/raw")


def main() -> None:
    params = read_params("data", DataParams)
    fetched = dict(zip(corpus_names(params.sources), map(fetch_data, params.sources), strict=True))
    items = chain.from_iterable(
        read_corpus(files, corpus, format=params.format, tasks=params.tasks) for corpus, files in fetched.items()
    )
    with written_aside(RAW) as aside:
        aside.mkdir()
        counts = write_rows(tqdm(items, "rows", disable=None), fetched, aside)
        manifest = [
            {
                "source": source,
                "corpus": corpus,
                "revision": files.revision,
                "ignored": files.ignored,
                "files": {path.relative_to(files.root).as_posix(): sha256(path) for path in files.files},
                **counts[corpus],
            }
            for source, (corpus, files) in zip(params.sources, fetched.items(), strict=True)
        ]
        write_json(aside / "manifest.json", manifest)
    for its in manifest:
        print(f"{its['source']}: {its['rows']} rows, {its['rejected']} rejected, from {len(its['files'])} file(s)")
        if its["ignored"]:
            print(f"of no known kind, not read: {', '.join(its['ignored'])}")


if __name__ == "__main__":
    run_stage(main)
