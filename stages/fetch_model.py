"""Copy the base model that `model.source` names to models/base/: configuration, tokenizer, safetensors."""

import shutil
from pathlib import Path

from fluency.sources.model import ModelParams, fetch_model
from fluency.utils.config import read_params
from fluency.utils.errors import run_stage
from fluency.utils.files import sha256, write_json, written_aside

BASE = Path("models/base")


def main() -> None:
    params = read_params("model", ModelParams)
    fetched = fetch_model(params.source, params.sha256)
    with written_aside(BASE) as aside:
        aside.mkdir()
        for path in fetched.files:
            shutil.copyfile(path, aside / path.name)
        files = {path.name: sha256(aside / path.name) for path in fetched.files}
        write_json(aside / "manifest.json", {"source": params.source, "revision": fetched.revision, "files": files})
    print(f"{params.source}: {len(fetched.files)} files")


if __name__ == "__main__":
    run_stage(main)
