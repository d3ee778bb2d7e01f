"""A model is found wherever it may be, and a folder that isn't whole, or isn't ours, is refused."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from fluency import FluencyScorer
from fluency.scorer.artifact import checked, locate
from fluency.utils.errors import UserError
from tests.helpers.hub import Hub
from tests.helpers.models import calibrated, untrained


@pytest.fixture(scope="module")
def untouched(tiny_model, tmp_path_factory):
    return untrained(tiny_model, tmp_path_factory.mktemp("models"))


@pytest.fixture
def models(untouched, tmp_path):
    """A models/ folder to spoil."""
    return shutil.copytree(untouched, tmp_path / "models")


def edited(path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_model_is_found_with_its_calibration_beside_it_or_inside(models):
    assert locate(models / "fluency") == models / "fluency"
    assert locate(models.parent) == models / "fluency"  # of a checkout
    assert checked(models / "fluency").slope == 0.5
    (models / "calibration.json").rename(models / "fluency/calibration.json")
    assert checked(models / "fluency").slope == 0.5


@pytest.mark.parametrize("source", ["absent", "absent/model/folder"])
def test_no_model_is_told_with_what_makes_one(tmp_path, source):
    with pytest.raises(UserError, match=r"no model there; name a model's folder, .* `dvc repro` trains one"):
        locate(tmp_path / source)


@pytest.mark.parametrize("source", ["models/fluency", Path("owner/name")])
def test_a_folder_that_is_missing_is_not_asked_for_at_the_hub(source, tmp_path, monkeypatch):
    """Whoever has that name there would be trusted with the scores."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"{source}: no model there"):
        locate(source)


def test_a_folder_has_no_revisions(models):
    with pytest.raises(UserError, match="no model there that has revisions"):
        locate(models / "fluency", "v1.0.0")


def no_calibration(folder):
    (folder.parent / "calibration.json").unlink()


def empty_calibration(folder):
    (folder.parent / "calibration.json").write_text("{}")


def calibration_of_nothing(folder):
    edited(folder.parent / "calibration.json", lambda its: its["files"].clear())


def calibration_without_weights(folder):
    no_weights(folder)
    edited(folder.parent / "calibration.json", lambda its: its["files"].pop("model.safetensors"))


def other_weights(folder):
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def no_weights(folder):
    (folder / "model.safetensors").unlink()


def other_tokenizer(folder):
    edited(folder / "tokenizer.json", lambda its: its["model"]["vocab"].update({"the": 5, "[UNK]": 6}))


def other_labels(folder):
    labels = {"id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 0, "yes": 1}}
    edited(folder / "config.json", lambda its: its.update(labels))
    calibrated(folder.parent)


def an_adapter(folder):
    """transformers would look for it, and load the weights that it names."""
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "evil/model"}')


def a_configuration_that_was_not_calibrated(folder):
    edited(folder.parent / "calibration.json", lambda its: its["files"].pop("config.json"))


def pickled_weights(folder):
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")


def code(folder):
    (folder / "modeling_evil.py").write_text("raise SystemExit")


def code_of_the_model(folder):
    edited(folder / "config.json", lambda its: its.update(auto_map={"AutoModel": "evil.Model"}))
    calibrated(folder.parent)


