"""Where rows belong: their corpus, part and split, their file and line."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fluency.corpus.drafts import Draft, checked
from fluency.corpus.rows import Rejected, Row
from fluency.corpus.split_names import end_of, split_of, split_of_path
from fluency.sources.data import SAMPLE, Fetched, local_path
from fluency.utils.errors import UserError

Items = Iterator[Row | Rejected]

_REMEDY = "say it yourself: {path: ..., files: GLOB, split: train, validation, test or cut}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file's rows belong.

    Attributes:
        split: None where neither the source nor a name says it.
        said: the source says the split, whatever the rows say.
        beside: a file of the source whose name says its split, where this one's doesn't.
    """

    corpus: str
    part: str
    split: str | None
    file: str
    said: bool = False
    beside: str | None = None

    def row(self, draft: Draft, line: int, record: Mapping[str, Any]) -> Row:
        """The draft as a row; other columns of the record tell kind, part and split better than the file does.

        Raises:
            ValueError: the record names a split that is not known, or train in a file of held-out rows.
            UserError: nothing says the row's split, and that of other files is said.
        """
        edit = draft.edit
        split = self.split if self.said else self._split(record)
        return Row(
            draft.relation,
            draft.before,
            draft.after,
            edit and edit.start,
            edit and edit.removed,
            edit and edit.inserted,
            draft.label,
            writable(str(draft.kind or record.get("kind") or "unknown")),
            writable(str(record.get("part") or record.get("source") or self.part)),
            self.corpus,
            split,
            self.file,
            line,
        )

    def rows(
        self,
        line: int,
        text: Callable[[], str],
        drafts: Callable[[], Iterable[Draft | ValueError]],
        columns: Mapping[str, Any] | None = None,
    ) -> Items:
        """The rows of a record's drafts. One that breaks off is rejected whole; a draft that is an error, alone.

        Args:
            text: the record, for what is rejected.
            columns: what the record says beside its format's own columns.
        """
        items: list[Row | Rejected] = []
        try:
            for draft in drafts():
                try:
                    if isinstance(draft, ValueError):
                        raise draft
                    items.append(self.row(checked(draft), line, columns or {}))
                except ValueError as error:
                    items.append(self.rejected(str(error), line, text()))
        except ValueError as error:
            items = [self.rejected(str(error), line, text())]
        yield from items or [self.rejected("it gives no row", line, text())]

    def rejected(self, reason: str, line: int, row: str) -> Rejected:
        """The row whole."""
        return Rejected(writable(reason), self.corpus, self.file, line, writable(row))

    def _split(self, record: Mapping[str, Any]) -> str | None:
        given = record.get("split")
        split = None if given is None else split_of(str(given))
        if split is None and given is not None:
            raise ValueError(f"split: neither train, validation nor test; found {given!r}"[:200])
        if split == "train" and self.split not in (None, "train"):
            raise ValueError(f"split: train, but the file's name says {self.split}")
        if split is None and self.beside:
            raise UserError(
                f"data.source: {self.file}: its name says no split, where that of {self.beside} does; {_REMEDY}"
            )
        return split or self.split


def places_of(fetched: Fetched, corpus: str, files: Sequence[Path]) -> dict[Path, Place]:
    """The place of each file's rows.

    Raises:
        UserError: a name says several splits, or may say one.
    """
    names = {file: writable(file.relative_to(fetched.root).as_posix()) for file in files}
    said = fetched.source.split
    if said or fetched.root == SAMPLE:
        split = None if said == "cut" else said
        parts = {file: file.parent.name if fetched.root == SAMPLE else corpus for file in files}
        return {file: Place(corpus, parts[file], split, name, said=bool(said)) for file, name in names.items()}
    # `path:bench/test`; the repository's own name says nothing
    root = "" if fetched.root == local_path(".") else end_of(fetched.root.name)
    splits = {}
    for file, name in names.items():
        try:
            its = fetched.splits.get(file)
            splits[file] = split_of(its) if its else split_of_path(f"{root}/{name}")
        except ValueError as error:
            raise UserError(f"data.source: {fetched.root.name}/{name}: {error}; {_REMEDY}") from None
    beside = next((names[file] for file, split in splits.items() if split), None)
    return {
        file: Place(corpus, corpus, split, names[file], beside=None if split else beside)
        for file, split in splits.items()
    }


def writable(text: str) -> str:
    """The text with lone surrogates escaped, which no file can hold."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
