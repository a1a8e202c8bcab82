"""ResNet on CIFAR-10 in Lightning's manner: the module says what a step is, a trainer runs it."""

import argparse
import os

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from resnet import ResNet


class DataModule:
    def __init__(self, folder):
        names = [f"data_batch_{i}.bin" for i in range(1, 6)]
        images, labels = self.read(folder, names)
        order = torch.randperm(len(images))
        fit, held_out = order[len(order) // 10:], order[:len(order) // 10]
        self.mean = images[fit].float().mean(0, keepdim=True)
        self.fit = TensorDataset(images[fit], labels[fit])
        self.held_out = TensorDataset(images[held_out], labels[held_out])
        self.test = TensorDataset(*self.read(folder, ["test_batch.bin"]))

    @staticmethod
    def read(folder, names):
        rows = [torch.frombuffer(bytearray(open(os.path.join(folder, name), "rb").read()),
                                 dtype=torch.uint8) for name in names]
        rows = torch.cat(rows).view(-1, 3073)
        return rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0].long()

    def collate(self, samples):
        images, labels = zip(*samples)
        return (torch.stack(images).float() - self.mean) / 255, torch.stack(labels)

    def collate_augmented(self, samples):
        images, labels = self.collate(samples)
        padded = F.pad(images, (4, 4, 4, 4))
        offsets = torch.randint(0, 9, (len(images), 2)).tolist()
        crops = [padded[i, :, y:y + 32, x:x + 32] for i, (y, x) in enumerate(offsets)]
        mirrored = torch.rand(len(images)) < 0.5
        crops = [crop.flip(-1) if m else crop for crop, m in zip(crops, mirrored)]
        return torch.stack(crops), labels

    def train_dataloader(self):
        return DataLoader(self.fit, 128, shuffle=True, collate_fn=self.collate_augmented)

    def val_dataloader(self):
        return DataLoader(self.held_out, 200, collate_fn=self.collate)

    def test_dataloader(self):
        return DataLoader(self.test, 200, collate_fn=self.collate)


class LitResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = ResNet()

    def forward(self, images):
        return self.net(images)

    def training_step(self, batch, batch_idx):
        images, labels = batch
        return F.cross_entropy(self(images), labels)

    def validation_step(self, batch, batch_idx):
        images, labels = batch
        return (self(images).argmax(dim=1) != labels).sum()

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
        scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [32000, 48000])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class Trainer:
    def __init__(self, max_steps, num_sanity_val_steps=2):
        self.max_steps = max_steps
        self.num_sanity_val_steps = num_sanity_val_steps
        self.global_step = 0

    def fit(self, module, data):
        configured = module.configure_optimizers()
        optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
        self.loop(module, data.val_dataloader(), self.num_sanity_val_steps)
        loader = data.train_dataloader()
        while self.global_step < self.max_steps:
            module.train()
            for batch_idx, batch in enumerate(loader):

                def closure():
                    loss = module.training_step(batch, batch_idx)
                    optimizer.zero_grad()
                    loss.backward()
                    return loss

                loss = optimizer.step(closure)
                scheduler.step()
                self.global_step += 1
                if self.global_step % 10 == 0:
                    print(f"step {self.global_step} loss {loss.item():.4f}", flush=True)
                if self.global_step >= self.max_steps:
                    break
            print(f"val_error {self.loop(module, data.val_dataloader()):.4f}", flush=True)

    def test(self, module, data):
        print(f"test error {self.loop(module, data.test_dataloader()):.4f}")

    @torch.no_grad()
    def loop(self, module, loader, limit=None):
        training = module.training
        module.eval()
        wrong, total = 0, 0
        for batch_idx, batch in enumerate(loader):
            if batch_idx == limit:
                break
            wrong += int(module.validation_step(batch, batch_idx))
            total += len(batch[1])
        module.train(training)
        return wrong / total


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="cifar-10-batches-bin")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=64000)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    module, data = LitResNet(), DataModule(args.data)
    trainer = Trainer(max_steps=args.iterations)
    trainer.fit(module, data)
    trainer.test(module, data)
    torch.save(module.state_dict(), "lit_resnet.pt")
