"""Copy the base model that `model.source` names to models/base/: configuration, tokenizer, safetensors."""

import shutil
from pathlib import Path

from fluency.sources.gguf import convert
from fluency.sources.model import fetch_model, kind_of
from fluency.sources.params import ModelParams
from fluency.utils.config import read_params
from fluency.utils.files import read_json, sha256, write_json, written_aside
from fluency.utils.processes import run_stage

BASE = Path("models/base")


def main() -> None:
    params = read_params("model", ModelParams)
    fetched = fetch_model(params.source, params.sha256)
    with written_aside(BASE) as aside:
        aside.mkdir()
        for path in fetched.files:
            if path.suffix == ".gguf":
                convert(path, aside)
            else:
                shutil.copyfile(path, aside / path.name)
        kind = kind_of(read_json(aside / "config.json"), params.kind)
        files = {path.name: sha256(path) for path in sorted(aside.iterdir())}
        manifest = {"source": params.source, "revision": fetched.revision, "kind": kind, "files": files}
        write_json(aside / "manifest.json", manifest)
    print(f"{params.source}: {len(files)} files, for {'an edit head' if kind == 'edit_head' else 'a cross-encoder'}")


if __name__ == "__main__":
    run_stage(main)
