"""The block `data` of params.yaml: where the corpora come from, and how they are read."""

from dataclasses import dataclass

from fluency.utils.config import require


@dataclass(frozen=True)
class DataParams:
    source: str | list[str]
    format: str | None
    tasks: list[str]

    def __post_init__(self) -> None:
        require(bool(self.source), "data.source: names no source")
        for source in self.sources:
            require(self.sources.count(source) == 1, f"data.source: names {source!r} twice")
        known = ("reference", "parallel", "jfleg", "m2", "labelled")
        require(self.format in (None, *known), f"data.format: {self.format!r} is none of {', '.join(known)}")

    @property
    def sources(self) -> list[str]:
        """The sources, of which `source` may be one."""
        return [self.source] if isinstance(self.source, str) else self.source
