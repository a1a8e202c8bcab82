#!/usr/bin/env python3
"""Writes a recording of a PyTorch training, beside it: what reached the network, and what was done.

    python3 pytorch.py --out recording --steps 600 [--cpu] -- train.py --lr 0.1

runs train.py unchanged and leaves a folder: the images as they entered the network, labels, logits,
every step, every evaluation, the network's operations, how loaders, optimisers and schedulers were
built and called. --steps ends after so many training steps and one evaluation; without it the whole
training is recorded. --cpu lets a script for CUDA run on a machine without a GPU. Or in your own
code, with this file copied beside it as pytorch_recorder.py, before the data loaders are made:

    import pytorch_recorder; pytorch_recorder.start("recording")

What it promises:
- It changes no result: no random number is drawn from your generators, no sample is fetched, no
  tensor of yours is written; the same seed gives the same weights with and without it, bit for bit.
- It writes in its folder alone, up to 100 MB, appends and flushes, so that a killed training leaves
  a readable recording. It reads no network and sends nothing.
- If it fails (a folder in use, a full disk, a fault of its own), it says so in one line on standard
  error, and the training goes on.

How: PyTorch's own functions are wrapped in this process (see `Recorder.install`): a module's call,
`backward`, an optimiser's step, the iterators of data loaders, loss functions, schedulers, clipping,
`torch.save`. Each wrapper calls the original with what it was given and returns what it returned.
FORMAT.md beside this file describes every line of the recording. Python 3.9, PyTorch 2.1 or newer.
"""
from __future__ import annotations

import sys

if __name__ == "__main__" and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]  # this file's folder: nothing beside it may be taken for a library

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
import struct
import sysconfig
import threading
import time
import weakref
from array import array
from collections import Counter, deque

VERSION = "1.0.0"
MEGABYTE = 1_000_000

# Which passes are looked at closely, and which whole batches are kept. FORMAT.md states these.
DETAILED_EPOCHS, DETAILED_BATCHES, DETAILED_EVALUATIONS = 3, 8, 2
DETAILED_PASSES = 2_000  # without a loader
KEPT_IMAGES, KEPT_TEST_IMAGES, KEPT_AGAIN = 1_024, 512, 128
KEPT_BYTES = 14 * MEGABYTE
EVERY_STEP = 2_000  # the first steps have a line each, later ones one line for WINDOW
WINDOW = 10
CHECK_FIRST, CHECK_EVERY = 10, 25  # steps whose update is recomputed
SAMPLE_ELEMENTS = 16_384  # of a parameter whose update is recomputed
MOST_NODES = 20_000
LINE_BYTES = 8 * MEGABYTE
HELD_SECONDS = 0.5  # a line is held back so long, so that a GPU is seldom waited for

torch = None  # imported by the script, never before it: it may set OMP_NUM_THREADS first
is_compiling = None
_recorder = None  # the one that is recording


class Finished(SystemExit):
    """Ends a script after --steps. A SystemExit, so that `except Exception` lets it pass."""


class Thread(threading.local):
    """How deep in a network's call this thread is; who follows the modules meanwhile."""

    depth = 0
    tracer = None
    in_loss = False


thread = Thread()


# Values on their way into the recording -----------------------------------------------------------


class Lazy:
    """A value of a line that is worked out when the line is written: reading a tensor earlier would
    make the processor wait for the GPU."""

    def __init__(self, compute):
        self.compute = compute


def now():
    instant = datetime.datetime.fromtimestamp(time.time(), datetime.timezone.utc)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def raw(tensor):
    """The bytes of a tensor in row-major order. (NumPy may be missing, and knows no bfloat16.)"""
    tensor = tensor.detach().to("cpu").contiguous()
    return ctypes.string_at(tensor.data_ptr(), tensor.numel() * tensor.element_size())


def words(values):
    """Base64 of 32-bit integers, or of a tensor of 64-bit ones."""
    content = raw(values) if isinstance(values, torch.Tensor) else array("i", values).tobytes()
    return base64.b64encode(content).decode()


def plain(value):
    """What JSON can hold. Entries that are None are left out."""
    if isinstance(value, Lazy):
        return plain(value.compute())
    if isinstance(value, dict):
        pairs = ((str(key), plain(item)) for key, item in value.items())
        return {key: item for key, item in pairs if item is not None}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return value[:2_000]
    if torch is not None and isinstance(value, torch.Tensor):
        return plain(value.detach().cpu().tolist())
    if torch is not None and isinstance(value, (torch.dtype, torch.layout, torch.memory_format, torch.device)):
        return str(value).replace("torch.", "")
    return printed(value)


def printed(value):
    """How an object prints, without addresses in memory; functions and classes by their names."""
    if inspect.isclass(value) or inspect.isroutine(value):
        return f"{value.__module__}.{value.__qualname__}"
    try:
        return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))[:2_000]
    except Exception:
        return f"<{class_name(value)}>"


def class_name(value):
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def plain_attributes(value, names=None):
    """The booleans, numbers and short strings among an object's attributes: no code of it runs."""
    found = {}
    for name, item in vars(value).items() if hasattr(value, "__dict__") else ():
        if name.startswith("_") or (names is not None and name not in names):
            continue
        if type(item) in (bool, int, float):
            found[name] = item
        elif type(item) is str and len(item) <= 80 and os.sep not in item and "/" not in item:
            found[name] = item
    return found


def settings_of(scheduler):
    """A scheduler's plain attributes, with lists of numbers; milestones as a list."""
    found = plain_attributes(scheduler)
    for name, value in vars(scheduler).items():
        if isinstance(value, Counter):
            found[name] = sorted(value.elements())
        elif isinstance(value, (list, tuple)) and not name.startswith("__"):
            if all(type(item) in (int, float) for item in value):
                found[name.lstrip("_")] = list(value)
    found.pop("verbose", None)
    return found


def safetensors(tensors, metadata):
    """The parts of a safetensors file: header, then the tensors one after the other."""
    names = {
        torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16",
        torch.uint8: "U8", torch.int8: "I8", torch.int16: "I16", torch.int32: "I32",
        torch.int64: "I64", torch.bool: "BOOL",
    }
    header, parts, offset = {"__metadata__": {key: str(item) for key, item in metadata.items()}}, [], 0
    for name, tensor in tensors.items():
        if tensor.dtype not in names:
            continue
        content = raw(tensor)
        header[name] = {
            "dtype": names[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(content)],
        }
        parts.append(content)
        offset += len(content)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return [struct.pack("<Q", len(text)), text, *parts]


class Folder:
    """The recording's folder: the only place that is ever written to."""

    def __init__(self, path, rank, limit):
        self.path, self.suffix = path, f"-rank{rank}" if rank else ""
        self.limit, self.bytes, self.log_bytes = limit * MEGABYTE, 0, 0
        self.digest = hashlib.sha256()
        os.makedirs(path, exist_ok=True)
        name = os.path.join(path, f"recording{self.suffix}.jsonl")
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self.log = os.open(name, flags, 0o644)  # exclusive: of two recorders one gets the folder

    def lines(self, content):
        view = memoryview(content)
        while view:
            view = view[os.write(self.log, view):]
        self.digest.update(content)
        self.log_bytes += len(content)
        self.bytes += len(content)

    def file(self, name, parts):
        """Writes a file beside and renames it: it is there whole or not at all."""
        name = name.replace("batches", f"batches{self.suffix}")
        digest, size, path = hashlib.sha256(), 0, os.path.join(self.path, name)
        with open(path + ".part", "wb") as stream:
            for part in parts:
                stream.write(part)
                digest.update(part)
                size += len(part)
        os.replace(path + ".part", path)
        self.bytes += size
        return {"path": name, "sha256": digest.hexdigest(), "bytes": size}


# Images -------------------------------------------------------------------------------------------


def find_images(values, depth=0):
    """The first 4-dimensional tensor of numbers among arguments (also in a dictionary or list)."""
    for value in values:
        if isinstance(value, torch.Tensor):
            if value.dim() == 4 and value.shape[0] and not value.is_meta:
                return value
        elif depth < 2 and isinstance(value, (dict, list, tuple)) and value:
            inner = value.values() if isinstance(value, dict) else value
            found = find_images(inner, depth + 1)
            if found is not None:
                return found
    return None


def find_logits(output, count):
    """The scores of a network's output: [count, classes], alone or in a tuple, list or dictionary."""
    if isinstance(output, torch.Tensor):
        fits = output.dim() == 2 and output.shape[0] == count and output.is_floating_point()
        return output if fits else None
    if isinstance(output, dict):
        named = find_logits(output.get("logits"), count)
        return named if named is not None else find_logits(list(output.values()), count)
    if isinstance(output, (list, tuple)):
        for item in output:
            found = find_logits(item, count)
            if found is not None:
                return found
    return None


@functools.lru_cache(maxsize=8)
def hash_factors(count, device):
    generator = torch.Generator(device="cpu")  # its own: the script's is never drawn from
    generator.manual_seed(0x5EED)
    factors = torch.randint(-(2**62), 2**62, (count,), generator=generator, device="cpu")
    return (factors * 2 + 1).to(device)


def hash_images(images):
    """[N] 64-bit hashes: the images' bits as integers, times fixed odd numbers, summed modulo 2^64."""
    images = images.detach().contiguous()
    rows = images.reshape(images.shape[0], -1)
    if rows.shape[1] * rows.element_size() % 8 == 0:
        if rows.storage_offset() * rows.element_size() % 8:
            rows = rows.clone()
        bits = rows.view(torch.int64)
    else:
        bits = rows.view(torch.uint8).to(torch.int64)
    factors = hash_factors(bits.shape[1], bits.device)
    at_once = max(1, 4_000_000 // bits.shape[1])
    sums = [(part * factors).sum(1) for part in bits.split(at_once)]
    return torch.cat(sums) + rows.element_size() * 2 + rows.is_floating_point()


def layout_of(images):
    if images.is_contiguous() or not images.is_contiguous(memory_format=torch.channels_last):
        return "contiguous"
    return "channels_last"


def describe(tensor):
    return {"shape": list(tensor.shape), "dtype": plain(tensor.dtype)}


def checksum(tensor):
    return hashlib.blake2b(raw(tensor), digest_size=8).digest()


def autocast_of(device):
    """The type of automatic mixed precision on a device, if it is on."""
    try:
        enabled, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    except TypeError:  # before 2.4: one function a device
        cpu = device == "cpu"
        enabled = torch.is_autocast_cpu_enabled() if cpu else torch.is_autocast_enabled()
        dtype = torch.get_autocast_cpu_dtype() if cpu else torch.get_autocast_gpu_dtype()
    return plain(dtype) if enabled else None


# The network and its operations -------------------------------------------------------------------

LOSSES = (
    "cross_entropy", "nll_loss", "binary_cross_entropy_with_logits", "binary_cross_entropy", "mse_loss",
    "l1_loss", "smooth_l1_loss", "kl_div", "multi_margin_loss",
)
WRAPPERS = {"DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod"}


class Network:
    """What is known of one network: an innermost module, or (functional) a function over tensors."""

    def __init__(self, number, module, wrappers, called):
        self.number, self.wrappers, self.called = number, wrappers, called
        self.reference = weakref.ref(module) if module is not None else lambda: None
        self.class_name = class_name(module) if module is not None else "function"
        self.trained = self.announced = False
        self.traced = set()
        self.start = None  # copies of parameters and buffers before the first pass
        self.tensors = {}  # functional: name to parameter
        self.refresh()

    def refresh(self):
        """Reads the module's parameters and norms anew; true if the parameters are other objects."""
        module = self.reference()
        before = getattr(self, "names", None)
        self.names = {id(tensor): name for name, tensor in self.parameters()}
        modules = list(module.modules()) if module is not None else []
        self.norms = [item for item in modules if hasattr(item, "running_mean")]
        self.compiled = any(
            "OptimizedModule" in type(item).__name__
            or getattr(item, "_compiled_call_impl", None) is not None
            for item in modules
        )
        return before is not None and before.keys() != self.names.keys()

    def parameters(self):
        module = self.reference()
        return list(module.named_parameters()) if module is not None else list(self.tensors.items())

    def buffers(self):
        module = self.reference()
        return list(module.named_buffers()) if module is not None else []

    def mode(self):
        """The mode of the network and its batch norms together, and the count of norms in each."""
        training = sum(bool(norm.training) for norm in self.norms)
        counts = {"training": training, "evaluation": len(self.norms) - training}
        module = self.reference()
        if module is None:
            return None, None  # functions are told: the graph shows it
        flags = {bool(module.training)}
        flags |= {name == "training" for name, count in counts.items() if count}
        name = "mixed" if len(flags) > 1 else "evaluation" if flags == {False} else "training"
        return name, counts if self.norms else None

    def description(self):
        module = self.reference()
        parameters = self.parameters()
        leaves = [
            (name, item)
            for name, item in (module.named_modules() if module is not None else ())
            if not item._modules
        ]
        return {
            "id": self.number,
            "class": self.class_name,
            "wrappers": self.wrappers,
            "called": self.called,
            "parameters": [
                {"name": name, "trainable": tensor.requires_grad, **describe(tensor)}
                for name, tensor in parameters
            ],
            "trainable": sum(item.numel() for _, item in parameters if item.requires_grad),
            "frozen": sum(item.numel() for _, item in parameters if not item.requires_grad),
            "buffers": [{"name": name, **describe(tensor)} for name, tensor in self.buffers()],
            "modules": Counter(type(item).__name__ for _, item in leaves),
            "norms": alike(
                {
                    "class": type(item).__name__,
                    "eps": getattr(item, "eps", None),
                    "momentum": "cumulative"
                    if getattr(item, "momentum", None) is None
                    else item.momentum,
                    "affine": getattr(item, "weight", None) is not None,
                    "tracked": item.running_mean is not None,
                    "name": name,
                }
                for name, item in leaves
                if hasattr(item, "running_mean")
            ),
            "dropouts": alike(
                {"class": type(item).__name__, "p": item.p, "name": name}
                for name, item in leaves
                if "Dropout" in type(item).__name__ and type(getattr(item, "p", None)) is float
            )
            or None,
        }


def alike(items):
    """Puts together what differs in its name alone."""
    groups = {}
    for item in items:
        name = item.pop("name")
        groups.setdefault(json.dumps(plain(item)), {**item, "names": []})["names"].append(name)
    return list(groups.values())


KINDS = {
    "convolution": "convolution _convolution cudnn_convolution mkldnn_convolution miopen_convolution "
    "conv2d _slow_conv2d_forward convolution_overrideable _mps_convolution",
    "batch-norm": "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_functional "
    "cudnn_batch_norm miopen_batch_norm _batch_norm_with_update _batch_norm_no_update batch_norm "
    "_native_batch_norm_legit_no_training",
    "layer-norm": "native_layer_norm layer_norm",
    "group-norm": "native_group_norm group_norm",
    "relu": "relu",
    "activation": "leaky_relu gelu silu mish elu hardtanh hardswish hardsigmoid sigmoid tanh softplus "
    "threshold _prelu_kernel celu selu",
    "add": "add",
    "subtract": "sub rsub",
    "multiply": "mul",
    "divide": "div",
    "max-pool": "max_pool2d_with_indices max_pool2d adaptive_max_pool2d mkldnn_max_pool2d",
    "average-pool": "avg_pool2d _adaptive_avg_pool2d adaptive_avg_pool2d",
    "mean": "mean",
    "dense": "addmm mm linear matmul bmm addmv",
    "reshape": "view _unsafe_view reshape flatten squeeze unsqueeze _reshape_alias expand unflatten",
    "permute": "permute transpose t flip",
    "slice": "slice select narrow index split chunk unbind split_with_sizes",
    "pad": "constant_pad_nd reflection_pad2d replication_pad2d",
    "concatenate": "cat stack",
    "softmax": "_softmax softmax",
    "log-softmax": "_log_softmax log_softmax",
    "dropout": "native_dropout dropout bernoulli",
    "cast": "_to_copy to",
    "copy": "clone copy contiguous detach alias lift_fresh",
}
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names.split()}
FOLDED = {"reshape", "permute", "cast", "copy"}  # of a parameter: part of how it is used


