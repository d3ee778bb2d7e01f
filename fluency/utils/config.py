"""YAML as frozen dataclasses: unknown keys, missing keys and wrong types are named, never guessed."""

import dataclasses
import json
import math
import re
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar

import yaml

from fluency.utils.errors import UserError

T = TypeVar("T")
PARAMS = Path("params.yaml")


class _Loader(yaml.SafeLoader):
    """PyYAML with YAML 1.2's floats: `3e-5` is a number, as it is to DVC, not YAML 1.1's string."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
    list("-+0123456789."),
)


def read_yaml(path: str | Path, cls: type[T]) -> T:
    """Make the dataclass `cls`, and those of its fields, from a YAML file.

    Raises:
        UserError: naming the key at fault and what is expected there.
    """
    with _named(path):
        return _build(cls, _load(path), "")


def read_params(block: str, cls: type[T], path: str | Path = PARAMS) -> T:
    """Make the dataclass `cls` from one block of params.yaml; what is wrong in other blocks is not looked at.

    Raises:
        UserError: naming the key at fault and what is expected there.
    """
    with _named(path):
        tree = _load(path)
        require(isinstance(tree, dict) and block in tree, f"{block}: missing key; it is needed")
        return _build(cls, tree[block], f"{block}.")


@contextmanager
def _named(path: str | Path) -> Iterator[None]:
    """Tell which file is at fault."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the repository's root") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _load(path: str | Path) -> Any:
    return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (a SafeLoader)


def require(holds: bool, message: str) -> None:
    """Let a value pass that `holds`.

    Raises:
        UserError: it does not; the message names its key and what is expected there.
    """
    if not holds:
        raise UserError(message)


def _build(cls: type, tree: Any, prefix: str) -> Any:
    """Make the dataclass `cls` from the mapping `tree` found at `prefix` ('' or 'train.')."""
    require(isinstance(tree, dict), f"{prefix.rstrip('.') or 'the file'}: expected a mapping, found {tree!r}")
    types = typing.get_type_hints(cls)
    unknown = [str(key) for key in tree if key not in types]
    require(not unknown, f"{prefix}{', '.join(unknown)}: unknown key; known here: {', '.join(types)}")
    none = dataclasses.MISSING
    needed = [its.name for its in dataclasses.fields(cls) if its.default is none and its.default_factory is none]
    missing = [key for key in needed if key not in tree]
    require(not missing, f"{prefix}{', '.join(missing)}: missing key; it is needed")
    return cls(**{key: _convert(kind, tree[key], prefix + key) for key, kind in types.items() if key in tree})


def _shape(kind: Any) -> type | None:
    """What YAML has for a kind of value: a list, a mapping, or None for a plain value."""
    return dict if dataclasses.is_dataclass(kind) else typing.get_origin(kind)


def _convert(kind: Any, value: Any, key: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _build(kind, value, key + ".")
    if typing.get_origin(kind) is UnionType:
        options = typing.get_args(kind)
        if value is None and NoneType in options:
            return None
        shape = type(value) if isinstance(value, list | dict) else None
        chosen = [option for option in options if _shape(option) is shape]
        return _convert((chosen or options)[0], value, key)
    if typing.get_origin(kind) is list:
        require(isinstance(value, list), f"{key}: expected a list, found {value!r}")
        return [_convert(typing.get_args(kind)[0], item, key) for item in value]
    if typing.get_origin(kind) is dict:
        require(isinstance(value, dict), f"{key}: expected a mapping, found {value!r}")
        return {str(name): _convert(typing.get_args(kind)[1], item, f"{key}.{name}") for name, item in value.items()}
    if kind is Any:
        try:
            return json.loads(json.dumps(value, sort_keys=True, allow_nan=False))
        except (TypeError, ValueError):
            raise UserError(f"{key}: expected what JSON can hold, found {value!r}") from None
    if kind is float and type(value) is int:
        value = float(value)
    require(type(value) is kind, f"{key}: expected {kind.__name__}, found {value!r}")
    require(kind is not float or math.isfinite(value), f"{key}: expected a finite number, found {value!r}")
    return value
