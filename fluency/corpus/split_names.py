"""Which split a name stands for: the words that `datasets` knows, and what else people call what they hold out."""

import re
from typing import Any

_KNOWN = {
    "train": "train training trn 训练 訓練",
    "validation": "validation valid val dev devel development 验证 驗證 検証 开发 開發 開発",
    "test": "test testing eval evaluation tst devtest heldout holdout nontrain 测试 測試 评测 評価",
}
_ENDS = ("", "s", "set", "sets", "data", "file", "split", "集", "数据", "データ")
_SPLIT_OF = {word + end: split for split, words in _KNOWN.items() for word in words.split() for end in _ENDS}
# words of a name: runs of letters, and the parts of `TestSet` and `JFLEGtest`
_WORD = re.compile(r"[^\W\d_]+")
_PART = re.compile(r"[A-Z]?[a-z]+")
# what may say that a file is held out (`gectest`, `jflegdev`), but for words of the language
_UNCLEAR = re.compile(
    r"\w*(?:test|eval|heldout|holdout|测试|測試|评测|评估|評価|验证|驗證|検証)\w*|validat(?:e|ing)|\w\w+(?:dev|valid)",
    re.IGNORECASE,
)
_CLEAR = re.compile(r"(?:con|la|pro|grea|shor|fas)tests?|testimon\w+|medieval|retrieval|invalid", re.IGNORECASE)


def splits_in(name: str) -> list[str]:
    """The splits that the words of a name stand for, in their order: `[test]` of `fce_test2014-00000-of-00001`."""
    found: list[str] = []
    words = _WORD.findall(name)
    at = 0
    while at < len(words):
        two = _SPLIT_OF.get("".join(words[at : at + 2]).lower())  # held-out, dev.test
        if two and words[at + 1 :]:
            found.append(two)
            at += 1
        elif one := _SPLIT_OF.get(words[at].lower()):
            found.append(one)
        else:
            found += _inside(words[at])
        at += 1
    return list(dict.fromkeys(found))


def _inside(word: str) -> list[str]:
    """The splits in a word of capital and small letters; `Oval` is no val."""
    parts = [(part.start(), part[0]) for part in _PART.finditer(word)]
    parts += [(start + 1, part[1:]) for start, part in parts if part[0].isupper() and word[:start].isupper()]
    return [split for _, part in sorted(parts) if part != word and (split := _SPLIT_OF.get(part.lower()))]


def split_of(name: str) -> str | None:
    """The split that a name stands for (`train-00000-of-00001`, `dev`), or None.

    Raises:
        ValueError: its words stand for several.
    """
    found = splits_in(name)
    if len(found) > 1:
        raise ValueError(f"the name of {name!r} stands for {' and '.join(found)}")
    return found[0] if found else None


def says_split(name: Any) -> bool:
    """Whether a name says a split and nothing else: `Dev`, `test2014`, `held-out`."""
    return isinstance(name, str) and re.sub(r"[\W\d_]+", "", name).lower() in _SPLIT_OF


def end_of(name: str) -> str:
    """The end of the name of a folder: what counts of one that the user names, as its other words may be about
    anything (`bea19-dev` holds what is held out, `test_my_idea` what is tried)."""
    words = [word for word in _WORD.findall(name) if len(word) > 1]  # without the v of a version
    two = "-".join(words[-2:])
    return two if says_split(two) else "".join(words[-1:])


def _is_unclear(word: str) -> bool:
    return bool(_UNCLEAR.fullmatch(word) and not _CLEAR.fullmatch(word) and not splits_in(word))


def split_of_path(path: str) -> str | None:
    """The split that a file is in: its own name tells it best, then the folder nearest to it.

    Raises:
        ValueError: a name stands for several, the one says train and another that the file is held out, or a word may
            say that it is.
    """
    *folders, file = path.split("/")
    told = [(name, splits_in(name)) for name in (file, *reversed(folders))]
    told = [(name, found) for name, found in told if found]
    split = split_of(told[0][0]) if told else None
    unclear = next((word for word in _WORD.findall(path) if _is_unclear(word)), None)
    if unclear and split in (None, "train"):
        raise ValueError(f"{unclear!r} in its name may say that it is held out")
    against = next((name for name, found in told[1:] if "train" not in found), None)
    if split == "train" and against:
        raise ValueError(f"the name of {told[0][0]!r} says train, its folder {against!r} does not")
    return split
