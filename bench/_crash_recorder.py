"""Lets every operation on files of PyTorch's recorder go wrong in every way, one after the other.

_crash_recorder.py RECORDER SCRIPT FOLDER [SAMPLE]: for each fault the training of SCRIPT is recorded
with it, then once more without, by the same command. Prints a line of JSON for each fault: what is
wrong, if anything. Each training is a fork of this process, which has PyTorch loaded.
"""
import errno
import glob
import hashlib
import json
import os
import runpy
import shutil
import sys

import torch
import torch._dynamo  # which an optimiser imports at its first step

FAULTS = ("before", "half", "unsynced", "full once", "full", "broken", "short", "after")
KILLED = 137
# Python's own functions, before a fault stands between them and the recorder.
REAL = {name: getattr(os, name) for name in ("open", "write", "fsync", "rename", "replace", "mkdir", "unlink")}


def applies(fault, kind):
    if fault in ("half", "short"):
        return kind == "write"
    return kind != "unlink" if fault.startswith("full") else True


def install(folder, fault, k, kinds):
    """From now on this process's k-th operation that changes files in the folder goes wrong."""
    files, unsynced = {}, []  # by descriptor: path, and bytes that are synced; names that are not

    def lose():
        for undo in reversed(unsynced):
            undo()
        for path, length in files.values():
            if os.path.isfile(path) and os.path.getsize(path) > length:
                os.truncate(path, length)

    def operation(kind, act, half=None):
        kinds.append(kind)
        due = len(kinds) == k
        if (fault == "full once" and due or fault == "full" and 0 < k <= len(kinds)) and applies(fault, kind):
            raise OSError(errno.ENOSPC, "No space left on device")
        if due and fault == "broken":
            raise OSError(errno.EIO, "Input/output error")
        if due and fault in ("before", "half", "unsynced"):
            if fault == "half" and half:
                half()
            if fault == "unsynced":
                lose()
            os._exit(KILLED)
        result = half() if due and fault == "short" and half else act()
        if due and fault == "after":
            os._exit(KILLED)
        return result

    def inside(path):
        return isinstance(path, str) and path.startswith(folder)

    def open_(path, flags, *rest, **named):
        if not inside(path) or os.path.isdir(path) or not flags & (os.O_WRONLY | os.O_RDWR):
            file = REAL["open"](path, flags, *rest, **named)
            files[file] = (path, 1 << 60)
            return file

        def act():
            file = REAL["open"](path, flags, *rest, **named)
            files[file] = (path, os.path.getsize(path))
            unsynced.append(lambda: os.path.exists(path) and REAL["unlink"](path))
            return file

        return operation("open", act)

    def write(file, content):
        if not inside(files.get(file, (None, 0))[0]):
            return REAL["write"](file, content)
        half = bytes(content[: max(1, len(content) // 2)])
        return operation("write", lambda: REAL["write"](file, content), lambda: REAL["write"](file, half))

    def fsync(file):
        def act():
            REAL["fsync"](file)
            path = files[file][0]
            if os.path.isdir(path):
                unsynced.clear()
            else:
                files[file] = (path, os.path.getsize(path))
        return operation("sync", act)

    def moved(kind, real):
        def rename(old, new):
            if not inside(old):
                return real(old, new)

            def act():
                real(old, new)
                unsynced.append(lambda: os.path.exists(new) and real(new, old))
            return operation(kind, act)
        return rename

    def simple(kind):
        return lambda path, *rest, **named: (
            operation(kind, lambda: REAL[kind](path, *rest, **named)) if inside(path)
            else REAL[kind](path, *rest, **named))

    os.open, os.write, os.fsync = open_, write, fsync
    os.rename, os.replace = moved("rename", REAL["rename"]), moved("rename", REAL["replace"])
    os.mkdir, os.unlink = simple("mkdir"), simple("unlink")


def start(recorder, script, folder, fault, k):
    """Records the training in a fork, with a fault; its exit status and its operations' kinds."""
    out, weights = os.path.join(folder, "recording"), os.path.join(folder, "weights.pt")
    kinds_file = os.path.join(folder, "kinds")
    child = os.fork()
    if child == 0:
        status, kinds = 1, []
        try:
            install(out, fault, k, kinds)
            sys.argv = [recorder, "--out", out, "--", script, weights, "1", "64"]
            sys.path.insert(0, os.path.dirname(recorder))
            sys.stdout = sys.stderr = open(os.devnull, "w")
            # As the command's own file: what it registers for the end is called by its own close.
            runpy.run_path(recorder, run_name="__main__")
            status = 0
        except SystemExit as end:
            status = end.code or 0
        finally:
            with open(kinds_file, "w") as file:
                json.dump(kinds, file)
            os._exit(status)
    _, status = os.waitpid(child, 0)
    kinds = json.load(open(kinds_file)) if os.path.exists(kinds_file) else []
    return os.waitstatus_to_exitcode(status), kinds


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def outcome(folder):
    """The hashes of the weights, the training's own and those that were recorded, of a whole recording."""
    out = os.path.join(folder, "recording")
    with open(os.path.join(out, "recording.jsonl"), "rb") as file:
        *lines, rest = file.read().split(b"\n")
    events = [json.loads(line) for line in lines]
    if rest or events[0]["type"] != "start" or events[-1]["type"] != "end":
        raise ValueError("the recording is not whole")
    for event in events:
        for name in ("file", "indices"):
            named = event.get(name)
            if isinstance(named, dict) and digest(os.path.join(out, named["path"])) != named["sha256"]:
                raise ValueError(f"{named['path']} is not the file of the log")
    if glob.glob(os.path.join(out, "*.part")):
        raise ValueError("a part is left over")
    files = ("weights-start.safetensors", "weights-end.safetensors")
    return [digest(os.path.join(folder, "weights.pt")), *(digest(os.path.join(out, name)) for name in files)]


def main(recorder, script, folder, sample="0"):
    torch.set_num_threads(1)

    def anew():
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)

    anew()
    status, kinds = start(recorder, script, folder, "before", 0)
    if status:
        sys.exit(f"the training fails where nothing goes wrong: {status}")
    expected = outcome(folder)
    cases = [(fault, k + 1) for fault in FAULTS for k, kind in enumerate(kinds) if applies(fault, kind)]
    print(json.dumps({"operations": len(kinds), "cases": len(cases)}), flush=True)
    step = max(1, len(cases) // int(sample)) if int(sample) else 1
    for fault, k in cases[step // 2 :: step]:
        anew()
        problem = None
        try:
            status, _ = start(recorder, script, folder, fault, k)
            if status not in (0, KILLED):
                problem = f"the training ended with status {status}"
            # A fault of the recorder's is none of the training's.
            elif status == 0 and digest(os.path.join(folder, "weights.pt")) != expected[0]:
                problem = "the training came to other weights"
            else:
                status, _ = start(recorder, script, folder, "before", 0)
                found = outcome(folder)
                problem = None if status == 0 and found == expected else f"status {status}: {found}"
        except (OSError, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
        print(json.dumps({"fault": fault, "k": k, "kind": kinds[k - 1], "problem": problem}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