def code_of_the_tokenizer(folder):
    edited(folder / "tokenizer_config.json", lambda its: its.update(auto_map={"AutoTokenizer": ["evil.T", None]}))
    calibrated(folder.parent)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_calibration, r"fluency: no calibration\.json in it or beside it; `dvc repro`"),
        (
            empty_calibration,
            "slope, intercept, threshold, certificate, curve, max_length, files, support, reference are needed",
        ),
        (calibration_of_nothing, r"config\.json: was not calibrated"),
        (calibration_without_weights, "names no weights"),
        (other_weights, r"model\.safetensors: not the file that was calibrated"),
        (no_weights, r"model\.safetensors: is missing"),
        (other_tokenizer, r"tokenizer\.json: not the file that was calibrated"),
        (other_labels, r"its labels are {'no': 0, 'yes': 1}, not"),
        (an_adapter, r"adapter_config\.json: was not calibrated"),
        (a_configuration_that_was_not_calibrated, r"config\.json: was not calibrated"),
        (pickled_weights, r"pytorch_model\.bin: pickled weights or code"),
        (code, r"modeling_evil\.py: pickled weights or code"),
        (code_of_the_model, r"config\.json: asks for code of the model's own \(auto_map\)"),
        (code_of_the_tokenizer, r"tokenizer_config\.json: asks for code"),
    ],
)
def test_a_folder_that_is_not_whole_or_not_ours_is_refused(models, spoil, message):
    spoil(models / "fluency")
    with pytest.raises(UserError, match=message):
        FluencyScorer.load(models / "fluency")


def test_a_hubs_model_scores_as_the_folder_it_was_uploaded_from(models, tmp_path, monkeypatch):
    files = {path.name: path.read_bytes() for path in (models / "fluency").iterdir()}
    files["calibration.json"] = (models / "calibration.json").read_bytes()
    files["pytorch_model.bin"] = files["training.py"] = b"never to be downloaded"
    expected = FluencyScorer.load(models / "fluency").score("a cat", "the cat")
    with Hub() as hub:
        hub.configure(monkeypatch, tmp_path)
        commit = hub.publish("owner/scorer", files, kind="models")
        for revision in (None, commit):
            assert FluencyScorer.load("owner/scorer", revision=revision).score("a cat", "the cat") == expected
        with pytest.raises(UserError, match="model: hub:owner/scorer has no revision 'v9'"):
            FluencyScorer.load("owner/scorer", revision="v9")
        assert not [request for request in hub.requests if request.path.endswith((".bin", ".py"))]


def test_a_repository_has_the_model_of_each_revision(models, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    repository = tmp_path / "repository"
    (repository / "models").mkdir(parents=True)

    def run(command):
        subprocess.run(command, shell=True, cwd=repository, check=True, stdout=subprocess.DEVNULL)

    run(f"git init -q -b main && dvc init -q && touch dvc.yaml && dvc remote add -q -d storage {tmp_path}/storage")
    expected = []
    for tag, slope in (("v1", 1.0), ("v2", 0.25)):
        shutil.copytree(models, repository / "models", dirs_exist_ok=True)
        edited(repository / "models/calibration.json", lambda its, value=slope: its.update(slope=value))
        run("dvc add -q models/fluency models/calibration.json && dvc push -q && git add -A")
        run(f"git -c user.name=t -c user.email=t@localhost commit -qm {tag} && git tag {tag}")
        expected.append(FluencyScorer.load(repository / "models/fluency").score("a cat", "the cat"))
    assert expected[0] != expected[1]
    shutil.rmtree(repository / ".dvc/cache")  # what is there comes from the remote
    for source in (repository, f"file://{repository}"):
        found = [FluencyScorer.load(source, revision=tag).score("a cat", "the cat") for tag in ("v1", "v2")]
        assert found == expected
    with pytest.raises(UserError, match=r"no v3 .* check the name"):
        FluencyScorer.load(repository, revision="v3")
    assert FluencyScorer.load(f"file://{repository}").score("a cat", "the cat") == expected[1]
    shutil.rmtree(tmp_path / "storage")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    with pytest.raises(UserError, match=r"no models/fluency in git, nor in DVC's cache or a remote"):
        FluencyScorer.load(f"file://{repository}")
    assert not list(tmp_path.rglob("*.part"))


def test_an_address_without_a_repository_is_told(tmp_path):
    with pytest.raises(UserError, match=r"absent\.git: no git repository to clone there; check address"):
        locate((tmp_path / "absent.git").as_uri(), "v1.0.0")
