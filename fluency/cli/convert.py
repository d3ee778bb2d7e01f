"""`python -m fluency convert`: pairs in other formats: the reference's edit schema as JSON Lines, and M2."""

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from fluency.corpus.formats import as_reference
from fluency.corpus.m2 import as_m2
from fluency.corpus.rows import category
from fluency.edits.edit import Edit
from fluency.utils.errors import UserError
from fluency.utils.files import read_parquet, written_aside


def run(chosen: argparse.Namespace) -> None:
    """Write a Parquet file of pairs as `chosen.to`, whose suffix is `.jsonl` (the reference's schema) or `.m2`.

    M2 knows corrections only, so it gets the pairs of label 1.

    Raises:
        UserError: another suffix, or a file that holds no pairs.
    """
    pairs, to = chosen.pairs, chosen.to
    writers = {".jsonl": _reference_line, ".m2": _m2_block}
    if to.suffix not in writers:
        raise UserError(f"{to}: its suffix tells the format; .jsonl (the reference's edits) and .m2 are known")
    if to.is_dir():
        raise UserError(f"{to}: a folder stands there; name a file")
    records = read_parquet(pairs)
    if records and not {"id", "before", "after", "label", "edit_start", "removed", "inserted"} <= set(records[0]):
        raise UserError(f"{pairs}: it has other columns than pairs have; give a file of data/pairs/")
    written, left_out = 0, Counter()
    with written_aside(to) as aside, aside.open("w", encoding="utf-8") as file:
        for pair in records:
            try:
                file.write(writers[to.suffix](pair))
                written += 1
            except ValueError as error:
                left_out[category(str(error))] += 1
    print(f"{to}: {written} pairs")
    for reason, count in left_out.items():
        print(f"left out: {count} pairs, {reason}")


def _reference_line(pair: Mapping[str, Any]) -> str:
    edit = Edit(pair["edit_start"], pair["removed"], pair["inserted"])
    columns = {"id": pair["id"], **as_reference(pair["before"], edit, pair["label"]), "source": pair["part"]}
    return json.dumps(columns, ensure_ascii=False) + "\n"


def _m2_block(pair: Mapping[str, Any]) -> str:
    if pair["label"] != 1:
        raise ValueError("label 0, which is no correction")
    return as_m2(pair["before"], pair["after"], kind=pair["kind"]) + "\n"
