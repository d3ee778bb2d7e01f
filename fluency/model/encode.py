"""Encoding the pairs of a split once, for training, calibration and evaluation; a run that was cut off goes on."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from fluency.edits.forms import Change
from fluency.model import edit_features, edit_reader, likelihood
from fluency.model.classifier import Reader
from fluency.model.device import device_at_hand
from fluency.model.edit_reader import EditReader
from fluency.model.encoded_pairs import write_encoded
from fluency.model.encoding import Item, PairReader, Unseen, load_tokenizer
from fluency.model.params import EncodeParams
from fluency.utils.errors import UserError
from fluency.utils.files import read_json, read_parquet, sha256

_CHUNK = 16_384  # pairs whose tokens are in memory at once


def reader_of(base: Path, params: EncodeParams) -> Reader:
    """What reads pairs for the base model in a folder, by the kind that its manifest.json says.

    Raises:
        UserError: the folder or its manifest is missing, or the model has too few layers or positions.
    """
    if read_json(base / "manifest.json")["kind"] == "cross_encoder":
        return PairReader(load_tokenizer(base), max_length=params.max_length)
    config = read_json(base / "config.json")
    for key, value, most in (
        ("layer", params.layer, config["num_hidden_layers"]),
        ("max_length", params.max_length, config["max_position_embeddings"]),
    ):
        if value > most:
            raise UserError(f"encode.{key}: {value}, where the language model has {most}; set {most} or less")
    return EditReader(base, device_at_hand(), params)


def parts_folder(root: Path, base: Path, params: EncodeParams) -> Path:
    """A folder in `root` for what is read with this base model, these params and this code, on such a device."""
    code = [sha256(module.__file__) for module in (likelihood, edit_features, edit_reader)]
    device = device_at_hand()
    origin = sha256(base / "manifest.json"), asdict(params), code, device.type, device.bf16
    return root / f"encoding-{hashlib.sha256(repr(origin).encode()).hexdigest()[:16]}"


def encode_pairs(
    pairs: Path, folder: Path, reader: Reader, *, parts: Path, progress: str, drop_unseen: bool = False
) -> tuple[dict[str, int], list[dict[str, str]]]:
    """Encode the pairs of a Parquet file into the new `folder`, as `EncodedPairs` reads them.

    Args:
        parts: the reader's own folder for what was read, from which a later run goes on; to be removed after the last.
        progress: label of the progress bars.
        drop_unseen: leave out pairs whose edit the model cannot see; the others keep their order.

    Returns:
        How many `pairs` there are, how many of them `invisible` and `truncated`, and how many `encoded`; and the `id`
        and `reason` of those whose edit the model cannot see.

    Raises:
        UserError: pairs were left out, and the others have not both labels.
    """
    rows, figures, unseen = _seen(pairs, reader, drop_unseen=drop_unseen)
    changes, labels = _changes(rows), [row["label"] for row in rows]
    read = (reader.read(items, progress=label, parts=parts) for items, label in _tokenised(reader, changes, progress))
    write_encoded(folder, read, labels, changes)
    return figures | {"encoded": len(rows)}, unseen


def encode_share(
    pairs: Path, reader: Reader, *, parts: Path, progress: str | None, drop_unseen: bool, process: int, processes: int
) -> None:
    """Read one process's share of what `encode_pairs` reads, which then finds it in `parts`."""
    if isinstance(reader, PairReader):
        return  # tokens are all there is to read
    rows, *_ = _seen(pairs, reader, drop_unseen=drop_unseen)
    for items, label in _tokenised(reader, _changes(rows), progress):
        reader.read_share(items, parts, process=process, processes=processes, progress=label)


def _seen(
    pairs: Path, reader: Reader, *, drop_unseen: bool
) -> tuple[list[dict[str, Any]], dict[str, int], list[dict[str, str]]]:
    """The rows that are encoded; and as `encode_pairs` returns them, figures and the unseen."""
    rows = read_parquet(pairs, columns=["id", "before", "after", "label"])
    reasons = [reason for chunk in _chunks(_changes(rows)) for reason in reader.unseen(chunk)]
    unseen = [{"id": row["id"], "reason": reason} for row, reason in zip(rows, reasons, strict=True) if reason]
    figures = {"pairs": len(rows)} | {reason: reasons.count(reason) for reason in get_args(Unseen)}
    if drop_unseen and unseen:
        rows = [row for row, reason in zip(rows, reasons, strict=True) if not reason]
        if len({row["label"] for row in rows}) < 2:
            raise UserError(
                f"{pairs}: of {len(reasons)} pairs the base model can tell {len(rows)} from unchanged sentences, and "
                "those have not both labels; choose another model.source, or raise encode.max_length"
            )
    return rows, figures, unseen


def _tokenised(
    reader: Reader, changes: Sequence[Change], progress: str | None
) -> Iterator[tuple[list[Item], str | None]]:
    """Tokens of changes, of so many at once, each time with the label of a progress bar."""
    chunks = _chunks(changes)
    for number, chunk in enumerate(chunks, 1):
        label = f"{progress} {number} of {len(chunks)}" if progress and len(chunks) > 1 else progress
        yield reader.tokenise(chunk, cut=True), label


def _changes(rows: Sequence[dict[str, Any]]) -> list[Change]:
    return [(row["before"], row["after"]) for row in rows]


def _chunks(changes: Sequence[Change]) -> list[Sequence[Change]]:
    return [changes[start : start + _CHUNK] for start in range(0, len(changes), _CHUNK)]
