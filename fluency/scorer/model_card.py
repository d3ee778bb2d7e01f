"""The model card: what the model is, how good, of what made and how to use; every number in it comes from a file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from fluency.evaluation.calibration import Calibration
from fluency.report.summary import with_interval
from fluency.utils.markdown import table

REFERENCE = "timonziegenbein/fluency-agumented-edits"
_AT_A_THRESHOLD = {"precision": "precision", "recall": "recall", "f1": "F1", "accuracy": "accuracy"}
_OF_THE_CURVE = {
    "average_precision": "average precision",
    "roc_auc": "ROC AUC",
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
    """

    calibration: Calibration
    figures: Mapping[str, Any]
    sources: Sequence[Mapping[str, Any]]
    data: Mapping[str, Any]
    base: Mapping[str, Any]
    citation: Mapping[str, Any]


def model_card(facts: Facts) -> str:
    """The card as a hub reads it: YAML front matter and Markdown."""
    front = yaml.safe_dump(_front_matter(facts), sort_keys=False, allow_unicode=True)
    sections = (_what, _quality, _use, _training, _limits, _citation)
    return f"---\n{front}---\n\n" + "\n".join(section(facts) for section in sections)


def _front_matter(facts: Facts) -> dict[str, Any]:
    front = {
        "language": "en",
        "license": facts.citation["license"].lower(),
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "tags": ["fluency", "grammaticality", "edits"],
        "base_model": _hub_id(facts.base["source"]),
        "datasets": [name for its in facts.sources if (name := _hub_id(its["source"]))],
        "metrics": list(_AT_A_THRESHOLD),
        "model-index": [{"name": facts.citation["title"], "results": [_result(facts)]}],
    }
    return {name: value for name, value in front.items() if value}


def _result(facts: Facts) -> dict[str, Any]:
    """The figures of the test pairs, in the form of the hub's model index."""
    corpora = [_name(its["corpus"]) for its in facts.sources]
    point = facts.figures["operating_point"]
    at_point = [
        {"type": name, "name": f"{label} at the operating point", "value": point[name]}
        for name, label in _AT_A_THRESHOLD.items()
    ]
    of_curve = [{"type": name, "name": label, "value": facts.figures[name]} for name, label in _OF_THE_CURVE.items()]
    return {
        "task": {"type": "text-classification", "name": "Fluency of one edit"},
        "dataset": {"type": "+".join(corpora), "name": f"Test pairs of {' and '.join(corpora)}", "split": "test"},
        "metrics": at_point + of_curve,
    }


def _what(facts: Facts) -> str:
    return f"""\
# {facts.citation["title"]}

Tells whether **one edit** of a sentence keeps or improves its fluency (label 1, `fluent`) or harms it (label 0,
`non-fluent`). It reads the sentence before and after the edit as one pair, `[CLS] before [SEP] after [SEP]`.

    before: This are a test.     after: This is a test.      -> fluent
    before: She goes home.       after: She go home.         -> non-fluent

It is made to filter or reward what language models rewrite: to say yes only when it is sure.
"""


def _quality(facts: Facts) -> str:
    figures, point = facts.figures, facts.figures["operating_point"]
    rows = [
        (label, with_interval(point, name), with_interval(figures, name)) for name, label in _AT_A_THRESHOLD.items()
    ]
    rows += [(label, "", with_interval(figures, name)) for name, label in _OF_THE_CURVE.items()]
    parts = [
        (part, its["examples"], *(f"{its['operating_point'][name]:.3f}" for name in ("precision", "recall")))
        for part, its in figures["parts"].items()
    ]
    return f"""\
## How good it is

On {figures["examples"]} test pairs, {figures["positives"]} of them fluent, with 95 % intervals from bootstrap resamples
of the groups that share a sentence:

{table(("figure", "at the operating point", "at argmax, or of the whole curve"), rows)}

Scores are logits divided by the temperature {facts.calibration.temperature:.4f}. The operating point, scores of at
least {facts.calibration.threshold:.4f}, was chosen on the validation pairs; `calibration.json` has it, and what
validation says of others. By part of the corpus, at the operating point:

{table(("part", "pairs", "precision", "recall"), parts)}
"""


