"""Whether a rerun's precision and recall are those committed: `python -m tests.project.committed_results OLD NEW`."""

import json
import sys
from pathlib import Path

TOLERANCE = 0.05  # another processor rounds otherwise, and training amplifies it

old, new = (json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:])
pairs = [(f"{name} at argmax", old[name], new[name]) for name in ("precision", "recall")] + [
    (f"{name} at the operating point", old["operating_point"][name], new["operating_point"][name])
    for name in ("precision", "recall")
]
far = [name for name, committed, found in pairs if abs(committed - found) > TOLERANCE]
for name, committed, found in pairs:
    print(f"{name}: committed {committed:.3f}, found {found:.3f}")
if far:
    sys.exit(f"error: the committed results are not those of the committed code ({', '.join(far)}); dvc repro, commit")
