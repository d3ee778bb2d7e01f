"""What the terminal and README.md show of the committed files: the table of results and the table of stages."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from fluency.evaluation.certificate import SHOWN, Certificate
from fluency.evaluation.comparison import Comparison
from fluency.evaluation.scored_pairs import uninformative
from fluency.metrics import LABELS
from fluency.utils.errors import UserError
from fluency.utils.files import read_json
from fluency.utils.markdown import code, table

CHALLENGE = {
    "absurd": "absurd edits, to be refused",
    "mistake": "mistakes made, to be refused",
    "repair": "mistakes mended, to be accepted",
    "keeping": "edits that keep fluency, to be accepted",
}


def summary(metrics_folder: Path = Path("metrics")) -> str:
    """The results as Markdown: the model beside the baselines, what is certified, and the challenge set.

    Raises:
        UserError: a file of metrics/ is missing, or they are of different data.
    """
    return f"{results(metrics_folder)}\n{challenge_table(read_json(metrics_folder / 'challenge.json'))}"


def results(metrics_folder: Path = Path("metrics")) -> str:
    """Model beside baselines, what is certified at the operating point, and certified thresholds on the test pairs.

    Raises:
        UserError: a file of metrics/ is missing, of an older version, or they are of different data.
    """
    table_ = results_table(metrics_folder)
    try:
        point = read_json(metrics_folder / "validation.json")["operating_point"]
        certificate = Certificate(**point["certificate"])
        certified = certified_table(read_json(metrics_folder / "test.json")["certified"], certificate.confidence)
    except KeyError as missing:
        raise UserError(f"{metrics_folder}: is of an older version, without {missing}; run `dvc repro`") from None
    return f"{table_}\nOperating point: scores from {point['threshold']:.3f}; {certificate}.\n\n{certified}"


def judges_table(metrics_folder: Path = Path("metrics")) -> str:
    """Model and baselines over all test pairs, each at an operating point of its own, with the base rate."""
    model, baselines = read_json(metrics_folder / "test.json"), read_json(metrics_folder / "baseline.json")
    rows = [
        (name, *(with_interval(its["operating_point"], figure) for figure in ("precision", "recall")),
         with_interval(its, "average_precision"))
        for name, its in [("**this model**", model), *((spoken(name), its) for name, its in baselines.items())]
    ]  # fmt: skip
    pairs = f"{model['examples']:,} test pairs, {model['positives'] / model['examples']:.0%} fluent"
    return table((pairs, "precision", "recall", "average precision"), rows) + "\n"


def results_table(metrics_folder: Path = Path("metrics")) -> str:
    """Model beside baselines, overall and for each part.

    Raises:
        UserError: metrics/test.json or metrics/baseline.json is missing, or they are of different data.
    """
    model, baselines = read_json(metrics_folder / "test.json"), read_json(metrics_folder / "baseline.json")
    if any(model["parts"].keys() != baseline["parts"].keys() for baseline in baselines.values()):
        raise UserError(f"{metrics_folder}: test.json and baseline.json are of different data; run `dvc repro`")
    head = ("test pairs", "count", "fluent", "precision", "recall", "average precision", *map(spoken, baselines))
    rows = []
    for name, ours, theirs in [
        ("**all**", model, list(baselines.values())),
        *((part, its, [each["parts"][part] for each in baselines.values()]) for part, its in model["parts"].items()),
    ]:
        every = [_informative(figures) for figures in (ours, *theirs)]
        point = [with_interval(every[0].get("operating_point", {}), name) for name in ("precision", "recall")]
        ranking = [with_interval({"value": its.get("average_precision")}, "value") for its in every]
        rows.append((name, ours["examples"], f"{ours['positives'] / ours['examples']:.0%}", *point, *ranking))
    return table(head, rows) + "\n"


def certified_table(certified: Mapping[str, Any], confidence: float) -> str:
    """What the test pairs say of the thresholds that validation certifies.

    Args:
        certified: as metrics/test.json has it.
    """
    head = (f"certified with {100 * confidence:g} % confidence", "threshold", "precision of the test pairs", "recall")
    rows = []
    for target in SHOWN:
        its = certified.get(f"{target:g}", {})
        found = (with_interval(its, name) for name in ("precision", "recall"))
        rows.append((f"precision at least {target:g}", f"{its['threshold']:.3f}" if its else "none", *found))
    return table(head, rows) + "\n"


def challenge_table(figures: Mapping[str, Any], *, by_length: bool = True) -> str:
    """How much of the challenge set is decided wrongly at the operating point, by what the edits do and their length.

    Args:
        figures: as metrics/challenge.json has them.
    """
    lengths = list(dict.fromkeys(chain(*(figures[role]["lengths"] for role in CHALLENGE)))) if by_length else []
    rows = [
        (
            title,
            figures[role]["edits"],
            _rate(figures[role]),
            *(f"{its['rate']:.1%}" if its else "-" for its in map(figures[role]["lengths"].get, lengths)),
        )
        for role, title in CHALLENGE.items()
    ]
    return table(("challenge set", "count", "decided wrongly", *lengths), rows) + "\n"


def attack_table(figures: Mapping[str, Any]) -> str:
    """How much nonsense of each kind is outside support, where no model is asked, and accepted at the operating point.

    Args:
        figures: as metrics/attack.json has them.
    """
    rows = [(spoken(kind), its["edits"], its["outside_support"], _rate(its)) for kind, its in figures.items()]
    return table(("nonsense", "tries", "outside support", "accepted"), rows) + "\n"


def _rate(its: Mapping[str, Any]) -> str:
    """A share with its interval."""
    return f"{its['rate']:.1%} ({its['rate_low']:.1%}-{its['rate_high']:.1%})"


def spoken(name: str) -> str:
    """A name in a file as people read it: `words alone` for `words_alone`."""
    return name.replace("_", " ")


def _informative(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of some pairs, without those that say nothing, as the pairs have no fluent edit or no harm."""
    nothing = uninformative(figures["positives"], figures["examples"])
    point = {name: value for name, value in figures["operating_point"].items() if name not in nothing}
    return {name: value for name, value in figures.items() if name not in nothing} | {"operating_point": point}


