"""The trained model as one folder to publish: weights, tokenizer, calibration and a card, as a hub has them."""

import shutil
from pathlib import Path

import torch
import yaml
from torch import nn

from fluency.evaluation.calibration import Calibration
from fluency.metrics import LABELS
from fluency.model.classifier import last_layer, load_classifier
from fluency.model.device import Device
from fluency.model.edit_head import EditHead
from fluency.scorer.artifact import CALIBRATION, checked
from fluency.scorer.model_card import Facts, model_card
from fluency.scorer.scorer import FluencyScorer
from fluency.utils.errors import UserError
from fluency.utils.files import read_json, written_aside

MODEL, FIGURES = Path("models/fluency"), Path("metrics/test.json")
EXAMPLES = [
    ("This are a test.", "This is a test."),
    ("She goes home.", "She go home."),
    ("The soup is hot.", "The soup is warm."),
    ("We met at the station before noon.", "We met at the"),
]  # of which the card tells what the model says
CARD = "README.md"


def export(to: Path) -> None:
    """Pack the repository's model into the folder `to`; an earlier export there is replaced, anything else is kept.

    Raises:
        UserError: the model, its figures or what they came from are missing or not of one run, or `to` holds something
            else.
    """
    _refuse_to_lose(to)
    calibration = checked(MODEL)
    card = model_card(_facts(calibration))
    with written_aside(to) as aside:
        aside.mkdir()
        for name in calibration.files:
            shutil.copyfile(MODEL / name, aside / name)
        calibration.save(aside / CALIBRATION)
        (aside / CARD).write_text(card, encoding="utf-8")


def export_one_logit(to: Path) -> None:
    """Pack the repository's cross-encoder into the folder `to` for servers that score pairs by one logit: vLLM, TEI.

    The logit is the calibrated log-odds, so the sigmoid of it, which they answer with, is the score. The scorer does
    not load the folder: it is not what was calibrated.

    Raises:
        UserError: the model is missing, not whole or an edit head, or `to` holds something.
    """
    if to.exists() and not (to.is_dir() and not any(to.iterdir())):
        raise UserError(f"{to}: is there already; name a new folder, or an empty one")
    calibration, model = checked(MODEL), load_classifier(MODEL, Device("cpu", bf16=False)).model
    if isinstance(model, EditHead):
        raise UserError(f"{MODEL}: an edit head, which no such server loads; train with model.kind=cross_encoder")
    two = model.get_submodule(name := last_layer(model))
    one = nn.Linear(two.in_features, 1)
    with torch.no_grad():
        one.weight.copy_(calibration.slope * (two.weight[1:] - two.weight[:1]))
        one.bias.copy_(calibration.slope * (two.bias[1:] - two.bias[:1]) + calibration.intercept)
    model.set_submodule(name, one)
    model.config.update({"id2label": {0: LABELS[1]}, "label2id": {LABELS[1]: 0}, "problem_type": None})
    with written_aside(to) as aside:
        model.save_pretrained(aside)
        for its in calibration.files:
            if not its.startswith(("model", "config")):
                shutil.copyfile(MODEL / its, aside / its)


def _refuse_to_lose(to: Path) -> None:
    """What no export wrote must not be replaced by one."""
    if to.is_dir():
        names = {path.name for path in to.iterdir()}
        exported = {CARD, CALIBRATION, *Calibration.load(to / CALIBRATION).files} if CALIBRATION in names else set()
        if others := sorted(names - exported):
            raise UserError(f"{to}: has {others[0]}, which is of no export; name a new folder, or an empty one")
    elif to.exists():
        raise UserError(f"{to}: is a file; name a folder")


def _facts(calibration: Calibration) -> Facts:
    figures = read_json(FIGURES)
    if (found := figures["operating_point"]["threshold"]) != calibration.threshold:
        raise UserError(
            f"{FIGURES}: of another model; its threshold is {found}, calibration's {calibration.threshold}; `dvc repro`"
        )
    scorer = FluencyScorer.load(MODEL)
    scores, accepted = scorer.score_edits(EXAMPLES).tolist(), scorer.decide(EXAMPLES).tolist()
    return Facts(
        calibration=calibration,
        figures=figures,
        sources=read_json("data/raw/manifest.json"),
        data=read_json("metrics/data.json"),
        base=read_json("models/base/manifest.json"),
        challenge=read_json("metrics/challenge.json"),
        attack=read_json("metrics/attack.json"),
        examples=[(*edit, *said) for edit, *said in zip(EXAMPLES, scores, accepted, strict=True)],
        citation=yaml.safe_load(Path("CITATION.cff").read_text(encoding="utf-8")),
    )
