"""What a process does with memory; its locks and parents are tested where they are used."""

import ctypes
import subprocess
import sys

import pytest

_FAULTS = """
import resource
from fluency.utils.processes import keep_memory

def pages_taken():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        b"x" * 2**26  # 16,384 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = pages_taken()
keep_memory()
pages_taken()
print(usual, pages_taken())
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="needs glibc"
)
def test_memory_that_was_freed_is_used_again():
    done = subprocess.run([sys.executable, "-c", _FAULTS], check=True, capture_output=True, text=True)
    usual, kept = map(int, done.stdout.split())
    assert kept < usual / 10
