"""Reading edits with a language model for an edit head; a long reading uses all cores, and goes on after a cut."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tqdm import tqdm
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from fluency.edits.forms import Change
from fluency.model.device import Device
from fluency.model.edit_features import features, states
from fluency.model.edit_head import stack
from fluency.model.encoding import Item, Unseen, load_tokenizer, without_bar
from fluency.model.likelihood import (
    Edit,
    Pack,
    Side,
    Tokens,
    batches_of_packs,
    read_batch,
    shared_ends,
    tokenise,
    unchanged,
)
from fluency.model.params import EncodeParams
from fluency.utils.files import written_aside
from fluency.utils.processes import die_with_parent, keep_memory

_PROCESSES = 4  # that read at once, at most: each has the language model in memory


class EditReader:
    """Reads edits with the language model in a local folder; safetensors only, no remote code.

    Args:
        config: the language model's, where that of the folder is another's.

    Attributes:
        max_length: tokens of the longest sentence that is read whole.
    """

    def __init__(
        self, folder: Path, device: Device, params: EncodeParams, *, config: Mapping[str, Any] | None = None
    ) -> None:
        self.folder, self.device, self.params, self.given = folder, device, params, config
        self.config = (
            AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            if config is None
            else AutoConfig.for_model(**config)
        )
        self.max_length = params.max_length

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process, which loads what it needs itself, once."""
        return _own, (self.folder, self.device, self.params, json.dumps(self.given))

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The language model's tokenizer, loaded when it is first needed."""
        return load_tokenizer(self.folder, self.config)

    @cached_property
    def model(self) -> PreTrainedModel:
        """The language model, loaded when it is first needed."""
        with without_bar():
            model = AutoModelForCausalLM.from_pretrained(
                self.folder,
                config=self.config,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.bfloat16 if self.device.bf16 else torch.float32,
            )
        return model.to(self.device.name).eval()

    def load(self) -> "EditReader":
        """Load both now, and not by the first of several threads that needs them; returns the reader."""
        _ = self.model, self.tokenizer
        return self

    def tokenise(self, changes: Sequence[Change], *, cut: bool) -> list[Item]:
        """The tokens of changes.

        Args:
            cut: keep of longer sentences the `max_length` tokens around the edit; else they stay whole.
        """
        before, after = (tokenise(self.tokenizer, sentences) for sentences in zip(*changes, strict=True))
        sides = zip(before, after, strict=True)
        return [
            {"before": one, "after": other}
            for one, other in ((_around_edit(*both, self.max_length) for both in sides) if cut else sides)
        ]

    def unseen(self, changes: Sequence[Change]) -> list[Unseen | None]:
        """For each change why the model sees no edit, or None; sentences are cut around the edit, never before it."""
        items = self.tokenise(changes, cut=False)
        return ["invisible" if item["before"] == item["after"] else None for item in items]

    def length(self, item: Item) -> int:
        """Tokens of the longer sentence."""
        return max(len(item["before"]), len(item["after"]))

    def read(self, items: Sequence[Item], *, progress: str | None = None, parts: Path | None = None) -> list[Item]:
        """Features and states of tokenised changes; an edit and its reverse are read once.

        Args:
            progress: label of a progress bar; none is shown without.
            parts: folder for what was read, from which a later run goes on; with it, a CPU reads in several processes.
        """
        edits: list[Edit] = [(item["before"], item["after"]) for item in items]
        wanted = set(edits)
        found = {edit: self._unchanged(edit) for edit in wanted if edit[0] == edit[1]}
        batches = batches_of_packs(edits, self.device.batch_tokens)
        with tqdm(total=len(wanted), initial=len(found), desc=progress, unit="edit", disable=progress is None) as bar:
            done = ((packs, self.read_packs(packs)) for packs in batches)
            for packs, read in done if parts is None else self._in_parts(batches, parts):
                its = {edit: item for edit, item in zip(_edits(packs), read, strict=True) if edit in wanted}
                found |= its
                bar.update(len(its))
        return [found[edit] for edit in edits]

    def read_share(
        self, items: Sequence[Item], parts: Path, *, process: int, processes: int, progress: str | None = None
    ) -> None:
        """Read this process's share of tokenised changes into files in `parts`, from which `read` goes on.

        Args:
            process: which of the `processes` that divide the work.
        """
        batches = batches_of_packs(((item["before"], item["after"]) for item in items), self.device.batch_tokens)
        mine = _files(batches[process::processes], parts)
        missing = _missing(mine)
        for _ in tqdm(self._read_into(missing), progress, len(mine), initial=len(mine) - len(missing), unit="batch",
                      disable=progress is None):  # fmt: skip
            pass

    def read_packs(self, packs: Sequence[Pack]) -> list[Item]:
        """Features and states of a batch's edits, each both ways."""
        layer, following = self.params.layer, self.params.following
        read = read_batch(self.model, packs, layer=layer, following=following)
        return [self._item(*way) for sides in read for way in (sides, sides[::-1])]

    def _item(self, before: Side, after: Side) -> Item:
        return {
            "features": features(before, after, self.params.following),
            "states": states(before, after).astype(np.float16),
        }

    def _unchanged(self, edit: Edit) -> Item:
        side = unchanged(len(edit[0]), self.config.hidden_size)
        return self._item(side, side)

    def _in_parts(self, batches: Sequence[list[Pack]], parts: Path) -> Iterator[tuple[list[Pack], list[Item]]]:
        """Batches as they are read, each into a file of its own; first those that an earlier run has read."""
        files = _files(batches, parts)
        missing = _missing(files)
        for file in chain(files.keys() - missing, self._read_into(missing)):
            columns = load_file(file)
            rows = range(len(columns["features"]))
            yield files[file], [{name: values[row] for name, values in columns.items()} for row in rows]

    def _read_into(self, files: Mapping[Path, list[Pack]]) -> Iterator[Path]:
        """Read batches into their files; which one is there now."""
        cores = 1 if self.device.type == "cuda" else torch.get_num_threads()
        processes = max(1, min(cores, _PROCESSES, len(files)))
        with joblib.parallel_config("loky", inner_max_num_threads=cores // processes):
            jobs = (joblib.delayed(_read_part)(self, packs, file) for file, packs in files.items())
            yield from joblib.Parallel(processes, return_as="generator_unordered")(jobs)

    def padded(self, _: Item) -> int:
        """An edit that was read is one row of a batch."""
        return 1

    def collate(self, items: Sequence[Item]) -> dict[str, torch.Tensor]:
        """A batch of edits that were read."""
        return stack(items)


@lru_cache(maxsize=1)
def _own(folder: Path, device: Device, params: EncodeParams, config: str) -> EditReader:
    """A worker's own reader."""
    die_with_parent(os.environ)
    keep_memory()
    return EditReader(folder, device, params, config=json.loads(config))


def _files(batches: Sequence[list[Pack]], parts: Path) -> dict[Path, list[Pack]]:
    """The file in `parts` of what is read of each batch."""
    return {parts / f"{hashlib.sha256(repr(packs).encode()).hexdigest()}.safetensors": packs for packs in batches}


def _missing(files: Mapping[Path, list[Pack]]) -> dict[Path, list[Pack]]:
    return {file: packs for file, packs in files.items() if not file.is_file()}


def _read_part(reader: EditReader, packs: Sequence[Pack], file: Path) -> Path:
    read = reader.read_packs(packs)
    with written_aside(file) as aside:
        save_file({name: np.stack([item[name] for item in read]) for name in read[0]}, aside)
    return file


def _edits(packs: Sequence[Pack]) -> list[Edit]:
    """A batch's edits, each both ways, in the order in which they are read."""
    return [way for pack in packs for edit in pack.edits for way in (edit, edit[::-1])]


def _around_edit(before: Tokens, after: Tokens, max_length: int) -> tuple[Tokens, Tokens]:
    """Both sentences cut alike to at most `max_length` tokens, with as much of the edit in them as fits."""
    if max(len(before), len(after)) > max_length:
        shared, _ = shared_ends(before, after)
        start = max(0, shared - max_length // 2)
        before, after = before[start : start + max_length], after[start : start + max_length]
    return before, after
