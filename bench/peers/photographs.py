"""What torchvision makes of photographs: resized pixels, and a resnet34's logits of every view.

`python3 bench/peers/photographs.py IMAGES OUT [COUNT]`, then `deno run -P=test
bench/peers/photographs.ts IMAGES OUT` compares.

Writes into OUT: weights.pth, a resnet34 with random weights and statistics; pixels.json and
pixels.bin, each photograph of IMAGES with a shorter side of 256; views.json, the logits of COUNT
photographs (8) in one crop, ten crops and five scales, and their averaged softmax scores.
"""
import json
import sys
from pathlib import Path

import torch
import torchvision
from PIL import Image
from torchvision import transforms

SCALES = (224, 256, 384, 480, 640)
images, out = Path(sys.argv[1]), Path(sys.argv[2])
count = int(sys.argv[3]) if len(sys.argv) > 3 else 8
out.mkdir(parents=True, exist_ok=True)

torch.manual_seed(34)
model = torchvision.models.resnet34(num_classes=1000).eval()
with torch.no_grad():
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
torch.save(model.state_dict(), out / "weights.pth")

paths = sorted(
    path for path in images.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")
)
resize = transforms.Resize(256)
entries = []
with open(out / "pixels.bin", "wb") as pixels:
    for path in paths:
        image = resize(Image.open(path).convert("RGB"))
        entries.append({
            "path": str(path.relative_to(images)), "height": image.height, "width": image.width
        })
        pixels.write(image.tobytes())
(out / "pixels.json").write_text(json.dumps(entries))

tensor = transforms.Compose([
    transforms.ToTensor(),
    transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
])
views = {}
with torch.inference_mode():
    for path in paths[:: max(1, len(paths) // count)][:count]:
        image = Image.open(path).convert("RGB")
        small = resize(image)
        parts = {
            "1-crop": [transforms.CenterCrop(224)(small)],
            "10-crop": transforms.TenCrop(224)(small),
            "multi-scale": [transforms.Resize(scale)(image) for scale in SCALES],
        }
        own = {}
        for view, crops in parts.items():
            logits = torch.cat([model(tensor(crop)[None]) for crop in crops])
            own[view] = {
                "logits": logits.tolist(),
                "scores": logits.double().softmax(1).mean(0).tolist(),
            }
        views[str(path.relative_to(images))] = own
(out / "views.json").write_text(json.dumps(views))
print(f"{len(entries)} photographs, {len(views)} of them through resnet34")
print(f"torch {torch.__version__}, torchvision {torchvision.__version__}")
