"""A subject of a benchmark in a separate process, which runs once for each line it is sent.

The standard library only: subjects run in environments that have nothing of ours.
"""

import json
import sys
import time


def serve(run, **about):
    """Prints what is to be known of the subject, with the seconds of a first run; then of one more run a line."""
    print(json.dumps({**about, "first_run_s": _seconds(run)}), flush=True)
    for _ in sys.stdin:
        print(_seconds(run), flush=True)


def _seconds(run):
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
