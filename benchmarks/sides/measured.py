"""Run a command and write what it took into a file: wall and CPU seconds, memory as the system has it, exit code.

python measured.py FILE COMMAND …

A process of its own, and a small one: on Linux the memory of a process is never less than that of who started it.
"""

import json
import os
import sys
import time
from pathlib import Path

began = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
wall = time.perf_counter() - began
took = [wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, os.waitstatus_to_exitcode(status)]
Path(sys.argv[1]).write_text(json.dumps(took), encoding="utf-8")
