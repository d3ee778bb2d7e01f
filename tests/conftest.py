"""Shared by the tests: a tiny random ModernBERT, and copies of the project to run pipelines in."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest

from tests.helpers.warm_python import warm_python

ROOT = Path(__file__).parent.parent
CORPORA = ROOT.parent / "shared" / "corpora"

# Nothing in the tests may reach a network or a paid service, and nothing of the user's settings may reach the tests.
os.environ |= {
    "CUDA_VISIBLE_DEVICES": "",  # the tests' tiny models train the same anywhere; test_gpus.py looks for GPUs itself
    "DVC_NO_ANALYTICS": "1",
    "GIT_AUTHOR_EMAIL": "test@localhost",
    "GIT_AUTHOR_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@localhost",
    "GIT_COMMITTER_NAME": "test",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "OMP_NUM_THREADS": "1",  # the models are tiny: a second thread would only wait
    "TOKENIZERS_PARALLELISM": "false",
    "WANDB_MODE": "disabled",
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
}
for key in ("WANDB_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY"):
    os.environ.pop(key, None)
# where commands that a test waits for find their `python`; set for all workers by the process that starts them
_WARM = "TESTS_WARM_PYTHON"
hypothesis.settings.register_profile("untimed", deadline=None)  # other work on the machine is no failure
hypothesis.settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    if _WARM not in os.environ:
        warm = ExitStack()
        os.environ[_WARM] = str(warm.enter_context(warm_python()))
        warm.callback(os.environ.pop, _WARM)
        config.add_cleanup(warm.close)


def warm_environment() -> dict[str, str]:
    """An environment in which `python` starts at once; for commands that nobody kills."""
    return {"PATH": f"{os.environ[_WARM]}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A folder with a randomly initialised ModernBERT of two layers and a tokenizer trained on some of the sample."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import ModernBertConfig, ModernBertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny") / "model"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    paths = [path for part in ("contrast", "hand-written") for path in sorted((ROOT / "data/sample" / part).iterdir())]
    lines = [line for path in paths for line in path.open(encoding="utf-8")]
    tokenizer.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=1000, special_tokens=special))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    inputs = ["input_ids", "attention_mask"]
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=inputs, **names).save_pretrained(folder)
    torch.manual_seed(0)
    config = ModernBertConfig(
        vocab_size=1000, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=256, pad_token_id=0, cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3,
        global_attn_every_n_layers=2, local_attention=16,
    )  # fmt: skip
    ModernBertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium, where the machine has one; while it runs, nothing else has an event loop."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


class Project:
    """A copy of the project in its own git repository, with small params, to run commands in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def new(cls, folder: Path, overrides: dict[str, str]) -> "Project":
        """Copy this checkout to `folder`, set params, and commit."""
        folder.mkdir(parents=True)
        project = cls(folder)
        # What git has, and what it would have after a commit: never a user's data, models or environment.
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / name)
        (folder / "dvc.lock").unlink(missing_ok=True)
        project.override(**overrides)
        project.run("git init -q -b main")
        project.commit("start")
        return project

    def override(self, **overrides: str) -> None:
        """Set params as `dvc exp run -S` does."""
        from dvc.utils.hydra import apply_overrides

        apply_overrides(self.folder / "params.yaml", [f"{key}={value}" for key, value in overrides.items()])

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.run(f"git add -A && git commit -q --allow-empty -m {message}")

    def run(self, command: str, *, fails: bool = False, **environment: str) -> str:
        """Run a command in the project; returns what it printed. It has to succeed, or to fail where `fails`."""
        process = self.start(command, **(warm_environment() | environment))
        printed, _ = process.communicate()
        assert (process.returncode != 0) == fails, f"{command} ended with {process.returncode}:\n{printed}"
        return printed

    def start(self, command: str, **environment: str) -> subprocess.Popen:
        """Start a command in the project."""
        return subprocess.Popen(
            command, shell=True, cwd=self.folder, text=True, env=os.environ | environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip


@pytest.fixture(scope="session")
def tiny_params(tiny_model) -> dict[str, str]:
    """Overrides under which the whole pipeline takes seconds."""
    return {
        "model.source": f"path:{tiny_model}",
        "pairs.max_train_samples": "64",
        "pairs.max_eval_samples": "40",
        "pairs.max_predict_samples": "40",
        "train.num_train_epochs": "1",
        "train.min_recall": "0",
        "evaluate.resamples": "100",
        "attack.tries": "20",
        "attack.rounds": "2",
    }


@pytest.fixture
def new_project(tmp_path, tiny_params) -> Callable[..., Project]:
    """Makes a project with the tiny params and further overrides."""

    def make(overrides: dict[str, str] | None = None) -> Project:
        return Project.new(tmp_path / "project", tiny_params | (overrides or {}))

    return make


@pytest.fixture(scope="session")
def trained(tmp_path_factory, request) -> Path:
    """A folder with a project in which `make repro` has run, its results committed and pushed to `origin` beside it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # which all workers share: the first that comes makes it, the others wait
    folder = root / "trained"
    with (root / "trained.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            shutil.rmtree(root / "trained.part", ignore_errors=True)  # of a worker whose run failed
            _made_by_repro(root / "trained.part", request.getfixturevalue("tiny_params")).rename(folder)
    return folder


def _made_by_repro(folder: Path, overrides: dict[str, str]) -> Path:
    project = Project.new(folder / "project", overrides)
    # `make` finds the environment of these tests, and finds it complete
    commands = project.folder / ".venv/bin"
    commands.mkdir(parents=True)
    linked = (path for folder in (sys.prefix, f"{sys.prefix}/bin") for path in Path(folder).iterdir())
    for path in linked:
        if path.name not in ("bin", "installed", ".gitignore", "activate", "python"):
            (project.folder / ".venv" / path.relative_to(sys.prefix)).symlink_to(path)
    (commands / "activate").write_text('PATH="$PWD/.venv/bin:$PATH"\n')
    (commands / "python").symlink_to(Path(os.environ[_WARM], "python"))
    (project.folder / ".venv/installed").touch()
    project.run("make repro")
    project.commit("results")
    project.run("git init -q --bare -b main ../origin && git remote add origin ../origin && git push -q -u origin main")
    return folder


@pytest.fixture
def trained_project(trained, tmp_path) -> Project:
    """A copy of that project, of the test's own."""
    shutil.copytree(trained, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Project(tmp_path / "project")
