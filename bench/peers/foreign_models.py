"""Makes models as others publish them: the paper's nets and more than a dozen that
are wrong in one known way each, with random weights, in the file formats in
which models travel.

    pip install torch==2.13.0 safetensors==0.8.0 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.31.1
    python bench/peers/foreign_models.py models OUT

`models` writes each as NAME.pth (torch.save's zip archive), NAME.th (its older
form), NAME.safetensors, NAME.onnx (the TorchScript exporter, batch norm kept),
NAME.folded.onnx (the same, batch norm folded into the convolutions) and
NAME.dynamo.onnx (the newer exporter). models.json says what is wrong with each,
and its logits for `images()` by PyTorch, which those of onnxruntime must match.

`fixtures` prints small versions with 4, 8 and 16 filters, their logits by
onnxruntime, and the names and shapes of torchvision's and timm's nets:

    pip install torchvision==0.29.2 timm==1.0.31
    python bench/peers/foreign_models_keras.py KERAS  # in an environment of its own
    python bench/peers/foreign_models.py fixtures --keras KERAS > testing/files/_foreign_model_fixtures.ts
    deno fmt testing/files/_foreign_model_fixtures.ts
"""

import argparse
import base64
import gzip
import io
import json
import pathlib
import re
import warnings

import torch
import torch.nn.functional as F
from torch import nn

CIFAR = (16, 32, 64)
IMAGENET = (64, 128, 256, 512)


class ZeroPadding(nn.Module):
    """Option A: every second pixel, zero channels split on both sides or appended."""

    def __init__(self, inputs, filters, stride, split):
        super().__init__()
        zeros = filters - inputs
        before = zeros // 2 if split else 0
        self.stride, self.pad = stride, (0, 0, 0, 0, before, zeros - before)

    def forward(self, x):
        return F.pad(x[:, :, :: self.stride, :: self.stride], self.pad)


class PoolingShortcut(ZeroPadding):
    """Option A with the mean of every window in place of every second pixel."""

    def forward(self, x):
        return F.pad(F.avg_pool2d(x, self.stride) if self.stride > 1 else x, self.pad)


