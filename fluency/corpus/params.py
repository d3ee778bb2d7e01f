"""The block `data` of params.yaml: where the corpora come from, and how they are read."""

from dataclasses import dataclass

from fluency.sources.data import Source
from fluency.utils.config import require

FORMATS = ("reference", "labelled", "parallel", "jfleg", "preference", "essays", "m2")


@dataclass(frozen=True)
class DataParams:
    source: str | Source | list[str | Source]
    format: str | None
    tasks: list[str]
    task_relations: dict[str, str]
    join_tokens: bool

    def __post_init__(self) -> None:
        require(bool(self.source), "data.source: names no source")
        for source in self.sources:
            require(self.sources.count(source) == 1, f"data.source: names {source.name!r} twice")
        for format in (self.format, *(source.format for source in self.sources)):
            require(format in (None, *FORMATS), f"data.format: {format!r} is none of {', '.join(FORMATS)}")
        for task, relation in self.task_relations.items():
            known = relation in ("correction", "rewrite")
            require(known, f"data.task_relations.{task}: {relation!r} is neither correction nor rewrite")

    @property
    def sources(self) -> list[Source]:
        """The sources, of which `source` may be one."""
        named = self.source if isinstance(self.source, list) else [self.source]
        return [source if isinstance(source, Source) else Source.of(source) for source in named]
