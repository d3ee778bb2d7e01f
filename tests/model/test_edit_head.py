"""An edit head is the same after saving, bounded by what it was trained on, and never taken for another model."""

import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, set_seed

from fluency.model.edit_head import EditHead, EditHeadConfig, stack

RNG = np.random.default_rng(0)
FEATURES = RNG.normal([100, -7, 0, 3], [10, 0.1, 1, 0], (50, 4)).astype(np.float32)  # the last never varies
STATES = RNG.normal(2, 5, (50, 3, 8)).astype(np.float16)


def new_head(seed: int = 1) -> EditHead:
    set_seed(seed)
    own = {"model_type": "llama"}
    head = EditHead(EditHeadConfig(features=4, states=3, width=8, hidden_size=6, dropout=0.5, language_model=own))
    head.standardise(FEATURES, STATES)
    return head.eval()


@torch.no_grad()
def logits(head: EditHead, features: np.ndarray = FEATURES, states: np.ndarray = STATES) -> torch.Tensor:
    items = [{"features": one, "states": other} for one, other in zip(features, states, strict=True)]
    return head(**stack(items))["logits"]


def test_a_head_gives_the_same_logits_after_saving(tmp_path):
    head = new_head()
    head.save(tmp_path)
    loaded = EditHead.load(tmp_path)
    assert torch.equal(logits(loaded), logits(head))
    assert not loaded.training
    assert loaded.config.language_model == {"model_type": "llama"}
    assert logits(head).shape == (50, 2)
    assert len(logits(head)[:, 0].unique()) == 50


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        (tmp_path / name).mkdir()
        new_head(seed).save(tmp_path / name)
    one, same, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "same", "other")
    )
    assert one == same
    assert {name for name in one if one[name] != other[name]} == {"edit_head.safetensors"}


@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_farther_off_than_six_deviations_says_no_more(sign):
    def at(deviations: float) -> torch.Tensor:
        inputs = (FEATURES.astype(float), STATES.astype(float))
        far = [values.mean(0) + sign * deviations * values.std(0) for values in inputs]
        return logits(new_head(), far[0][None].astype(np.float32), far[1][None].astype(np.float16))

    assert torch.equal(at(6.1), at(1000))
    assert (at(5.5) - at(6.1)).abs().max() > 1e-3


def test_transformers_does_not_load_the_folder_with_a_random_head_of_its_own(language_model, tmp_path):
    folder = shutil.copytree(language_model, tmp_path / "head")
    AutoModelForSequenceClassification.from_pretrained(folder)  # the language model alone: that is the danger
    new_head().save(folder)
    with pytest.raises(ValueError, match="fluency_edit_head"):
        AutoModelForSequenceClassification.from_pretrained(folder)
