"""Trainings that are killed while they are recorded, each at a random moment.

killed.py RECORDER SCRIPT FOLDER COUNT: runs SCRIPT under RECORDER, as its command does, COUNT times,
each time with SIGKILL to the process some time after its recording has begun; prints how many steps
each recording has, and fails if a training came to its end.
"""
import os
import random
import runpy
import signal
import sys
import time

import torch  # once: the trainings are forks of this process
import torch._dynamo  # which an optimiser imports at its first step


def main(recorder, script, folder, count):
    torch.set_num_threads(1)
    moments = random.Random()
    for number in range(count):
        out = os.path.join(folder, f"killed-{number}")
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            sys.argv = [recorder, "--out", out, "--", script, out + ".pt", "500"]
            sys.path.insert(0, os.path.dirname(recorder))
            sys.stdout = open(os.devnull, "w")
            runpy.run_path(recorder, run_name="__main__")
            os._exit(0)
        log = os.path.join(out, "recording.jsonl")
        while not os.path.exists(log) or not os.path.getsize(log):
            time.sleep(0.005)
        time.sleep(moments.expovariate(1))
        os.killpg(child, signal.SIGKILL)  # the loader's workers too
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(f"training {number} ended before it was killed: {status}")
        with open(log, "rb") as lines:
            print(number, sum(line.startswith(b'{"type":"step"') for line in lines), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
