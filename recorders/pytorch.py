#!/usr/bin/env python3
"""Writes a recording of a PyTorch training, beside it: what reached the network, and what was done.

    python3 pytorch.py --out recording --steps 600 [--cpu] -- train.py --lr 0.1

runs train.py unchanged and leaves a folder: the images as they entered the network, labels, scores,
every step, every evaluation, the network's operations, how loaders, optimisers and schedulers were
built and called. --steps ends after so many training steps and one evaluation; without it the whole
training is recorded. --cpu lets a script for CUDA run on a machine without a GPU. Or in your own
code, with this file beside it as pytorch_recorder.py, before the data loaders are made:

    import pytorch_recorder; pytorch_recorder.start("recording")

What it promises:
- It changes no result: no random number is drawn from your generators, no sample is fetched, no
  tensor of yours is written; the same seed gives the same weights with and without it, bit for bit.
- It writes in its folder alone, up to 100 MB, appends and flushes, so that a killed training leaves
  a readable recording. It uses no network.
- If it fails (a folder in use, a full disk, a fault of its own), it says so in one line on standard
  error, and the training goes on.

How: functions of PyTorch are wrapped in this process (`Recorder.install` lists them): the call of a
module, `backward`, an optimiser's step, the iterators of data loaders, loss functions, schedulers,
clipping, saving. A wrapper calls the original with what it was given and returns what it returned.
FORMAT.md, which stands beside this file, describes every line of the recording.
It needs Python 3.9 and PyTorch 2.0, or newer; NumPy only where PyTorch has it.
"""
from __future__ import annotations

import sys

if __name__ == "__main__" and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]  # this file's folder: nothing in it may be taken for a library

import argparse
import atexit
import base64
import contextlib
import ctypes
import datetime
import functools
import hashlib
import importlib.util
import inspect
import json
import linecache
import math
import os
import platform
import re
import runpy
import stat
import struct
import sysconfig
import threading
import time
import weakref
from array import array
from collections import Counter, deque

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

VERSION = "1.0.0"
MEGABYTE = 1_000_000

# Which passes get a line each, and which batches a file. FORMAT.md states these.
DETAILED_EPOCHS, DETAILED_BATCHES, DETAILED_EVALUATIONS = 3, 8, 2
DETAILED_PASSES = 2_000  # without a loader
KEPT_IMAGES, KEPT_TEST_IMAGES, KEPT_AGAIN = 1_024, 512, 128
KEPT_BYTES = 14 * MEGABYTE
EVERY_STEP, WINDOW = 2_000, 10  # these steps have a line each, later ones a line for every ten
CHECK_FIRST, CHECK_EVERY = 10, 25  # steps whose update is recomputed, for a few parameters
SAMPLE_ELEMENTS = 16_384  # of such a parameter
MOST_NODES = 20_000
LINE_BYTES = 8 * MEGABYTE
HELD_SECONDS = 0.5  # a line is held back so long: reading a tensor makes the processor wait for a GPU

torch = None  # imported by the script and never before it: it may set OMP_NUM_THREADS first
is_compiling = None  # whether torch.compile is reading the code that asks
_recorder = None  # the one at work


class Finished(SystemExit):
    """Ends a script after --steps. A SystemExit, so that `except Exception` lets it pass."""


class Thread(threading.local):
    """What this thread is in: a network's call, one that is traced, wrapped functions by name."""

    def __init__(self):
        self.network, self.tracer, self.inside = None, None, set()


thread = Thread()


# Values on their way into the recording -----------------------------------------------------------


class Lazy:
    """A value that is worked out when its line is written."""

    def __init__(self, compute):
        self.compute = compute


class Encoded(str):
    """Base64: whole, however long."""


def now():
    instant = datetime.datetime.now(datetime.timezone.utc)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(value):
    """What JSON can hold. Entries that are None are left out."""
    if isinstance(value, Lazy):
        return plain(value.compute())
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str):
        return value if isinstance(value, Encoded) else value[:2_000]
    if isinstance(value, dict):
        pairs = ((str(key), plain(item)) for key, item in value.items())
        return {key: item for key, item in pairs if item is not None}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, torch.Tensor):
        return plain(value.detach().cpu().tolist())
    if isinstance(value, (torch.dtype, torch.layout, torch.memory_format, torch.device)):
        return str(value).replace("torch.", "")
    return printed(value)


def is_plain(value):
    if isinstance(value, (tuple, list)):
        return all(map(is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def printed(value):
    """How an object prints, without addresses in memory; functions and classes by their names."""
    if inspect.isclass(value) or inspect.isroutine(value):
        return f"{value.__module__}.{value.__qualname__}"
    try:
        return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))[:2_000]
    except Exception:
        return f"<{class_name(value)}>"


def class_name(value):
    return f"{type(value).__module__}.{type(value).__qualname__}"


def size_of(value):
    try:
        return len(value)
    except Exception:
        return None


def plain_attributes(value):
    """The booleans, numbers and short strings among an object's attributes: no code of it runs."""
    def is_short(item):
        return type(item) is str and len(item) <= 80 and os.sep not in item and "/" not in item

    return {
        name: item
        for name, item in getattr(value, "__dict__", {}).items()
        if not name.startswith("_") and (type(item) in (bool, int, float) or is_short(item))
    }


def settings_of(scheduler):
    """A scheduler's plain attributes and lists of numbers; milestones as a list."""
    found = plain_attributes(scheduler)
    for name, value in vars(scheduler).items():
        if isinstance(value, Counter):
            found[name] = sorted(value.elements())
        elif isinstance(value, (list, tuple)) and all(type(one) in (int, float) for one in value):
            found[name.lstrip("_")] = list(value)
    functions = [one for one in listed(getattr(scheduler, "lr_lambdas", ())) if callable(one)]
    if functions:
        with contextlib.suppress(TypeError):
            found["constants"] = [number for one in functions for number in constants_of(one)]
        found["function"] = printed(functions[0])
    return found


def constants_of(function):
    """The numbers in a function's code, or among an object's attributes: it is not called."""
    def within(code):
        for item in code.co_consts:
            if type(item) in (int, float):
                yield item
            elif isinstance(item, tuple):
                yield from (one for one in item if type(one) in (int, float))
            elif hasattr(item, "co_consts"):
                yield from within(item)

    code = getattr(function, "__code__", None)
    if code is not None:
        return list(within(code))
    return [one for one in vars(function).values() if type(one) in (int, float)]


def listed(value):
    return value if isinstance(value, (list, tuple)) else [value]


def raw(tensor):
    """The bytes of a tensor in row-major order. (NumPy may be missing, and knows no bfloat16.)"""
    tensor = tensor.detach().to("cpu").contiguous()
    return ctypes.string_at(tensor.data_ptr(), tensor.numel() * tensor.element_size())


def words(values):
    """Base64 of 32-bit integers, or of a tensor of 64-bit ones."""
    content = raw(values) if isinstance(values, torch.Tensor) else array("i", values).tobytes()
    return Encoded(base64.b64encode(content).decode())


def checksum(tensor):
    return hashlib.blake2b(raw(tensor), digest_size=8).digest()


def safetensors(tensors, metadata):
    """The parts of a safetensors file: its header, then the tensors one after the other."""
    kinds = {
        torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16",
        torch.uint8: "U8", torch.int8: "I8", torch.int16: "I16", torch.int32: "I32",
        torch.int64: "I64", torch.bool: "BOOL",
    }
    notes = {key: str(item) for key, item in metadata.items() if item is not None}
    header, parts, offset = {"__metadata__": notes}, [], 0
    for name, tensor in tensors.items():
        if tensor.dtype in kinds:
            parts.append(raw(tensor))
            span = [offset, offset + len(parts[-1])]
            kind, shape, offset = kinds[tensor.dtype], list(tensor.shape), span[1]
            header[name] = {"dtype": kind, "shape": shape, "data_offsets": span}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return [struct.pack("<Q", len(text)), text, *parts]


# Exclusive: of two recorders one gets the name, and a link in its place is not followed.
EXCLUSIVE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
# What a recorder writes beside its logs, whole or not.
OWN_FILES = re.compile(r"(batches|weights|indices)-[a-z0-9-]+\.safetensors(\.[0-9a-f]{8}\.part)?")


def write_all(file, content):
    view = memoryview(content).cast("B")
    while view:
        view = view[os.write(file, view):]


