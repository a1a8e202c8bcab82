"""A training for a GPU, as it is written by somebody who has one; without one it ends in an error.

gpu.py WEIGHTS
"""
import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

if not torch.cuda.is_available():
    sys.exit("a GPU is needed")
torch.cuda.set_device(0)
torch.backends.cudnn.benchmark = True
device = torch.device("cuda", 0)
torch.manual_seed(2)
torch.cuda.manual_seed_all(2)

images, labels = torch.randn(256, 3, 16, 16), torch.randint(0, 10, (256,))
training = DataLoader(TensorDataset(images, labels), 32, shuffle=True, pin_memory=True)
testing = DataLoader(TensorDataset(images[:64], labels[:64]), 32)
net = nn.Sequential(
    nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    nn.Linear(8, 10),
)
net = nn.DataParallel(net.cuda(), device_ids=[0])
weight = torch.ones(10, device="cuda:0")
criterion = nn.CrossEntropyLoss(weight).cuda()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
scaler = torch.cuda.amp.GradScaler()
begun, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
for epoch in range(3):
    net.train()
    begun.record()
    for x, y in training:
        x, y = x.cuda(non_blocking=True), y.to(device)
        with torch.cuda.amp.autocast():
            loss = criterion(net(x), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    ended.record()
    torch.cuda.synchronize()
    net.eval()
    with torch.no_grad():
        right = sum(int((net(x.to("cuda")).argmax(1) == y.cuda()).sum()) for x, y in testing)
    print(f"epoch {epoch}: {begun.elapsed_time(ended):.0f} ms, {right} of 64 right")
torch.save(net.state_dict(), sys.argv[1])
net.load_state_dict(torch.load(sys.argv[1], map_location="cuda:0"))
