"""The model card: what the model is, how good, of what made and how to use; every number in it comes from a file.

The text is in the template beside this module.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from fluency.evaluation.calibration import Calibration
from fluency.report.summary import attack_table, challenge_table, with_interval
from fluency.utils.markdown import code, table
from fluency.utils.templates import render

REFERENCE = "timonziegenbein/fluency-agumented-edits"
_AT_A_THRESHOLD = {"precision": "precision", "recall": "recall", "f1": "F1", "accuracy": "accuracy"}
_OF_THE_CURVE = {
    "average_precision": "average precision",
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "expected calibration error",
}


@dataclass(frozen=True)
class Facts:
    """What the card tells of, as the pipeline's files have it.

    Attributes:
        figures: metrics/test.json.
        sources: data/raw/manifest.json.
        data: metrics/data.json.
        base: models/base/manifest.json.
        citation: CITATION.cff.
        challenge: metrics/challenge.json.
        attack: metrics/attack.json.
        examples: edits with their score and whether they are accepted: before, after, score, accepted.
    """

    calibration: Calibration
    figures: Mapping[str, Any]
    sources: Sequence[Mapping[str, Any]]
    data: Mapping[str, Any]
    base: Mapping[str, Any]
    citation: Mapping[str, Any]
    challenge: Mapping[str, Any]
    attack: Mapping[str, Any]
    examples: Sequence[tuple[str, str, float, bool]]


def model_card(facts: Facts) -> str:
    """The card as a hub reads it: YAML front matter and Markdown."""
    figures, base = facts.figures, facts.base
    lengths = [its for splits in facts.data["corpora"].values() for its in splits.values()]
    median, long = (max(its[name] for its in lengths) for name in ("characters_median", "characters_95"))
    owner, _, name = REFERENCE.partition("/")
    return render(
        __file__,
        filters={"percent": "{:.1%}".format},
        front_matter=_front_matter(facts).to_yaml(),
        tables=_tables(facts),
        authors=" and ".join(f"{{{author['name']}}}" for author in facts.citation["authors"]),
        base_source=_public(base["source"], "base"),
        edit_head=base["kind"] == "edit_head",
        weights=[f"`{digest}`" for name, digest in base["files"].items() if name.endswith(".safetensors")],
        of_sample=any(its["source"] == "sample" for its in facts.sources),
        median=median,
        long=long,
        direction=figures["checks"]["direction"],
        identity=figures["checks"]["identity"],
        reference_owner=owner,
        reference_name=name,
        **vars(facts),
    )


def _front_matter(facts: Facts) -> ModelCardData:
    corpora = [_name(its["corpus"]) for its in facts.sources]
    test = {
        "task_type": "text-classification",
        "task_name": "Fluency of one edit",
        "dataset_type": "+".join(corpora),
        "dataset_name": f"Test pairs of {' and '.join(corpora)}",
        "dataset_split": "test",
    }
    at_point = {name: f"{label} at the operating point" for name, label in _AT_A_THRESHOLD.items()}
    results = [
        EvalResult(metric_type=name, metric_name=label, metric_value=its[name], **test)
        for its, names in ((facts.figures["operating_point"], at_point), (facts.figures, _OF_THE_CURVE))
        for name, label in names.items()
    ]
    return ModelCardData(
        language="en",
        license=facts.citation["license"].lower(),
        library_name="transformers" if facts.base["kind"] == "cross_encoder" else None,
        pipeline_tag="text-classification",
        tags=["fluency", "grammaticality", "edits"],
        base_model=_hub_id(facts.base["source"]),
        datasets=[name for its in facts.sources if (name := _hub_id(its["source"]))] or None,
        metrics=list(_AT_A_THRESHOLD),
        model_name=facts.citation["title"],
        eval_results=results,
    )


def _tables(facts: Facts) -> dict[str, str]:
    figures, point = facts.figures, facts.figures["operating_point"]
    main = [
        (label, with_interval(point, name), with_interval(figures, name)) for name, label in _AT_A_THRESHOLD.items()
    ]
    main += [(label, "", with_interval(figures, name)) for name, label in _OF_THE_CURVE.items()]
    parts = [
        (part, its["examples"], *(with_interval(its["operating_point"], name) for name in ("precision", "recall")))
        for part, its in figures["parts"].items()
    ]
    sources = [
        (_public(its["source"], its["corpus"]), its["revision"] or "", len(its["files"]), its["rows"], its["rejected"])
        for its in facts.sources
    ]
    splits = [
        (name, its["pairs"], its["positives"], ", ".join(f"{part} {pairs}" for part, pairs in its["parts"].items()))
        for name, its in facts.data["splits"].items()
    ]
    examples = [
        (code(before), code(after), f"{score:.3f}", "accepted" if accepted else "refused")
        for before, after, score, accepted in facts.examples
    ]
    return {
        "examples": table(("before", "after", "score", ""), examples, left=2),
        "challenge": challenge_table(facts.challenge),
        "attack": attack_table(facts.attack),
        "figures": table(("figure", "at the operating point", "at one half, or of the whole curve"), main),
        "parts": table(("part", "pairs", "precision", "recall"), parts),
        "sources": table(("data", "revision", "files", "rows", "rejected"), sources),
        "splits": table(("split", "pairs", "fluent", "parts"), splits),
    }


def _hub_id(source: str) -> str | None:
    """OWNER/NAME, where a source is a hub's."""
    found = re.fullmatch(r"hub:([^@]+)(@.*)?", source)
    return found[1] if found else None


def _public(source: str, corpus: str) -> str:
    """A source as others may see it: without the folders of this machine."""
    return f"local files ({_name(corpus)})" if source.startswith("path:") else f"`{source}`"


def _name(corpus: str) -> str:
    """A corpus of two with one name is called by its whole path."""
    return corpus.rpartition("/")[2]