def sync_folder(path):
    if os.name == "posix":
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def locked(file):
    """Locks a file until this process ends: True; False where another has it, None where none can."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None


def broke_off(log):
    """Whether a file is a log, and its last line does not say that the training was over."""
    size = os.fstat(log).st_size
    first = b'{"type":"start"'
    tail = os.pread(log, LINE_BYTES, max(0, size - LINE_BYTES)).split(b"\n")
    ends = (b'{"type":"end"', b'{"type":"failure"')
    ended = len(tail) > 1 and tail[-1] == b"" and tail[-2].startswith(ends)
    return first.startswith(os.pread(log, len(first), 0)) and not ended


class Folder:
    """The recording's folder: the only place that is ever written to."""

    def __init__(self, path, rank, limit):
        self.path, self.suffix = path, f"-rank{rank}" if rank else ""
        self.limit, self.bytes, self.log_bytes = limit * MEGABYTE, 0, 0
        self.digest = hashlib.sha256()
        os.makedirs(path, exist_ok=True)
        self.name = os.path.join(path, f"recording{self.suffix}.jsonl")
        try:
            self.log = os.open(self.name, EXCLUSIVE | os.O_APPEND, 0o644)
        except FileExistsError:
            self.set_aside()
            self.log = os.open(self.name, EXCLUSIVE | os.O_APPEND, 0o644)
        if locked(self.log) is False:
            raise FileExistsError

    def set_aside(self):
        """Makes room where a training was killed: what it left goes into a folder of its own.

        Whoever still writes holds a lock, which the system frees when a process ends. Without locks
        (on Windows, say) nobody can tell, and the folder stays as it is, as it does where a
        recording has its end: FileExistsError."""
        if fcntl is None:
            raise FileExistsError
        log = os.open(self.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            regular = stat.S_ISREG(os.fstat(log).st_mode)
            if not regular or not locked(log) or not broke_off(log):
                raise FileExistsError
            kept = [name for name in os.listdir(self.path) if OWN_FILES.fullmatch(name)]
            kept = [name for name in kept if re.search(r"-rank\d+", name) is None] if not self.suffix else [
                name for name in kept if name.startswith(f"batches{self.suffix}-")]
            number = 1
            while os.path.lexists(self.aside(number)):
                number += 1
            os.mkdir(self.aside(number))
            # The log last: where this breaks off, the next start finds it, and goes on.
            for name in [*kept, os.path.basename(self.name)]:
                os.rename(os.path.join(self.path, name), os.path.join(self.aside(number), name))
            sys.stderr.write(f"pytorch recorder: a recording that broke off is now in {self.aside(number)}\n")
        finally:
            os.close(log)

    def aside(self, number):
        return os.path.join(self.path, f"broken-off{self.suffix}-{number}")

    def discard_if_empty(self):
        """Of a script that ended before anything was seen, no folder stays that stands in the way."""
        if not self.bytes:
            with contextlib.suppress(OSError):
                os.unlink(self.name)
                os.rmdir(self.path)

    def sync(self):
        """Returns when the log, and the names in the folder, are on the disk."""
        with contextlib.suppress(OSError):
            os.fsync(self.log)
            sync_folder(self.path)

    def lines(self, content):
        write_all(self.log, content)
        self.digest.update(content)
        self.log_bytes += len(content)
        self.bytes += len(content)

    def file(self, name, parts):
        """Writes a file beside its name, then renames it: it is there whole or not at all.

        The name beside is random and must be new: nothing is written through a link."""
        name = name.replace("batches", f"batches{self.suffix}")
        path = os.path.join(self.path, name)
        content = b"".join(parts)
        beside = f"{path}.{os.urandom(4).hex()}.part"
        stream = os.open(beside, EXCLUSIVE, 0o644)
        try:
            write_all(stream, content)
            os.fsync(stream)
            os.replace(beside, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
        finally:
            os.close(stream)
        sync_folder(self.path)
        self.bytes += len(content)
        return {"path": name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


# Images -------------------------------------------------------------------------------------------


def find_images(values, depth=0):
    """The first 4-dimensional tensor among arguments, also in a dictionary or a list."""
    for value in values:
        if isinstance(value, torch.Tensor):
            if value.dim() == 4 and value.shape[0] and not value.is_meta:
                return value
        elif depth < 2 and isinstance(value, (dict, list, tuple)) and value:
            found = find_images(value.values() if isinstance(value, dict) else value, depth + 1)
            if found is not None:
                return found
    return None


def score_like(output, count):
    """All that may be scores in a network's output: some give features beside them."""
    if isinstance(output, dict):
        output = [output.get("logits"), *output.values()]
    parts = output if isinstance(output, (list, tuple)) else [output]
    found = [find_scores(item, count) for item in parts]
    return [one for place, one in enumerate(found) if one is not None and all(one is not two for two in found[:place])]


def has_stepped(optimizer):
    """Whether an optimizer's state is that of steps: some begin with zeros, before the first."""
    for one in list(optimizer.state.values())[:10]:
        for moment in (one.get(name) for name in ("momentum_buffer", "exp_avg", "step")):
            if torch.is_tensor(moment):
                return bool((moment != 0).any())
            if moment is not None:
                return moment > 0
    return False


def has_penalty(loss, output, names):
    """Whether a term of the loss is made of kernels alone, as a decay is; None where it can't be seen."""
    scores, seen, left = getattr(output, "grad_fn", None), set(), [loss]
    while left:
        node = left.pop()
        name = type(node).__name__
        if name == "AccumulateGrad":
            name = names.get(id(node.variable), "")
            if name and (node.variable.dim() > 1 or name.endswith("_flat_param")):
                return True
        elif node is not None and node is not scores and node not in seen:
            if name.startswith("CompiledFunction") or len(seen) >= 5_000:
                return None
            seen.add(node)
            if not re.match(r"Addmm|.*Mm|Bmm|Linear|.*Convolution|(Native|Cudnn|Miopen|Sync).*Norm", name) or is_of_leaves(node):
                left.extend(inner for inner, _ in node.next_functions)
    return False


def is_of_leaves(node):
    """Whether a product is one of parameters alone, as of a matrix with itself."""
    for inner, _ in node.next_functions:
        for _ in range(4):
            if inner is not None and re.match("T(ranspose)?Backward|.*View|Permute|Reshape", type(inner).__name__):
                inner = inner.next_functions[0][0]
        if type(inner).__name__ != "AccumulateGrad":
            return False
    return True


def find_scores(output, count):
    """A network's scores, [count, classes]: its output, or in a tuple, list or dictionary of them."""
    if isinstance(output, torch.Tensor):
        fits = output.dim() == 2 and output.shape[0] == count and output.is_floating_point()
        return output if fits else None
    if isinstance(output, dict):
        output = [output.get("logits"), *output.values()]
    if isinstance(output, (list, tuple)):
        return next((one for item in output if (one := find_scores(item, count)) is not None), None)
    return None


@functools.lru_cache(maxsize=8)
def hash_factors(count, device):
    generator = torch.Generator(device="cpu").manual_seed(0x5EED)  # its own: no one else's is drawn
    factors = torch.randint(-(2**62), 2**62, (count,), generator=generator, device="cpu")
    return (factors * 2 + 1).to(device)


def hash_images(images):
    """[N] 64-bit hashes: each image's bits as integers, times fixed odd numbers, summed mod 2^64."""
    images = images.detach().contiguous()
    rows = images.reshape(images.shape[0], -1)
    if rows.shape[1] * rows.element_size() % 8 == 0:
        misaligned = rows.storage_offset() * rows.element_size() % 8
        bits = (rows.clone() if misaligned else rows).view(torch.int64)
    else:
        bits = rows.view(torch.uint8).to(torch.int64)
    factors = hash_factors(bits.shape[1], bits.device)
    parts = bits.split(max(1, 4_000_000 // bits.shape[1]))
    sums = torch.cat([(part * factors).sum(1) for part in parts])
    return sums + rows.element_size() * 2 + rows.is_floating_point()


def first_hash(images):
    return int(hash_images(images[:1]))


def classes_of(shares):
    """The class of the largest share of each image; -1 where a second stands above the others, as
    of two images that are mixed. (Smoothing raises all others alike.)"""
    most, classes = shares.topk(min(2, shares.shape[1]), 1)
    return torch.where(most[:, -1] > shares.amin(1) + 1e-3, -1, classes[:, 0])


def describe(tensor):
    return {"shape": list(tensor.shape), "dtype": plain(tensor.dtype)}


def range_of(images):
    """Smallest and largest value, and mean."""
    values = images.double()
    return [float(values.min()), float(values.max()), float(values.mean())]


def autocast_of(device):
    """The type of automatic mixed precision on a device, if it is on."""
    try:
        on, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    except (TypeError, AttributeError):  # before 2.4: functions for each device
        cpu = device == "cpu"
        on = torch.is_autocast_cpu_enabled() if cpu else torch.is_autocast_enabled()
        dtype = torch.get_autocast_cpu_dtype() if cpu else torch.get_autocast_gpu_dtype()
    return plain(dtype) if on else None


# The network and its operations -------------------------------------------------------------------

LOSSES = (
    "cross_entropy nll_loss binary_cross_entropy_with_logits binary_cross_entropy mse_loss l1_loss "
    "smooth_l1_loss kl_div multi_margin_loss"
).split()
WRAPPERS = {
    "DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod",
    "AveragedModel": "module", "ModelEmaV3": "module",
}


class Network:
    """What is known of one network: an innermost module or, without one, a function's tensors."""

    def __init__(self, number, module, wrappers=(), tensors=()):
        self.number, self.wrappers = number, list(wrappers)
        self.module = weakref.ref(module) if module is not None else lambda: None
        self.class_name = class_name(module) if module is not None else "function"
        self.tensors = dict(tensors)  # of a function, by name
        self.trained = self.announced = self.headless = False
        self.classes = None  # as many scores as the loss was given
        self.traced, self.start, self.names, self.phase = set(), None, None, None
        self.refresh()

    def refresh(self):
        """Reads the module's parameters and norms; true if the parameters are others than before."""
        module, before = self.module(), self.names
        self.names = {id(tensor): name for name, tensor in self.parameters()}
        modules = list(module.modules()) if module is not None else []
        self.norms = [one for one in modules if hasattr(one, "running_mean")]
        self.compiled = any(
            type(one).__name__ == "OptimizedModule" or getattr(one, "_compiled_call_impl", None)
            for one in modules
        )
        return before is not None and before.keys() != self.names.keys()

    def parameters(self):
        module = self.module()
        return list(module.named_parameters() if module is not None else self.tensors.items())

    def buffers(self):
        module = self.module()
        return list(module.named_buffers()) if module is not None else []

    def is_like(self, other):
        """The same network, a copy of it, or another way to its parameters."""
        alike = list(self.names.values()) == list(other.names.values())
        return self is other or alike or bool(self.names.keys() & other.names.keys())

    def keep_start(self):
        both = [*self.parameters(), *self.buffers()]
        self.start = {name: one.detach().to("cpu", copy=True) for name, one in both}

    def has_moved(self):
        """Whether parameters are others than at the first pass, such as loaded ones. Statistics may
        be: a look at some noise before the training moves them."""
        known, now = self.start, self.parameters()
        return not all(
            name in known and torch.equal(known[name], one.detach().cpu()) for name, one in now
        )

    def mode(self):
        """The mode of the network and its batch norms together, and how many norms are in each."""
        module = self.module()
        if module is None:
            return None, None  # a function is told: its graph shows it
        training = sum(bool(norm.training) for norm in self.norms)
        counts = {"training": training, "evaluation": len(self.norms) - training}
        flags = {bool(module.training)}
        flags |= {name == "training" for name, count in counts.items() if count}
        name = "mixed" if len(flags) > 1 else "training" if flags == {True} else "evaluation"
        return name, counts if self.norms else None

    def description(self):
        module, parameters = self.module(), self.parameters()
        named = list(module.named_modules()) if module is not None else []
        leaves = [(name, one) for name, one in named if not one._modules]
        norms = [(name, one) for name, one in named if hasattr(one, "running_mean")]
        drops = [(n, one) for n, one in leaves if type(getattr(one, "p", None)) in (int, float)]

        def share(norm):
            known = getattr(norm, "momentum", None)
            return "cumulative" if known is None and hasattr(norm, "momentum") else known

        return {
            "id": self.number, "class": self.class_name,
            "wrappers": self.wrappers,
            "parameters": [
                {"name": name, "trainable": one.requires_grad, **describe(one)}
                for name, one in parameters
            ],
            "trainable": sum(one.numel() for _, one in parameters if one.requires_grad),
            "frozen": sum(one.numel() for _, one in parameters if not one.requires_grad),
            "norms": alike(
                {
                    "class": type(one).__name__, "eps": getattr(one, "eps", None),
                    "momentum": share(one),
                    "tracked": one.running_mean is not None, "name": name,
                }
                for name, one in norms
            ),
            "dropouts": alike(
                {"class": type(one).__name__, "p": one.p, "name": name} for name, one in drops
            ) or None,
        }


def alike(items):
    """Puts together what differs in its name alone."""
    groups = {}
    for item in items:
        name = item.pop("name")
        groups.setdefault(json.dumps(plain(item)), {**item, "names": []})["names"].append(name)
    return list(groups.values())


def collect_tensors(name, value, found, depth=0):
    """The tensors to train in a variable of the script, by names made of where they are."""
    if isinstance(value, torch.nn.Module):
        found.update(value.named_parameters(prefix=name))
    elif isinstance(value, torch.Tensor):
        if value.is_leaf and value.requires_grad:
            found[name] = value
    elif depth < 3 and type(value) in (dict, list, tuple) and len(value) <= 10_000:
        for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            inner = str(key) if not depth and isinstance(value, dict) else f"{name}.{key}"
            collect_tensors(inner, item, found, depth + 1)


KINDS = {
    "convolution": "convolution _convolution cudnn_convolution mkldnn_convolution conv2d "
    "miopen_convolution convolution_overrideable _slow_conv2d_forward _mps_convolution",
    "batch-norm": "native_batch_norm cudnn_batch_norm miopen_batch_norm batch_norm "
    "_native_batch_norm_legit _native_batch_norm_legit_functional _batch_norm_with_update "
    "_native_batch_norm_legit_no_training _batch_norm_no_update",
    "layer-norm": "native_layer_norm layer_norm",
    "group-norm": "native_group_norm group_norm",
    "relu": "relu",
    "activation": "leaky_relu gelu silu mish elu celu selu hardtanh hardswish hardsigmoid sigmoid "
    "tanh softplus threshold _prelu_kernel",
    "add": "add", "subtract": "sub rsub", "multiply": "mul", "divide": "div", "mean": "mean",
    "max-pool": "max_pool2d_with_indices max_pool2d adaptive_max_pool2d mkldnn_max_pool2d",
    "average-pool": "avg_pool2d _adaptive_avg_pool2d adaptive_avg_pool2d",
    "dense": "addmm mm linear matmul bmm addmv",
    "reshape": "view _unsafe_view reshape flatten unflatten squeeze unsqueeze _reshape_alias expand",
    "permute": "permute transpose t flip",
    "slice": "slice select narrow index split chunk unbind split_with_sizes",
    "pad": "constant_pad_nd reflection_pad2d replication_pad2d",
    "concatenate": "cat stack",
    "softmax": "_softmax softmax", "log-softmax": "_log_softmax log_softmax",
    "dropout": "native_dropout dropout bernoulli",
    "cast": "_to_copy to", "copy": "clone copy contiguous",
}
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names.split()}
SAME = ("detach", "alias", "lift_fresh")  # another name for a value
FOLDED = ("reshape", "permute", "cast", "copy")  # done to a parameter: part of how it is used


def make_tracer(network):
    """A dispatch mode that lists every operation of one pass; each runs as it would without it."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Tracer(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.root = network.module()
            named = self.root.named_modules() if self.root is not None else ()
            self.paths = {id(module): path for path, module in named}
            self.stack, self.inside = [], self.root is None
            self.references = {key: {"parameter": name} for key, name in network.names.items()}
            self.references.update({id(one): {"buffer": name} for name, one in network.buffers()})
            self.kept = []  # tensors, alive so that no other takes their ids meanwhile
            self.nodes, self.count, self.entered = [], 0, None
            self.cut, self.trouble = False, None

        def value(self, tensor):
            self.count += 1
            self.refer_to(tensor, {"value": self.count})
            return self.count

        def refer_to(self, tensor, reference):
            self.kept.append(tensor)
            self.references[id(tensor)] = reference

        def enter(self, module, arguments, keywords):
            self.stack.append(module)
            images = find_images([*arguments, *keywords.values()]) if module is self.root else None
            if images is not None:
                self.inside, self.entered = True, self.value(images)

        def leave(self):
            module = self.stack.pop()
            self.inside = self.inside and module is not self.root

        def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
            result = function(*arguments, **(keywords or {}))
            try:
                if self.inside and len(self.nodes) < MOST_NODES:
                    self.note(function, arguments, keywords or {}, result)
                else:
                    self.cut = self.inside
            except Exception as error:
                self.trouble = error
            return result

        def note(self, function, arguments, keywords, result):
            schema = function._schema
            name = schema.name.split("::")[-1]
            in_place = name.endswith("_") and not name.endswith("__")
            base = name[:-1] if in_place else name
            kind, given, main = KIND_OF.get(base, "other"), {}, None
            for place, argument in enumerate(schema.arguments):
                if place < len(arguments):
                    item = arguments[place]
                elif argument.name in keywords:
                    item = keywords[argument.name]
                else:
                    continue
                if isinstance(item, torch.Tensor):
                    main = main or self.reference(item)
                elif argument.has_default_value() and item == argument.default_value:
                    continue
                given[argument.name] = self.encode(item)
            outputs = [one for one in listed(result) if torch.is_tensor(one) and one.numel()]
            if not outputs or in_place and main and "buffer" in main:
                return  # such as a batch norm's counter of batches
            if base in SAME and main:
                return self.refer_to(outputs[0], main)
            if kind in FOLDED and main and ("parameter" in main or "buffer" in main):
                via = [*main.get("via", []), str(function)]
                return self.refer_to(outputs[0], {**main, "via": via})
            module = self.stack[-1] if self.stack else None
            path = self.paths.get(id(module))
            self.nodes.append({
                "op": str(function), "kind": kind,
                "module": path or None, "moduleClass": type(module).__name__ if path else None,
                "arguments": given,
                "outputs": [{"value": self.value(one), **describe(one)} for one in outputs],
                "inPlace": True if in_place else None,
            })

        def reference(self, tensor):
            known = self.references.get(id(tensor))
            if known is not None:
                return known
            small = tensor.numel() <= 16 and tensor.device.type == "cpu"
            data = {"data": tensor.detach().reshape(-1).tolist()} if small else {}
            return {"constant": list(tensor.shape), **data}

        def encode(self, item):
            if isinstance(item, torch.Tensor):
                return self.reference(item)
            return [self.encode(one) for one in item] if isinstance(item, (list, tuple)) else item

    return Tracer()


@contextlib.contextmanager
def random_state_kept(device):
    """Puts back every global generator's state, whatever runs inside."""
    import random

    numpy, state = sys.modules.get("numpy"), random.getstate()
    array_state = numpy.random.get_state() if numpy is not None else None
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            random.setstate(state)
            if numpy is not None:
                numpy.random.set_state(array_state)


# Optimisers' formulas -----------------------------------------------------------------------------


def parameters_of(optimizer):
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def rates_of(optimizer):
    groups = getattr(optimizer, "param_groups", ())
    return [float(group["lr"]) for group in groups if "lr" in group]


def norms_of(tensors):
    """The Euclidean norm of all tensors together, and how many of them are not finite."""
    present = [one.detach() for one in tensors if one is not None and one.layout == torch.strided]
    if not present:
        return None, 0
    device = present[0].device
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        parts = [torch.linalg.vector_norm(one.float()).to(device) for one in present]
        parts = torch.stack(parts)
        return torch.linalg.vector_norm(parts), (~torch.isfinite(parts)).sum()


def sampled(tensor):
    """The first elements of a tensor, in double precision on the CPU."""
    return tensor.detach().reshape(-1)[:SAMPLE_ELEMENTS].to("cpu", torch.float64, copy=True)


def memory_of(optimizer, parameter):
    """What an optimiser remembers of a parameter."""
    kept = getattr(optimizer, "state", {}).get(parameter, {})
    names = ("momentum_buffer", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    found = {"step": float(kept.get("step", 0))}
    for name in names:
        if torch.is_tensor(kept.get(name)) and kept[name].shape == parameter.shape:
            found[name] = sampled(kept[name])
    return found


def relative(found, expected):
    """How far a vector is from the expected one, as a share of that."""
    size, distance = float(expected.norm()), float((found - expected).norm())
    return distance / size if size else math.inf if distance else 0.0


def predict(optimizer, group, rate, weight, gradient, memory):
    """The update that an optimiser's own formula gives for what it was told; None: not known here."""
    name, decay = type(optimizer).__name__, float(group.get("weight_decay") or 0)
    gradient = -gradient if group.get("maximize") else gradient
    if name in ("Adam", "AdamW") and "betas" in group:
        decoupled = name == "AdamW" or bool(group.get("decoupled_weight_decay"))
        step, (first, second) = memory["step"] + 1, map(float, group["betas"])
        gradient = gradient if decoupled else gradient + decay * weight
        mean = (1 - first) * gradient + first * memory.get("exp_avg", 0)
        square = (1 - second) * gradient**2 + second * memory.get("exp_avg_sq", 0)
        if group.get("amsgrad") and "max_exp_avg_sq" in memory:
            square = torch.maximum(square, memory["max_exp_avg_sq"])
        root = (square / (1 - second**step)).sqrt() + float(group["eps"])
        shrunk = rate * decay * weight if decoupled else 0
        return -rate * (mean / (1 - first**step)) / root - shrunk
    if "momentum" in group and "betas" not in group and "alpha" not in group:
        gradient, momentum = gradient + decay * weight, float(group["momentum"] or 0)
        velocity = gradient
        if momentum and "momentum_buffer" in memory:
            damping = 1 - float(group.get("dampening") or 0)
            velocity = momentum * memory["momentum_buffer"] + damping * gradient
        return -rate * (gradient + momentum * velocity if group.get("nesterov") else velocity)
    return None


# What is going on: epochs, passes, evaluations, optimisers ----------------------------------------


class Loader:
    """A data loader: its number in the recording, and how its positions lie in the data set."""

    def __init__(self, number, compose, batches):
        self.number, self.compose, self.batches = number, compose, batches
        self.epochs, self.lag, self.lags_seen, self.lag_matched = 0, 0, 0, False
        self.trained, self.epoch = False, None


class Epoch:
    """One pass through a loader: of one iterator, or of one reset of a persistent one."""

    def __init__(self, loader, number):
        self.loader, self.number, self.begun = loader, number, time.perf_counter()
        self.queue = deque()  # indices that the sampler gave, in the order of delivery
        self.batches = self.images = 0
        self.distinct, self.order, self.known = set(), hashlib.sha256(), True
        self.ended = self.trained = self.exhausted = self.entered = False

    @property
    def complete(self):
        """Whether all its batches were handed out, also where no more was asked for."""
        return self.exhausted or self.batches >= (self.loader.batches or math.inf)


class Delivery:
    """A batch that a loader handed out: its indices, its labels, and which images it holds."""

    def __init__(self, epoch, number, indices, data, waited):
        self.epoch, self.number, self.indices, self.waited = epoch, number, indices, waited
        self.taken = 0  # images that went through the network
        images = find_images([data])
        self.count = len(images) if images is not None else len(indices or ())
        self.images = weakref.ref(images) if images is not None else lambda: None
        on_cpu = images is not None and images.device.type == "cpu" and images.numel()
        self.first = first_hash(images) if on_cpu else None
        self.labels = self.find_labels([data])

    def find_labels(self, values, depth=0):
        """The integers that came with the images, one each."""
        for value in values:
            if isinstance(value, torch.Tensor):
                if value.dim() == 1 and len(value) == self.count and not value.is_floating_point():
                    return value
            elif depth < 2 and isinstance(value, (dict, list, tuple)):
                inner = value.values() if isinstance(value, dict) else value
                found = self.find_labels(inner, depth + 1)
                if found is not None:
                    return found
        return None


class Pass:
    """One outermost call of the network on a batch of images."""

    def __init__(self, network, images):
        self.network, self.count = network, images.shape[0]
        self.mode, self.norms = network.mode()
        self.gradients = torch.is_grad_enabled()
        self.autocast = autocast_of(images.device.type)
        self.input, self.began, self.waited = describe(images), time.perf_counter(), 0.0
        self.epoch = self.batch = self.indices = self.delivered_labels = None  # by the loader
        self.guessed = False  # which delivery it is
        self.detailed, self.hashes, self.kept = False, None, None
        self.output = lambda: None  # the scores, as the script has them
        self.scores = self.labels = None
        self.whole = self.mixed = False  # labels as whole numbers; two images in each: no label is theirs
        self.needs_gradient = self.reached = self.in_network = False
        self.losses, self.loss_kind, self.error_count = [], None, None
        self.widths = ()  # of what may be scores
        self.predicted = None
        self.graph = self.tracer = self.last = self.site = None
        self.callers = None

    @property
    def where(self):
        epoch = self.epoch
        if epoch is None:
            return {}
        return {"loader": epoch.loader.number, "epoch": epoch.number, "batch": self.batch}

    @property
    def phase(self):
        """What it seems to be, before it is known whether a backward pass reaches it."""
        return "training" if self.gradients else "evaluation"

    def take_labels(self, labels, whole):
        """A loss's labels; whole numbers go before shares, such as a teacher's. Where another loss on
        these images has others of the same kind, the images are mixed."""
        if whole < self.whole:
            return
        known, self.whole = self.labels if whole == self.whole else None, whole
        if known is not None and known.data_ptr() != labels.data_ptr():
            self.mixed = self.mixed or known.shape != labels.shape or not torch.equal(known, labels)
        self.labels = None if self.mixed else labels

    def settle_labels(self):
        """The loss's labels, else those delivered; how many scores are wrong."""
        delivered = self.delivered_labels
        if self.guessed and self.labels is not None and delivered is not None:
            if not torch.equal(self.labels.cpu(), delivered.to("cpu", self.labels.dtype)):
                self.indices = None  # another's
        if self.labels is None and delivered is not None and not self.mixed:
            self.labels = delivered.detach()
        if self.scores is not None and self.labels is not None:
            if len(self.labels) == len(self.scores):
                found, labels = self.scores.argmax(1), self.labels.to(self.scores.device)
                self.error_count = ((found != labels) & (labels >= 0)).sum()  # not read yet

    def loss(self):
        """The sum of what the loss functions returned, not read yet."""
        return sum(self.losses[1:], self.losses[0]) if self.losses else None


class Evaluation:
    """Consecutive evaluation passes of one network in one epoch of a loader."""

    def __init__(self, first, number):
        self.network, self.epoch, self.number = first.network, first.epoch, number
        self.callers, self.passes = first.callers, []

    def takes(self, one):
        """Without a loader, the places in the script that led to the pass tell evaluations apart."""
        same = one.network is self.network and one.epoch is self.epoch
        return same and one.callers == self.callers

    @property
    def whole(self):
        """Whether all that its loader handed out has passed: some loops fetch ahead."""
        return self.epoch is None or sum(one.count for one in self.passes) >= self.epoch.images


class Stepping:
    """What is remembered of an optimiser between its steps."""

    def __init__(self, number, optimizer):
        self.number, self.reference = number, weakref.ref(optimizer)
        self.steps = self.backwards = self.lines = 0
        self.offset = 0  # iterations before its first step: one that is made anew goes on
        self.begun = self.closure = self.cleared = self.looked = False
        self.resumed = None  # until its first step
        self.before = self.described = self.watched = self.site = None
        self.rates, self.sample, self.window = [], [], []
        self.copies = self.backward_norm = self.figures = self.overflow = None

    @property
    def checked(self):
        """Whether its coming step is one whose update is recomputed."""
        count = self.offset + self.steps
        return count < CHECK_FIRST or (count + 1) % CHECK_EVERY == 0


class OwnOptimizer:
    """Stands for a script's own way to step, where no optimiser of PyTorch's is used."""

    def __init__(self, parameters):
        self.param_groups, self.state, self.defaults = [{"params": parameters}], {}, {}


def indices_of(dataset, inner):
    """The positions in `inner` that a data set shows: a Subset's, or a wrapper's own list of them."""
    size, most = size_of(dataset), size_of(inner)
    for name, value in vars(dataset).items():
        if not re.search("ind|idx", name, re.I) or isinstance(value, (str, bytes, dict)):
            continue
        if size is None or size_of(value) != size:
            continue
        with contextlib.suppress(TypeError, ValueError):
            found = [int(item) for item in value]
            if all(0 <= item < (most or math.inf) for item in found):
                return found
    return None


def careful(method):
    """A part of the recorder that runs inside somebody's training: what goes wrong in it is noted
    and never reaches the training, and the time that it takes is added up."""

    @functools.wraps(method)
    def run(self, *arguments, **keywords):
        if not self.live:
            return None
        started, self.entered = time.perf_counter(), self.entered + 1
        try:
            return method(self, *arguments, **keywords)
        except Exception as error:
            self.trouble(method.__name__, error)
            return None
        finally:
            self.entered -= 1
            if not self.entered:
                self.overhead += time.perf_counter() - started

    return run


class Recorder:
    """Sees a training and writes it down."""

    def __init__(self, path, steps=None, limit=100, script=None, command=(), mode="import", cpu=False):
        environment = os.environ.get
        self.rank, self.world = int(environment("RANK") or 0), 1
        self.path, self.limit, self.stop_after = path, limit * MEGABYTE, steps
        self.script, self.command, self.mode, self.cpu = script, list(command), mode, cpu
        self.root = os.path.dirname(os.path.abspath(script)) if script else os.getcwd()
        self.live, self.started, self.closed = True, False, False
        self.pid, self.lock, self.patches, self.handles = os.getpid(), threading.RLock(), [], []
        self.outbox, self.drained, self.troubles = deque(), 0.0, set()
        self.overhead, self.entered, self.began = 0.0, 0, time.perf_counter()
        self.numbers, self.seen = Counter(), Counter()  # ids given; how often something was met
        self.things, self.sites, self.own_files = {}, {}, {}
        self.iteration = self.evaluations = self.batch_files = self.batch_bytes = 0
        self.networks, self.partial = weakref.WeakKeyDictionary(), weakref.WeakSet()
        self.main = self.alive = None  # the network that is trained, and its module
        self.main_epoch = None  # of the training loader, the newest
        self.function = self.open_pass = None  # a network that is no module, and its pass
        self.loaders_made, self.index_bytes = {}, 0  # by how they were made
        self.loaders, self.deliveries = weakref.WeakKeyDictionary(), deque(maxlen=8)
        self.pending, self.passes = [], []  # not yet known what for; training passes of this step
        self.evaluation, self.evaluated, self.phase = None, Counter(), None
        self.kept_images, self.losses, self.transforms = Counter(), {}, []
        self.optimizers, self.schedulers = weakref.WeakKeyDictionary(), weakref.WeakKeyDictionary()
        self.in_backward = self.backwards = self.manual = 0
        # By number: they outlive the objects.
        self.steps_made, self.scheduler_calls, self.held, self.foreign = {}, {}, {}, {}
        self.own, self.clips, self.scale, self.without_gradient = None, [], None, []
        self.last_step, self.cut_at, self.cut_evaluations = time.perf_counter(), None, 0
        try:
            self.folder = Folder(path, self.rank, limit)
        except OSError as error:
            held = isinstance(error, FileExistsError) and os.path.isdir(path)
            self.give_up("it holds a recording already; give another" if held else error.strerror)

    # Writing

    def say(self, message):
        with contextlib.suppress(Exception):
            sys.stderr.write(f"pytorch recorder: {message}\n")
            sys.stderr.flush()

    def give_up(self, why):
        """Says why nothing is recorded any more; the training goes on."""
        self.live = False
        self.outbox.clear()
        self.say(f"can't record in {self.path}: {why}; the training goes on unrecorded")

    def trouble(self, place, error):
        """A fault of the recorder itself: noted once for each place."""
        if place not in self.troubles:
            self.troubles.add(place)
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            line = f", line {trace.tb_lineno}" if trace is not None else ""
            self.emit("warning", message=f"recorder, {place}{line}: {class_name(error)}: {error}")

    def emit(self, type, /, urgent=False, **fields):
        if self.live:
            self.outbox.append({"type": type, "time": now(), "iteration": self.iteration, **fields})
            if self.started and (urgent or time.perf_counter() - self.drained > HELD_SECONDS):
                self.drain()

    def drain(self):
        """Writes the lines that were held back."""
        with self.lock:
            text, self.drained = [], time.perf_counter()
            while self.outbox:
                event = self.outbox.popleft()
                try:
                    with torch.no_grad():
                        line = json.dumps(plain(event), separators=(",", ":"), ensure_ascii=False)
                except Exception as error:
                    self.trouble(f"line {event['type']}", error)
                    continue
                content = line.encode("utf-8", "replace") + b"\n"
                if len(content) <= LINE_BYTES and self.has_room(event["type"], len(content)):
                    text.append(content)
            try:
                if self.live:
                    self.folder.lines(b"".join(text))
            except OSError as error:
                self.give_up(error.strerror)

    def has_room(self, kind, size):
        """Whether the log may grow: its last tenth is for what comes seldom."""
        often = ("batch", "step", "print", "scheduler-step", "save", "load", "transform")
        share = 0.27 if kind in often else 0.31 if kind in ("end", "failure", "stop") else 0.3
        fits = self.folder.log_bytes + size <= self.limit * share
        if not fits and not self.seen["full log"]:
            self.seen["full log"] += 1
            self.emit("warning", message="the log is full: no more steps and batches are written")
        return fits

    def file(self, name, tensors, metadata):
        if self.live:
            try:
                return self.folder.file(name, safetensors(tensors, metadata))
            except OSError as error:
                self.give_up(error.strerror)
        return None

    # Names for things

    def number(self, kind):
        self.numbers[kind] += 1
        return self.numbers[kind]

    def identify(self, kind, thing):
        """The same number for the same object, as long as it lives."""
        reference, number = self.things.get((kind, id(thing)), (None, 0))
        if number and (reference is None or reference() is thing):
            return number
        try:
            reference = weakref.ref(thing)
        except TypeError:
            reference = None  # a list, say
        self.things[kind, id(thing)] = reference, self.number(kind)
        return self.numbers[kind]

    def own_frames(self):
        """The frames that led here and lie in the script's own code, innermost first."""
        frame = sys._getframe(1)
        while frame is not None:
            name = frame.f_code.co_filename
            if name not in self.own_files:
                self.own_files[name] = self.is_own(name)
            if self.own_files[name]:
                yield frame
            frame = frame.f_back

    def is_own(self, name):
        """Whether a file is the script's own: not installed, not Python's, not this one."""
        if name.startswith("<"):
            return name.startswith(("<ipython", "<cell", "<stdin"))
        path = os.path.abspath(name).replace("\\", "/")
        roots = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
        library = any(path.startswith(f"{one}/".replace("\\", "/")) for one in roots if one)
        installed = "/site-packages/" in path or "/dist-packages/" in path
        return not (library or installed or path == os.path.abspath(__file__).replace("\\", "/"))

    def site(self, calls, most=None):
        """The number of the innermost place in the script that led here; only the first `most`."""
        if most is not None:
            self.seen["site", calls] += 1
            if self.seen["site", calls] > most:
                return None
        frame = next(self.own_frames(), None)
        if frame is None:
            return None
        name, line = frame.f_code.co_filename, frame.f_lineno
        if (name, line, calls) not in self.sites:
            inside = os.path.abspath(name).startswith(self.root + os.sep)
            self.sites[name, line, calls] = self.number("site")
            self.outbox.append({
                "type": "site", "time": now(), "id": self.numbers["site"],
                "file": os.path.relpath(name, self.root) if inside else os.path.basename(name),
                "line": line, "function": frame.f_code.co_name,
                "code": linecache.getline(name, line).strip(), "calls": calls,
            })
        return self.sites[name, line, calls]

    # The beginning

    def begin(self):
        """Writes the first line, at the first pass: by then the script has made its settings."""
        self.started, self.began_training = True, time.perf_counter()
        versions = {"python": platform.python_version(), "cuda": torch.version.cuda}
        names = "torch torchvision numpy lightning pytorch_lightning transformers accelerate fastai timm"
        for name in names.split():
            version = getattr(sys.modules.get(name), "__version__", None)
            versions[name] = str(version) if version else None
        script = None
        if self.script and os.path.isfile(self.script):
            with open(self.script, "rb") as stream:
                digest = hashlib.sha256(stream.read()).hexdigest()
            script = {"name": os.path.basename(self.script), "sha256": digest}
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            self.rank, self.world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        cuda, cudnn = torch.cuda, torch.backends.cudnn
        devices = range(cuda.device_count()) if cuda.is_initialized() and not self.cpu else ()
        self.outbox.appendleft({
            "type": "start", "time": now(), "version": 1,
            "recorder": {"name": "pytorch", "version": VERSION},
            "framework": {"name": "pytorch", "version": torch.__version__},
            "versions": versions,
            "platform": f"{platform.system()} {platform.machine()}",
            "script": script,
            "command": [os.path.basename(self.command[0]), *self.command[1:]] if self.command else [],
            "mode": self.mode,
            "devices": [cuda.get_device_name(one) for one in devices],
            "cpuOnly": self.cpu, "stopAfter": self.stop_after,
            "rank": self.rank, "worldSize": self.world,
            "threads": torch.get_num_threads(), "seed": str(torch.initial_seed()),
            "precision": {
                "defaultDtype": torch.get_default_dtype(),
                "matmul": torch.get_float32_matmul_precision(),
                "cudnnTf32": bool(cudnn.allow_tf32), "cudnnBenchmark": bool(cudnn.benchmark),
                "cudnnDeterministic": bool(cudnn.deterministic),
                "deterministic": torch.are_deterministic_algorithms_enabled(),
            },
        })
        self.drain()

    # Wrapping PyTorch's functions

    def install(self):
        """Wraps what every training passes through. `close` puts the functions back."""
        import logging

        import torch.distributed
        import torch.optim.lr_scheduler as schedulers
        from torch.optim import optimizer as optimizers
        from torch.utils.data.dataloader import _BaseDataLoaderIter as Iterator

        Module, Optimizer = torch.nn.Module, torch.optim.Optimizer
        self.patch(Module, "__call__", self.watch_call)
        if hasattr(Module, "compile"):
            self.wrap(Module, "compile", after=self.compiled)
        for name in ("backward", "grad"):
            self.patch(torch.autograd, name, self.watch_backward)
        for name in LOSSES:
            signature = inspect.signature(getattr(torch.nn.functional, name))
            called = functools.partial(self.loss_called, name, signature)
            self.wrap(torch.nn.functional, name, after=called, group="loss")
        # The iterators, not `DataLoader.__iter__`: a new iterator draws a random number.
        self.wrap(Iterator, "__init__", before=self.epoch_begins)
        self.wrap(Iterator, "_reset", before=self.epoch_begins_anew)
        self.wrap(Iterator, "_next_index", after=self.index_drawn)
        self.patch(Iterator, "__next__", self.watch_next)
        self.wrap(Optimizer, "__init__", after=self.optimizer_built)
        self.wrap(Optimizer, "zero_grad", after=self.gradients_cleared)
        self.wrap(Module, "zero_grad", after=self.gradients_cleared)
        if not hasattr(optimizers, "register_optimizer_step_pre_hook"):
            raise RuntimeError(f"PyTorch 2.0 or newer is needed, and this is {torch.__version__}")
        self.handles = [
            optimizers.register_optimizer_step_pre_hook(self.before_step),
            optimizers.register_optimizer_step_post_hook(self.after_step),
        ]
        for place in ("torch.amp.grad_scaler", "torch.cuda.amp.grad_scaler"):
            with contextlib.suppress(ImportError):
                scaler = getattr(importlib.import_module(place), "GradScaler", None)
                if scaler is not None and "step" in vars(scaler):
                    self.wrap(scaler, "scale", after=self.loss_scaled)
                    self.wrap(scaler, "step", self.before_scaled_step, self.after_scaled_step)
        for kind in list(vars(schedulers).values()):
            if inspect.isclass(kind) and kind.__module__ == schedulers.__name__:
                self.watch_scheduler(kind)
        for owner in (torch.nn.utils, torch.nn.utils.clip_grad):
            for name, kind in (("clip_grad_norm_", "norm"), ("clip_grad_value_", "value")):
                self.wrap(owner, name, after=functools.partial(self.clipped, kind))
        self.wrap(torch, "save", after=self.saved)
        self.wrap(torch, "load", after=self.loaded)
        self.wrap(sys.modules["builtins"], "print", after=self.print_called)
        self.wrap(logging.Logger, "callHandlers", after=self.log_called)
        if hasattr(os, "register_at_fork"):
            reference = weakref.ref(self)

            def in_child():  # a loader's worker, say: the log is its parent's
                if reference() is not None:
                    reference().live = False

            os.register_at_fork(after_in_child=in_child)

    def patch(self, owner, name, make):
        """Puts a wrapper in a function's place, once."""
        original = vars(owner)[name] if inspect.isclass(owner) else getattr(owner, name)
        if getattr(original, "_recorder", None) is not self:
            replacement = functools.wraps(original)(make(original))
            replacement._recorder = self
            replacement.__prepare_scriptable__ = lambda: original  # what torch.jit.script compiles
            setattr(owner, name, replacement)
            self.patches.append((owner, name, original, replacement))

    def wrap(self, owner, name, before=None, after=None, group=None):
        """Calls the recorder before a function with its arguments, and after it with its result and
        its arguments. Of functions of one group, those called inside another are left alone."""

        def make(original):
            def function(*arguments, **keywords):
                if is_compiling() or not self.live or group in thread.inside:
                    return original(*arguments, **keywords)
                if before is not None:
                    before(*arguments, **keywords)
                try:
                    if group is not None:
                        thread.inside.add(group)
                    result = original(*arguments, **keywords)
                finally:
                    thread.inside.discard(group)
                if after is not None:
                    after(result, *arguments, **keywords)
                return result

            return function

        self.patch(owner, name, make)

    def watch_call(self, original):
        """For `Module.__call__`: the outermost call is the network's; a traced one is followed."""

        def __call__(module, *arguments, **keywords):
            if is_compiling() or not self.live:
                return original(module, *arguments, **keywords)
            if thread.network is None and not self.in_backward:
                return self.outermost(original, module, arguments, keywords)
            tracer = thread.tracer
            if tracer is None:
                return original(module, *arguments, **keywords)
            tracer.enter(module, arguments, keywords)
            try:
                return original(module, *arguments, **keywords)
            finally:
                tracer.leave()

        return __call__

    def compiled(self, _, module, *arguments, **keywords):
        """For `Module.compile`: its compiled call does not pass through `Module.__call__`'s inside."""
        inner = module._compiled_call_impl

        def call(*inputs, **named):
            if is_compiling() or thread.network is not None or not self.live:
                return inner(*inputs, **named)
            return self.outermost(lambda _, *a, **k: inner(*a, **k), module, inputs, named)

        module._compiled_call_impl = call

    def watch_backward(self, original):
        """For `autograd.backward`, to which `Tensor.backward` leads, and for `autograd.grad`."""

        def backward(*arguments, **keywords):
            if is_compiling() or not self.live or self.in_backward or not self.awaits_backward():
                return original(*arguments, **keywords)
            self.end_if_done()
            self.before_backward(*arguments, **keywords)
            self.in_backward += 1
            try:
                return original(*arguments, **keywords)
            finally:
                self.in_backward -= 1
                self.after_backward()

        return backward

    def watch_next(self, original):
        """For the `__next__` of a loader's iterator. After --steps, a training epoch ends early, so
        that the script goes on to what follows an epoch: its own evaluation."""

        def __next__(iterator):
            epoch = getattr(iterator, "_recording", None)
            if epoch is None or not self.live:
                return original(iterator)
            if self.cut_at is not None and epoch.loader.trained and epoch.begun < self.cut_at:
                self.epoch_ends(epoch, exhausted=False, cut=True)
                raise StopIteration
            self.before_batch()
            started = time.perf_counter()
            try:
                data = original(iterator)
            except StopIteration:
                self.epoch_ends(epoch, exhausted=True)
                raise
            in_order = getattr(iterator, "_in_order", True)
            self.delivered(epoch, data, time.perf_counter() - started, in_order)
            return data

        return __next__

    def watch_scheduler(self, kind):
        if hasattr(kind, "step"):
            if "__init__" in vars(kind):
                self.wrap(kind, "__init__", after=self.scheduler_built, group="scheduler")
            if "step" in vars(kind):
                before, after = self.before_scheduler, self.scheduler_stepped
                self.wrap(kind, "step", before, after, group="scheduler")

    # Data loaders

    @careful
    def epoch_begins(self, iterator, loader, *_, **__):
        known = self.loaders.get(loader)
        if known is None:
            known = self.loaders[loader] = self.describe_loader(loader)
            known.reference = weakref.ref(loader)
        if known.epoch is not None and not known.epoch.ended:
            self.epoch_ends(known.epoch, exhausted=False)
        known.epochs += 1
        known.epoch = iterator._recording = Epoch(known, known.epochs)
        self.emit("epoch", border="begin", loader=known.number, epoch=known.epochs)

    def epoch_begins_anew(self, iterator, loader, first_iter=False):
        if not first_iter:  # a persistent iterator that is used again
            self.epoch_begins(iterator, loader)

    def describe_loader(self, loader):
        chain, compose, indexed, here = [], None, 0, loader.dataset
        for depth in range(10):
            chain.append(self.describe_dataset(here))
            inner = getattr(here, "__dict__", {}).get("dataset")
            if inner is None or inner is here:
                break
            if indexed == depth:
                indices = indices_of(here, inner)
                if indices is not None:
                    compose = indices if compose is None else [indices[i] for i in compose]
                # A wrapper as long as what it wraps keeps the positions.
                indexed += indices is not None or chain[-1]["size"] == size_of(inner)
            here = inner
        data, batches = torch.utils.data, loader.batch_sampler
        sampler = loader.sampler if batches is None else getattr(batches, "sampler", None)
        iterable = isinstance(loader.dataset, data.IterableDataset)
        kinds = {data.RandomSampler: True, data.SequentialSampler: False}
        own_batches = batches is not None and type(batches).__name__ != "BatchSampler"
        shuffle = next((on for kind, on in kinds.items() if isinstance(sampler, kind)), None)
        length = None if iterable else size_of(loader)
        fields = {
            "datasets": chain, "size": chain[0]["size"], "batches": length,
            "batchSize": loader.batch_size or getattr(batches, "batch_size", None),
            "dropLast": bool(loader.drop_last or getattr(batches, "drop_last", False)),
            "shuffle": None if own_batches else shuffle,
            "sampler": class_name(sampler), "workers": loader.num_workers,
            "workerInit": loader.worker_init_fn is not None, "composed": indexed == len(chain) - 1,
            "site": self.site("loader"),
        }
        reachable, indices, reference = compose, None, None
        chosen = getattr(sampler, "indices", None)
        if chosen is not None and not iterable:
            reachable = [int(i) if compose is None else compose[int(i)] for i in chosen]
        if reachable is not None:
            indices = torch.tensor(list(map(int, reachable)), dtype=torch.int64, device="cpu")
        # One that is made anew for each epoch is the same.
        key = json.dumps(plain(fields)), indices is not None and checksum(indices)
        alike = self.loaders_made.get(key)
        if alike is not None and (alike.reference() is None or alike.epoch.ended):
            return alike
        number = self.number("loader")
        if indices is not None and self.index_bytes + 8 * len(indices) <= self.limit * 0.09:
            self.index_bytes += 8 * len(indices)
            reference = self.file(f"indices-{number}.safetensors", {"indices": indices}, {})
        left_out = indices is not None and reference is None
        self.emit(
            "loader", id=number, **fields, indices=reference, indicesLeftOut=left_out or None,
            reachable=len(indices) if indices is not None else None,
        )
        made = self.loaders_made[key] = Loader(number, compose, length)
        if len(self.loaders_made) > 16:  # of new data sets in each epoch
            del self.loaders_made[next(iter(self.loaders_made))]
        return made

    def describe_dataset(self, dataset):
        own = getattr(dataset, "__dict__", {})
        shown = {
            name: printed(own[name])
            for name in ("transform", "transforms")
            if own.get(name) is not None
        }
        ignores = type(dataset).__module__.startswith("torch.utils.data") and bool(shown)
        return {
            "id": self.identify("dataset", dataset), "class": class_name(dataset),
            "size": size_of(dataset), "attributes": plain_attributes(dataset),
            "transform": shown.get("transform"), "transforms": shown.get("transforms"),
            "ignoresTransform": True if ignores else None,
        }

    def index_drawn(self, index, iterator):
        epoch = getattr(iterator, "_recording", None)
        if epoch is not None:
            epoch.queue.append(index)

    @careful
    def before_batch(self):
        self.close_open_pass()
        self.settle(handed=True)

    @careful
    def delivered(self, epoch, data, waited, in_order):
        cuda = torch.cuda
        if cuda.is_initialized() and not self.cpu and not cuda.current_stream().query():
            waited = 0.0  # the GPU still computes earlier steps: nothing waits for these images
        index, indices = epoch.queue.popleft() if epoch.queue else None, None
        if in_order and index is not None:
            with contextlib.suppress(TypeError, ValueError, IndexError, KeyError):
                compose = epoch.loader.compose
                indices = [int(i) if compose is None else int(compose[i]) for i in listed(index)]
        delivery = Delivery(epoch, epoch.batches, indices, data, waited)
        epoch.batches += 1
        epoch.images += delivery.count
        epoch.known = epoch.known and indices is not None
        if epoch.known:
            epoch.distinct.update(indices)
            epoch.order.update(array("i", indices).tobytes())
        self.deliveries.append(delivery)

    @careful
    def epoch_ends(self, epoch, exhausted, cut=None):
        if epoch.ended:
            return
        epoch.ended, epoch.exhausted = True, exhausted
        if self.cut_at is not None and epoch.loader.trained and not exhausted:
            cut = True
        self.close_open_pass()
        self.settle(epoch=epoch)
        if self.evaluation is not None and self.evaluation.epoch is epoch and self.evaluation.whole:
            self.close_evaluation()
        known = epoch.known and epoch.batches
        self.emit(
            "epoch", border="end", loader=epoch.loader.number, epoch=epoch.number,
            batches=epoch.batches, images=epoch.images,
            distinct=len(epoch.distinct) if known else None, exhausted=epoch.complete, cut=cut,
            order=epoch.order.hexdigest() if known else None,
        )
        epoch.distinct = set()
        if epoch.loader.trained:
            self.parameters_now()

    # Passes through the network

    def outermost(self, original, module, arguments, keywords):
        """A module's call that is inside no other: the network's, a transform's, or neither."""
        images = self.seen_images(module, arguments, keywords)
        if images is None or module in self.partial:
            return original(module, *arguments, **keywords)
        if next(iter(module.parameters()), None) is None:
            output = original(module, *arguments, **keywords)
            self.transformed(module, images, output)
            return output
        current = None if self.bypassed(module) else self.pass_begins(module, images)
        if current is None:
            return original(module, *arguments, **keywords)
        thread.network = current
        try:
            tracer = self.tracer_for(current, module, arguments, keywords)
            if tracer is None:
                output = original(module, *arguments, **keywords)
            else:
                thread.tracer = tracer
                tracer.enter(module, arguments, keywords)
                with tracer:
                    output = original(module, *arguments, **keywords)
                self.traced(current, tracer, current.count, "pass", output)
        finally:
            thread.network = thread.tracer = None
        self.pass_ends(current, output)
        return output

    @careful
    def seen_images(self, module, arguments, keywords):
        """The batch of images that a module is called on, if it may be a network's input."""
        if torch._C._get_tracing_state() or "_is_replica" in vars(module):
            return None
        images = find_images([*arguments, *keywords.values()])
        if images is None or type(images) not in (torch.Tensor, torch.nn.Parameter):
            return None
        if images.grad_fn is not None or min(images.shape[1], images.shape[3]) > 4:
            return None  # in the midst of a network
        capturing = images.is_cuda and torch.cuda.is_current_stream_capturing()
        return None if capturing else images

    @careful
    def bypassed(self, module):
        """Whether a network's `forward` was called by hand, so that its parts seem to be outermost.
        Then its class's `forward` is watched from now on."""
        self.seen["bypass"] += 1
        frame, found = sys._getframe(3), None
        while frame is not None and self.seen["bypass"] < 200:
            if frame.f_code.co_name == "forward":
                owner = frame.f_locals.get("self")
                if isinstance(owner, torch.nn.Module) and owner is not module:
                    found = owner
            frame = frame.f_back
        if found is None:
            return False

        def watch(original):
            def forward(this, *arguments, **keywords):
                if is_compiling() or thread.network is not None or self.in_backward or not self.live:
                    return original(this, *arguments, **keywords)
                return self.outermost(original, this, arguments, keywords)

            return forward

        kind = next(kind for kind in type(found).__mro__ if "forward" in vars(kind))
        if getattr(vars(kind)["forward"], "_recorder", None) is self:
            return False  # it was called on no images
        self.patch(kind, "forward", watch)
        network = self.network_of(found)
        if network.start is None:
            network.keep_start()  # before its first operation
        return True

    def network_of(self, module):
        known = self.networks.get(module)
        if known is None:
            inner, wrappers = module, []
            while type(inner).__name__ in WRAPPERS:
                wrappers.append(type(inner).__name__)
                inner = getattr(inner, WRAPPERS[type(inner).__name__])
            known = self.networks.get(inner)
            if known is None:
                known = Network(self.number("network"), inner, wrappers)
            self.networks[module] = self.networks[inner] = known
        return known

    @careful
    def pass_begins(self, module, images):
        self.end_if_late()
        self.close_open_pass()
        self.settle()
        if self.own is not None and self.state_of(self.own).begun:
            self.step_ends(self.own)
        network = self.network_of(module) if module is not None else self.function
        current = Pass(network, images)
        if network.phase != current.phase:
            network.phase = current.phase
            if network.refresh():  # such as a head that was replaced
                network.number, network.announced, network.start = self.number("network"), False, None
        if not self.started:
            self.begin()
        moves = current.gradients or current.norms is not None and current.norms["training"] > 0
        early = current.gradients and not self.iteration and not network.trained
        if moves and network.start is None or early and network.has_moved():
            network.keep_start()
        self.find_delivery(current, images)
        self.plan(current, images)
        self.numbers["pass"] += 1
        if self.numbers["pass"] < 20 or self.phase != current.phase:
            current.site = self.site("network")
        self.match_transforms(images)
        return current

    def find_delivery(self, current, images):
        """Which batch of which loader these images are, or are a part of."""
        count = current.count
        candidates = [one for one in reversed(self.deliveries) if count <= one.count <= 32 * count]
        found = next((one for one in candidates if one.images() is images), None)
        if found is None and candidates:
            loader = candidates[0].epoch.loader
            same = [one for one in candidates if one.epoch.loader is loader]
            self.find_lag(images, same)
            untaken = [one for one in same[: loader.lag + 1] if one.taken < one.count]
            found = untaken[-1] if untaken else same[0]
        if found is None:
            return
        if found.taken + count > found.count:
            if found.images() is not images and found.first != first_hash(images):
                return  # images that did not come from a loader
            found.taken = 0
        start, end = found.taken, found.taken + count
        current.epoch, current.batch = found.epoch, found.number
        current.waited, found.waited = found.waited, 0.0
        loader = found.epoch.loader
        current.guessed = found.images() is not images and not loader.lag_matched and loader.lag > 0
        known = not current.guessed or loader.lag < 2
        if known and found.indices is not None and len(found.indices) == found.count:
            current.indices = found.indices[start:end]
        if known and found.labels is not None:
            current.delivered_labels = found.labels[start:end]
        found.taken, found.epoch.entered = end, True

    def find_lag(self, images, same):
        """A loop that fetches ahead uses an older delivery than the last of `same` (newest first).
        Which, the images tell or, where they were changed meanwhile, how many were handed out before
        the epoch's first pass; of more than two some may have been left out."""
        epoch, loader = same[0].epoch, same[0].epoch.loader
        if loader.lags_seen < 3 and len(same) > 1 and not same[0].taken:
            loader.lags_seen += 1
            first = first_hash(images)
            place = next((i for i, one in enumerate(same) if one.first == first), None)
            if place is not None:
                loader.lag, loader.lag_matched = place, True
        if not epoch.entered and not loader.lag_matched:
            loader.lag = sum(one.epoch is epoch for one in same) - 1

    def plan(self, current, images):
        """Decides how closely a pass is looked at, and takes what would be gone after it."""
        epoch, loader = current.epoch, current.epoch and current.epoch.loader
        if loader is None:
            frames = list(self.own_frames())
            while len(frames) > 1 and re.match("<(?!module)", frames[0].f_code.co_name):
                frames.pop(0)  # a comprehension
            outer = frames[1:] or frames  # without the loop's own function
            current.callers = tuple((one.f_code.co_filename, one.f_lineno) for one in outer)
        if not current.gradients and not (loader and loader.trained):
            key = current.network.number, loader and loader.number, current.callers
            number = self.evaluated[key] + 1
            if self.evaluation is not None and self.evaluation.takes(current):
                number = self.evaluation.number
            current.detailed = number <= DETAILED_EVALUATIONS
            most = {1: KEPT_TEST_IMAGES, 2: KEPT_AGAIN}.get(number, 0)
            key = ("evaluation", *key, current.mode, number)
        elif loader is not None:
            number, power = epoch.number, epoch.number & (epoch.number - 1) == 0
            current.detailed = number <= DETAILED_EPOCHS or current.batch < DETAILED_BATCHES
            most = KEPT_IMAGES if number <= 3 else KEPT_AGAIN if power else 0
            key = ("training", loader.number, number)
        else:
            self.seen["loose"] += 1
            number = self.seen["loose"]
            current.detailed = number <= DETAILED_PASSES or number % 10 == 0
            most, key = KEPT_IMAGES, ("training", None, min(self.evaluations, 2))
        if current.detailed:
            current.hashes = hash_images(images)
        each = max(1, images[0].numel() * images.element_size())
        room = min(most, KEPT_BYTES // each) - self.kept_images[key]
        count = min(current.count, room)
        if count < 1:
            return
        if self.batch_bytes + count * each > self.limit * 0.6:
            if not self.seen["full batches"]:
                self.seen["full batches"] += 1
                self.emit("warning", message="no room for more batches of images")
            return
        self.kept_images[key] += count
        self.batch_bytes += count * each
        current.kept = images[:count].detach().clone(memory_format=torch.contiguous_format)

    @careful
    def tracer_for(self, current, module, arguments, keywords):
        """Follows the operations of a network's first training and first evaluation pass."""
        network = current.network
        if current.phase in network.traced:
            return None
        network.traced.add(current.phase)
        spread = len(getattr(module, "device_ids", None) or ()) > 1
        if network.compiled or type(module).__name__ == "OptimizedModule" or spread:
            self.trace_copy(current, arguments, keywords)
            return None
        return None if "FullyShardedDataParallel" in type(module).__name__ else make_tracer(network)

    def trace_copy(self, current, arguments, keywords):
        """What is compiled or spread over devices is followed in a deep copy, on two images."""
        import copy

        def two(value):
            if isinstance(value, torch.Tensor):
                return value[:2].detach() if value.dim() and len(value) == current.count else value
            if isinstance(value, dict):
                return {key: two(item) for key, item in value.items()}
            return type(value)(map(two, value)) if type(value) in (list, tuple) else value

        device = find_images([*arguments, *keywords.values()]).device
        with random_state_kept(device), torch.no_grad():
            module = copy.deepcopy(current.network.module())
            for parent in list(module.modules()):  # only what is not compiled shows its operations
                for name, child in parent._modules.items():
                    if type(child).__name__ == "OptimizedModule":
                        parent._modules[name] = child._orig_mod
            thread.tracer = tracer = make_tracer(Network(0, module))
            try:
                with tracer:
                    output = module(*two(list(arguments)), **two(keywords))
            finally:
                thread.tracer = None
        self.traced(current, tracer, min(2, current.count), "copy", output)

    @careful
    def traced(self, current, tracer, count, how, output):
        if tracer.trouble is not None:
            self.trouble("graph", tracer.trouble)
        scores = find_scores(output, count)
        outputs = listed(output) if scores is None else score_like(output, count)
        numbers = [tracer.references.get(id(one), {}).get("value") for one in outputs]
        current.graph = {
            "phase": current.phase, "mode": current.mode, "traced": how, "images": count,
            "inputs": [tracer.entered] if tracer.entered else [],
            "outputs": [number for number in numbers if number],
            "nodes": tracer.nodes, "cut": True if tracer.cut else None,
        }

    @careful
    def pass_ends(self, current, output):
        found = score_like(output, current.count)
        current.widths = {one.shape[1] for one in found}
        scores = next((one for one in found if one.shape[1] == current.network.classes), next(iter(found), None))
        if scores is None and not current.in_network and self.find_partial(current, output):
            return
        if scores is not None and not current.in_network:
            self.take_scores(current, scores)
        elif scores is None:
            tensors = [one for one in listed(output) if isinstance(one, torch.Tensor)]
            for one in [one for one in tensors if one.requires_grad][:1]:  # a loss, say
                current.needs_gradient = True
                one.register_hook(lambda _: setattr(current, "reached", True))
        self.announce(current, scores)
        self.pending.append(current)
        if len(self.pending) > 512:
            self.settle(force=1)

    def take_scores(self, current, scores):
        """Keeps the scores, and learns from a hook whether a backward pass reaches them."""
        if current.output() is scores:
            return
        current.output, current.scores = weakref.ref(scores), scores.detach()
        if current.kept is not None:
            current.scores = current.scores.clone()
        current.needs_gradient = scores.requires_grad

        if scores.requires_grad:  # it runs in autograd's thread
            scores.register_hook(lambda _: setattr(current, "reached", True))

    def announce(self, current, scores):
        """Writes a network's line at its first pass, and the graph of a pass that was followed."""
        network, graph, current.graph = current.network, current.graph, None
        if not network.announced:
            network.announced = True
            others = {one for one in self.networks.values() if one.announced and one is not network}
            like = [one.number for one in others if one.is_like(network)]
            self.emit(
                "network", **network.description(), copyOf=min(like, default=None),
                input=current.input, output=describe(scores) if scores is not None else None,
                autocast=current.autocast, site=current.site,
            )
        if graph is not None:
            self.emit("graph", network=network.number, **graph)

    # What a pass was for: training, if a backward pass reached it, else evaluation

    def awaits_backward(self):
        return self.open_pass is not None or any(one.needs_gradient for one in self.pending)

    def settle(self, epoch=None, force=0, handed=False):
        """Sorts the passes of which it is known by now. On the newest batch of a loader a training
        pass may follow (that of a teacher's pupil), until the next batch is `handed` out."""
        left, passes = [], self.pending
        last = max((place for place, one in enumerate(passes) if one.reached), default=-1)
        newest = self.deliveries[-1].epoch if self.deliveries else None
        for one in passes:
            if one.reached and one.epoch is not None:
                one.epoch.trained = True
        for place, one in enumerate(passes):
            over = epoch is not None and one.epoch is epoch and not epoch.loader.trained
            mine = one.epoch is not None and one.epoch is newest and not (handed or newest.ended)
            open_yet = one.needs_gradient or mine and not one.epoch.trained
            if one.reached and not self.in_backward:
                self.settle_training(one)
            elif one.reached or open_yet and place >= max(last, force) and not over:
                left.append(one)
            else:
                self.settle_evaluation(one)
        self.pending = left

    def settle_training(self, one):
        self.close_evaluation()
        self.main, self.alive = one.network, one.network.module()
        if one.epoch is not None:
            one.epoch.loader.trained = True
            self.main_epoch = one.epoch
        if self.phase != "training":
            self.last_step = one.began - one.waited  # evaluating is no part of a step
        self.phase = "training"
        if not one.network.trained:
            one.network.trained = True
            self.write_start(one.network)
        one.settle_labels()
        self.passes.append(one)
        self.write_pass("training", one)

    def settle_evaluation(self, one):
        epoch, network = one.epoch, one.network
        if self.main is not None and not network.is_like(self.main):
            return  # another network, such as a teacher
        if epoch is not None and (epoch.trained or epoch.loader.trained and one.needs_gradient):
            return  # a look at a batch that is trained on, or a training pass that was broken off
        if self.evaluation is None or not self.evaluation.takes(one):
            self.close_evaluation()
            key = network.number, one.where.get("loader"), one.callers
            self.evaluated[key] += 1
            self.evaluation = Evaluation(one, self.evaluated[key])
        self.phase = "evaluation"
        if network.headless and one.loss_kind is None:
            one.scores = None
        one.settle_labels()
        scores, one.entropy = one.scores, None
        self.write_pass("evaluation", one)
        if one.labels is None and scores is not None and scores.dim() == 2:
            one.predicted = scores.argmax(1).int()
        if one.error_count is not None:
            with torch.no_grad(), torch.autocast(scores.device.type, enabled=False):
                labels = one.labels.to(scores.device).long().clamp(0, scores.shape[1] - 1)
                scores = scores.float()
                right = scores.gather(1, labels[:, None])[:, 0]
                one.entropy = (torch.logsumexp(scores, 1) - right).sum()
        one.scores = one.kept = one.hashes = one.labels = None
        self.evaluation.passes.append(one)
        if epoch is not None and epoch.ended and self.evaluation.whole:
            self.close_evaluation()

    def in_training_epoch(self):
        """Whether something happens in the midst of a training epoch."""
        return any(
            one.trained and one.epoch.batches and not one.epoch.ended and not one.epoch.complete
            for one in list(self.loaders.values())
        )

    def write_pass(self, phase, one):
        """The line of a pass that was looked at closely, and the file of a batch that was kept."""
        if not one.detailed and one.kept is None:
            return
        labels = one.labels.detach().reshape(-1) if one.labels is not None else None
        reference = spread = None
        if one.kept is not None:
            count = len(one.kept)
            spread = Lazy(functools.partial(range_of, one.kept))
            tensors = {"images": one.kept}
            if one.scores is not None:
                tensors["logits"] = one.scores[:count].float()
            if labels is not None:
                tensors["labels"] = labels[:count].long()
            self.batch_files += 1
            notes = {
                "phase": phase, "iteration": self.iteration, "network": one.network.number,
                **one.where, "of": one.count if count < one.count else None,
            }
            reference = self.file(f"batches-{self.batch_files:04}.safetensors", tensors, plain(notes))
            one.kept = None
        self.emit(
            "batch", phase=phase, network=one.network.number, **one.where,
            images=one.count, mode=one.mode, norms=one.norms, range=spread,
            indices=words(one.indices) if one.indices is not None else None,
            hashes=Lazy(functools.partial(words, one.hashes)) if one.hashes is not None else None,
            labels=Lazy(lambda: words(labels.int().tolist())) if labels is not None else None,
            loss=one.loss(), errors=one.error_count, file=reference, site=one.site,
        )

    def close_evaluation(self):
        evaluation, self.evaluation = self.evaluation, None
        if evaluation is None:
            return
        passes, epoch = evaluation.passes, evaluation.epoch
        images, few = sum(one.count for one in passes), len(passes) <= 512

        def gather(values):
            return values if all(one is not None for one in values) else None

        errors = gather([one.error_count for one in passes])
        entropies = gather([one.entropy for one in passes])
        predicted = gather([one.predicted for one in passes]) if images <= 100_000 else None
        indices = gather([one.indices for one in passes])
        modes = {one.mode for one in passes}
        self.evaluations += 1
        self.seen["printed"] = 0
        self.emit(
            "evaluation", urgent=True, network=evaluation.network.number,
            loader=epoch and epoch.loader.number, epoch=epoch and epoch.number,
            number=evaluation.number, images=images,
            distinct=len({i for part in indices for i in part}) if indices else None,
            errors=Lazy(lambda: sum(map(int, errors))) if errors else None,
            loss=Lazy(lambda: sum(map(float, entropies)) / images) if entropies else None,
            batchImages=[one.count for one in passes] if few else None,
            batchErrors=errors if few else None,
            predictions=predicted and Lazy(lambda: words(torch.cat(predicted).tolist())),
            mode="mixed" if len(modes) > 1 else modes.pop(), norms=passes[0].norms,
            exhausted=epoch.complete if epoch is not None else None, site=passes[0].site,
        )

    # Networks that are no module: functions over tensors, or modules called one after the other

    def find_partial(self, current, output):
        """A part was taken for the network: from now on its first convolution is watched for."""
        module = current.network.module()
        maps = [one for one in listed(output) if isinstance(one, torch.Tensor) and one.dim() == 4]
        if not maps or module is None:
            return False
        self.partial.add(module)
        self.watch_functions()
        return True

    def watch_functions(self):
        functional = torch.nn.functional
        for owner in (functional, torch):
            self.wrap(owner, "conv2d", before=self.convolution_called)
        self.wrap(functional, "linear", after=self.dense_called)

    def dense_called(self, result, *_, **__):
        if self.open_pass is not None and thread.network is None:
            self.open_pass.last = result

    @careful
    def convolution_called(self, *arguments, **keywords):
        if thread.network is not None or self.in_backward:
            return
        images, weight = [*arguments, keywords.get("input"), keywords.get("weight")][:2]
        if self.seen_images(torch.nn.Identity(), [images], {}) is None:
            return
        if self.function is None or id(weight) not in self.function.names:
            tensors = self.named_tensors(weight)
            self.function = Network(self.number("network"), None, (), tensors)
        current = self.pass_begins(None, images)
        if current is not None:
            self.open_pass = current
            current.tracer = self.tracer_for(current, torch.nn.Identity(), (), {})
            if current.tracer is not None:
                current.tracer.entered = current.tracer.value(images)
                current.tracer.__enter__()

    def named_tensors(self, weight):
        """The tensors to train that lie beside a weight in the script's variables, by their names."""
        for frame in self.own_frames():
            for scope in (frame.f_locals, frame.f_globals):
                found = {}
                for name, value in list(scope.items()):
                    if not name.startswith("__"):
                        collect_tensors(name, value, found)
                shortest = {}
                for name in sorted(found, key=len):
                    shortest.setdefault(id(found[name]), name)
                if id(weight) in shortest:
                    return {name: one for name, one in found.items() if shortest[id(one)] == name}
        return {"weight": weight}

    def close_open_pass(self, scores=None):
        """Such a pass ends with the loss, or when something else begins."""
        current, self.open_pass = self.open_pass, None
        if current is None:
            return
        output = scores if scores is not None else current.last
        if current.tracer is not None:
            current.tracer.__exit__(None, None, None)
            self.traced(current, current.tracer, current.count, "pass", output)
            current.tracer = None
        scores = find_scores(output, current.count)
        if scores is not None:
            self.take_scores(current, scores)
            self.leave_used(current.network, scores)
        self.announce(current, scores)
        self.pending.append(current)

    def leave_used(self, network, scores):
        """Of the tensors found in the script's variables, those that led to the scores."""
        if network.announced or scores.grad_fn is None:
            return
        seen, waiting, used = set(), [scores.grad_fn], set()
        while waiting and len(seen) < 50_000:
            node = waiting.pop()
            if node is not None and node not in seen:
                seen.add(node)
                used.add(id(getattr(node, "variable", None)))
                waiting.extend(inner for inner, _ in node.next_functions)
        network.tensors = {name: one for name, one in network.tensors.items() if id(one) in used}
        network.refresh()

    # The loss and the backward pass

    @careful
    def loss_called(self, name, signature, result, *arguments, **keywords):
        given = signature.bind(*arguments, **keywords).arguments
        scores, target = given.get("input"), given.get("target")
        if self.in_backward or not torch.is_tensor(scores) or not torch.is_tensor(target):
            return
        if self.open_pass is not None:
            self.close_open_pass(scores)
        count = len(scores) if scores.dim() else 0
        if thread.network is not None:
            current = thread.network if thread.network.count == count else None
            if current is not None:
                current.in_network = True
        else:
            alike = [
                one for one in self.pending
                if one.count == count and (one.needs_gradient or not scores.requires_grad)
            ]
            same = [one for one in alike if one.output() is scores]
            free = [one for one in alike if not one.losses]
            current = next(iter((same or free or alike)[-1:]), None)
            if current is None and not self.numbers["pass"] and scores.dim() == 2:
                self.watch_functions()  # a network that is no module
                self.manual += scores.requires_grad  # its first pass is not seen, but a step follows
        if current is None:
            return
        if torch.is_tensor(result):
            value = result.detach()
            current.losses.append(value if value.dim() == 0 else value.mean())
        if current.loss_kind is not None and name not in ("cross_entropy", "nll_loss"):
            return
        if scores.dim() == 2 and scores.is_floating_point():
            if current.scores is not None and current.scores.shape != scores.shape:
                # Its output was features, not scores; or it has both.
                current.network.headless = scores.shape[1] not in current.widths
            current.network.classes = scores.shape[1]
            self.take_scores(current, scores)
        weight, target = given.get("weight"), target.detach()
        alone, whole = target.dim() == 1, not target.is_floating_point()
        shares = not whole and target.dim() == 2 and target.shape == scores.shape
        current.loss_kind = {
            "function": name, "reduction": given.get("reduction", "mean"),
            "weight": weight.detach() if torch.is_tensor(weight) else None,
            "labelSmoothing": given.get("label_smoothing") or None,
            "targets": "probabilities" if shares else "indices" if whole and alone else "other",
        }
        if shares:
            current.take_labels(classes_of(target), False)
        elif whole and alone:
            current.take_labels(target, True)

    @careful
    def before_backward(self, tensors=None, *_, outputs=None, **__):
        self.close_open_pass()
        self.backwards += 1
        for state in list(self.optimizers.values()):
            self.look_at_gradient(state)
        if self.backwards <= 5 or self.backwards % 100 == 0:
            self.describe_loss(listed(outputs if tensors is None else tensors)[0])

    def look_at_gradient(self, state):
        """What a watched parameter's gradient is before the first backward pass since a step."""
        watched = state.watched() if state.watched is not None else None
        if state.looked or watched is None:
            return
        state.looked, gradient = True, watched.grad
        if gradient is None:
            state.before = "none"
        elif gradient.device.type == "cpu" or state.steps < 20 or state.checked:
            state.before = "kept" if bool((gradient != 0).any()) else "zero"
        if state.before in ("none", "zero"):
            state.backwards = 0

    def describe_loss(self, root):
        """One line for each way in which a loss is computed."""
        passes = [one for one in self.pending if one.needs_gradient]
        if not passes or not torch.is_tensor(root):
            return
        last, node, nodes = passes[-1], root.grad_fn, []
        layer = r"Addmm|Mm|Linear|.*Convolution|AccumulateGrad|CompiledFunction"
        while node is not None and len(nodes) < 30:
            if nodes and re.match(layer, type(node).__name__):
                break
            nodes.append(node)
            if last.labels is None and not last.mixed and type(node).__name__.startswith("NllLossBackward"):
                with contextlib.suppress(Exception):
                    last.labels = node._saved_target.detach()
            node = next((inner for inner, _ in node.next_functions if inner is not None), None)
        kind = dict(last.loss_kind or {})
        weight, values = kind.pop("weight", None), [one for each in passes for one in each.losses]
        chain = [type(node).__name__ for node in nodes]
        output = last.output()
        kind["penalty"] = has_penalty(root.grad_fn, output, last.network.names or {})
        key = json.dumps([kind, chain, weight is None])
        if key in self.losses or len(self.losses) >= 50:
            return
        self.losses[key] = self.number("loss")
        value, scale = root.detach(), self.scale
        end = nodes.index(output.grad_fn) + 1 if output is not None and output.grad_fn in nodes else None
        softmaxes = [place + 1 for place, name in enumerate(chain) if re.match("(Log)?Softmax", name)]
        end = max(end, *softmaxes[-1:]) if end and softmaxes else end

        def scaled():
            total = sum(map(float, values))
            return float(value) / float(scale or 1) / total if total else None

        self.emit(
            "loss", id=self.losses[key], **kind,
            weight=weight.tolist() if weight is not None and weight.numel() <= 1_000 else None,
            calls=len(values), chain=chain[:end],
            softmaxBelow=len(softmaxes) > 1,
            scaled=Lazy(scaled) if values and value.dim() == 0 else None, site=self.site("backward"),
        )

    @careful
    def after_backward(self):
        for state in list(self.optimizers.values()):
            state.backwards += 1
            optimizer = state.reference()
            if optimizer is not None and state.steps and state.checked:
                norm = norms_of([one.grad for one in parameters_of(optimizer)])[0]
                state.backward_norm = norm if norm is None or self.scale is None else norm / self.scale
        self.settle()
        if self.own is None:
            if self.main is None or any(state.begun for state in self.optimizers.values()):
                return
            # After so many backward passes without a step of PyTorch's: the script has its own way.
            self.manual += 1
            if self.manual < (64 if self.optimizers else 8):
                return
            self.own = OwnOptimizer([one for _, one in self.main.parameters() if one.requires_grad])
            self.state_of(self.own).steps = self.manual - 1
        self.step_begins(self.own)

    # Optimisers

    def state_of(self, optimizer):
        state = self.optimizers.get(optimizer)
        if state is None:
            number = self.number("optimizer") if optimizer is not self.own else None
            state = self.optimizers[optimizer] = Stepping(number, optimizer)
            state.backwards = self.backwards
        return state

    @careful
    def optimizer_built(self, _, optimizer, *__, **___):
        self.state_of(optimizer)

    @careful
    def gradients_cleared(self, _, owner, *__, **___):
        states = list(self.optimizers.values())
        if isinstance(owner, torch.optim.Optimizer):
            # An optimiser around another (SAM, Lookahead) clears for that too.
            first = next(iter(parameters_of(owner)), None)
            alike = [
                state for state in states
                if (other := state.reference()) is not None and next(iter(parameters_of(other)), None) is first
            ]
            states = [self.state_of(owner), *alike]
        for state in states:
            state.cleared, state.backwards = True, 0
        self.site("zero_grad", most=3)

    @careful
    def clipped(self, kind, norm, parameters, most, *_, **__):
        norm = norm.detach() if torch.is_tensor(norm) else None
        self.clips.append({"kind": kind, "max": float(most), "norm": norm, "site": self.site("clip", 5)})

    def before_step(self, optimizer, arguments, keywords):
        if not is_compiling() and self.live:
            self.end_if_done()
            closure = arguments[1] if len(arguments) > 1 else keywords.get("closure")
            self.step_begins(optimizer, closure is not None)

    def after_step(self, optimizer, arguments, keywords):
        if not is_compiling() and self.live:
            self.step_ends(optimizer)

    @careful
    def step_begins(self, optimizer, closure=False):
        self.close_open_pass()
        state = self.state_of(optimizer)
        if not state.steps:
            # Another's step of the same iteration took the passes.
            state.offset = self.iteration if self.passes or closure else max(0, self.iteration - 1)
        state.begun, state.closure = True, closure
        if state.steps < 20:
            state.site = self.site("step")
        if state.resumed is None:
            state.resumed = False
            with contextlib.suppress(Exception):
                state.resumed = self.iteration == 0 and has_stepped(optimizer)
        if self.main is not None or not closure:
            self.describe_optimizer(optimizer, state)
        state.rates, state.copies = rates_of(optimizer), None
        overflow = getattr(optimizer, "found_inf", None)  # a fused optimiser leaves the step out itself
        state.overflow = overflow.detach().clone() if torch.is_tensor(overflow) else None
        if state.checked:
            parameters = parameters_of(optimizer)
            state.copies = [
                (group, index, one, sampled(one), memory_of(optimizer, one),
                 None if closure or one.grad is None else sampled(one.grad))
                for group, index, one in state.sample
            ]
            if not closure:
                state.figures = self.gradient_figures(optimizer, parameters)

    def gradient_figures(self, optimizer, parameters):
        gradients = [one.grad for one in parameters]
        norm, broken = norms_of(gradients)
        scale = getattr(optimizer, "grad_scale", None)  # a fused optimiser unscales by itself
        names = self.main.names if self.main is not None else {}
        self.without_gradient = [
            names[id(one)] for one in parameters if one.grad is None and id(one) in names
        ]
        return {
            "gradientNorm": norm if scale is None or norm is None else norm / scale,
            "withoutGradient": sum(one is None for one in gradients), "nonFinite": broken,
        }

    def describe_optimizer(self, optimizer, state):
        """Writes an optimiser's line at first, and whenever anything but its rates has changed."""
        skipped = ("params", "lr", "initial_lr", "max_lr", "min_lr", "param_names")
        groups = [
            {name: item for name, item in group.items() if name not in skipped and is_plain(item)}
            for group in optimizer.param_groups
        ]
        members = [group["params"] for group in optimizer.param_groups]
        key = [len(one) for one in members], groups, self.main and self.main.number
        if key == state.described or state.lines >= 50:
            return
        state.described, state.lines = key, state.lines + 1
        names = self.main.names if self.main is not None else {}
        state.sample, each = [], max(1, 6 // len(members))
        for number, group in enumerate(members[:6]):
            count = len(group)
            order = [0, count - 1, count - 2, count // 2, 1, count // 2 + 1]
            chosen = list(dict.fromkeys(place for place in order if 0 <= place < count))[:each]
            state.sample += [(number, place, group[place]) for place in sorted(chosen)]
        known = [one for one in parameters_of(optimizer) if one.requires_grad and id(one) in names]
        if known:
            state.watched = weakref.ref(min(known, key=lambda one: one.numel()))
        if optimizer is self.own:
            return
        members = [id(one) for one in parameters_of(optimizer)]
        self.held[state.number] = {names[one] for one in members if one in names}
        self.foreign[state.number] = sum(one not in names for one in members)
        self.emit(
            "optimizer", id=state.number, **{"class": class_name(optimizer)},
            defaults={k: v for k, v in getattr(optimizer, "defaults", {}).items() if is_plain(v)},
            groups=[
                {
                    "learningRate": float(group["lr"]) if "lr" in group else None,
                    "count": len(group["params"]),
                    "names": [names[id(one)] for one in group["params"] if id(one) in names], **own,
                }
                for group, own in zip(optimizer.param_groups, groups)
            ],
            foreign=self.foreign[state.number], closure=True if state.closure else None,
            resumed=True if state.resumed else None, site=state.site,
        )

    @careful
    def step_ends(self, optimizer):
        state = self.state_of(optimizer)
        if optimizer is self.own:
            state.begun = False
        self.settle()
        if state.described is None:  # a closure: its first pass was inside of the step
            self.describe_optimizer(optimizer, state)
        first = optimizer is self.own and state.steps == self.manual - 1
        state.steps += 1
        count = state.offset + state.steps
        self.iteration = max(self.iteration, count)
        if state.number:
            self.steps_made[state.number] = state.steps
        record = self.step_record(state, self.manual if first else 1)
        overflow = state.overflow
        if state.copies is not None:
            if overflow is None or not bool(overflow):
                with torch.no_grad():
                    record["checked"] = self.check_step(optimizer, state)
            state.copies = state.backward_norm = None
        state.cleared, state.looked, state.before = False, False, None
        state.window.append(record)
        names = ("learningRate", "mode", "loader", "epoch", "cleared")
        steady = all(record[name] == state.window[0][name] for name in names)
        full = len(state.window) >= WINDOW or count <= EVERY_STEP
        if overflow is not None and len(state.window) == 1 and full:
            record["skipped"] = Lazy(lambda: bool(overflow) or None)
        if full or not steady or "checked" in record:
            self.write_steps(state.window)
            state.window = []
        if count in (1, 20):
            self.parameters_now()
        if self.stop_after and self.iteration >= self.stop_after and self.cut_at is None:
            self.cut_at, self.cut_evaluations = time.perf_counter(), self.evaluations

    def step_record(self, state, steps):
        """What is known of one step, its tensors not read yet; and the beginning of the next."""
        passes, self.passes = self.passes, []
        last, instant = passes[-1] if passes else None, time.perf_counter()
        where = last.where if last else {}
        record = {
            "steps": steps, "images": sum(one.count for one in passes), "passes": len(passes),
            "losses": [one.loss() for one in passes if one.losses],
            "errors": [one.error_count for one in passes],
            "seconds": max(0.0, instant - self.last_step),
            "waitSeconds": sum(one.waited for one in passes),
            "mode": last and last.mode, "norms": last and last.norms,
            "loader": where.get("loader"), "epoch": where.get("epoch"),
            "clips": self.clips, "optimizer": state.number,
            "learningRate": state.rates[0] if state.rates else 0,
            "rates": state.rates if len(set(state.rates)) > 1 else None,
            "backwards": state.backwards,
            "cleared": state.cleared or state.before in ("none", "zero"), "site": state.site,
        }
        self.last_step, self.clips = instant, []
        return record

    def write_steps(self, records):
        """One line for one step, or for several alike."""
        def summed(name):
            return sum(one[name] for one in records)

        def joined(name):
            return [item for one in records for item in one[name]]

        images, seconds, losses, errors = summed("images"), summed("seconds"), joined("losses"), joined("errors")
        scored = errors and all(one is not None for one in errors)
        last = {key: item for key, item in records[-1].items() if key not in ("losses", "errors")}
        last.update(
            steps=summed("steps"), images=images, passes=summed("passes"), seconds=seconds,
            waitSeconds=summed("waitSeconds"), clips=joined("clips") or None,
            loss=Lazy(lambda: sum(map(float, losses)) / len(losses)) if losses else None,
            error=Lazy(lambda: sum(map(int, errors)) / images) if scored else None,
        )
        self.emit("step", **last)

    def check_step(self, optimizer, state):
        """Norms, and the updates of a few parameters beside what their class's formula gives."""
        parameters = parameters_of(optimizer)
        figures = self.gradient_figures(optimizer, parameters) if state.closure else state.figures
        figures.update(backwardNorm=state.backward_norm, replay=[])
        scale = getattr(optimizer, "grad_scale", None)
        names = self.main.names if self.main is not None else {}
        for group, index, parameter, weight, memory, gradient in state.copies:
            if gradient is None:
                if parameter.grad is None:
                    continue
                gradient = sampled(parameter.grad)
            gradient = gradient if scale is None else gradient / float(scale)
            update, options = sampled(parameter) - weight, optimizer.param_groups[group]
            momentum = memory.get("momentum_buffer", memory.get("exp_avg"))
            momentum = torch.zeros_like(update) if momentum is None else momentum
            vectors = [update, gradient, momentum, weight]
            rate = state.rates[group] if group < len(state.rates) else 0
            expected = predict(optimizer, options, rate, weight, gradient, memory)
            figures["replay"].append({
                "parameter": names.get(id(parameter), f"{group}.{index}"), "group": group,
                "elements": update.numel(), "updateNorm": float(update.norm()),
                "predicted": relative(update, expected) if expected is not None else None,
                "gram": [float(a @ b) for i, a in enumerate(vectors) for b in vectors[i:]],
            })
        return figures

    @careful
    def loss_scaled(self, _, scaler, *__, **___):
        scale = getattr(scaler, "_scale", None)
        self.scale = scale.detach().clone() if torch.is_tensor(scale) else None

    def before_scaled_step(self, scaler, optimizer, *_, **__):
        self.end_if_done()
        self.steps_before = self.state_of(optimizer).steps

    @careful
    def after_scaled_step(self, _, scaler, optimizer, *__, **___):
        state, self.scale = self.state_of(optimizer), None
        if state.steps == self.steps_before:  # an overflow: the scaler left the step out
            state.rates = rates_of(optimizer)
            self.write_steps([{**self.step_record(state, 1), "skipped": True}])
            state.cleared, state.looked, state.before = False, False, None

    # Schedulers

    def scheduler_state(self, scheduler):
        state = self.schedulers.get(scheduler)
        if state is None:
            number, optimizer = self.number("scheduler"), getattr(scheduler, "optimizer", None)
            state = {"number": number, "calls": 0, "last": self.iteration, "skipped": 0}
            self.schedulers[scheduler], self.scheduler_calls[number] = state, 0
            owner = next(kind for kind in type(scheduler).__mro__ if "step" in vars(kind))
            self.watch_scheduler(owner)  # a class of the script's own
            inner = [one for one in getattr(scheduler, "_schedulers", ()) if hasattr(one, "step")]
            known = hasattr(optimizer, "param_groups")
            self.emit(
                "scheduler", id=number, **{"class": class_name(scheduler)},
                optimizer=self.state_of(optimizer).number if known else None,
                # Read when the line is written: a class may set more after its base class has.
                settings=Lazy(lambda: settings_of(scheduler)),
                schedulers=[self.scheduler_state(one)["number"] for one in inner] or None,
                site=self.site("scheduler"),
            )
        return state

    @careful
    def scheduler_built(self, _, scheduler, *__, **___):
        self.scheduler_state(scheduler)

    @careful
    def before_scheduler(self, scheduler, *_, **__):
        self.rates_before = rates_of(getattr(scheduler, "optimizer", None))

    @careful
    def scheduler_stepped(self, _, scheduler, *arguments, **keywords):
        state = self.scheduler_state(scheduler)
        if self.evaluation is not None and self.evaluation.epoch is not None:
            self.close_finished_evaluation()
        state["calls"] += 1
        self.scheduler_calls[state["number"]] = state["calls"]
        since, state["last"] = self.iteration - state["last"], self.iteration
        before, after = self.rates_before, rates_of(getattr(scheduler, "optimizer", None))
        if state["calls"] > 50 and (after == before or state["calls"] > 2_000):
            state["skipped"] += 1
            return
        argument = next(iter([*arguments, *keywords.values()]), None)
        epoch = self.main_epoch
        # The last batch's own call: all batches are handed out, and the loop has not ended.
        within = epoch is not None and epoch.complete and not epoch.ended and since <= 1 < epoch.batches
        self.emit(
            "scheduler-step", scheduler=state["number"], call=state["calls"],
            argument=float(argument) if argument is not None else None, stepsSince=since,
            place="batch" if within or self.in_training_epoch() else "epoch", before=before, after=after,
            lastEpoch=getattr(scheduler, "last_epoch", None), skipped=state["skipped"] or None,
            site=self.site("scheduler") if state["calls"] <= 3 else None,
        )
        state["skipped"] = 0

    # Transforms of whole batches, files, words

    @careful
    def transformed(self, module, images, output):
        """A module without parameters was called on a batch: is its result what the network gets?"""
        result, text = find_images([output]), printed(module)
        self.seen["transform", text] += 1
        if result is None or self.seen["transform", text] > 5 or len(self.transforms) > 50:
            return
        same = result.shape == images.shape and result.dtype == images.dtype
        given, gives = first_hash(images), first_hash(result)
        entry = {
            "class": class_name(module), "text": text,
            "changed": not (same and bool(torch.equal(result, images))), "site": self.site("transform"),
        }
        for earlier in self.transforms:
            if earlier["gives"] == given:
                earlier["next"] = earlier["next"] or entry
        self.transforms.append({"given": given, "gives": gives, "next": None, "entry": entry})

    def match_transforms(self, images):
        """Whether the images that enter are a transform's result (directly or through others)."""
        if not self.transforms:
            return
        entered, used = first_hash(images), {}
        for one in reversed(self.transforms):
            state = True if one["gives"] == entered else False if one["given"] == entered else None
            later = used.get(id(one["next"])) if one["next"] else None
            used[id(one["entry"])] = state if later is None else later
        for one in self.transforms:
            entry = one["entry"]
            shown = used[id(entry)] if entry["changed"] else None
            self.emit("transform", **entry, used=shown)
        self.transforms = []

    def close_finished_evaluation(self):
        """Before a line that may stand after an evaluation: is that over?"""
        self.settle(handed=not self.awaits_backward())
        if self.evaluation is not None:
            epoch = self.evaluation.epoch
            if epoch is None or (epoch.ended or epoch.complete) and self.evaluation.whole:
                self.close_evaluation()

    def saved(self, _, obj=None, f=None, *__, **___):
        self.note_file("save", obj, f)

    def loaded(self, result, f=None, *_, **__):
        self.note_file("load", result, f)

    @careful
    def note_file(self, kind, content, target):
        self.seen["files"] += 1
        if self.seen["files"] > 1_000:
            return
        self.close_finished_evaluation()
        name = target if isinstance(target, (str, os.PathLike)) else getattr(target, "name", "")
        values = None
        if isinstance(content, dict):
            items = {str(key): item for key, item in list(content.items())[:30]}
            short = {key for key, item in items.items() if type(item) is str and len(item) <= 80}
            values = {
                key: item.detach() if torch.is_tensor(item) else item
                for key, item in items.items()
                if type(item) in (bool, int, float) or torch.is_tensor(item) and not item.dim()
                or key in short and "/" not in item
            } or None
        self.emit(
            kind, name=os.path.basename(str(name)), values=values,
            afterEvaluation=self.evaluations or None, site=self.site(kind),
        )

    def print_called(self, _, *arguments, sep=None, file=None, **__):
        if file in (None, sys.stdout, sys.stderr):
            self.printed(lambda: (" " if sep is None else sep).join(map(str, arguments)))

    def log_called(self, _, logger, record):
        self.printed(record.getMessage)

    @careful
    def printed(self, compose):
        """What the script says with numbers in it: the figures that its owner goes by."""
        enough = self.seen["printed"] >= 5 or not self.evaluations
        if self.entered > 1 or self.seen["prints"] >= (100 if enough else 1_000):
            return
        text = str(compose()).strip()[:300]
        if not re.search("[0-9]", text):
            return
        if self.evaluation is not None and self.evaluation.epoch is not None:
            self.close_finished_evaluation()
        # Without a loader, one ends with the next training pass: what is said may be of it.
        open_yet = self.evaluation is not None and self.evaluation.epoch is None
        self.seen["prints"] += 1
        self.seen["printed"] += 1
        self.emit("print", text=text, afterEvaluation=self.evaluations + open_yet or None)

    # What changed

    def write_start(self, network):
        """The weights before the first pass; from then on their checksums are enough."""
        copies = network.start or {}
        network.start = {name: checksum(one) for name, one in copies.items()}
        self.write_weights("weights-start", network, copies)

    def write_weights(self, kind, network, tensors):
        def size():
            return sum(one.numel() * one.element_size() for one in tensors.values())

        if self.rank or not tensors:
            return
        dtype, most = None, self.limit * 0.2
        if size() > most:
            dtype = "float16"
            tensors = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
        if size() > most or self.folder.bytes + size() > self.limit:
            self.emit("warning", message=f"{kind}: {size() // MEGABYTE} MB are too much to be written")
            return
        self.seen[kind] += 1
        name = f"{kind}-{network.number}" if self.seen[kind] > 1 else kind
        notes = {"iteration": self.iteration, "network": network.number}
        reference = self.file(f"{name}.safetensors", tensors, notes)
        self.emit("file", kind=kind, file=reference, dtype=dtype, network=network.number)

    @careful
    def parameters_now(self):
        network = self.main
        if network is None:
            return
        held = set().union(*(self.held[one] for one in self.steps_made if one in self.held))
        parameters, buffers, start = network.parameters(), network.buffers(), network.start or {}

        def unchanged(tensors):
            return [name for name, one in tensors if name in start and checksum(one) == start[name]]

        self.emit(
            "parameters", network=network.number,
            unheld=[name for name, one in parameters if one.requires_grad and name not in held],
            frozen=[name for name, one in parameters if not one.requires_grad],
            unchanged=unchanged(parameters), buffersUnchanged=unchanged(buffers),
            withoutGradient=self.without_gradient, schedulerCalls=dict(self.scheduler_calls),
            foreign=sum(map(self.foreign.get, self.steps_made)),
        )

    # The end

    def end_if_done(self):
        """Before a training step: those asked for are made, and what followed them was seen."""
        if self.cut_at is not None:
            raise Finished(0)

    def end_if_late(self):
        """What follows the last step may take twice as long as all before it, or five minutes."""
        if self.cut_at is not None:
            if time.perf_counter() - self.cut_at > max(300, 2 * (self.cut_at - self.began)):
                raise Finished(0)

    def close(self, reason, failure=None):
        """Writes what is open, the weights and the last line, and puts PyTorch's functions back."""
        if self.closed or os.getpid() != self.pid:
            return
        self.closed = True
        if torch is not None and self.live:
            self.finish(reason, failure)
        if self.live:
            self.folder.discard_if_empty()
        self.live = False
        for handle in self.handles:
            handle.remove()
        for owner, name, original, replacement in reversed(self.patches):
            if vars(owner).get(name) is replacement:
                setattr(owner, name, original)
        self.main = self.alive = None

    @careful
    def finish(self, reason, failure):
        if not self.started:
            self.begin()
        self.close_open_pass()
        if self.cut_at is not None:  # the pass of a step that was not made any more
            self.pending = [one for one in self.pending if not one.needs_gradient]
        self.settle(force=len(self.pending))
        if self.own is not None and self.state_of(self.own).begun:
            self.step_ends(self.own)
        for loader in list(self.loaders.values()):
            if loader.epoch is not None:
                self.epoch_ends(loader.epoch, exhausted=False)
        self.close_evaluation()
        for state in list(self.optimizers.values()):
            if state.window:
                self.write_steps(state.window)
        self.parameters_now()
        if self.main is not None:
            both = [*self.main.parameters(), *self.main.buffers()]
            self.write_weights("weights-end", self.main, {name: one.detach().cpu() for name, one in both})
        if self.cut_at is not None:
            seen = self.evaluations > self.cut_evaluations
            what = "an evaluation" if seen else "no evaluation before the next training step"
            self.emit("stop", reason=f"--steps {self.stop_after} reached; then {what}")
            if not self.evaluations:
                self.say("no evaluation was seen; with more --steps one may be")
        elif self.main is None and not failure:
            hint = " (a compiled training step can't be seen into: record it uncompiled)"
            self.say(f"no training of a network of images was seen{hint if self.iteration else ''}")
        self.drain()
        self.emit(
            "failure" if failure else "end", reason=failure or reason,
            optimizerSteps=self.steps_made, schedulerCalls=self.scheduler_calls, evaluations=self.evaluations,
            trainingSeconds=time.perf_counter() - self.began_training,
            overheadSeconds=self.overhead, logSha256=self.folder.digest.hexdigest(),
        )
        self.drain()
        if self.live:
            self.folder.sync()


# A script for CUDA on a machine without a GPU -----------------------------------------------------


def use_cpu():
    """Sends calls for CUDA to the CPU. The script's own files are told that there is one device;
    libraries, PyTorch among them, see that there is none and take their way for the CPU."""
    from torch.overrides import TorchFunctionMode

    cuda, cpu = torch.cuda, torch.device("cpu")

    def is_cuda(device):
        kind = device.type if isinstance(device, torch.device) else device
        return isinstance(kind, str) and kind.split(":")[0] == "cuda"

    def moved(value):
        return cpu if is_cuda(value) else value

    class OnCpu(TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), keywords=None):
            keywords, name = dict(keywords or {}), getattr(function, "__name__", "")
            if name in ("cuda", "pin_memory") and arguments:
                return arguments[0]
            if name == "record_stream":
                return None
            if name == "to":
                first = cpu if arguments[1:] and type(arguments[1]) is int else None
                rest = [first or moved(arguments[1]), *arguments[2:]] if arguments[1:] else []
                arguments = (arguments[0], *rest)
            if name == "type" and arguments[1:] and isinstance(arguments[1], str):
                arguments = (arguments[0], arguments[1].replace("torch.cuda.", "torch."))
            if "device" in keywords:
                keywords["device"] = moved(keywords["device"])
            return function(*arguments, **keywords)

    def for_script(value, otherwise):
        def answer(*_, **__):
            name = sys._getframe(1).f_code.co_filename.replace("\\", "/")
            installed = re.search("/(site|dist)-packages/|/torch/", name)
            return otherwise if installed or name.startswith("<frozen") else value

        return answer

    class Event:
        """A CUDA event on the processor's clock."""

        def __init__(self, *_, **__):
            self.at = time.perf_counter()

        def record(self, *_):
            self.at = time.perf_counter()

        def elapsed_time(self, other):
            return (other.at - self.at) * 1e3

        def query(self):
            return True

        def synchronize(self, *_):
            pass

        wait = synchronize

    class Stream(contextlib.nullcontext):
        def __init__(self, *_, **__):
            super().__init__()

        def synchronize(self, *_):
            pass

        wait_stream = wait_event = record_event = synchronize

    class Properties:
        name, major, minor, total_memory, multi_processor_count = "CPU (--cpu)", 8, 0, 2**34, 1

    def always(value):
        return lambda *_, **__: value

    answers = {
        0: "memory_allocated max_memory_allocated memory_reserved max_memory_reserved current_device "
        "memory_cached max_memory_cached utilization",
        None: "set_device synchronize empty_cache reset_peak_memory_stats reset_max_memory_allocated "
        "ipc_collect init manual_seed manual_seed_all seed seed_all",
    }
    for value, names in answers.items():
        for name in names.split():
            setattr(cuda, name, always(value))
    cuda.is_available, cuda.device_count = for_script(True, False), for_script(1, 0)
    cuda.get_device_name, cuda.get_device_properties = always(Properties.name), always(Properties)
    cuda.get_device_capability, cuda.is_bf16_supported = always((8, 0)), always(True)
    cuda.mem_get_info, cuda.memory_summary = always((2**34, 2**34)), always("")
    cuda.Event, cuda.Stream = Event, Stream
    cuda.current_stream = cuda.default_stream = Stream
    cuda.stream = cuda.device = lambda *_, **__: contextlib.nullcontext()
    for name in ("Float", "Double", "Half", "Long", "Int", "Byte", "Bool"):
        setattr(cuda, f"{name}Tensor", getattr(torch, f"{name}Tensor"))
    torch.nn.Module.cuda = lambda module, *_, **__: module
    load = torch.load

    @functools.wraps(load)
    def load_on_cpu(f, map_location=None, *arguments, **keywords):
        where = "cpu" if map_location is None or is_cuda(map_location) else map_location
        return load(f, where, *arguments, **keywords)

    torch.load = load_on_cpu
    if torch.distributed.is_available():
        join = torch.distributed.init_process_group

        @functools.wraps(join)
        def join_by_gloo(backend=None, *arguments, **keywords):
            return join("gloo" if backend in (None, "nccl") else backend, *arguments, **keywords)

        torch.distributed.init_process_group = join_by_gloo
    OnCpu().__enter__()


# Starting -----------------------------------------------------------------------------------------


class WhenImported:
    """Calls a function once a module has been imported, at the script's own `import`."""

    def __init__(self, name, then):
        self.name, self.then, self.searching = name, then, False

    def find_spec(self, name, path=None, target=None):
        if name != self.name or self.searching:
            return None
        self.searching = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.searching = False
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                sys.meta_path.remove(self)
                self.then()

            spec.loader.exec_module = exec_module
        return spec


def attach(recorder):
    """Begins to see, as soon as PyTorch is there."""

    def begin():
        global torch, is_compiling
        import torch as imported

        torch, is_compiling = imported, compiling_test(imported)
        if recorder.cpu:
            use_cpu()
        if recorder.live:
            try:
                recorder.install()
            except Exception as error:
                recorder.give_up(f"{class_name(error)}: {error}")

    if "torch" in sys.modules:
        begin()
    else:
        sys.meta_path.insert(0, WhenImported("torch", begin))


def compiling_test(torch):
    """The function that says whether torch.compile is reading the code, by this version's name."""
    if hasattr(getattr(torch, "compiler", None), "_is_compiling_flag"):
        return torch.compiler.is_compiling
    return getattr(torch._utils, "is_compiling", lambda: False)


def start(folder, steps=None, limit=100):
    """Records this process's training into a folder, from now on until it ends (or `stop`).

    folder: a new folder. steps: end the process after so many training steps and one evaluation.
    limit: megabytes that the folder may grow to.
    """
    global _recorder
    parent = os.environ.get("PYTORCH_RECORDER", str(os.getpid())) != str(os.getpid())
    if parent and "RANK" not in os.environ or _recorder is not None and _recorder.mode == "command":
        return  # a recorded process's worker that imports the script anew; the command records
    stop()
    os.environ["PYTORCH_RECORDER"] = str(os.getpid())
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    recorder = _recorder = Recorder(os.path.abspath(folder), steps, limit, script)
    attach(recorder)
    atexit.register(recorder.close, "finished")
    hook = sys.excepthook

    def note(kind, error, trace):
        recorder.close("failure", f"{kind.__name__}: {error}")
        hook(kind, error, trace)

    sys.excepthook = note


def stop():
    """Ends the recording; the training goes on."""
    global _recorder
    if _recorder is not None:
        _recorder.close("stopped")
        _recorder = None


def main():
    global _recorder
    parser = argparse.ArgumentParser(
        prog="pytorch.py",
        usage="%(prog)s --out FOLDER [--steps N] [--cpu] [--limit MB] -- train.py [arguments]",
        description="Runs a PyTorch training, unchanged, and writes down what reached its network.",
    )
    add = parser.add_argument
    add("--out", required=True, metavar="FOLDER", help="a new folder for the recording")
    add("--steps", type=int, metavar="N", help="end after N training steps and an evaluation")
    add("--cpu", action="store_true", help="run a script for CUDA on the CPU")
    add("--limit", type=float, default=100, metavar="MB", help="what the folder may grow to (100)")
    add("command", nargs=argparse.REMAINDER, help="the script, or -m and a module; its arguments")
    options = parser.parse_args()
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    module = command[:1] == ["-m"]
    command = command[1:] if module else command
    if not command:
        parser.error("name the training script after --")
    if not module and not os.path.isfile(command[0]):
        parser.error(f"there is no script {command[0]}")
    if options.steps is not None and options.steps < 1:
        parser.error(f"--steps takes a number from 1, and was given {options.steps}")
    script, folder = None if module else command[0], os.path.abspath(options.out)
    os.environ["PYTORCH_RECORDER"] = str(os.getpid())
    recorder = _recorder = Recorder(
        folder, options.steps, options.limit, script, command, "command", options.cpu
    )
    sys.argv = list(command)
    sys.path.insert(0, os.getcwd() if module else os.path.dirname(os.path.abspath(script)))
    attach(recorder)
    try:
        if module:
            runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(script, run_name="__main__")
        recorder.close("finished")
    except Finished:
        recorder.close("steps")
    except SystemExit:
        recorder.close("exit")
        raise
    except BaseException as error:
        # A loop that counts its batches by hand meets the early end of an epoch as an error.
        if recorder.cut_at is not None and "StopIteration" in f"{class_name(error)} {error}":
            recorder.close("steps")
        else:
            recorder.close("failure", f"{type(error).__name__}: {error}")
            raise


if __name__ == "__main__":
    # Under a name of its own: `__main__` is the script's, and torch.compile finds modules by name.
    own = importlib.util.spec_from_file_location("pytorch_recorder", os.path.abspath(__file__))
    sys.modules["pytorch_recorder"] = importlib.util.module_from_spec(own)
    own.loader.exec_module(sys.modules["pytorch_recorder"])
    sys.modules["pytorch_recorder"].main()
