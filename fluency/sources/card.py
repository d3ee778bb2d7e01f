"""What a data set says of itself: the head of its README.md, and the files in which `datasets` keeps its types."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fluency.utils.errors import UserError

# files that say something of the rows, and hold none
FILES = ("README.md", "dataset_info.json", "dataset_infos.json")

Config = dict[str | None, list[str]]  # globs of files by the name of their split; None where the files' names say it


def read_card(folder: Path) -> dict[str, Any]:
    """The YAML at the head of the folder's README.md; empty where there is none.

    Raises:
        UserError: it is no YAML.
    """
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8-sig", errors="replace") if readme.is_file() else ""
    if not text.startswith("---\n"):
        return {}
    head, end, _ = text[4:].partition("\n---")
    if not end:  # a rule, not a head
        return {}
    try:
        card = yaml.safe_load(head)
    except yaml.YAMLError as error:
        raise UserError(f"{readme}: its head is no YAML ({' '.join(str(error).split())})") from None
    return card if isinstance(card, dict) else {}


def configs(card: Mapping[str, Any]) -> dict[str, Config]:
    """The configurations that a card names, with their files."""
    return {
        str(config.get("config_name", "default")): _data_files(config)
        for config in _mappings(card.get("configs"))
        if "data_files" in config or "data_dir" in config
    }


def _data_files(config: Mapping[str, Any]) -> Config:
    files, folder = config.get("data_files", "**/*"), config.get("data_dir")
    if isinstance(files, dict):
        by_split = list(files.items())
    else:
        by_split = [
            (item.get("split"), item.get("path")) if isinstance(item, dict) else (None, item) for item in _list(files)
        ]
    found: Config = {}
    for split, paths in by_split:
        globs = [f"{folder}/{path}" if folder else str(path) for path in _list(paths)]
        found.setdefault(split and str(split), []).extend(globs)
    return found


def class_names(file: Path, config: str | None) -> dict[str, list[str]]:
    """The names of the classes of a file's categorical columns, where the nearest description beside or above has some.

    Above too, as a user may name a part of a data set.

    Raises:
        UserError: it has others for each configuration, and none is chosen.
    """
    return next(filter(None, (_class_names_in(folder, config) for folder in file.absolute().parents)), {})


def _class_names_in(root: Path, config: str | None) -> dict[str, list[str]]:
    if names := names_in(_json(root / "dataset_info.json").get("features")):
        return names
    infos = {name: info for name, info in _json(root / "dataset_infos.json").items() if isinstance(info, dict)}
    infos |= {info.get("config_name", "default"): info for info in _mappings(read_card(root).get("dataset_info"))}
    chosen = [infos[config]] if config in infos else infos.values()
    try:
        found = [names for info in chosen if (names := names_in(info.get("features")))]
    except UserError as error:
        raise UserError(f"data.source: {root}: {error}") from None
    if any(names != found[0] for names in found):
        raise UserError(f"data.source: {root} has other labels in each of its configurations; name one of them")
    return found[0] if found else {}


def names_in(features: Any) -> dict[str, list[str]]:
    """The names of the classes of each categorical feature, as dataset_info.json or a card has them; `a.b` is a field
    of column `a`.

    Raises:
        UserError: a card's names are not numbered from 0.
    """
    if isinstance(features, list):
        features = _features_of_card(features)
    found = {}
    for column, feature in features.items() if isinstance(features, dict) else ():
        names = feature.get("names") if isinstance(feature, dict) else None
        if isinstance(names, list) and not any(isinstance(name, dict | list) for name in names):  # else: a field
            found[column] = [str(name) for name in names]
        elif isinstance(feature, dict):
            found |= {f"{column}.{field}": classes for field, classes in names_in(feature).items()}
    return found


def _features_of_card(features: list[Any]) -> dict[str, Any]:
    """A card's features, as dataset_info.json has them."""
    found = {}
    for item in _mappings(features):
        column, its = str(item.get("name")), item.get("struct") or item.get("dtype")
        if isinstance(its, list):
            found[column] = _features_of_card(its)
        elif isinstance(its, dict) and isinstance(its.get("class_label"), dict):
            found[column] = {"names": _in_order(column, its["class_label"].get("names"))}
    return found


def _in_order(column: str, names: Any) -> Any:
    if not isinstance(names, dict):
        return names
    by_number = {str(number): name for number, name in names.items()}
    try:
        return [by_number[str(number)] for number in range(len(names))]
    except KeyError:
        raise UserError(f"the card does not number the classes of {column!r} from 0; mend it") from None


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from None
    return content if isinstance(content, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [item for item in _list(value) if isinstance(item, dict)]