def with_interval(figures: Mapping[str, Any], name: str) -> str:
    """The figure, and its 95 % interval where it has one; a dash where there is no figure."""
    if figures.get(name) is None:
        return "-"
    interval = f" ({figures[f'{name}_low']:.3f}-{figures[f'{name}_high']:.3f})" if f"{name}_low" in figures else ""
    return f"{figures[name]:.3f}{interval}"


def stage_table(pipeline: Path = Path("dvc.yaml")) -> str:
    """The stages and what each does, as a Markdown table."""
    stages = yaml.safe_load(pipeline.read_text(encoding="utf-8"))["stages"]
    rows = [(f"`{name}`", stage["desc"]) for name, stage in stages.items()]
    return table(("stage", "what it does"), rows, left=2) + "\n"


def filled(text: str, blocks: Mapping[str, str]) -> str:
    """`text` with each block between its marks, `<!-- name -->` and `<!-- /name -->`.

    Raises:
        UserError: the marks of a block are not there.
    """
    for name, block in blocks.items():
        first, last = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if first not in text or last not in text:
            raise UserError(f"a page lacks the marks <!-- {name} --> and {last}; its table goes between them")
        text = text.partition(first)[0] + first + block + last + text.partition(last)[2]
    return text


def filled_pages() -> dict[Path, str]:
    """The pages that show committed figures or stages, with what the files say now."""
    challenge = read_json("metrics/challenge.json")
    blocks = {
        "README.md": {"results": judges_table(), "challenge": challenge_table(challenge, by_length=False)},
        "docs/evaluation.md": {"results": results(), "challenge": challenge_table(challenge)},
        "docs/how_it_works.md": {"stages": stage_table()},
    }
    return {Path(page): filled(Path(page).read_text(encoding="utf-8"), its) for page, its in blocks.items()}


def comparison_text(comparison: Comparison, names: Sequence[str], *, limit: int) -> str:
    """The comparison as Markdown that a terminal shows well too.

    Args:
        names: of A and B.
        limit: the most disagreements to list.
    """
    a, b = names
    figures = []
    for row in comparison.figures:
        interval = "" if row["low"] is None else f"{row['low']:+.4f} to {row['high']:+.4f}"
        cells = (row["figure"].replace(".", " ", 1).replace("_", " "), f"{row['a']:.4f}", f"{row['b']:.4f}")
        figures.append((*cells, f"{row['difference']:+.4f}", interval, "*" if row["clear"] else ""))
    tests = [(name, test["a"], test["b"], f"{test['p']:.2g}") for name, test in comparison.sign_test.items()]
    shown = comparison.disagreements[:limit]
    lines = [
        f"{comparison.pairs} pairs. Differences are {b} less {a}; * where chance alone would seldom do it.",
        "",
        table(("", a, b, "difference", "95 % interval", ""), figures),
        "",
        table(("sign test: groups that one has more right of", a, b, "p"), tests),
        "",
        f"They disagree on {len(comparison.disagreements)} pairs"
        + (f"; the worst {len(shown)} for {b}:" if shown else "."),
        "",
        *(_line(row, names) for row in shown),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _line(row: Mapping[str, Any], names: Sequence[str]) -> str:
    label, right = LABELS[row["label"]], names[row["right"] == "b"]
    return f"- {row['score_a']:.3f} -> {row['score_b']:.3f}, {label}, {right} is right: {code(_marked(row))}"


def _marked(pair: Mapping[str, Any]) -> str:
    """The edit as `wdiff` shows it: She [-goes-]{+go+} home."""
    removed = f"[-{pair['removed']}-]" if pair["removed"] else ""
    inserted = f"{{+{pair['inserted']}+}}" if pair["inserted"] else ""
    before = pair["before"]
    return before[: pair["edit_start"]] + removed + inserted + before[pair["edit_end"] :]