def make_tracer(network):
    """A dispatch mode that lists every operation of one pass; each runs as it would without."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Tracer(TorchDispatchMode):
        def __init__(self, names, buffers, paths):
            super().__init__()
            self.references = {key: {"parameter": name} for key, name in names.items()}
            self.references.update({id(tensor): {"buffer": name} for name, tensor in buffers})
            self.paths, self.stack, self.inside = paths, [], network.reference() is None
            self.nodes, self.kept, self.count = [], [], 0
            self.cut, self.trouble, self.entered = False, None, None

        def value(self, tensor):
            self.count += 1
            self.kept.append(tensor)  # alive, so that no other tensor takes its id meanwhile
            self.references[id(tensor)] = {"value": self.count}
            return self.count

        def enter(self, module, arguments, keywords):
            self.stack.append(module)
            if module is self.root:
                images = find_images([*arguments, *keywords.values()])
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
                elif self.inside:
                    self.cut = True
            except Exception as error:
                self.trouble = error
            return result

        def note(self, function, arguments, keywords, result):
            schema = function._schema
            name = schema.name.split("::")[-1]
            base = name[:-1] if name.endswith("_") and not name.endswith("__") else name
            kind = KIND_OF.get(base, "other")
            given, main = {}, None
            for place, argument in enumerate(schema.arguments):
                if place < len(arguments):
                    item = arguments[place]
                elif argument.name in keywords:
                    item = keywords[argument.name]
                else:
                    continue
                if main is None and isinstance(item, torch.Tensor):
                    main = self.refer(item)
                if argument.has_default_value() and not isinstance(item, torch.Tensor):
                    if item == argument.default_value:
                        continue
                given[argument.name] = self.encode(item)
            outputs = [one for one in _listed(result) if torch.is_tensor(one) and one.numel()]
            weight = main is not None and "value" not in main and "constant" not in main
            if base in ("detach", "alias", "lift_fresh") and main is not None:
                self.kept.append(outputs[0])
                self.references[id(outputs[0])] = main
                return
            if weight and kind in FOLDED and len(outputs) == 1:
                self.kept.append(outputs[0])
                via = [*main.get("via", []), str(function)]
                self.references[id(outputs[0])] = {**main, "via": via}
                return
            if not outputs or (main is not None and "buffer" in main and base != name):
                return  # such as a batch norm's counter of batches
            module = self.stack[-1] if self.stack else None
            path = self.paths.get(id(module))
            self.nodes.append(
                {
                    "op": str(function),
                    "kind": kind,
                    "module": path or None,
                    "moduleClass": type(module).__name__ if path else None,
                    "arguments": given,
                    "outputs": [{"value": self.value(item), **describe(item)} for item in outputs],
                    "inPlace": True if base != name else None,
                }
            )

        def refer(self, tensor):
            known = self.references.get(id(tensor))
            if known is not None:
                return known
            small = tensor.numel() <= 16 and tensor.device.type == "cpu"
            data = tensor.detach().reshape(-1).tolist() if small else None
            return {"constant": list(tensor.shape), **({} if data is None else {"data": data})}

        def encode(self, item):
            if isinstance(item, torch.Tensor):
                return self.refer(item)
            if isinstance(item, (list, tuple)):
                return [self.encode(one) for one in item]
            return item if item is None or isinstance(item, (bool, int, float, str)) else plain(item)

    module = network.reference()
    paths = {id(item): name for name, item in module.named_modules()} if module is not None else {}
    tracer = Tracer(network.names, network.buffers(), paths)
    tracer.root = module
    return tracer


def _listed(value):
    return value if isinstance(value, (list, tuple)) else [value]


@contextlib.contextmanager
def random_state_kept(device):
    """Puts back every global generator's state, whatever runs inside."""
    import random

    states = random.getstate()
    numpy = sys.modules.get("numpy")
    array_state = numpy.random.get_state() if numpy is not None else None
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            random.setstate(states)
            if array_state is not None:
                numpy.random.set_state(array_state)


def size_of(value):
    try:
        return len(value)
    except Exception:
        return None


def indices_of(dataset, inner):
    """The positions in `inner` that a data set shows: a Subset's, or a wrapper's own list of them."""
    own, size, most = vars(dataset), size_of(dataset), size_of(inner)
    for name, value in own.items():
        if "ind" not in name.lower() and "idx" not in name.lower():
            continue
        if size_of(value) != size or size is None or isinstance(value, (str, bytes, dict)):
            continue
        try:
            listed = [int(item) for item in value]
        except (TypeError, ValueError):
            continue
        if all(0 <= item < (most or item + 1) for item in listed):
            return listed
    return None


def range_of(images):
    """Smallest and largest value, and mean."""
    values = images.double()
    return [float(values.min()), float(values.max()), float(values.mean())]


def named_in_frames(weight):
    """The tensors to train that lie beside a weight in the callers' variables, by their names."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename != __file__:
            for scope in (frame.f_locals, frame.f_globals):
                found = {}
                for name, value in list(scope.items()):
                    if not name.startswith("__"):
                        collect(name, value, found, 0)
                if any(tensor is weight for tensor in found.values()):
                    return found
        frame = frame.f_back
    return {"weight": weight}


def collect(name, value, found, depth):
    if isinstance(value, torch.nn.Module):
        found.update(value.named_parameters(prefix=name))
    elif isinstance(value, torch.Tensor):
        if value.is_leaf and value.requires_grad:
            found[name] = value
    elif depth < 3 and type(value) in (dict, list, tuple) and len(value) <= 10_000:
        for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            collect(str(key) if depth == 0 and isinstance(value, dict) else f"{name}.{key}", item, found, depth + 1)


def is_plain(value):
    if isinstance(value, (tuple, list)):
        return all(is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))


def parameters_of(optimizer):
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def rates_of(optimizer):
    return [float(group["lr"]) for group in optimizer.param_groups if "lr" in group]


def relative(found, expected):
    """How far a vector is from the expected one, as a share of that."""
    size, distance = float(expected.norm()), float((found - expected).norm())
    return distance / size if size else 0.0 if not distance else math.inf


def predict(optimizer, group, rate, weight, gradient, memory):
    """The update that an optimiser's own formula gives from what it was told; None: not known here."""
    decay = float(group.get("weight_decay") or 0)
    name = type(optimizer).__name__
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
        gradient = gradient + decay * weight
        momentum = float(group["momentum"] or 0)
        if not momentum:
            return -rate * gradient
        velocity = gradient
        if "momentum_buffer" in memory:
            damping = 1 - float(group.get("dampening") or 0)
            velocity = momentum * memory["momentum_buffer"] + damping * gradient
        return -rate * (gradient + momentum * velocity if group.get("nesterov") else velocity)
    return None


def total(hashes):
    """The sum of hashes modulo 2^64, as 16 hexadecimal digits."""
    return f"{sum(int(part) for part in hashes) % 2**64:016x}"


# What is going on: passes, epochs, evaluations ----------------------------------------------------


class Epoch:
    """One pass through a loader: of one iterator, or of one reset of a persistent one."""

    def __init__(self, loader, number):
        self.loader, self.number = loader, number
        self.batches = self.images = self.hashed = 0
        self.queue = deque()  # indices that the sampler gave, in the order of delivery
        self.distinct, self.order, self.known = set(), hashlib.sha256(), True
        self.hashes, self.waited, self.begun = [], 0.0, time.perf_counter()
        self.ended = self.exhausted = self.trained = False


class Loader:
    """A data loader, by its number in the recording."""

    def __init__(self, number, compose):
        self.number, self.compose = number, compose
        self.epochs, self.evaluations, self.lag = 0, Counter(), 0
        self.trained, self.epoch = False, None


class Delivery:
    """A batch that a loader handed out: its indices, its labels, and which images it holds."""

    def __init__(self, epoch, number, indices, data):
        self.epoch, self.number, self.indices, self.taken, self.parts = epoch, number, indices, 0, 0
        values = data if isinstance(data, (list, tuple, dict)) else [data]
        images = find_images(values.values() if isinstance(values, dict) else values)
        self.count = len(images) if images is not None else len(indices) if indices else 0
        self.images = weakref.ref(images) if images is not None else lambda: None
        self.first = None
        if images is not None and images.device.type == "cpu" and images.numel():
            self.first = int(hash_images(images[:1]))
        self.labels = self.find_labels(values)

    def find_labels(self, values, depth=0):
        """The integers that came with the images, one each."""
        for value in values.values() if isinstance(values, dict) else values:
            if isinstance(value, torch.Tensor):
                if value.dim() == 1 and len(value) == self.count and not value.is_floating_point():
                    return value
            elif depth < 1 and isinstance(value, (dict, list, tuple)):
                found = self.find_labels(value, depth + 1)
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
        self.shape, self.dtype, self.layout = list(images.shape), images.dtype, layout_of(images)
        self.time, self.began = now(), time.perf_counter()
        self.epoch = self.batch = self.part = self.indices = self.delivered_labels = None
        self.detailed, self.waited = False, 0.0
        self.hashes = self.kept = self.same = self.site = None
        self.output = lambda: None  # a weak reference to the logits, as the script has them
        self.logits = self.gradient = self.labels = self.targets = self.label_source = None
        self.needs_gradient = self.reached = False
        self.loss_kind = self.graph = None
        self.losses, self.error_count, self.in_network = [], None, False

    def finish_labels(self):
        """The loss's labels, else those that came with the images; whether both agree."""
        agree = None
        if self.delivered_labels is not None:
            delivered = self.delivered_labels.detach()
            if self.labels is None:
                self.labels, self.label_source = delivered, "loader"
            else:
                ours, theirs = self.labels.reshape(-1), delivered.reshape(-1)
                agree = Lazy(lambda: bool(torch.equal(ours.cpu().long(), theirs.cpu().long())))
        return agree

    def errors(self):
        """How many images' largest logit is not their label: a tensor, not read yet."""
        if self.logits is None or self.labels is None or len(self.labels) != len(self.logits):
            return None
        return (self.logits.argmax(1) != self.labels.to(self.logits.device)).sum()

    def loss(self):
        """The sum of what the loss functions returned: a tensor, not read yet."""
        return sum(self.losses[1:], self.losses[0]) if self.losses else None


class Evaluation:
    """Consecutive evaluation passes of one network on one loader's epoch."""

    def __init__(self, first, number):
        self.network, self.epoch, self.number = first.network, first.epoch, number
        self.time, self.began, self.passes = first.time, first.began, []
        self.during = None

    def takes(self, candidate):
        return candidate.network is self.network and candidate.epoch is self.epoch


class OptimizerState:
    """What is remembered of an optimiser between its steps."""

    def __init__(self, number, optimizer):
        self.number, self.reference = number, weakref.ref(optimizer)
        self.steps = self.backwards = self.lines = 0
        self.begun = self.closure = self.cleared = self.looked = False
        self.before = self.described = self.watched = self.site = None
        self.rates, self.sample, self.window = [], [], []
        self.snapshot = self.backward_norm = self.gradients = None


