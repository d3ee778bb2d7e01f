"""Read the corpus that `data.source` names into canonical rows."""

from pathlib import Path

from fluency.corpora import REJECTED_SCHEMA, ROW_SCHEMA, as_dict, read_corpus
from fluency.files import sha256, write_json, write_parquet, written_aside
from fluency.params import load_params
from fluency.sources import corpus_name, fetch_data
from stages import run

RAW = Path("data/raw")


def main() -> None:
    source = load_params().data.source
    fetched = fetch_data(source)
    rows, rejected = read_corpus(fetched, corpus_name(source))
    manifest = {
        "source": source,
        "revision": fetched.revision,
        "files": {path.relative_to(fetched.root).as_posix(): sha256(path) for path in fetched.files},
        "rows": len(rows),
        "rejected": len(rejected),
    }
    with written_aside(RAW) as aside:
        write_parquet(aside / "rows.parquet", [as_dict(row) for row in rows], ROW_SCHEMA)
        write_parquet(aside / "rejected.parquet", [as_dict(row) for row in rejected], REJECTED_SCHEMA)
        write_json(aside / "manifest.json", manifest)
    print(f"{source}: {len(rows)} rows, {len(rejected)} rejected, from {len(fetched.files)} file(s)")


if __name__ == "__main__":
    run(main)
