"""Wait until DVC's experiment queue is empty: `python -m tests.wait_for_queue`."""

import subprocess
import time

LIMIT = 600  # polls; a broken queue must not hang the tests

for _ in range(LIMIT):
    status = subprocess.run(["dvc", "queue", "status"], capture_output=True, text=True, check=True).stdout
    if "Queued" not in status and "Running" not in status:
        break
    time.sleep(1)
print(status)
