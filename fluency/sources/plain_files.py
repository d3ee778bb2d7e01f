"""Parallel plain text: which files have the sentences, and which have their corrections."""

import re
from collections.abc import Collection
from pathlib import Path

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
# words in the names: of sentences with mistakes, and of their corrections; of these, the first that are there count
_SIDES = {
    "src|source": ("tgt|trg|target|ref|reference", "corr|cor|corrected"),
    "orig|original": ("corr|cor|corrected|ref|reference", "tgt|trg|target"),
    "incorrect|incorr": ("correct|corr",),
    "input": ("output",),
}
_WORDS = {word for sources, targets in _SIDES.items() for words in (sources, *targets) for word in words.split("|")}
_TAIL = rf"(?:\.txt)?(?:{'|'.join(map(re.escape, COMPRESSED))})?"
PLAIN = [  # globs of the files that may be such
    f"*{name}{end}"
    for word in sorted(_WORDS)
    for name in (f".{word}", f".{word}[0-9]*", f".{word}[._-][0-9]*", f"{word}*.txt")
    for end in ("", *COMPRESSED)
]


def targets_of(file: Path) -> list[Path]:
    """The files beside a plain source file that have its corrections, in the order of their numbers.

    Of `dev.src` they are `dev.tgt`, or `dev.ref0`, `dev.ref1` and so on; of `src-dev.txt` it is `tgt-dev.txt`.
    """
    for sources, targets in _SIDES.items():
        named = rf"((?:.*[._-])?)(?:{sources})((?:[._-].+(?=\.txt))?){_TAIL}"
        if match := re.fullmatch(named, file.name, re.IGNORECASE):
            head, rest = map(re.escape, match.groups())
            for words in targets:
                target = re.compile(rf"{head}(?:{words})[._-]?(\d*){rest}{_TAIL}", re.IGNORECASE)
                found = {path: its for path in file.parent.iterdir() if (its := target.fullmatch(path.name))}
                if its := [path for path in found if not is_copy(path, found)]:
                    return sorted(its, key=lambda path: (int(found[path][1] or 0), path.name))
    return []


def is_copy(file: Path, files: Collection[Path]) -> bool:
    """Whether a compressed file is among others as it is without."""
    return file.suffix.lower() in COMPRESSED and file.with_suffix("") in files