def _use(facts: Facts) -> str:
    temperature, threshold = facts.calibration.temperature, facts.calibration.threshold
    return f"""\
## How to use it

With the scorer of the project, which checks every file and calibrates the scores:

```python
from fluency import FluencyScorer

scorer = FluencyScorer.load("OWNER/NAME")  # of the hub, or this folder
scorer.score("This are a test.", "This is a test.")  # the probability that the edit keeps or improves fluency
scorer.decide([("She goes home.", "She go home.")])  # whether it reaches the operating point
```

With transformers alone. The scores of the plain pipeline are not calibrated, so the threshold is not for them:

```python
from math import exp

from transformers import pipeline

classify = pipeline("text-classification", model="OWNER/NAME")
classify({{"text": "This are a test.", "text_pair": "This is a test."}})  # label and uncalibrated score

pair = {{"text": "She goes home.", "text_pair": "She go home."}}
logits = {{item["label"]: item["score"] for item in classify(pair, top_k=None, function_to_apply="none")}}
score = 1 / (1 + exp((logits["non-fluent"] - logits["fluent"]) / {temperature}))
accepted = score >= {threshold}
```
"""


def _training(facts: Facts) -> str:
    sources = [
        (_public(its["source"], its["corpus"]), its["revision"] or "", len(its["files"]), its["rows"], its["rejected"])
        for its in facts.sources
    ]
    splits = [
        (name, its["pairs"], its["positives"], ", ".join(f"{part} {pairs}" for part, pairs in its["parts"].items()))
        for name, its in facts.data["splits"].items()
    ]
    weights = [digest for name, digest in facts.base["files"].items() if name.endswith(".safetensors")]
    return f"""\
## What it was made of

{table(("data", "revision", "files", "rows", "rejected"), sources)}

{table(("split", "pairs", "fluent", "parts"), splits)}

Rows of the test split that share a sentence with an earlier split: {facts.data["leakage"]["test"]["rows_normalised"]}.

Base model: {_public(facts.base["source"], "base")}{_at(facts.base["revision"])}, whose weights have the SHA-256
{", ".join(f"`{digest}`" for digest in weights)}. It and the data have licences of their own.
"""


def _limits(facts: Facts) -> str:
    direction, identity = facts.figures["checks"]["direction"], facts.figures["checks"]["identity"]
    lengths = [its for splits in facts.data["corpora"].values() for its in splits.values()]
    median, long = (max(its[name] for its in lengths) for name in ("characters_median", "characters_95"))
    sample = """\
- The sample corpus is **no benchmark**: small, clean, of one hand and partly rule-made. Figures on it say nothing about
  other text, and a model trained on it still accepts plain mistakes.
"""
    return f"""\
## Limits

{sample if any(its["source"] == "sample" for its in facts.sources) else ""}\
- It learnt from English sentences with one edit each: half of them have at most {median} characters, 95 % at most
  {long}. Several edits at once, longer texts and other languages are beyond it. The scorer refuses pairs of more than
  {facts.calibration.max_length} tokens.
- It judges fluency, not meaning: a fluent edit may turn a sentence into its opposite.
- Direction: of {direction["edits"]} edits that harm, {direction["ordered"]:.1%} score below their reverse, and \
{direction["opposite_at_operating_point"]:.1%} are refused at
  the operating point while their reverse is accepted.
- Identity: of {identity["sentences"]} fluent sentences left as they are, the model accepts \
{identity["accepted_at_operating_point"]:.1%} at the operating point.
  The scorer gives them 1 without asking it.
- The scores are probabilities for text like the validation pairs; other text needs another calibration.
"""


def _citation(facts: Facts) -> str:
    cff = facts.citation
    authors = " and ".join(f"{{{author['name']}}}" for author in cff["authors"])
    return f"""\
## How to cite it

Please cite this software, and for the recipe and the idea of its data the reference data set, by its authors.

```bibtex
@software{{fluency,
  title = {{{cff["title"]}}},
  author = {{{authors}}},
  version = {{{cff["version"]}}}
}}

@misc{{fluency-agumented-edits,
  title = {{{REFERENCE.partition("/")[2]}}},
  author = {{{{{REFERENCE.partition("/")[0]}}}}},
  howpublished = {{\\url{{https://huggingface.co/datasets/{REFERENCE}}}}}
}}
```
"""


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


def _at(revision: str | None) -> str:
    return f" at `{revision}`" if revision else ""
