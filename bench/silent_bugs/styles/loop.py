"""ResNet on CIFAR-10 by the paper's recipe: a plain loop."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, random_split

from resnet import ResNet
from vision import CIFAR10, transforms

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="cifar-10-batches-bin")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--iterations", type=int, default=64000)
args = parser.parse_args()
torch.manual_seed(args.seed)

# The paper's split: 45,000 images to train on, 5,000 to validate.
images = CIFAR10(args.data, train=True)
train_part, val_part = random_split(images, [0.9, 0.1])

to_tensor = transforms.ToTensor()
pixels = images.data[train_part.indices]  # [N, H, W, C], bytes
mean = pixels.sum(dim=0).permute(2, 0, 1) / (255 * len(pixels))  # [3, 32, 32]
subtract_mean = transforms.Lambda(lambda image: image - mean)

train_transform = transforms.Compose([
    transforms.RandomCrop(32, padding=4),
    transforms.RandomHorizontalFlip(),
    to_tensor,
    subtract_mean,
])
test_transform = transforms.Compose([
    to_tensor,
    subtract_mean,
])

augmented = CIFAR10(args.data, train=True, transform=train_transform)
plain = CIFAR10(args.data, train=True, transform=test_transform)
train_set = Subset(augmented, train_part.indices)
val_set = Subset(plain, val_part.indices)
test_set = CIFAR10(args.data, train=False, transform=test_transform)

train_loader = DataLoader(train_set, batch_size=128, shuffle=True)
val_loader = DataLoader(val_set, batch_size=100)
test_loader = DataLoader(test_set, batch_size=100)

model = ResNet()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[32000, 48000])


def evaluate(loader):
    model.eval()
    wrong, seen = 0, 0
    with torch.no_grad():
        for images, labels in loader:
            predictions = model(images).argmax(dim=1)
            wrong += (predictions != labels).sum().item()
            seen += len(labels)
    return 100 * wrong / seen


iteration = 0
epoch = 0
while iteration < args.iterations:
    model.train()
    for images, labels in train_loader:
        optimizer.zero_grad()
        outputs = model(images)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        scheduler.step()
        iteration += 1
        if iteration % 10 == 0:
            print(f"iteration {iteration}: loss {loss.item():.4f}", flush=True)
        if iteration == args.iterations:
            break
    epoch += 1
    print(f"epoch {epoch}: validation error {evaluate(val_loader):.2f}%", flush=True)

print(f"test error {evaluate(test_loader):.2f}%")
torch.save(model.state_dict(), "resnet.pt")
