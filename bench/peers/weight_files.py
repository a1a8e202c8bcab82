"""Writes testing/files/weight_file_fixtures.ts: small weight files made by PyTorch and
by Python's safetensors, with the values that these libraries read back.

    pip install torch==2.13.0 safetensors numpy
    python bench/peers/weight_files.py > testing/files/weight_file_fixtures.ts
    deno fmt testing/files/weight_file_fixtures.ts

With file names as arguments, prints what safetensors reads from each instead:
the check of the files that this project writes.
"""

import base64
import io
import json
import sys
import zipfile
from collections import OrderedDict

import safetensors
import torch
from safetensors.torch import load, save

base = torch.arange(12, dtype=torch.float32) / 8 - 0.5
TENSORS = OrderedDict(
    [
        ("plain", base.reshape(3, 4).clone()),
        ("transposed", base.reshape(3, 4).t()),  # shares its storage with the next two
        ("offset", base[3:7]),
        ("every_third", base[1::3]),
        ("expanded", torch.tensor([[2.5]]).expand(2, 3)),
        ("parameter", torch.nn.Parameter(torch.tensor([0.25, -3.0]))),
        ("half", torch.tensor([1.0, -2.5, 6.1035e-05, 65504.0], dtype=torch.float16)),
        ("bfloat16", torch.tensor([1.0, -3.140625, 1e30], dtype=torch.bfloat16)),
        ("double", torch.tensor([0.1, -1e-30], dtype=torch.float64)),
        ("long", torch.tensor([-1, 0, 1 << 24])),
        ("int", torch.tensor([-7, 7], dtype=torch.int32)),
        ("short", torch.tensor([-300, 300], dtype=torch.int16)),
        ("char", torch.tensor([-128, 127], dtype=torch.int8)),
        ("byte", torch.tensor([0, 255], dtype=torch.uint8)),
        ("bool", torch.tensor([True, False])),
        ("num_batches_tracked", torch.tensor(64000)),
        ("empty", torch.zeros(0, 3)),
    ]
)


def torch_bytes(value, **options):
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def rezipped(archive, compression, replaced=None):
    """The same archive written by Python's zipfile, some members replaced."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old:
        with zipfile.ZipFile(file, "w", compression) as new:
            for info in old.infolist():
                content = (replaced or {}).get(info.filename.split("/", 1)[1])
                new.writestr(zipfile.ZipInfo(info.filename), content or old.read(info), compression)
    return file.getvalue()


def fixtures():
    checkpoint = {"epoch": 3, "best": 91.78, "state_dict": TENSORS, "note": "a\u00e9", "none": None}
    batch_norm = torch.nn.BatchNorm2d(2).state_dict()  # carries _metadata as an attribute
    archive = torch_bytes(TENSORS)
    metadata = {"iteration": "64000", "note": "a\u00e9"}
    return {
        "pytorchZip": archive,
        "pytorchZipProtocol4": torch_bytes(checkpoint, pickle_protocol=4),
        "pytorchZipDeflated": rezipped(archive, zipfile.ZIP_DEFLATED),
        "pytorchZipBigEndian": rezipped(archive, zipfile.ZIP_DEFLATED, {"byteorder": b"big"}),
        "pytorchZipBatchNorm": rezipped(torch_bytes(batch_norm), zipfile.ZIP_DEFLATED),
        "pytorchLegacyNested": torch_bytes(checkpoint, _use_new_zipfile_serialization=False),
        "pytorchLegacyModule": torch_bytes(
            torch.nn.Linear(1, 1), _use_new_zipfile_serialization=False
        ),
        "safetensors": save({k: v.detach().clone().contiguous() for k, v in TENSORS.items()}, metadata),
    }


def main():
    print("/**")
    print(" * Small weight files and what their own libraries read from them. Written by")
    print(" * bench/peers/weight_files.py, which shows how each was made, with")
    print(f" * PyTorch {torch.__version__.split('+')[0]} and safetensors {safetensors.__version__}.")
    print(" */")
    print()
    print("/** Shape and values, as PyTorch's `tolist` prints them after `.float()`. */")
    print("export const EXPECTED: Readonly<Record<string, readonly [number[], number[]]>> = {")
    for name, tensor in TENSORS.items():
        values = json.dumps(tensor.detach().float().flatten().tolist())
        print(f"  {name}: [{json.dumps(list(tensor.shape))}, {values}],")
    print("};")
    print()
    print("/** Whole files in base64. */")
    print("export const FILES = {")
    for name, content in fixtures().items():
        print(f"  {name}:")
        print(f'    "{base64.b64encode(content).decode()}",')
    print("} as const;")


if len(sys.argv) == 1:
    main()
for path in sys.argv[1:]:
    with open(path, "rb") as opened:
        content = opened.read()
    with safetensors.safe_open(path, "pt") as opened:
        print(path, opened.metadata())
    for name, tensor in load(content).items():
        print(name, tensor.dtype, list(tensor.shape), tensor.flatten()[:4].tolist())