def careful(method):
    """A part of the recorder that runs inside somebody's training: what goes wrong in it is noted
    and never reaches the training, and the time that it takes is added up."""

    @functools.wraps(method)
    def run(self, *arguments, **keywords):
        if not self.live or os.getpid() != self.pid:
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
    """Sees a training and writes it down. One is at work at a time."""

    def __init__(self, path, steps=None, limit=100, mode="import", script=None, command=(), cpu=False):
        self.rank, self.world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.path, self.limit, self.stop_after = path, limit, steps
        self.mode, self.script, self.command, self.cpu = mode, script, list(command), cpu
        self.root = os.path.dirname(os.path.abspath(script)) if script else os.getcwd()
        self.folder, self.live, self.started, self.closed = None, True, False, False
        self.pid, self.lock, self.patches = os.getpid(), threading.RLock(), []
        self.outbox, self.drained, self.troubles = deque(), 0.0, set()
        self.overhead, self.entered, self.began = 0.0, 0, time.perf_counter()
        self.numbers, self.things, self.sites, self.user_files = Counter(), {}, {}, {}
        self.iteration, self.evaluations, self.prints, self.saves = 0, 0, 0, 0
        self.networks, self.main, self.running = weakref.WeakKeyDictionary(), None, None
        self.kept_alive = None  # the network that is trained, for its weights at the end
        self.function, self.partial, self.open_pass = None, weakref.WeakSet(), None
        self.loaders, self.deliveries = weakref.WeakKeyDictionary(), deque(maxlen=8)
        self.pending, self.evaluation, self.phase = [], None, None
        self.kept_images, self.evaluated = Counter(), Counter()
        self.batch_files, self.batch_bytes = 0, 0
        self.optimizers, self.schedulers = weakref.WeakKeyDictionary(), weakref.WeakKeyDictionary()
        self.in_backward, self.in_scheduler, self.in_step, self.manual = 0, 0, 0, 0
        self.losses, self.backward_passes, self.transforms, self.shown = {}, 0, [], Counter()
        self.passes, self.clips, self.last_step = [], [], time.perf_counter()
        self.scale, self.cut_at, self.without_gradient, self.failed = None, None, [], None
        try:
            self.folder = Folder(path, self.rank, limit)
        except OSError as error:
            held = isinstance(error, FileExistsError) and os.path.isdir(path)
            why = "it holds a recording already; give another" if held else error.strerror
            self.say(f"can't record in {path}: {why}; the training goes on unrecorded")
            self.live = False

    # Writing

    def say(self, message):
        with contextlib.suppress(Exception):
            print(f"pytorch recorder: {message}", file=sys.stderr, flush=True)

    def give_up(self, error):
        """The folder can't be written any more: one word, and the training goes on unrecorded."""
        self.live = False
        self.outbox.clear()
        why = getattr(error, "strerror", None) or str(error)
        self.say(f"can't write in {self.path}: {why}; the training goes on unrecorded")

    def trouble(self, place, error):
        """A fault of the recorder itself: noted once for each place, and never the training's."""
        if place in self.troubles or not self.live:
            return
        self.troubles.add(place)
        line = error.__traceback__
        while line is not None and line.tb_next is not None:
            line = line.tb_next
        where = f" (line {line.tb_lineno})" if line is not None else ""
        self.emit("warning", message=f"recorder, {place}{where}: {type(error).__name__}: {error}")

    def emit(self, type, /, urgent=False, **fields):
        if not self.live:
            return
        self.outbox.append({"type": type, "time": now(), "iteration": self.iteration, **fields})
        if self.started and (urgent or time.perf_counter() - self.drained > HELD_SECONDS):
            self.drain()

    def drain(self):
        """Writes the lines that were held back."""
        if not self.live or os.getpid() != self.pid:
            return
        with self.lock:
            text, self.drained = [], time.perf_counter()
            while self.outbox:
                event = self.outbox.popleft()
                try:
                    with torch.no_grad():
                        line = json.dumps(plain(event), separators=(",", ":"), ensure_ascii=False)
                except Exception as error:
                    self.trouble(f"line {event.get('type')}", error)
                    continue
                content = line.encode("utf-8", "replace") + b"\n"
                if len(content) > LINE_BYTES or not self.has_room(event["type"], len(content)):
                    continue
                text.append(content)
            try:
                self.folder.lines(b"".join(text))
            except OSError as error:
                self.give_up(error)

    def has_room(self, kind, size):
        """Whether the log may grow: its last twentieth is for what comes once or seldom."""
        most = self.folder.limit * 0.3
        if self.folder.log_bytes + size > most:
            return kind in ("end", "failure", "stop", "warning") and self.shown["over"] < 20
        seldom = kind not in ("batch", "step", "print", "scheduler-step", "save", "load", "transform")
        if self.folder.log_bytes + size > most * 0.95 and not seldom:
            if not self.shown["full"]:
                self.shown["full"] += 1
                self.emit("warning", message="the log is full: no more steps and batches are written")
            return False
        return True

    def file(self, name, tensors, metadata):
        if not self.live:
            return None
        try:
            return self.folder.file(name, safetensors(tensors, metadata))
        except OSError as error:
            self.give_up(error)
            return None

    # Names for things

    def number(self, kind):
        self.numbers[kind] += 1
        return self.numbers[kind]

    def identify(self, kind, thing):
        """The same number for the same object, as long as it lives."""
        known = self.things.get((kind, id(thing)))
        if known is not None and (known[0] is None or known[0]() is thing):
            return known[1]
        try:
            reference = weakref.ref(thing)
        except TypeError:
            reference = None
        number = self.number(kind)
        self.things[(kind, id(thing))] = (reference, number)
        return number

    def site(self, calls):
        """The number of the innermost place in the script's own code that led here."""
        frame = sys._getframe(1)
        while frame is not None:
            name = frame.f_code.co_filename
            own = self.user_files.get(name)
            if own is None:
                own = self.user_files[name] = self.is_own(name)
            if own:
                break
            frame = frame.f_back
        if frame is None:
            return None
        key = (name, frame.f_lineno, calls)
        if key not in self.sites:
            self.sites[key] = self.number("site")
            inside = os.path.abspath(name).startswith(self.root + os.sep)
            shown = os.path.relpath(name, self.root) if inside else os.path.basename(name)
            code = linecache.getline(name, frame.f_lineno).strip()
            function = frame.f_code.co_name
            self.outbox.append(
                {"type": "site", "time": now(), "id": self.sites[key], "file": shown,
                 "line": frame.f_lineno, "function": function, "code": code, "calls": calls}
            )
        return self.sites[key]

    def is_own(self, name):
        """Whether a file is the script's own: not installed, not Python's, not this one."""
        if name == __file__ or os.path.abspath(name) == os.path.abspath(__file__):
            return False
        if name.startswith("<"):
            return name.startswith(("<ipython", "<cell", "<stdin"))
        path = os.path.abspath(name).replace("\\", "/")
        if "/site-packages/" in path or "/dist-packages/" in path:
            return False
        libraries = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
        return not any(path.startswith(one.replace("\\", "/") + "/") for one in libraries if one)

    # The beginning

    def begin(self):
        """Writes the first line, at the first pass: by then the script has made its settings."""
        self.started = True
        self.began_training = time.perf_counter()
        script = None
        if self.script and os.path.isfile(self.script):
            with open(self.script, "rb") as stream:
                digest = hashlib.sha256(stream.read()).hexdigest()
            script = {"name": os.path.basename(self.script), "sha256": digest}
        versions = {"python": platform.python_version(), "torch": torch.__version__}
        for name in ("torchvision", "numpy", "lightning", "pytorch_lightning", "transformers", "accelerate"):
            version = getattr(sys.modules.get(name), "__version__", None)
            versions[name] = version if isinstance(version, str) else None
        versions["cuda"] = torch.version.cuda
        real = torch.cuda.is_initialized()
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if real else []
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            self.rank, self.world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        cudnn = torch.backends.cudnn
        start = {
            "type": "start",
            "time": now(),
            "version": 1,
            "recorder": {"name": "pytorch", "version": VERSION},
            "framework": {"name": "pytorch", "version": torch.__version__},
            "versions": versions,
            "platform": f"{platform.system()} {platform.machine()}",
            "script": script,
            "command": [os.path.basename(self.command[0]), *self.command[1:]] if self.command else [],
            "mode": self.mode,
            "devices": names,
            "cpuOnly": self.cpu,
            "stopAfter": self.stop_after,
            "rank": self.rank,
            "worldSize": self.world,
            "threads": torch.get_num_threads(),
            "seed": str(torch.initial_seed()),
            "precision": {
                "defaultDtype": torch.get_default_dtype(),
                "matmul": torch.get_float32_matmul_precision(),
                "cudnnTf32": bool(cudnn.allow_tf32),
                "cudnnBenchmark": bool(cudnn.benchmark),
                "cudnnDeterministic": bool(cudnn.deterministic),
                "deterministic": torch.are_deterministic_algorithms_enabled(),
            },
        }
        self.outbox.appendleft(start)
        self.drain()

    # Wrapping PyTorch's functions

    def install(self):
        """Wraps what a training passes through. Each wrapper is undone by `close`."""
        import torch.nn.functional as functional
        import torch.optim.lr_scheduler as schedulers
        from torch.utils.data import dataloader

        with contextlib.suppress(ImportError):
            import torch.distributed

        recorder, F = self, functional
        iterator = dataloader._BaseDataLoaderIter

        def call(original):
            def __call__(module, *arguments, **keywords):
                if is_compiling() or not recorder.live:
                    return original(module, *arguments, **keywords)
                if thread.depth or recorder.in_backward:
                    tracer = thread.tracer
                    if tracer is None:
                        return original(module, *arguments, **keywords)
                    tracer.enter(module, arguments, keywords)
                    try:
                        return original(module, *arguments, **keywords)
                    finally:
                        tracer.leave()
                return recorder.outermost(original, module, arguments, keywords)

            return __call__

        def compile_module(original):
            def compile(module, *arguments, **keywords):
                original(module, *arguments, **keywords)
                compiled = module._compiled_call_impl

                def watched(*inputs, **named):
                    if is_compiling() or thread.depth or not recorder.live:
                        return compiled(*inputs, **named)
                    plain_call = lambda _, *a, **k: compiled(*a, **k)  # noqa: E731
                    return recorder.outermost(plain_call, module, inputs, named)

                module._compiled_call_impl = watched

            return compile

        def backward(original):
            def backward(*arguments, **keywords):
                waiting = any(one.needs_gradient for one in recorder.pending) or recorder.open_pass
                if is_compiling() or not recorder.live or recorder.in_backward or not waiting:
                    return original(*arguments, **keywords)
                recorder.end_if_done()
                recorder.before_backward(arguments, keywords)
                recorder.in_backward += 1
                try:
                    return original(*arguments, **keywords)
                finally:
                    recorder.in_backward -= 1
                    recorder.after_backward()

            return backward

        def loss(name):
            def wrap(original):
                signature = inspect.signature(original)

                def function(*arguments, **keywords):
                    if is_compiling() or thread.in_loss or not recorder.live:
                        return original(*arguments, **keywords)
                    thread.in_loss = True  # one loss function may call another, or itself
                    try:
                        result = original(*arguments, **keywords)
                    finally:
                        thread.in_loss = False
                    if not recorder.in_backward:
                        recorder.loss_called(name, signature, arguments, keywords, result)
                    return result

                return function

            return wrap

        def after(method, *extra):
            """Calls the original, then a method of the recorder with its arguments and result."""

            def wrap(original):
                def function(*arguments, **keywords):
                    result = original(*arguments, **keywords)
                    if not is_compiling() and recorder.live:
                        method(*extra, arguments, keywords, result)
                    return result

                return function

            return wrap

        def new_epoch(original):
            def __init__(this, loader, *arguments, **keywords):
                if recorder.live:
                    this._recording = recorder.epoch_begins(loader)
                original(this, loader, *arguments, **keywords)

            return __init__

        def reset(original):
            def _reset(this, loader, first_iter=False):
                if recorder.live and not first_iter:
                    this._recording = recorder.epoch_begins(loader)
                original(this, loader, first_iter)

            return _reset

        def next_index(original):
            def _next_index(this):
                index = original(this)
                epoch = getattr(this, "_recording", None)
                if epoch is not None:
                    epoch.queue.append(index)
                return index

            return _next_index

        def next_batch(original):
            def __next__(this):
                epoch = getattr(this, "_recording", None)
                if epoch is None or not recorder.live:
                    return original(this)
                if recorder.cut_at is not None and epoch.loader.trained and epoch.begun < recorder.cut_at:
                    recorder.epoch_ends(epoch, exhausted=False, cut=True)
                    raise StopIteration
                recorder.before_batch(epoch)
                started = time.perf_counter()
                try:
                    data = original(this)
                except StopIteration:
                    recorder.epoch_ends(epoch, exhausted=True)
                    raise
                waited = time.perf_counter() - started
                recorder.delivered(epoch, data, waited, getattr(this, "_in_order", True))
                return data

            return __next__

        def scaler_step(original):
            def step(scaler, optimizer, *arguments, **keywords):
                if not recorder.live:
                    return original(scaler, optimizer, *arguments, **keywords)
                recorder.end_if_done()
                before = recorder.before_scaled_step(scaler, optimizer)
                result = original(scaler, optimizer, *arguments, **keywords)
                recorder.after_scaled_step(optimizer, before)
                return result

            return step

        def scheduler_init(original):
            def __init__(scheduler, *arguments, **keywords):
                recorder.in_scheduler += 1
                try:
                    original(scheduler, *arguments, **keywords)
                finally:
                    recorder.in_scheduler -= 1
                if not recorder.in_scheduler and recorder.live:
                    recorder.scheduler_built(scheduler)

            return __init__

        def say(original):
            def print(*arguments, **keywords):
                original(*arguments, **keywords)
                if not is_compiling() and recorder.live and recorder.prints < 1_000:
                    if keywords.get("file") in (None, sys.stdout, sys.stderr):
                        recorder.printed(lambda: keywords.get("sep", " ").join(map(str, arguments)))

            return print

        def log(original):
            def callHandlers(logger, record):
                original(logger, record)
                if recorder.live and recorder.prints < 1_000:
                    recorder.printed(record.getMessage)

            return callHandlers

        self.patch(torch.nn.Module, "__call__", call)
        if hasattr(torch.nn.Module, "compile"):
            self.patch(torch.nn.Module, "compile", compile_module)
        for name in ("backward", "grad"):
            self.patch(torch.autograd, name, backward)
        for name in LOSSES:
            self.patch(F, name, loss(name))
        self.patch(iterator, "__init__", new_epoch)
        self.patch(iterator, "_reset", reset)
        self.patch(iterator, "_next_index", next_index)
        self.patch(iterator, "__next__", next_batch)
        self.patch(torch.optim.Optimizer, "__init__", after(self.built))
        self.patch(torch.optim.Optimizer, "zero_grad", after(self.cleared))
        self.patch(torch.nn.Module, "zero_grad", after(self.cleared))
        self.patch_steps()
        self.scheduler_step_patch = self.make_scheduler_step()
        for kind in [item for item in vars(schedulers).values() if inspect.isclass(item)]:
            if kind.__module__ == schedulers.__name__ and hasattr(kind, "step"):
                for name, make in (("__init__", scheduler_init), ("step", self.scheduler_step_patch)):
                    if name in vars(kind):
                        self.patch(kind, name, make)
        for owner in (torch.nn.utils, torch.nn.utils.clip_grad):
            for name, kind in (("clip_grad_norm_", "norm"), ("clip_grad_value_", "value")):
                self.patch(owner, name, after(self.clipped, kind))
        for place in ("torch.amp.grad_scaler", "torch.cuda.amp.grad_scaler"):
            with contextlib.suppress(ImportError):
                kind = getattr(importlib.import_module(place), "GradScaler", None)
                if kind is not None and "step" in vars(kind):
                    self.patch(kind, "step", scaler_step)
        self.patch(torch, "save", after(self.saved, "save"))
        self.patch(torch, "load", after(self.saved, "load"))
        self.patch(sys.modules["builtins"], "print", say)
        import logging

        self.patch(logging.Logger, "callHandlers", log)
        if hasattr(os, "register_at_fork"):
            reference = weakref.ref(self)

            def in_child():  # a worker of a loader: the log is its parent's
                if reference() is not None:
                    reference().live = False

            os.register_at_fork(after_in_child=in_child)

    def patch(self, owner, name, make, again=False):
        """Puts a wrapper in the place of a function; `close` puts the function back."""
        original = vars(owner)[name] if inspect.isclass(owner) else getattr(owner, name)
        if getattr(original, "_recorder", None) is self and not again:
            return
        replacement = functools.wraps(original)(make(original))
        replacement._recorder = self
        replacement.__prepare_scriptable__ = lambda: original  # for torch.jit.script
        setattr(owner, name, replacement)
        self.patches.append((owner, name, original, replacement))

    def patch_steps(self):
        """Hooks for every optimiser's step; before PyTorch 2.0, a wrapper for each class's own."""
        module = sys.modules["torch.optim.optimizer"]

        def before(this, arguments, keywords):
            if not is_compiling() and self.live:
                self.end_if_done()
                self.step_begins(this, arguments, keywords)

        def after(this, arguments, keywords):
            if not is_compiling() and self.live:
                self.step_ends(this)

        if hasattr(module, "register_optimizer_step_pre_hook"):
            self.handles = [
                module.register_optimizer_step_pre_hook(before),
                module.register_optimizer_step_post_hook(after),
            ]
            return
        self.handles = []

        def wrap_step(original):
            def step(this, *arguments, **keywords):
                before(this, arguments, keywords)
                result = original(this, *arguments, **keywords)
                after(this, arguments, keywords)
                return result

            return step

        def wrap_init(original):
            def __init__(this, *arguments, **keywords):
                original(this, *arguments, **keywords)
                owner = next(kind for kind in type(this).__mro__ if "step" in vars(kind))
                self.patch(owner, "step", wrap_step)

            return __init__

        self.patch(torch.optim.Optimizer, "__init__", wrap_init, again=True)

    # Data loaders

    @careful
    def epoch_begins(self, loader):
        known = self.loaders.get(loader)
        if known is None:
            known = self.loaders[loader] = self.describe_loader(loader)
        if known.epoch is not None and not known.epoch.ended:
            self.epoch_ends(known.epoch, exhausted=False)
        known.epochs += 1
        known.epoch = Epoch(known, known.epochs)
        self.emit("epoch", border="begin", loader=known.number, epoch=known.epochs)
        return known.epoch

    def describe_loader(self, loader):
        chain, compose, indexed, here = [], None, 0, loader.dataset
        for depth in range(10):
            chain.append(self.describe_dataset(here))
            inner = getattr(here, "__dict__", {}).get("dataset")
            if inner is None or inner is here:
                break
            indices = indices_of(here, inner)
            if depth == indexed:
                if indices is not None:
                    compose = indices if compose is None else [indices[i] for i in compose]
                    indexed += 1
                elif chain[-1]["size"] == size_of(inner):
                    indexed += 1  # a wrapper that keeps the positions
            here = inner
        batches = loader.batch_sampler
        plain_batches = type(batches).__name__ == "BatchSampler"
        sampler = getattr(batches, "sampler", None) if batches is not None else loader.sampler
        data = torch.utils.data
        shuffle = True if isinstance(sampler, data.RandomSampler) else None
        shuffle = False if isinstance(sampler, data.SequentialSampler) else shuffle
        iterable = isinstance(loader.dataset, data.IterableDataset)
        chosen = getattr(sampler, "indices", None)
        if chosen is not None and not iterable:
            chosen = [int(i) for i in chosen]
            reachable = chosen if compose is None else [compose[i] for i in chosen]
        else:
            reachable = compose
        number, reference = self.number("loader"), None
        if reachable is not None and len(reachable) <= 5_000_000:
            tensor = torch.tensor([int(i) for i in reachable], dtype=torch.int64, device="cpu")
            reference = self.file(f"indices-{number}.safetensors", {"indices": tensor}, {})
        self.emit(
            "loader",
            id=number,
            datasets=chain,
            size=chain[0]["size"],
            batches=None if iterable else size_of(loader),
            batchSize=loader.batch_size or getattr(batches, "batch_size", None),
            dropLast=bool(loader.drop_last or getattr(batches, "drop_last", False)),
            shuffle=shuffle if plain_batches or batches is None else None,
            replacement=getattr(sampler, "replacement", None),
            sampler=class_name(sampler),
            batchSampler=class_name(batches),
            workers=loader.num_workers,
            persistentWorkers=bool(loader.persistent_workers),
            pinMemory=bool(loader.pin_memory),
            ownGenerator=getattr(loader, "generator", None) is not None
            or getattr(sampler, "generator", None) is not None,
            workerInit=loader.worker_init_fn is not None,
            collate=printed(loader.collate_fn),
            iterable=iterable,
            composed=indexed == len(chain) - 1,
            indexed=indexed,
            indices=reference,
            site=self.site("loader"),
        )
        return Loader(number, compose)

    def describe_dataset(self, dataset):
        own = getattr(dataset, "__dict__", {})
        given = {name: own.get(name) for name in ("transform", "target_transform", "transforms")}
        shown = {name: printed(item) for name, item in given.items() if item is not None}
        kind = type(dataset)
        ignores = kind.__module__.startswith("torch.utils.data") and bool(shown)
        transform = given["transform"]
        return {
            "id": self.identify("dataset", dataset),
            "class": class_name(dataset),
            "size": size_of(dataset),
            "attributes": plain_attributes(dataset),
            "transform": shown.get("transform"),
            "targetTransform": shown.get("target_transform"),
            "transforms": shown.get("transforms"),
            "transformId": self.identify("transform", transform) if transform is not None else None,
            "ignoresTransform": True if ignores else None,
        }

    @careful
    def before_batch(self, epoch):
        """Evaluation passes are known as such at the latest when the next batch is asked for."""
        self.close_open_pass()
        self.settle()

    @careful
    def delivered(self, epoch, data, waited, in_order):
        index = epoch.queue.popleft() if epoch.queue else None
        indices = None
        if in_order and index is not None:
            indices = index if isinstance(index, (list, tuple)) else [index]
            try:
                indices = [int(i) for i in indices]
                compose = epoch.loader.compose
                indices = indices if compose is None else [int(compose[i]) for i in indices]
            except (TypeError, ValueError, IndexError, KeyError):
                indices = None
        delivery = Delivery(epoch, epoch.batches, indices, data)
        delivery.waited = waited
        epoch.batches += 1
        epoch.images += delivery.count
        epoch.waited += waited
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
        self.close_open_pass()
        self.settle(epoch=epoch)
        if self.evaluation is not None and self.evaluation.epoch is epoch:
            self.close_evaluation()
        complete = epoch.hashed == epoch.images and epoch.hashes
        sums = list(epoch.hashes)
        self.emit(
            "epoch",
            border="end",
            loader=epoch.loader.number,
            epoch=epoch.number,
            batches=epoch.batches,
            images=epoch.images,
            distinct=len(epoch.distinct) if epoch.known and epoch.batches else None,
            exhausted=exhausted,
            cut=cut,
            order=epoch.order.hexdigest() if epoch.known and epoch.batches else None,
            hashes=Lazy(lambda: total(sums)) if complete else None,
            waitSeconds=epoch.waited,
        )
        epoch.distinct = set()
        if epoch.loader.trained:
            self.parameters_now()

    # Passes through the network

    def outermost(self, original, module, arguments, keywords):
        """A module's call that is inside no other: the network's, a transform's, or neither."""
        images = self.seen_images(module, arguments, keywords)
        if images is None:
            return original(module, *arguments, **keywords)
        if next(iter(module.parameters()), None) is None:
            output = original(module, *arguments, **keywords)
            self.transformed(module, images, output)
            return output
        tracer = current = None
        if module not in self.partial and not self.bypassed(module):
            current = self.pass_begins(module, images)
        if current is None:
            return original(module, *arguments, **keywords)
        tracer = self.tracer_for(current, module, arguments, keywords)
        thread.depth, self.running = 1, current
        try:
            if tracer is None:
                output = original(module, *arguments, **keywords)
            else:
                thread.tracer = tracer
                tracer.enter(module, arguments, keywords)
                with tracer:
                    output = original(module, *arguments, **keywords)
        finally:
            thread.depth, thread.tracer, self.running = 0, None, None
        if tracer is not None:
            self.traced(current, tracer, current.count, "pass", output)
        self.pass_ends(current, output)
        return output

    @careful
    def seen_images(self, module, arguments, keywords):
        if not arguments and not keywords:
            return None
        images = find_images(arguments)
        images = find_images(keywords.values()) if images is None else images
        if images is None or "_is_replica" in vars(module) or torch._C._get_tracing_state():
            return None
        if type(images).__name__ not in ("Tensor", "Parameter"):
            return None
        if images.grad_fn is not None or min(images.shape[1], images.shape[3]) > 4:
            return None  # in the midst of a network
        if images.is_cuda and torch.cuda.is_current_stream_capturing():
            return None
        return images

    @careful
    def bypassed(self, module):
        """Whether a network's `forward` was called by hand, so that its parts seem to be outermost.
        Then its class's `forward` is watched from now on."""
        if self.shown["bypass"] > 200:
            return False
        self.shown["bypass"] += 1
        frame, found = sys._getframe(3), None
        for _ in range(40):
            if frame is None:
                break
            if frame.f_code.co_name == "forward":
                owner = frame.f_locals.get("self")
                if isinstance(owner, torch.nn.Module) and owner is not module:
                    found = owner
            frame = frame.f_back
        if found is None:
            return False

        def watch(original):
            def forward(this, *arguments, **keywords):
                if is_compiling() or thread.depth or self.in_backward or not self.live:
                    return original(this, *arguments, **keywords)
                self.shown["forward"] = 1
                return self.outermost(original, this, arguments, keywords)

            return forward

        owner = next(kind for kind in type(found).__mro__ if "forward" in vars(kind))
        if getattr(vars(owner)["forward"], "_recorder", None) is self:
            return False  # it was called on no images
        self.patch(owner, "forward", watch)
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
                called = "forward" if self.shown["forward"] else "module"
                known = Network(self.number("network"), inner, wrappers, called)
            self.networks[module] = self.networks[inner] = known
        return known

    @careful
    def pass_begins(self, module, images):
        self.end_if_late()
        self.close_open_pass()
        self.settle()
        network = self.network_of(module) if module is not None else self.function
        phase = "training" if torch.is_grad_enabled() else "evaluation"
        if phase != self.shown.get("phase"):
            self.shown["phase"] = phase
            if network.refresh():  # such as a head that was replaced
                number = self.number("network")
                network.number, network.announced, network.start = number, False, None
        if not self.started:
            self.begin()
        current = Pass(network, images)
        if network.start is None and phase == "training":
            network.start = {
                name: tensor.detach().to("cpu", copy=True)
                for name, tensor in [*network.parameters(), *network.buffers()]
            }
        self.find_delivery(current, images)
        self.plan(current, images)
        if self.numbers["pass"] < 20 or self.phase is None or phase != self.phase[0]:
            current.site = self.site("network")
        self.numbers["pass"] += 1
        self.match_transforms(current, images)
        return current

    def find_delivery(self, current, images):
        """Which batch of which loader these images are, or are a part of."""
        count, found = current.count, None
        candidates = [one for one in reversed(self.deliveries) if count <= one.count <= 32 * count]
        for one in candidates:
            if one.images() is images:
                found = one
                break
        if found is None and candidates:
            loader = candidates[0].epoch.loader
            same = [one for one in candidates if one.epoch.loader is loader]
            if self.shown["lag", loader.number] < 3 and len(same) > 1 and not same[0].taken:
                # A loop that fetches ahead uses an older delivery than the last.
                self.shown["lag", loader.number] += 1
                first = int(hash_images(images[:1]))
                loader.lag = next((i for i, one in enumerate(same) if one.first == first), loader.lag)
            untaken = [one for one in same[: loader.lag + 1] if one.taken < one.count]
            found = untaken[-1] if untaken else same[0]
        if found is None:
            return
        if found.taken + count > found.count:
            again = found.images() is images or found.first == int(hash_images(images[:1]))
            if not again:
                return  # images that did not come from a loader
            found.taken = found.parts = 0
        start = found.taken
        current.epoch, current.batch = found.epoch, found.number
        current.waited, found.waited = found.waited, 0.0
        if count < found.count:
            current.part = found.parts
        if found.indices is not None and len(found.indices) == found.count:
            current.indices = found.indices[start : start + count]
        if found.labels is not None:
            current.delivered_labels = found.labels[start : start + count]
        current.delivered_images = found.images() if count == found.count else None
        found.taken, found.parts = start + count, found.parts + 1

    def plan(self, current, images):
        """Decides how closely a pass is looked at, and takes what would be gone after it."""
        epoch = current.epoch
        loader = epoch.loader if epoch is not None else None
        training = current.gradients if loader is None else loader.trained or current.gradients
        if training and loader is not None:
            number = epoch.number
            current.detailed = number <= DETAILED_EPOCHS or current.batch < DETAILED_BATCHES
            power = number & (number - 1) == 0
            most = KEPT_IMAGES if number <= 3 else KEPT_AGAIN if power else 0
            key = ("training", loader.number, number)
        elif training:
            seen = self.shown["loose"] = self.shown["loose"] + 1
            current.detailed = seen <= DETAILED_PASSES or seen % 10 == 0
            most, key = KEPT_IMAGES, ("training", 0, seen // 1_000 if seen < 3_000 else 3)
        else:
            number = self.evaluations_begun(current)
            current.detailed = number <= DETAILED_EVALUATIONS
            most = KEPT_TEST_IMAGES if number == 1 else KEPT_AGAIN if number == 2 else 0
            key = ("evaluation", loader.number if loader else 0, current.mode, number)
        if current.detailed:
            current.hashes = hash_images(images)
            if epoch is not None:
                epoch.hashed += current.count
                epoch.hashes.append(current.hashes.sum())
        room = most - self.kept_images[key]
        each = max(1, images[0].numel() * images.element_size())
        count = min(current.count, room, KEPT_BYTES // each)
        spent = self.kept_images[key] * each
        if room <= 0 or spent + count * each > KEPT_BYTES or count < 1:
            return
        if self.batch_bytes + count * each > self.limit * MEGABYTE * 0.6:
            if not self.shown["room"]:
                self.shown["room"] += 1
                self.emit("warning", message="no room for more batches of images")
            return
        self.kept_images[key] += count
        self.batch_bytes += count * each
        current.kept = images[:count].detach().clone(memory_format=torch.contiguous_format)
        delivered = getattr(current, "delivered_images", None)
        if delivered is not None and delivered.shape == images.shape:
            close = delivered.dtype == images.dtype and bool(
                torch.equal(delivered[:count].cpu(), current.kept.cpu())
            )
            current.same = "same" if close else "changed"

    def evaluations_begun(self, current):
        """The number of the evaluation that this pass belongs to, among those alike."""
        now_open = self.evaluation
        key = (current.network.number, current.epoch and current.epoch.loader.number)
        if now_open is not None and now_open.takes(current):
            return now_open.number
        return self.evaluated[key] + 1

    @careful
    def tracer_for(self, current, module, arguments, keywords):
        """Follows the operations of a network's first training and first evaluation pass."""
        network, phase = current.network, self.phase_of(current)
        if phase in network.traced:
            return None
        network.traced.add(phase)
        devices = getattr(module, "device_ids", None) or []
        if network.compiled or type(module).__name__ == "OptimizedModule" or len(devices) > 1:
            self.trace_copy(current, arguments, keywords)
            return None
        if "FullyShardedDataParallel" in type(module).__name__:
            return None
        return make_tracer(network)

    def trace_copy(self, current, arguments, keywords):
        """What is compiled or spread over devices is traced in a deep copy, on two images."""
        import copy

        def two(value):
            if isinstance(value, torch.Tensor):
                return value[:2].detach() if value.dim() and len(value) == current.count else value
            if isinstance(value, dict):
                return {key: two(item) for key, item in value.items()}
            return type(value)(map(two, value)) if type(value) in (list, tuple) else value

        original = current.network.reference()
        images = find_images(arguments)
        device = (images if images is not None else find_images(keywords.values())).device
        with random_state_kept(device), torch.no_grad():
            module = copy.deepcopy(original)
            # What is compiled inside is taken out: only then do its operations show.
            for parent in list(module.modules()):
                for name, child in parent._modules.items():
                    if type(child).__name__ == "OptimizedModule":
                        parent._modules[name] = child._orig_mod
            network = Network(0, module, [], "module")
            tracer = make_tracer(network)
            given, named = two(list(arguments)), two(keywords)
            thread.depth, thread.tracer = thread.depth + 1, tracer
            try:
                with tracer:
                    output = module(*given, **named)
            finally:
                thread.depth, thread.tracer = thread.depth - 1, None
            self.traced(current, tracer, min(2, current.count), "copy", output)

    def phase_of(self, current):
        return "training" if current.gradients else "evaluation"

    @careful
    def traced(self, current, tracer, count, how, output):
        if tracer.trouble is not None:
            self.trouble("graph", tracer.trouble)
        logits = find_logits(output, count)
        outputs = [logits] if logits is not None else _listed(output)
        numbers = [tracer.references.get(id(one), {}).get("value") for one in outputs]
        current.graph = {
            "phase": self.phase_of(current),
            "mode": current.mode,
            "traced": how,
            "images": count,
            "inputs": [tracer.entered] if tracer.entered else [],
            "outputs": [number for number in numbers if number],
            "nodes": tracer.nodes,
            "cut": True if tracer.cut else None,
        }

    @careful
    def pass_ends(self, current, output):
        logits = find_logits(output, current.count)
        if current.in_network:
            pass  # the loss inside has shown them
        elif logits is None and self.find_partial(current, output):
            return
        elif logits is not None:
            self.take_logits(current, logits)
        else:
            tensors = [one for one in _listed(output) if isinstance(one, torch.Tensor)]
            current.needs_gradient = any(one.requires_grad for one in tensors)
            for one in [one for one in tensors if one.requires_grad][:1]:  # a loss, say
                one.register_hook(lambda _: setattr(current, "reached", True))
        self.announce(current, logits)
        self.pending.append(current)
        if len(self.pending) > 512:
            self.settle(force=1)

    def take_logits(self, current, logits):
        """Keeps the scores, and learns from a hook whether a backward pass reaches them."""
        if current.output() is logits:
            return
        current.output = weakref.ref(logits)
        current.logits = logits.detach()
        if current.kept is not None:
            current.logits = current.logits.clone()
        current.needs_gradient = logits.requires_grad
        if not logits.requires_grad:
            return

        def reached(gradient):  # runs in autograd's thread: takes what it needs, and no more
            current.reached = True
            if current.kept is not None and current.gradient is None:
                current.gradient = gradient.detach().clone()

        logits.register_hook(reached)

    def announce(self, current, logits):
        """Writes a network's line at its first pass, and the graph of a pass that was traced."""
        network, graph, current.graph = current.network, current.graph, None
        if not network.announced:
            self.describe_network(network, current, logits)
        if graph is not None:
            self.emit("graph", network=network.number, **graph)

    def describe_network(self, network, current, logits):
        network.announced = True
        description = network.description()
        alike_to = [
            other.number
            for other in set(self.networks.values())
            if other is not network
            and other.announced
            and other.class_name == network.class_name
            and list(other.names.values()) == list(network.names.values())
        ]
        self.emit(
            "network",
            **description,
            copyOf=min(alike_to) if alike_to else None,
            input={"shape": current.shape, "dtype": current.dtype, "layout": current.layout},
            output=describe(logits) if logits is not None else None,
            autocast=current.autocast,
            site=current.site,
        )

    def settle(self, epoch=None, force=0):
        """Sorts passes into training (backward reached them) and evaluation (it did not)."""
        left = []
        last = max((i for i, one in enumerate(self.pending) if one.reached), default=-1)
        for place, one in enumerate(self.pending):
            if one.reached:
                if self.in_backward:
                    left.append(one)  # its gradient is still on its way
                else:
                    self.settle_training(one)
            elif not one.needs_gradient or place < last or place < force:
                self.settle_evaluation(one)
            elif epoch is not None and one.epoch is epoch and not epoch.loader.trained:
                self.settle_evaluation(one)
            else:
                left.append(one)
        self.pending = left

    def enter_phase(self, phase, one):
        key = (phase, one.mode, one.epoch and one.epoch.loader.number)
        if self.phase != key:
            self.phase = key
            self.emit("phase", phase=phase, mode=one.mode, loader=key[2], site=one.site)

    def settle_training(self, one):
        if self.evaluation is not None:
            self.close_evaluation()
        self.main, self.kept_alive = one.network, one.network.reference()
        if one.epoch is not None:
            one.epoch.loader.trained = one.epoch.trained = True
        if self.phase is None or self.phase[0] != "training":
            self.last_step = one.began - one.waited  # evaluating is no part of a step
        self.enter_phase("training", one)
        if not one.network.trained:
            one.network.trained = True
            self.write_start(one.network)
        agree = one.finish_labels()
        one.error_count = one.errors()
        self.passes.append(one)
        self.write_pass("training", one, agree)

    def settle_evaluation(self, one):
        if self.main is not None and one.network.class_name != self.main.class_name:
            return  # another network, such as a teacher
        epoch = one.epoch
        if epoch is not None and (epoch.trained or epoch.loader.trained and one.needs_gradient):
            return  # a look at the batch that is trained on, or a training pass that was broken off
        if self.evaluation is None or not self.evaluation.takes(one):
            self.close_evaluation()
            loader = one.epoch and one.epoch.loader.number
            key = (one.network.number, loader)
            self.evaluated[key] += 1
            self.evaluation = Evaluation(one, self.evaluated[key])
            self.evaluation.during = self.epoch_going_on(one)
        self.enter_phase("evaluation", one)
        agree = one.finish_labels()
        one.error_count = one.errors()
        self.write_pass("evaluation", one, agree)
        scores = one.logits
        one.cross_entropy = None
        if scores is not None and one.error_count is not None:
            labels = one.labels.to(scores.device).long()
            with torch.no_grad(), torch.autocast(scores.device.type, enabled=False):
                spread = torch.logsumexp(scores.float(), 1)
                safe = labels.clamp(0, scores.shape[1] - 1)
                one.cross_entropy = (spread - scores.float().gather(1, safe[:, None])[:, 0]).sum()
        one.hash_total = one.hashes.sum() if one.hashes is not None else None
        one.logits = one.kept = one.hashes = one.labels = None
        self.evaluation.passes.append(one)

    def epoch_going_on(self, one):
        """The training epoch in whose midst something happens."""
        for loader in list(self.loaders.values()):
            epoch = loader.epoch
            if loader.trained and epoch and not epoch.ended and epoch.batches and epoch is not one.epoch:
                return {"loader": loader.number, "epoch": epoch.number, "batches": epoch.batches}
        return None

    def write_pass(self, phase, one, agree):
        """The line of a pass that was looked at closely, and the file of a batch that was kept."""
        if not one.detailed and one.kept is None:
            return
        epoch = one.epoch
        where = {
            "loader": epoch.loader.number if epoch else None,
            "epoch": epoch.number if epoch else None,
            "batch": one.batch,
        }
        reference = spread = None
        labels = one.labels.detach().reshape(-1) if one.labels is not None else None
        if one.kept is not None:
            count = len(one.kept)
            spread = Lazy(functools.partial(range_of, one.kept))
            tensors = {"images": one.kept}
            if one.logits is not None:
                tensors["logits"] = one.logits[:count].float()
            if phase == "training" and one.gradient is not None:
                tensors["logitGradients"] = one.gradient[:count].float()
            if labels is not None:
                tensors["labels"] = labels[:count].long()
            if one.targets is not None:
                tensors["targets"] = one.targets[:count].float()
            if one.indices is not None:
                tensors["indices"] = torch.tensor(one.indices[:count], dtype=torch.int64, device="cpu")
            if one.hashes is not None:
                tensors["hashes"] = one.hashes[:count]
            notes = {"phase": phase, "iteration": self.iteration, "network": one.network.number, **where}
            notes["of"] = one.count if count < one.count else None
            notes["gradientScale"] = self.scale_now()
            self.batch_files += 1
            notes = {key: item for key, item in notes.items() if item is not None}
            reference = self.file(f"batches-{self.batch_files:04}.safetensors", tensors, notes)
            one.kept = one.gradient = None
        self.emit(
            "batch",
            phase=phase,
            network=one.network.number,
            **where,
            part=one.part,
            images=one.count,
            mode=one.mode,
            norms=one.norms,
            gradients=one.gradients,
            autocast=one.autocast,
            shape=one.shape,
            dtype=one.dtype,
            layout=one.layout,
            range=spread,
            indices=words(one.indices) if one.indices is not None else None,
            hashes=Lazy(functools.partial(words, one.hashes)) if one.hashes is not None else None,
            labels=Lazy(lambda: words(labels.int().tolist())) if labels is not None else None,
            labelSource=one.label_source,
            labelsAgree=agree,
            loss=one.loss(),
            errors=one.error_count,
            fromLoader=one.same,
            file=reference,
            site=one.site,
        )

    def close_evaluation(self):
        evaluation, self.evaluation = self.evaluation, None
        if evaluation is None:
            return
        passes, epoch = evaluation.passes, evaluation.epoch
        images = sum(one.count for one in passes)
        errors = [one.error_count for one in passes]
        entropies = [one.cross_entropy for one in passes]
        losses = [one.loss() for one in passes]
        hashes = [one.hash_total for one in passes]
        scored = all(one is not None for one in errors)
        valued = all(one is not None for one in losses)
        listed = len(passes) <= 512
        wrong = Lazy(lambda: sum(int(one) for one in errors)) if scored else None
        modes = {one.mode for one in passes}
        self.evaluations += 1
        self.shown["printed"] = 0
        indices = [one.indices for one in passes]
        known = all(one is not None for one in indices)
        self.emit(
            "evaluation",
            urgent=True,
            network=evaluation.network.number,
            loader=epoch.loader.number if epoch else None,
            epoch=epoch.number if epoch else None,
            number=evaluation.number,
            images=images,
            distinct=len({i for one in indices for i in one}) if known else None,
            errors=wrong,
            error=Lazy(lambda: sum(int(one) for one in errors) / images) if scored else None,
            loss=Lazy(lambda: sum(float(one) for one in entropies) / images) if scored else None,
            scriptLoss=Lazy(lambda: sum(float(one) for one in losses) / len(losses)) if valued else None,
            batchImages=[one.count for one in passes] if listed else None,
            batchErrors=errors if scored and listed else None,
            batchLosses=losses if valued and listed else None,
            mode="mixed" if len(modes) > 1 else modes.pop(),
            norms=passes[0].norms,
            gradients=any(one.gradients for one in passes),
            exhausted=epoch.exhausted if epoch is not None else None,
            began=evaluation.time,
            seconds=time.perf_counter() - evaluation.began,
            duringEpoch=evaluation.during,
            hashes=Lazy(lambda: total(hashes)) if all(one is not None for one in hashes) else None,
            site=passes[0].site,
        )

    # Networks that are no module: functions over tensors, or a list of modules called one by one

    def find_partial(self, current, output):
        """Remembers a part that was taken for the network; its first convolution is watched for."""
        parts = [one for one in _listed(output) if isinstance(one, torch.Tensor) and one.dim() == 4]
        module = current.network.reference()
        if not parts or module is None:
            return False
        self.partial.add(module)
        self.watch_functions()
        return True

    def watch_functions(self):
        if self.shown["functions"]:
            return
        self.shown["functions"] = 1

        def convolution(original):
            def conv2d(*arguments, **keywords):
                if not is_compiling() and self.live and not thread.depth and not self.in_backward:
                    self.first_convolution(arguments, keywords)
                return original(*arguments, **keywords)

            return conv2d

        def dense(original):
            def linear(*arguments, **keywords):
                result = original(*arguments, **keywords)
                if self.open_pass is not None and not is_compiling() and not thread.depth:
                    self.open_pass.last = result
                return result

            return linear

        functional = torch.nn.functional
        for owner in (functional, torch):
            self.patch(owner, "conv2d", convolution)
        self.patch(functional, "linear", dense)

    @careful
    def first_convolution(self, arguments, keywords):
        images = arguments[0] if arguments else keywords.get("input")
        weight = arguments[1] if len(arguments) > 1 else keywords.get("weight")
        if self.seen_images(torch.nn.Identity(), [images], {}) is None:
            return
        if self.function is None or id(weight) not in self.function.names:
            names = named_in_frames(weight)
            self.function = Network(self.number("network"), None, [], "functional")
            self.function.tensors = names
            self.function.refresh()
        current = self.pass_begins(None, images)
        if current is None:
            return
        current.last = current.tracer = None
        self.open_pass = current
        tracer = self.tracer_for(current, torch.nn.Identity(), (), {})
        if tracer is not None:
            tracer.entered = tracer.value(images)
            tracer.__enter__()
            current.tracer = tracer

    def close_open_pass(self, logits=None):
        """A functional pass ends with the loss, or when the next batch comes."""
        current, self.open_pass = self.open_pass, None
        if current is None:
            return
        output = logits if logits is not None else current.last
        if current.tracer is not None:
            current.tracer.__exit__(None, None, None)
            self.traced(current, current.tracer, current.count, "pass", output)
        logits = find_logits(output, current.count)
        if logits is not None:
            self.take_logits(current, logits)
        self.announce(current, logits)
        self.pending.append(current)

    # The loss and the backward pass

    @careful
    def loss_called(self, name, signature, arguments, keywords, result):
        given = signature.bind(*arguments, **keywords).arguments
        scores, target = given.get("input"), given.get("target")
        if not isinstance(scores, torch.Tensor) or not isinstance(target, torch.Tensor):
            return
        if self.open_pass is not None:
            self.close_open_pass(scores)
        if thread.depth:
            current = self.running
            if current is None or not scores.dim() or len(scores) != current.count:
                return
            current.in_network = True
        else:
            alike = [one for one in self.pending if scores.dim() and one.count == len(scores)]
            same = [one for one in alike if one.output() is scores]
            free = [one for one in alike if not one.losses]
            current = next(iter((same or free or alike)[-1:]), None)
            if current is None:
                if not self.numbers["pass"] and scores.dim() == 2:
                    self.watch_functions()  # a network that is no module
                return
        if scores.dim() == 2 and scores.is_floating_point():
            self.take_logits(current, scores)
        kind = {"function": name, "reduction": given.get("reduction", "mean")}
        if given.get("weight") is not None:
            kind["weight"] = given["weight"].detach()
        if given.get("label_smoothing"):
            kind["labelSmoothing"] = given["label_smoothing"]
        if given.get("ignore_index", -100) != -100:
            kind["ignoreIndex"] = given["ignore_index"]
        target = target.detach()
        if target.is_floating_point():
            fits = target.dim() == 2 and target.shape == scores.shape
            kind["targets"] = "probabilities" if fits else "other"
            if fits:
                current.labels = target.argmax(1)
                current.targets = target.clone() if current.kept is not None else None
        else:
            kind["targets"] = "indices" if target.dim() == 1 else "other"
            current.labels = target if target.dim() == 1 else None
        current.label_source = "loss" if current.labels is not None else None
        current.loss_kind = kind
        if isinstance(result, torch.Tensor):
            value = result.detach()
            current.losses.append(value if value.dim() == 0 else value.mean())

    @careful
    def before_backward(self, arguments, keywords):
        self.close_open_pass()
        self.backward_passes += 1
        roots = _listed(arguments[0] if arguments else keywords.get("tensors", keywords.get("outputs")))
        for state in list(self.optimizers.values()):
            self.look_at_gradients(state)
        if self.backward_passes <= 5 or self.backward_passes % 100 == 0:
            self.describe_loss(roots[0])

    def look_at_gradients(self, state):
        """What the watched parameter's gradient is before the first backward pass since a step."""
        watched = state.watched() if state.watched is not None else None
        if state.looked or watched is None:
            return
        state.looked, gradient = True, watched.grad
        if gradient is None:
            state.before = "none"
        elif gradient.device.type == "cpu" or state.steps < 20 or self.is_checked(state):
            state.before = "kept" if bool((gradient != 0).any()) else "zero"
        if state.before in ("none", "zero"):
            state.backwards = 0

    def is_checked(self, state):
        coming = state.steps + 1
        return coming <= CHECK_FIRST or coming % CHECK_EVERY == 0

    def describe_loss(self, root):
        """One line for each way in which a loss is computed."""
        passes = [one for one in self.pending if one.needs_gradient]
        if not passes or not isinstance(root, torch.Tensor):
            return
        last = passes[-1]
        node, chain, known = root.grad_fn, [], []
        end = last.output().grad_fn if last.output() is not None else None
        while node is not None and len(chain) < 30:
            name = type(node).__name__
            if re.match(r"(Addmm|Mm|Linear|.*Convolution|AccumulateGrad|CompiledFunction)", name):
                if not chain:
                    chain.append(name)
                break
            chain.append(name)
            known.append(node)
            if last.labels is None and name.startswith("NllLossBackward"):
                with contextlib.suppress(Exception):
                    last.labels, last.label_source = node._saved_target.detach(), "graph"
            node = next((inner for inner, _ in node.next_functions if inner is not None), None)
        kind = dict(last.loss_kind or {})
        weight = kind.pop("weight", None)
        key = json.dumps([plain(kind), chain, weight is not None])
        if key in self.losses or len(self.losses) > 50:
            return
        self.losses[key] = self.number("loss")
        soft = [i for i, name in enumerate(chain) if re.match(r"(Log)?Softmax", name)]
        values = [value for one in passes for value in one.losses]
        value, scale = root.detach(), self.scale_now() or 1
        self.emit(
            "loss",
            id=self.losses[key],
            **kind,
            weight=weight.tolist() if weight is not None and weight.numel() <= 1_000 else None,
            calls=len(values),
            chain=chain[: known.index(end) + 1] if end in known else chain,
            softmaxBelow=len(soft) > 1,
            inNetwork=last.in_network,
            scaled=Lazy(lambda: float(value) / scale / sum(float(one) for one in values))
            if values and value.dim() == 0
            else None,
            site=self.site("backward"),
        )

    @careful
    def after_backward(self):
        for state in list(self.optimizers.values()):
            state.backwards += 1
            optimizer = state.reference()
            if optimizer is not None and state.steps and self.is_checked(state):
                state.backward_norm = self.norms(optimizer, [p.grad for p in parameters_of(optimizer)])[0]
        self.settle()
        if self.optimizers:
            return
        # No optimiser of PyTorch's was built or used in several backward passes: the script has its own.
        self.manual += 1
        if self.manual >= 8:
            self.iteration = max(self.iteration, self.manual)
            self.write_steps(None, [self.step_record(None, None, self.manual if self.manual == 8 else 1)])
            self.note_progress()

    # Optimisers

    @careful
    def built(self, arguments, keywords, result):
        self.state_of(arguments[0])

    def state_of(self, optimizer):
        state = self.optimizers.get(optimizer)
        if state is None:
            state = self.optimizers[optimizer] = OptimizerState(self.number("optimizer"), optimizer)
            state.backwards = self.backward_passes
        return state

    @careful
    def cleared(self, arguments, keywords, result):
        owner = arguments[0]
        if isinstance(owner, torch.optim.Optimizer):
            states = [self.state_of(owner)]
            if self.shown["zero_grad"] < 3:
                self.shown["zero_grad"] += 1
                self.site("zero_grad")
        else:
            states = list(self.optimizers.values())
        for state in states:
            state.cleared, state.backwards = True, 0

    @careful
    def clipped(self, kind, arguments, keywords, result):
        most = arguments[1] if len(arguments) > 1 else keywords.get("max_norm", keywords.get("clip_value"))
        norm = result.detach() if isinstance(result, torch.Tensor) else None
        clip = {"kind": kind, "max": float(most), "norm": norm}
        if self.shown["clip"] < 5:
            self.shown["clip"] += 1
            clip["site"] = self.site("clip")
        self.clips.append(clip)

    def norms(self, optimizer, tensors):
        """The Euclidean norm of a list of tensors, and how many of them are not finite."""
        present = [one.detach() for one in tensors if one is not None and one.layout == torch.strided]
        if not present:
            return None, None
        with torch.no_grad(), torch.autocast(present[0].device.type, enabled=False):
            device = present[0].device
            parts = torch.stack([torch.linalg.vector_norm(one.float()).to(device) for one in present])
            return torch.linalg.vector_norm(parts), (~torch.isfinite(parts)).sum()

    @careful
    def step_begins(self, optimizer, arguments, keywords):
        self.close_open_pass()
        state = self.state_of(optimizer)
        state.begun = True
        self.in_step += 1
        closure = arguments[1] if len(arguments) > 1 else keywords.get("closure")
        state.closure = closure is not None
        if self.main is not None or not state.closure:
            self.describe_optimizer(optimizer, state)
        state.rates = rates_of(optimizer)
        if state.steps < 20:
            state.site = self.site("step")
        state.snapshot = None
        if self.is_checked(state):
            copies = [
                (group, index, parameter, self.sampled(parameter), self.memory_of(optimizer, parameter),
                 None if state.closure or parameter.grad is None else self.sampled(parameter.grad))
                for group, index, parameter in state.sample
            ]
            parameters = parameters_of(optimizer)
            state.snapshot = copies, [parameter.detach().clone() for parameter in parameters]
            if not state.closure:
                state.gradients = self.gradient_figures(optimizer, parameters)

    def gradient_figures(self, optimizer, parameters):
        gradients = [parameter.grad for parameter in parameters]
        norm, broken = self.norms(optimizer, gradients)
        scale = getattr(optimizer, "grad_scale", None)
        names = self.main.names if self.main is not None else {}
        self.without_gradient = [
            names[id(p)] for p in parameters if p.grad is None and id(p) in names
        ]
        return {
            "gradientNorm": norm / scale if scale is not None and norm is not None else norm,
            "withoutGradient": sum(one is None for one in gradients),
            "nonFinite": broken if broken is not None else 0,
        }

    def sampled(self, tensor):
        """The first elements of a tensor, in double precision on the CPU."""
        return tensor.detach().reshape(-1)[:SAMPLE_ELEMENTS].to("cpu", torch.float64, copy=True)

    def memory_of(self, optimizer, parameter):
        """What an optimiser remembers of a parameter."""
        kept = optimizer.state.get(parameter, {}) if hasattr(optimizer, "state") else {}
        names = ("momentum_buffer", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
        found = {
            name: self.sampled(kept[name])
            for name in names
            if isinstance(kept.get(name), torch.Tensor) and kept[name].shape == parameter.shape
        }
        found["step"] = float(kept.get("step", 0))
        return found

    def describe_optimizer(self, optimizer, state):
        groups = optimizer.param_groups
        skip = ("params", "lr", "initial_lr", "param_names", "max_lr", "min_lr", "base_momentum")
        plain_groups = [
            {name: item for name, item in group.items() if name not in skip and not torch.is_tensor(item)}
            for group in groups
        ]
        described = [(len(group["params"]), one) for group, one in zip(groups, plain_groups)]
        names = self.main.names if self.main is not None else {}
        key = (described, self.main and self.main.number)
        if key == state.described or state.lines >= 50:
            return
        state.described, state.lines = key, state.lines + 1
        own = {id(p): names.get(id(p)) for p in parameters_of(optimizer)}
        each = max(1, 6 // len(groups))
        state.sample = []
        for number, group in enumerate(groups[:6]):
            count = len(group["params"])
            middle = count // 2
            order = [0, count - 1, count - 2, middle, 1, middle + 1]
            chosen = list(dict.fromkeys(i for i in order if 0 <= i < count))[:each]
            state.sample += [(number, i, group["params"][i]) for i in sorted(chosen)]
        trained = [p for p in parameters_of(optimizer) if p.requires_grad and own[id(p)]]
        if trained:
            state.watched = weakref.ref(min(trained, key=lambda p: p.numel()))
        self.emit(
            "optimizer",
            id=state.number,
            **{"class": class_name(optimizer)},
            defaults={k: v for k, v in getattr(optimizer, "defaults", {}).items() if is_plain(v)},
            groups=[
                {
                    "learningRate": float(group["lr"]) if "lr" in group else None,
                    "count": len(group["params"]),
                    "names": [own[id(p)] for p in group["params"] if own[id(p)]],
                    **{name: item for name, item in one.items() if is_plain(item)},
                }
                for group, one in zip(groups, plain_groups)
            ],
            foreign=sum(name is None for name in own.values()),
            closure=True if state.closure else None,
            site=state.site,
        )

    @careful
    def step_ends(self, optimizer):
        self.in_step = max(0, self.in_step - 1)
        state = self.state_of(optimizer)
        self.settle()
        if state.described is None:  # a closure: its first pass was inside the step
            self.describe_optimizer(optimizer, state)
        state.steps += 1
        self.iteration = max(self.iteration, state.steps)
        record = self.step_record(optimizer, state, 1)
        if state.snapshot is not None:
            with torch.no_grad():
                record["checked"] = self.check_step(optimizer, state)
            state.snapshot = state.backward_norm = None
        state.cleared, state.looked, state.before = False, False, None
        state.window.append(record)
        same = state.window[0]
        steady = all(record[k] == same[k] for k in ("learningRate", "mode", "loader", "epoch", "cleared"))
        full = len(state.window) >= WINDOW or state.steps <= EVERY_STEP or not steady
        if full or record.get("checked"):
            self.write_steps(state, state.window)
            state.window = []
        if state.steps in (1, 20):
            self.parameters_now()
        self.note_progress()

    def step_record(self, optimizer, state, steps):
        """What is known of one step, not read yet; and the beginning of the next."""
        passes, self.passes = self.passes, []
        last = passes[-1] if passes else None
        instant = time.perf_counter()
        record = {
            "steps": steps,
            "images": sum(one.count for one in passes),
            "passes": len(passes),
            "losses": [one.loss() for one in passes if one.losses],
            "errors": [one.error_count for one in passes],
            "seconds": max(0.0, instant - self.last_step),
            "waitSeconds": sum(one.waited for one in passes),
            "mode": last.mode if last else None,
            "norms": last.norms if last else None,
            "loader": last.epoch.loader.number if last and last.epoch else None,
            "epoch": last.epoch.number if last and last.epoch else None,
            "clips": self.clips or None,
            "scale": self.scale,
            "optimizer": state.number if state else None,
            "learningRate": state.rates[0] if state and state.rates else None,
            "rates": state.rates if state and len(set(state.rates)) > 1 else None,
            "backwards": state.backwards if state else 1,
            "cleared": state.cleared or state.before in ("none", "zero") if state else None,
            "gradientsBefore": state.before if state else None,
            "site": state.site if state else None,
        }
        self.last_step, self.clips = instant, []
        return record

    def write_steps(self, state, records):
        last = dict(records[-1])
        images = sum(one["images"] for one in records)
        losses = [loss for one in records for loss in one["losses"]]
        errors = [count for one in records for count in one["errors"]]
        seconds = sum(one["seconds"] for one in records)
        for name in ("losses", "errors"):
            last.pop(name)
        scored = errors and all(one is not None for one in errors)
        last.update(
            steps=sum(one["steps"] for one in records),
            images=images,
            passes=sum(one["passes"] for one in records),
            loss=Lazy(lambda: sum(float(one) for one in losses) / len(losses)) if losses else None,
            error=Lazy(lambda: sum(int(one) for one in errors) / images) if scored else None,
            imagesPerSecond=images / seconds if seconds > 0 else 0,
            seconds=seconds,
            waitSeconds=sum(one["waitSeconds"] for one in records),
            clips=[clip for one in records for clip in one["clips"] or []] or None,
            learningRate=last["learningRate"] if last["learningRate"] is not None else 0,
        )
        self.emit("step", **last)

    def check_step(self, optimizer, state):
        """Norms, and the updates of a few parameters beside what their class's formula gives."""
        copies, before = state.snapshot
        parameters = parameters_of(optimizer)
        figures = self.gradient_figures(optimizer, parameters) if state.closure else state.gradients
        updates = [now_.detach() - then for now_, then in zip(parameters, before)]
        figures["backwardNorm"] = state.backward_norm
        figures["parameterNorm"] = self.norms(optimizer, before)[0]
        figures["updateNorm"] = self.norms(optimizer, updates)[0]
        scale = getattr(optimizer, "grad_scale", None)
        names = self.main.names if self.main is not None else {}
        figures["replay"] = []
        for group, index, parameter, weight, memory, gradient in copies:
            if gradient is None:
                if parameter.grad is None:
                    continue
                gradient = self.sampled(parameter.grad)
            gradient = gradient / float(scale) if scale is not None else gradient
            update = self.sampled(parameter) - weight
            momentum = memory.get("momentum_buffer", memory.get("exp_avg"))
            vectors = [update, gradient, torch.zeros_like(update) if momentum is None else momentum, weight]
            expected = predict(optimizer, optimizer.param_groups[group], state.rates[group], weight, gradient, memory)
            figures["replay"].append(
                {
                    "parameter": names.get(id(parameter), f"{group}.{index}"),
                    "group": group,
                    "elements": update.numel(),
                    "updateNorm": float(update.norm()),
                    "predicted": relative(update, expected) if expected is not None else None,
                    "gram": [float(a @ b) for i, a in enumerate(vectors) for b in vectors[i:]],
                }
            )
        return figures

    @careful
    def before_scaled_step(self, scaler, optimizer):
        scale = getattr(scaler, "_scale", None)
        self.scale = scale.detach().clone() if isinstance(scale, torch.Tensor) else None
        return self.state_of(optimizer).steps

    @careful
    def after_scaled_step(self, optimizer, before):
        """An overflow: the scaler did not step."""
        state = self.state_of(optimizer)
        if state.steps == before:
            state.rates = rates_of(optimizer)
            record = {**self.step_record(optimizer, state, 1), "skipped": True}
            self.write_steps(state, [record])
            state.cleared, state.looked, state.before = False, False, None

    def scale_now(self):
        """The gradient scaler's factor at the last scaled step, if there is one."""
        return float(self.scale) if self.scale is not None else None

    # Schedulers

    def make_scheduler_step(self):
        def wrap(original):
            def step(scheduler, *arguments, **keywords):
                if not self.live or self.in_scheduler or is_compiling():
                    return original(scheduler, *arguments, **keywords)
                before = self.scheduler_rates(scheduler)
                self.in_scheduler += 1
                try:
                    result = original(scheduler, *arguments, **keywords)
                finally:
                    self.in_scheduler -= 1
                self.scheduler_stepped(scheduler, arguments, keywords, before)
                return result

            return step

        return wrap

    @careful
    def scheduler_rates(self, scheduler):
        optimizer = getattr(scheduler, "optimizer", None)
        return rates_of(optimizer) if optimizer is not None else []

    @careful
    def scheduler_built(self, scheduler):
        self.scheduler_state(scheduler)

    def scheduler_state(self, scheduler):
        state = self.schedulers.get(scheduler)
        if state is not None:
            return state
        state = {"number": self.number("scheduler"), "calls": 0, "last": self.iteration, "skipped": 0}
        self.schedulers[scheduler] = state
        owner = next(kind for kind in type(scheduler).__mro__ if "step" in vars(kind))
        self.patch(owner, "step", self.scheduler_step_patch)  # a class of the script's own
        optimizer = getattr(scheduler, "optimizer", None)
        known = optimizer is not None and hasattr(optimizer, "param_groups")
        inner = [one for one in getattr(scheduler, "_schedulers", []) if hasattr(one, "step")]
        self.emit(
            "scheduler",
            id=state["number"],
            **{"class": class_name(scheduler)},
            optimizer=self.state_of(optimizer).number if known else None,
            # Read when the line is written: a class of one's own may set more after its base class.
            settings=Lazy(lambda: settings_of(scheduler)),
            schedulers=[self.scheduler_state(one)["number"] for one in inner] or None,
            site=self.site("scheduler"),
        )
        return state

    @careful
    def scheduler_stepped(self, scheduler, arguments, keywords, before):
        state = self.scheduler_state(scheduler)
        state["calls"] += 1
        since, state["last"] = self.iteration - state["last"], self.iteration
        after = self.scheduler_rates(scheduler)
        if state["calls"] > 50 and (after == before or state["calls"] > 2_000):
            state["skipped"] += 1
            return
        argument = next(iter([*arguments, *keywords.values()]), None)
        if isinstance(argument, torch.Tensor):
            argument = argument.detach()
        site = self.site("scheduler") if state["calls"] <= 3 else None
        self.emit(
            "scheduler-step",
            scheduler=state["number"],
            call=state["calls"],
            argument=float(argument) if argument is not None else None,
            stepsSince=since,
            place="batch" if self.epoch_going_on(None) else "epoch",
            before=before,
            after=after,
            lastEpoch=getattr(scheduler, "last_epoch", None),
            skipped=state["skipped"] or None,
            site=site,
        )
        state["skipped"] = 0

    def scheduler_calls(self):
        return {str(state["number"]): state["calls"] for state in self.schedulers.values()}

    # Transforms on whole batches, files, words

    @careful
    def transformed(self, module, images, output):
        """A module without parameters was called on a batch: is its result what the network gets?"""
        result = find_images(_listed(output))
        text = printed(module)
        self.shown["transform", text] += 1
        if result is None or self.shown["transform", text] > 5 or len(self.transforms) > 50:
            return
        same = result.shape == images.shape and result.dtype == images.dtype
        entry = {
            "class": class_name(module),
            "text": text,
            "shape": list(images.shape),
            "outputShape": list(result.shape),
            "changed": not (same and bool(torch.equal(result, images))),
            "site": self.site("transform"),
        }
        first = int(hash_images(images[:1]))
        for earlier in self.transforms:
            if earlier["result"] == first and earlier["next"] is None:
                earlier["next"] = entry
        hashes = {"given": first, "result": int(hash_images(result[:1])), "next": None, "used": None}
        self.transforms.append({**hashes, "entry": entry})

    def match_transforms(self, current, images):
        if not self.transforms:
            return
        entered = int(hash_images(images[:1]))
        waiting, self.transforms = self.transforms, []
        used = {}
        for one in reversed(waiting):
            state = True if one["result"] == entered else False if one["given"] == entered else None
            if one["next"] is not None:
                state = used.get(id(one["next"]), state)
            if state and not one["entry"]["changed"]:
                state = None
            used[id(one["entry"])] = state
        for one in waiting:
            self.emit("transform", **one["entry"], used=used[id(one["entry"])])

    def close_finished_evaluation(self):
        """Before a line that may stand after an evaluation: is that over?"""
        self.settle()
        open_one = self.evaluation
        if open_one is not None and (open_one.epoch is None or open_one.epoch.ended):
            self.close_evaluation()

    @careful
    def saved(self, kind, arguments, keywords, result):
        self.saves += 1
        if self.saves > 1_000:
            return
        self.close_finished_evaluation()
        if kind == "save":
            content = arguments[0] if arguments else keywords.get("obj")
            target = arguments[1] if len(arguments) > 1 else keywords.get("f")
        else:
            content, target = result, arguments[0] if arguments else keywords.get("f")
        name = target if isinstance(target, (str, os.PathLike)) else getattr(target, "name", "")
        keys = values = None
        if isinstance(content, dict):
            keys = [str(key) for key in list(content)[:30]]
            scalars = {
                str(key): item.detach() if torch.is_tensor(item) else item
                for key, item in list(content.items())[:30]
                if type(item) in (bool, int, float)
                or (type(item) is str and len(item) <= 80 and "/" not in item)
                or (torch.is_tensor(item) and item.dim() == 0)
            }
            values = scalars or None
        self.emit(
            kind,
            name=os.path.basename(str(name)),
            keys=keys,
            values=values,
            afterEvaluation=self.evaluations or None,
            site=self.site(kind),
        )

    @careful
    def printed(self, compose):
        """What the script says with numbers in it: the figures that its owner goes by."""
        if self.prints >= 100 and (self.shown["printed"] >= 5 or not self.evaluations):
            return
        if self.entered > 1:
            return
        text = str(compose()).strip()[:300]
        if not any(letter.isdigit() for letter in text):
            return
        if self.evaluation is not None and self.evaluation.epoch is not None:
            self.close_finished_evaluation()
        self.prints += 1
        self.shown["printed"] += 1
        self.emit("print", text=text, afterEvaluation=self.evaluations or None)

    # What changed

    def write_start(self, network):
        """The weights before the first pass; then their checksums are enough."""
        copies, network.start = network.start or {}, {}
        network.start = {name: checksum(tensor) for name, tensor in copies.items()}
        self.write_weights("weights-start", network, copies)

    def write_weights(self, kind, network, tensors):
        if self.rank or not tensors:
            return
        size, dtype = sum(one.numel() * one.element_size() for one in tensors.values()), None
        most = self.limit * MEGABYTE * 0.2
        if size > most:
            tensors = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
            size, dtype = sum(one.numel() * one.element_size() for one in tensors.values()), "float16"
        if size > most or self.folder.bytes + size > self.limit * MEGABYTE:
            self.emit("warning", message=f"{kind}: {size // MEGABYTE} MB are too large to be written")
            return
        several = self.shown[kind]
        self.shown[kind] += 1
        name = f"{kind}-{network.number}.safetensors" if several else f"{kind}.safetensors"
        reference = self.file(name, tensors, {"iteration": self.iteration, "network": network.number})
        self.emit("file", kind=kind, file=reference, dtype=dtype, network=network.number)

    @careful
    def parameters_now(self):
        network = self.main
        if network is None:
            return
        held = {id(p) for state in self.optimizers.values() if state.steps and state.reference()
                for p in parameters_of(state.reference())}
        parameters, buffers = network.parameters(), network.buffers()
        start = network.start or {}

        def unchanged(tensors):
            return [name for name, one in tensors if name in start and checksum(one) == start[name]]

        names = {id(p) for _, p in parameters}
        self.emit(
            "parameters",
            network=network.number,
            unheld=[name for name, p in parameters if p.requires_grad and id(p) not in held],
            frozen=[name for name, p in parameters if not p.requires_grad],
            unchanged=unchanged(parameters),
            withoutGradient=self.without_gradient,
            buffersUnchanged=unchanged(buffers),
            schedulerCalls=self.scheduler_calls(),
            foreign=len(held - names),
        )

    # The end

    def note_progress(self):
        if self.stop_after and self.iteration >= self.stop_after and self.cut_at is None:
            self.cut_at, self.cut_evaluations = time.perf_counter(), self.evaluations

    def end_if_done(self):
        """Called before a training step: the steps asked for are done, and what followed was seen."""
        if self.cut_at is not None:
            raise Finished(0)

    def end_if_late(self):
        """What follows the last step gets as long as the training had twice over, or five minutes."""
        if self.cut_at is not None:
            spent = time.perf_counter() - self.cut_at
            if spent > max(300, 2 * (self.cut_at - self.began)):
                raise Finished(0)

    def close(self, reason, failure=None):
        """Writes what is open, the weights and the last line, and puts PyTorch's functions back."""
        if self.closed:
            return
        self.closed = True
        if torch is not None and self.live and os.getpid() == self.pid:
            self.finish(reason, failure)
        self.live = False
        for handle in getattr(self, "handles", []):
            handle.remove()
        for owner, name, original, replacement in reversed(self.patches):
            now_there = vars(owner).get(name) if inspect.isclass(owner) else getattr(owner, name, None)
            if now_there is replacement:
                setattr(owner, name, original)
        self.kept_alive = self.main = None

    @careful
    def finish(self, reason, failure):
        if not self.started:
            self.begin()
        self.close_open_pass()
        if self.cut_at is not None:  # the pass of a step that was not made any more
            self.pending = [one for one in self.pending if not one.needs_gradient]
        self.settle(force=len(self.pending))
        for loader in list(self.loaders.values()):
            if loader.epoch is not None and not loader.epoch.ended:
                self.epoch_ends(loader.epoch, exhausted=False)
        self.close_evaluation()
        for state in list(self.optimizers.values()):
            if state.window:
                self.write_steps(state, state.window)
        self.parameters_now()
        network = self.main
        if network is not None:
            tensors = [*network.parameters(), *network.buffers()]
            self.write_weights("weights-end", network, {name: one.detach().cpu() for name, one in tensors})
        if self.cut_at is not None:
            seen = self.evaluations > self.cut_evaluations
            after = "an evaluation" if seen else "no evaluation: none came before the next training step"
            self.emit("stop", reason=f"--steps {self.stop_after}: reached, then {after}")
            if not self.evaluations:
                self.say("no evaluation was seen; more --steps may reach one")
        self.drain()
        self.emit(
            "failure" if failure else "end",
            reason=failure or reason,
            optimizerSteps={str(one.number): one.steps for one in self.optimizers.values()},
            schedulerCalls=self.scheduler_calls(),
            evaluations=self.evaluations,
            trainingSeconds=time.perf_counter() - getattr(self, "began_training", time.perf_counter()),
            overheadSeconds=self.overhead,
            logSha256=self.folder.digest.hexdigest() if self.live else None,
        )
        self.drain()


# A script for CUDA on a machine without a GPU -----------------------------------------------------


def use_cpu():
    """Sends calls for CUDA to the CPU. The script's own files are told that there is one device;
    PyTorch's files see what is there, so that they take their way for the CPU."""
    from torch.overrides import TorchFunctionMode

    def is_cuda(device):
        if isinstance(device, torch.device):
            return device.type == "cuda"
        return isinstance(device, str) and device.split(":")[0] == "cuda"

    def moved(value):
        if is_cuda(value):
            return torch.device("cpu") if isinstance(value, torch.device) else "cpu"
        return value

    class OnCpu(TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), keywords=None):
            keywords = keywords or {}
            name = getattr(function, "__name__", "")
            if name in ("cuda", "pin_memory") and arguments and isinstance(arguments[0], torch.Tensor):
                return arguments[0]
            if name == "to":
                arguments = (arguments[0], *(moved(item) for item in arguments[1:]))
                if all(type(item) is int for item in arguments[1:2]) and len(arguments) > 1:
                    arguments = (arguments[0], "cpu", *arguments[2:])
            if name == "type" and len(arguments) > 1 and isinstance(arguments[1], str):
                arguments = (arguments[0], arguments[1].replace("torch.cuda.", "torch."))
            if name == "record_stream":
                return None
            if is_cuda(keywords.get("device")):
                keywords = {**keywords, "device": moved(keywords["device"])}
            return function(*arguments, **keywords)

    OnCpu().__enter__()
    cuda, real = torch.cuda, torch.cuda.is_available
    if real():
        real = lambda: False  # noqa: E731  a GPU is there, and is not to be used

    def for_script(value, otherwise):
        """One answer for the script's own files, another for libraries."""

        def answer(*arguments, **keywords):
            name = sys._getframe(1).f_code.co_filename.replace("\\", "/")
            library = "/site-packages/" in name or "/dist-packages/" in name or name.startswith("<")
            return otherwise if library or "/torch/" in name else value

        return answer

    class Event:
        """A CUDA event, measured on the CPU's clock."""

        def __init__(self, *arguments, **keywords):
            self.at = time.perf_counter()

        def record(self, *_):
            self.at = time.perf_counter()

        def elapsed_time(self, other):
            return (other.at - self.at) * 1e3

        def synchronize(self):
            pass

        wait = synchronize

        def query(self):
            return True

    class Stream(contextlib.nullcontext):
        def __init__(self, *arguments, **keywords):
            super().__init__()

        def synchronize(self, *_):
            pass

        wait_stream = wait_event = record_event = synchronize

    class Properties:
        name, major, minor, total_memory, multi_processor_count = "CPU (--cpu)", 8, 0, 2**34, 1

    cuda.is_available = for_script(True, False)
    cuda.device_count = for_script(1, 0)
    zeros = (
        "memory_allocated max_memory_allocated memory_reserved max_memory_reserved current_device "
        "memory_cached max_memory_cached utilization"
    )
    nothing = (
        "set_device synchronize empty_cache reset_peak_memory_stats reset_max_memory_allocated "
        "ipc_collect init manual_seed manual_seed_all seed seed_all"
    )
    for name in zeros.split():
        setattr(cuda, name, lambda *_, **__: 0)
    for name in nothing.split():
        setattr(cuda, name, lambda *_, **__: None)
    cuda.get_device_name = lambda *_, **__: Properties.name
    cuda.get_device_properties = lambda *_, **__: Properties
    cuda.get_device_capability = lambda *_, **__: (8, 0)
    cuda.is_bf16_supported = lambda *_, **__: True
    cuda.mem_get_info = lambda *_, **__: (2**34, 2**34)
    cuda.memory_summary = lambda *_, **__: ""
    cuda.Event, cuda.Stream = Event, Stream
    cuda.current_stream = cuda.default_stream = lambda *_, **__: Stream()
    cuda.stream = cuda.device = lambda *_, **__: contextlib.nullcontext()
    for name in ("Float", "Double", "Half", "Long", "Int", "Byte", "Bool"):
        setattr(cuda, f"{name}Tensor", getattr(torch, f"{name}Tensor"))
    module_cuda = torch.nn.Module.cuda
    torch.nn.Module.cuda = functools.wraps(module_cuda)(lambda module, *_, **__: module)
    load = torch.load

    @functools.wraps(load)
    def load_on_cpu(f, map_location=None, *arguments, **keywords):
        if map_location is None or is_cuda(map_location):
            map_location = "cpu"
        return load(f, map_location, *arguments, **keywords)

    torch.load = load_on_cpu
    with contextlib.suppress(Exception):
        import torch.distributed as distributed

        join = distributed.init_process_group

        @functools.wraps(join)
        def join_by_gloo(backend=None, *arguments, **keywords):
            return join("gloo" if backend in (None, "nccl") else backend, *arguments, **keywords)

        distributed.init_process_group = join_by_gloo


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
        if spec is None or spec.loader is None:
            return None
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
        torch = sys.modules["torch"]
        is_compiling = compiling_test()
        if recorder.cpu:
            use_cpu()
        if recorder.live:
            try:
                recorder.install()
            except Exception as error:
                recorder.live = False
                recorder.say(f"can't record: {type(error).__name__}: {error}; the training goes on unrecorded")

    if "torch" in sys.modules:
        begin()
    else:
        sys.meta_path.insert(0, WhenImported("torch", begin))


def compiling_test():
    """Whether torch.compile is reading this code instead of running it, by this version's name."""
    compiler = getattr(torch, "compiler", None)
    if hasattr(compiler, "_is_compiling_flag"):
        return compiler.is_compiling
    for place in ("torch._dynamo.external_utils", "torch._dynamo"):
        test = getattr(sys.modules.get(place), "is_compiling", None)
        if test is not None:
            return test
    return lambda: False


def start(folder, steps=None, limit=100):
    """Records this process's training into a folder, from now on until it ends (or `stop`).

    folder: a new folder. steps: end the process after so many training steps and one evaluation.
    limit: megabytes that the folder may grow to.
    """
    global _recorder
    if os.environ.get("PYTORCH_RECORDER") not in (None, str(os.getpid())) and "RANK" not in os.environ:
        return  # a worker of a recorded process that imports its script anew
    if _recorder is not None:
        stop()
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    os.environ["PYTORCH_RECORDER"] = str(os.getpid())
    _recorder = Recorder(folder, steps, limit, "import", script=main)
    attach(_recorder)
    atexit.register(_recorder.close, "finished")
    hook = sys.excepthook

    def note(kind, error, trace, recorder=_recorder):
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
    parser = argparse.ArgumentParser(
        prog="pytorch.py",
        usage="%(prog)s --out FOLDER [--steps N] [--cpu] [--limit MB] -- train.py [arguments]",
        description="Runs a PyTorch training, unchanged, and writes down what reached its network.",
    )
    parser.add_argument("--out", required=True, metavar="FOLDER", help="a new folder for the recording")
    parser.add_argument("--steps", type=int, metavar="N", help="end after N training steps and an evaluation")
    parser.add_argument("--cpu", action="store_true", help="run a script for CUDA on the CPU")
    parser.add_argument("--limit", type=float, default=100, metavar="MB", help="size of the folder (100)")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the script (or -m module) and its arguments")
    options = parser.parse_args()
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    module = command[:1] == ["-m"]
    command = command[1:] if module else command
    if not command:
        parser.error("name the training script after --")
    if options.steps is not None and options.steps < 1:
        parser.error(f"--steps takes a number from 1, and was given {options.steps}")
    if not module and not os.path.isfile(command[0]):
        parser.error(f"there is no script {command[0]}")
    script = None if module else command[0]
    folder = os.path.abspath(options.out)
    os.environ["PYTORCH_RECORDER"] = str(os.getpid())
    recorder = Recorder(folder, options.steps, options.limit, "command", script, command, options.cpu)
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
        # A loop that counts batches by hand meets the early end of its epoch as an error.
        ended = "StopIteration" in (type(error).__name__, str(error)) or "raised StopIteration" in str(error)
        if recorder.cut_at is not None and ended:
            recorder.close("steps")
            return
        recorder.close("failure", f"{type(error).__name__}: {error}")
        raise


if __name__ == "__main__":
    main()