class Block(nn.Module):
    """Two 3x3 layers, or three of a bottleneck, around which a shortcut goes."""

    def __init__(self, inputs, filters, stride, options):
        super().__init__()
        self.options = options
        bias, order = options["bias"], options["order"]
        if options["bottleneck"]:
            layers = [(inputs, filters, 1, 1), (filters, filters, 3, stride), (filters, 4 * filters, 1, 1)]
        else:
            layers = [(inputs, filters, 3, stride), (filters, filters, 3, 1)]
        pooled = options["subsampling"] == "max-pool" and stride > 1
        self.count = len(layers)
        for i, (channels, width, kernel, step) in enumerate(layers, start=1):
            step = 1 if pooled else step
            setattr(self, f"conv{i}", nn.Conv2d(channels, width, kernel, step, kernel // 2, bias=bias))
            if order != "none":
                setattr(self, f"bn{i}", nn.BatchNorm2d(channels if order == "pre" else width))
        self.pool = nn.MaxPool2d(2) if pooled else nn.Identity()
        outputs = layers[-1][1]
        setattr(self, options["shortcut_name"], self.make_shortcut(inputs, outputs, 1 if pooled else stride))

    def make_shortcut(self, inputs, outputs, stride):
        kind, bias = self.options["shortcut"], self.options["bias"]
        if stride == 1 and inputs == outputs:
            return nn.Sequential()
        if kind in ("append", "split"):
            return ZeroPadding(inputs, outputs, stride, kind == "split")
        if kind == "pool":
            return PoolingShortcut(inputs, outputs, stride, False)
        if kind == "none":
            return nn.Sequential()
        projection = [nn.Conv2d(inputs, outputs, 1, stride, bias=bias)]
        if kind == "projection":
            projection.append(nn.BatchNorm2d(outputs))
        return nn.Sequential(*projection)

    def forward(self, x):
        x = self.pool(x)
        order = self.options["order"]
        shortcut = getattr(self, self.options["shortcut_name"])
        y = x
        for i in range(1, self.count + 1):
            convolution, bn = getattr(self, f"conv{i}"), getattr(self, f"bn{i}", nn.Identity())
            if order == "pre":
                y = convolution(F.relu(bn(y)))
            elif order == "relu-bn":
                y = bn(F.relu(convolution(y)))
            else:
                y = bn(convolution(y))
                if i < self.count:
                    y = F.relu(y)
        if self.options["shortcut"] != "none":
            y = y + shortcut(x)
        return y if order == "pre" else F.relu(y)


class Net(nn.Module):
    """A residual or plain net; the defaults are the paper's, as akamaster writes it."""

    def __init__(self, blocks, widths=CIFAR, classes=10, image=32, **options):
        super().__init__()
        self.options = options = {
            "shortcut": "split",  # append, split, projection, bare-projection, pool, none
            "shortcut_name": "shortcut",
            "head_name": "linear",
            "order": "bn-relu",  # relu-bn, pre, none
            "subsampling": "stride",  # max-pool
            "stem": "cifar",  # imagenet
            "bias": False,
            "bottleneck": False,
            "final_relu": False,
            **options,
        }
        self.image = image
        kernel, stride = (7, 2) if options["stem"] == "imagenet" else (3, 1)
        self.conv1 = nn.Conv2d(3, widths[0], kernel, stride, kernel // 2, bias=options["bias"])
        if options["order"] in ("bn-relu", "relu-bn"):
            self.bn1 = nn.BatchNorm2d(widths[0])
        width = widths[0]
        for stage, (count, filters) in enumerate(zip(blocks, widths), start=1):
            layers = []
            for i in range(count):
                layers.append(Block(width, filters, 2 if stage > 1 and i == 0 else 1, options))
                width = 4 * filters if options["bottleneck"] else filters
            setattr(self, f"layer{stage}", nn.Sequential(*layers))
        self.stages = len(blocks)
        if options["order"] == "pre":
            self.bn = nn.BatchNorm2d(width)
        setattr(self, options["head_name"], nn.Linear(width, classes))

    def forward(self, x):
        order = self.options["order"]
        x = self.conv1(x)
        if order == "bn-relu":
            x = F.relu(self.bn1(x))
        elif order == "relu-bn":
            x = self.bn1(F.relu(x))
        elif order == "none":
            x = F.relu(x)
        if self.options["stem"] == "imagenet":
            x = F.max_pool2d(x, 3, 2, 1)
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        if order == "pre":
            x = F.relu(self.bn(x))
        # Pooled as akamaster does it: over a window of the map's size.
        x = F.avg_pool2d(x, x.size()[3]).flatten(1)
        x = getattr(self, self.options["head_name"])(x)
        return F.relu(x) if self.options["final_relu"] else x


TORCHVISION = {"shortcut": "projection", "shortcut_name": "downsample", "head_name": "fc"}

# Name: (what is wrong by the paper, arguments of Net).
MODELS = {
    "resnet20": (None, dict(blocks=[3] * 3)),
    "resnet32": (None, dict(blocks=[5] * 3)),
    "resnet20-append": (None, dict(blocks=[3] * 3, shortcut="append")),
    "plain20": (None, dict(blocks=[3] * 3, shortcut="none")),
    "option-b": ("projections", dict(blocks=[3] * 3, shortcut="projection")),
    "projection-without-bn": ("projections without BN", dict(blocks=[3] * 3, shortcut="bare-projection")),
    "imagenet-stem": ("7x7 stem and max pooling", dict(blocks=[3] * 3, stem="imagenet")),
    "resnet18-cifar": ("ImageNet's widths", dict(blocks=[2] * 4, widths=IMAGENET, **TORCHVISION)),
    "resnet34-cifar": ("ImageNet's widths", dict(blocks=[3, 4, 6, 3], widths=IMAGENET, **TORCHVISION)),
    "resnet34": (
        "ImageNet's stem and widths",
        dict(blocks=[3, 4, 6, 3], widths=IMAGENET, stem="imagenet", **TORCHVISION),
    ),
    "final-relu": ("ReLU after the last layer", dict(blocks=[3] * 3, final_relu=True)),
    "pooled-stages": ("max pooling in place of strides", dict(blocks=[3] * 3, subsampling="max-pool")),
    "pooled-shortcut": ("average pooling on the shortcut", dict(blocks=[3] * 3, shortcut="pool")),
    "no-bn": ("no batch norm", dict(blocks=[3] * 3, order="none", bias=True)),
    "bias": ("convolutions with bias", dict(blocks=[3] * 3, bias=True)),
    "relu-bn": ("batch norm after ReLU", dict(blocks=[3] * 3, order="relu-bn")),
    "pre-activation": ("batch norm and ReLU before the convolution", dict(blocks=[3] * 3, order="pre")),
    "bottleneck110": ("bottlenecks", dict(blocks=[12] * 3, bottleneck=True, shortcut="projection")),
    "wide": ("four times the filters", dict(blocks=[3] * 3, widths=(64, 128, 256))),
    "other-widths": ("16, 48 and 96 filters", dict(blocks=[3] * 3, widths=(16, 48, 96))),
}
SUFFIXES = {"onnx": {}, "folded.onnx": {"folded": True}, "dynamo.onnx": {"dynamo": True}}


def images(count=2, size=32):
    """Fixed input [N, 3, H, W] that any language can compute exactly: multiples of 1/64."""
    index = torch.arange(count * 3 * size * size, dtype=torch.int64)
    return ((index * 7919 % 251 - 125).float() / 64).reshape(count, 3, size, size)


def randomise(model, seed, coarse=False):
    """Weights as training may leave them; `coarse` ones are few values, so that gzip packs them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, array in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            noise = torch.randn(array.shape, generator=generator)
            if array.dim() > 1:
                noise *= (2 / array[0].numel()) ** 0.5
                # A power of two times a small whole number is exact in any float format.
                step = 2.0 ** torch.tensor((2 / array[0].numel()) ** 0.5).log2().round()
            else:
                noise = 0.25 * noise
                if name.endswith("running_var") or (name.endswith("weight") and array.dim() == 1):
                    noise = 1 + noise.clamp(-0.75, 0.75)
                step = 0.25
            array.copy_((noise / step).round() * step if coarse else noise)
            if name.endswith("running_var"):
                array.clamp_(min=0.25)
    return model.eval()


def onnx_bytes(model, dynamo=False, folded=False):
    """The file that torch.onnx.export writes, weights inside."""
    example = images(2, model.image)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            shapes = ({0: torch.export.Dim("batch")},)
            program = torch.onnx.export(
                model, (example,), dynamo=True, verbose=False, optimize=folded, dynamic_shapes=shapes
            )
            return program.model_proto.SerializeToString()
        file = io.BytesIO()
        mode = torch.onnx.TrainingMode.EVAL if folded else torch.onnx.TrainingMode.PRESERVE
        torch.onnx.export(
            model,
            (example,),
            file,
            dynamo=False,
            input_names=["input"],
            output_names=["logits"],
            dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
            training=mode,  # EVAL folds batch norm
            do_constant_folding=folded,
        )
        return file.getvalue()


def onnx_logits(content, batch):
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: batch.numpy()})[0]


def write_models(out, names):
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    manifest = {}
    for name in names:
        wrong, arguments = MODELS[name]
        model = randomise(Net(**arguments), seed=1)
        state = model.state_dict()
        torch.save(state, out / f"{name}.pth")
        torch.save({"state_dict": state}, out / f"{name}.th", _use_new_zipfile_serialization=False)
        save_file(state, out / f"{name}.safetensors")
        with torch.no_grad():
            expected = model(images())
        manifest[name] = {"wrong": wrong, "logits": expected.tolist()}
        for suffix, options in SUFFIXES.items():
            content = onnx_bytes(model, **options)
            error = (torch.tensor(onnx_logits(content, images())) - expected).abs().max()
            if error > 1e-4 * expected.abs().max():
                raise ValueError(f"{name}.{suffix}: onnxruntime is {error} off PyTorch's logits")
            (out / f"{name}.{suffix}").write_bytes(content)
        print(name, wrong or "right", flush=True)
    (out / "models.json").write_text(json.dumps(manifest, indent=1))


TINY = (4, 8, 16)
# The fixtures: arguments of Net, and how the file is exported.
FIXTURES = {
    "optionASplit": (dict(), {}),
    "optionASplitFolded": (dict(), {"folded": True}),
    "optionASplitDynamo": (dict(), {"dynamo": True}),
    "optionASplitDynamoFolded": (dict(), {"dynamo": True, "folded": True}),
    "optionAAppend": (dict(shortcut="append"), {}),
    "plain": (dict(shortcut="none"), {}),
    "optionB": (dict(shortcut="projection"), {}),
    "projectionWithoutBatchNorm": (dict(shortcut="bare-projection"), {}),
    "imagenetStem": (dict(stem="imagenet"), {}),
    "finalRelu": (dict(final_relu=True), {}),
    "pooledStages": (dict(subsampling="max-pool"), {}),
    "pooledShortcut": (dict(shortcut="pool"), {}),
    "bias": (dict(bias=True), {}),
    "noBatchNorm": (dict(order="none", bias=True), {}),
    "reluBeforeBatchNorm": (dict(order="relu-bn"), {}),
    "preActivation": (dict(order="pre"), {}),
    "bottleneck": (dict(bottleneck=True, shortcut="projection"), {}),
}


def stripped(content):
    """Without the notes that PyTorch's newer exporter leaves at every node."""
    import onnx

    model = onnx.load_from_string(content)
    del model.graph.value_info[:], model.graph.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
    return model.SerializeToString()


def packed(content):
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def published_shapes():
    """Names and shapes of nets by others, and by the names that others give."""
    import timm
    import torchvision

    def shapes(model, rename=lambda name: name):
        return [[rename(name), list(array.shape)] for name, array in model.state_dict().items()]

    def weiaicunzai(name):
        """As weiaicunzai/pytorch-cifar100 calls them, models/resnet.py."""
        name = re.sub(r"^conv1\.", "conv1.0.", name)
        name = re.sub(r"^bn1\.", "conv1.1.", name)
        name = re.sub(r"^layer(\d)", lambda match: f"conv{int(match[1]) + 1}_x", name)
        for place, part in enumerate(("conv1", "bn1", None, "conv2", "bn2")):
            name = re.sub(rf"\.{part}\.", f".residual_function.{place}.", name) if part else name
        return name.replace("downsample", "shortcut")

    resnet18 = Net(blocks=[2] * 4, widths=IMAGENET, **TORCHVISION)
    return {
        "akamaster": shapes(Net(blocks=[3] * 3), lambda name: f"module.{name}"),
        "kuangliu": shapes(
            Net(blocks=[2] * 4, widths=IMAGENET, shortcut="projection"), lambda name: f"module.{name}"
        ),
        "weiaicunzai": shapes(resnet18, weiaicunzai),
        "torchvisionResnet34": shapes(torchvision.models.resnet34(num_classes=10)),
        "torchvisionResnet50": shapes(torchvision.models.resnet50()),
        "torchvisionMobilenet": shapes(torchvision.models.mobilenet_v2()),
        "timmResnet18": shapes(timm.create_model("resnet18", num_classes=10)),
    }


def print_fixtures(keras):
    import onnx
    import onnxruntime

    version = torch.__version__.split("+")[0]
    print("/**")
    print(" * Small residual nets of 4, 8 and 16 filters as ONNX files, and names and shapes")
    print(" * of published ones. Written by bench/peers/foreign_models.py, which shows how")
    print(f" * each was made, with PyTorch {version}, ONNX {onnx.__version__}, tf2onnx 1.17.0 of Keras")
    print(" * 3.15.1, torchvision and timm.")
    print(" */")
    print()
    print("/** A file, and what it computes from the script's `images()`. */")
    print("export interface ForeignModel {")
    print("  /** ONNX, packed by gzip, in base64. */")
    print("  readonly file: string;")
    print(f"  /** [2, 10], by onnxruntime {onnxruntime.__version__}. */")
    print("  readonly logits: readonly number[];")
    print("}")
    print()
    contents = {
        name: stripped(onnx_bytes(randomise(Net([1] * 3, TINY, **arguments), 1, True), **options))
        for name, (arguments, options) in FIXTURES.items()
    }
    shapes = published_shapes()
    for path in sorted(keras.glob("*.onnx")) if keras else []:
        contents[path.stem] = path.read_bytes()
    if keras:
        shapes.update(json.loads((keras / "shapes.json").read_text()))
    print("/** By what is special about each. */")
    print("export const MODELS = {")
    for name, content in contents.items():
        batch = images().permute(0, 2, 3, 1) if name.startswith("keras") else images()
        logits = onnx_logits(content, batch).flatten().tolist()
        print(f"  {name}: {{ file: {json.dumps(packed(content))},")
        print(f"    logits: {json.dumps([float(f'{value:.8g}') for value in logits])} }},")
    print("} satisfies Record<string, ForeignModel>;")
    print()
    print("/** JSON of [name, shape][], packed by gzip, in base64. */")
    print("export const SHAPES = {")
    for name, list_of_shapes in shapes.items():
        print(f"  {name}: {json.dumps(packed(json.dumps(list_of_shapes).encode()))},")
    print("} satisfies Record<string, string>;")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    models = commands.add_parser("models", help="write every model in every format")
    models.add_argument("out", type=pathlib.Path, help="a folder outside of the repository")
    models.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS), metavar="NAME")
    fixtures = commands.add_parser("fixtures", help="print the fixtures of the tests")
    fixtures.add_argument("--keras", type=pathlib.Path, help="what foreign_models_keras.py wrote")
    arguments = parser.parse_args()
    if arguments.command == "models":
        write_models(arguments.out, arguments.only)
    else:
        print_fixtures(arguments.keras)


if __name__ == "__main__":
    main()
