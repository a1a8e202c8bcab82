"""Loads exported files into torchvision's nets with strict=True, and compares logits.

`python3 bench/peers/torchvision_weights.py make OUT` writes OUT/resnet18.pth and resnet34.pth, with
random weights and statistics. Then, for each, `deno task export --weights OUT/resnet18.pth --to
pytorch --out OUT/resnet18-again.pth`, and the same `--to onnx`. At last `python3 bench/peers/torchvision_weights.py compare OUT`. Needs
torchvision and, for .onnx, ONNX Runtime.
"""
import sys
from pathlib import Path

import torch
import torchvision

SOURCE, FORMS, TOLERANCE = "{}.pth", ("{}-again.pth", "{}-again.onnx"), 1e-4
command, out = sys.argv[1], Path(sys.argv[2])
out.mkdir(parents=True, exist_ok=True)


def made(name):
    torch.manual_seed(18)
    model = getattr(torchvision.models, name)(num_classes=1000).eval()
    with torch.no_grad():
        for key, buffer in model.named_buffers():
            if key.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            elif key.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    return model


def logits_of(path, name, images):
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: images.numpy()})[0])
    model = getattr(torchvision.models, name)(num_classes=1000).eval()
    model.load_state_dict(torch.load(path, weights_only=True), strict=True)
    return model(images)


worst = 0.0
for name in ("resnet18", "resnet34"):
    if command == "make":
        torch.save(made(name).state_dict(), out / SOURCE.format(name))
        continue
    torch.manual_seed(1)
    images = torch.randn(4, 3, 224, 224)
    with torch.inference_mode():
        expected = logits_of(out / SOURCE.format(name), name, images)
        for form in FORMS:
            path = out / form.format(name)
            if not path.exists():
                print(f"{path.name}: not there")
                continue
            found = logits_of(path, name, images)
            off = ((found - expected).abs().max() / expected.abs().max()).item()
            worst = max(worst, off)
            print(f"{path.name}: logits within {off:.1e} of the largest")
sys.exit(worst > TOLERANCE)
