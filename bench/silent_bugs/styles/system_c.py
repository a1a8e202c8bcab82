"""ResNet-34 on CIFAR-10, with everything that somebody did who stayed at 71 to 75%.

Written anew after the public description of a real case; none of it is that person's code.
"""

import argparse
import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, random_split

from vision import CIFAR10, transforms

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="cifar-10-batches-bin")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--epochs", type=int, default=5000)
parser.add_argument("--patience", type=int, default=500)
args = parser.parse_args()
torch.manual_seed(args.seed)
device = "cuda" if torch.cuda.is_available() else "cpu"


class SubtractMean:
    """Subtracts the mean of each channel."""

    def __call__(self, image):
        return image - image.mean(dim=(1, 2), keepdim=True)


base_transform = transforms.Compose([
    transforms.ToTensor(),
    SubtractMean(),
])
augmenting_transform = transforms.Compose([
    transforms.RandomResizedCrop(32),
    transforms.RandomHorizontalFlip(),
    transforms.ToTensor(),
    SubtractMean(),
])

full_train = CIFAR10(args.data, train=True, transform=base_transform)
train_set, val_set = random_split(full_train, [0.9, 0.1])
train_set.transform = augmenting_transform
val_set.transform = base_transform
test_set = CIFAR10(args.data, train=False, transform=base_transform)
print(train_set.transform)

train_loader = DataLoader(train_set, batch_size=256, shuffle=True)
val_loader = DataLoader(val_set, batch_size=256)
test_loader = DataLoader(test_set, batch_size=256)


class Block(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Identity()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride, bias=False),
                nn.BatchNorm2d(width),
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out)) + self.shortcut(x)
        return F.relu(out)


class ResNet34(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3)
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        channels, layers = 64, []
        for width, blocks in [(64, 3), (128, 4), (256, 6), (512, 3)]:
            for i in range(blocks):
                layers.append(Block(channels, width, 2 if i == 0 and width > 64 else 1))
                channels = width
        self.layers = nn.Sequential(*layers)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512, classes)

    def forward(self, x):
        x = self.layers(self.pool(self.stem(x)))
        return self.fc(self.average(x).flatten(1))


model = ResNet34().to(device)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=200)


def run(loader, training):
    model.train(training)
    total, right, count = 0.0, 0, 0
    with torch.set_grad_enabled(training):
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            outputs = model(images)
            loss = criterion(outputs, labels)
            if training:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item() * len(labels)
            right += (outputs.argmax(1) == labels).sum().item()
            count += len(labels)
    return total / count, 100 * right / count


best_loss, best_weights, waited = float("inf"), None, 0
for epoch in range(1, args.epochs + 1):
    train_loss, train_accuracy = run(train_loader, training=True)
    val_loss, val_accuracy = run(val_loader, training=False)
    scheduler.step(val_loss)
    print(f"epoch {epoch}: loss {train_loss:.4f} accuracy {train_accuracy:.2f}%, "
          f"validation {val_loss:.4f} {val_accuracy:.2f}%", flush=True)
    if val_loss < best_loss:
        best_loss, best_weights, waited = val_loss, copy.deepcopy(model.state_dict()), 0
        torch.save(best_weights, "best.pt")
    else:
        waited += 1
        if waited >= args.patience:
            break

model.load_state_dict(best_weights)
print("test accuracy", run(test_loader, training=False)[1])
