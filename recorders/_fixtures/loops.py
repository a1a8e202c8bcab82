"""Trainings of many kinds in one process, each without and then with the recorder's import form.

loops.py FOLDER [NAME...]: records each kind into FOLDER/NAME, and prints a line of JSON for each:
whether both trainings came to the same weights, bit for bit, and what the training counted itself.
pytorch_recorder.py (a copy of the recorder) has to stand beside this file.
"""
import copy
import io
import json
import sys
import time

import pytorch_recorder
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

KINDS = {}


def kind(function):
    KINDS[function.__name__] = function
    return function


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        )
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def loaders(**settings):
    images = torch.rand(160, 3, 12, 12)
    labels = (images.mean((1, 2, 3)) * 997).long() % 10
    training = DataLoader(TensorDataset(images[:128], labels[:128]), 32, shuffle=True, **settings)
    return training, DataLoader(TensorDataset(images[128:], labels[128:]), 32)


def evaluate(net, loader):
    net.eval()
    with torch.no_grad():
        wrong = sum(int((net(images).argmax(1) != labels).sum()) for images, labels in loader)
    net.train()
    return wrong


def sgd(net, rate=0.05):
    return torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4)


def train(net, optimizer, training, testing, epochs=2):
    """A plain loop; returns the numbers that the recorder must have seen."""
    losses, wrong = [], []
    for _ in range(epochs):
        for images, labels in training:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        wrong.append(evaluate(net, testing))
    return {"losses": losses, "wrong": wrong}


@kind
def closure():
    net, (training, testing) = Net(), loaders()
    optimizer, losses, wrong = sgd(net), [], []
    for _ in range(2):
        for images, labels in training:
            def again():
                optimizer.zero_grad()
                loss = F.cross_entropy(net(images), labels)
                loss.backward()
                return loss

            losses.append(float(optimizer.step(again)))
        wrong.append(evaluate(net, testing))
    return net, {"losses": losses, "wrong": wrong}


@kind
def lbfgs():
    net, (training, testing) = Net(), loaders()
    optimizer, calls = torch.optim.LBFGS(net.parameters(), lr=0.1, max_iter=3), []
    for images, labels in training:
        def again():
            calls.append(1)
            optimizer.zero_grad()
            loss = F.cross_entropy(net(images), labels)
            loss.backward()
            return loss

        optimizer.step(again)
    return net, {"passes": len(calls), "wrong": [evaluate(net, testing)]}


@kind
def accumulation():
    net, (training, testing) = Net(), loaders()
    optimizer, losses = sgd(net), []
    for _ in range(2):
        for number, (images, labels) in enumerate(training):
            loss = F.cross_entropy(net(images), labels)
            (loss / 2).backward()
            losses.append(float(loss.detach()))
            if number % 2:
                optimizer.step()
                optimizer.zero_grad(set_to_none=False)
        evaluate(net, testing)
    return net, {"losses": losses}


@kind
def amp():
    net, (training, testing) = Net(), loaders()
    optimizer, losses, skipped = sgd(net), [], 0
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
    for epoch in range(2):
        for number, (images, labels) in enumerate(training):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = F.cross_entropy(net(images), labels)
            scaler.scale(loss).backward()
            if epoch == 1 and number == 1:  # an overflow
                net.head.bias.grad.fill_(float("inf"))
                skipped += 1
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            losses.append(float(loss.detach()))
        evaluate(net, testing)
    return net, {"losses": losses, "skipped": skipped}


@kind
def data_parallel():
    net, (training, testing) = Net(), loaders()
    return net, train(nn.DataParallel(net), sgd(net), training, testing)


@kind
def compiled():
    net, (training, testing) = Net(), loaders()
    return net, train(torch.compile(net, backend="eager"), sgd(net), training, testing)


@kind
def compiled_in_place():
    net, (training, testing) = Net(), loaders()
    net.compile(backend="eager")
    return net, train(net, sgd(net), training, testing)


@kind
def optimizers():
    """Two optimisers of one network, a schedule for each."""
    net, (training, testing) = Net(), loaders()
    pair = sgd(net.body), torch.optim.Adam(net.head.parameters(), lr=0.01)
    schedules = [torch.optim.lr_scheduler.StepLR(one, 1, 0.5) for one in pair]
    losses = []
    for _ in range(2):
        for images, labels in training:
            loss = F.cross_entropy(net(images), labels)
            for one in pair:
                one.zero_grad()
            loss.backward()
            for one in pair:
                one.step()
            losses.append(float(loss.detach()))
        for one in schedules:
            one.step()
        evaluate(net, testing)
    return net, {"losses": losses}


@kind
def networks():
    """A teacher that is only asked, and an average of the weights that is only tested."""
    teacher, net, (training, testing) = Net().eval(), Net(), loaders()
    average, optimizer, losses, wrong = copy.deepcopy(net), sgd(net), [], []
    for _ in range(2):
        for images, labels in training:
            with torch.no_grad():
                soft = teacher(images).softmax(1)
            scores = net(images)
            loss = F.cross_entropy(scores, labels)
            optimizer.zero_grad()
            likeness = F.kl_div(scores.log_softmax(1), soft, reduction="batchmean")
            (loss + 0.1 * likeness + 0.1 * F.cross_entropy(scores, soft)).backward()
            optimizer.step()
            losses.append(float(loss.detach()))
            with torch.no_grad():
                for old, new in zip(average.parameters(), net.parameters()):
                    old.lerp_(new, 0.1)
        wrong += [evaluate(net, testing), evaluate(average, testing)]
    return net, {"losses": losses, "wrong": wrong}


@kind
def averaged():
    """PyTorch's own average of the weights is tested too."""
    net, (training, testing) = Net(), loaders()
    average, optimizer, losses, wrong = torch.optim.swa_utils.AveragedModel(net), sgd(net), [], []
    for images, labels in training:
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update_parameters(net)
        losses.append(float(loss.detach()))
    wrong += [evaluate(net, testing), evaluate(average, testing)]
    return net, {"losses": losses, "wrong": wrong}


@kind
def workers():
    net, (training, testing) = Net(), loaders(num_workers=2, persistent_workers=True, drop_last=True)
    return net, train(net, sgd(net), training, testing)


@kind
def forward_by_hand():
    net, (training, testing) = Net(), loaders()
    optimizer, losses = sgd(net), []
    for _ in range(2):
        for images, labels in training:
            optimizer.zero_grad()
            loss = F.cross_entropy(net.forward(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    return net, {"losses": losses}


class Module(nn.Module):
    """As a LightningModule is: it has the network, and its methods are called by a trainer."""

    def __init__(self):
        super().__init__()
        self.net = Net()

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, number):
        images, labels = batch
        return F.cross_entropy(self(images), labels)

    def validation_step(self, batch, number):
        images, labels = batch
        return int((self(images).argmax(1) != labels).sum())

    def configure_optimizers(self):
        optimizer = sgd(self)
        return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2)


@kind
def lightning_like():
    """A sanity check before, the step's closure around training_step, batches fetched ahead."""
    module, (training, testing) = Module(), loaders()
    optimizer, schedule = module.configure_optimizers()

    def validate(most):
        module.eval()
        with torch.no_grad():
            found = [module.validation_step(b, i) for i, b in zip(range(most), testing)]
        module.train()
        return sum(found)

    def fetched_ahead(loader):
        iterator = iter(loader)
        last = next(iterator)
        for batch in iterator:
            yield last
            last = batch
        yield last

    losses, wrong = [], [validate(2)]
    for _ in range(2):
        for number, batch in enumerate(fetched_ahead(training)):
            def again():
                loss = module.training_step(batch, number)
                optimizer.zero_grad()
                loss.backward()
                return loss

            losses.append(float(optimizer.step(again)))
        schedule.step()
        wrong.append(validate(100))
    return module, {"losses": losses, "wrong": wrong}


class Prefetcher:
    """Fetches one batch ahead, and normalises it, as timm's and apex's do."""

    def __init__(self, loader):
        self.loader = loader

    def __iter__(self):
        last = None
        for images, labels in self.loader:
            if last is not None:
                yield last
            last = (images - 0.5) / 0.25, labels
        yield last


@kind
def prefetched():
    images = torch.rand(200, 3, 12, 12)
    labels = (images.mean((1, 2, 3)) * 997).long() % 10
    training = DataLoader(TensorDataset(images[:128], labels[:128]), 32, shuffle=True)
    testing = DataLoader(TensorDataset(images[128:], labels[128:]), 16)
    net = Net()
    return net, train(net, sgd(net), Prefetcher(training), Prefetcher(testing))


@kind
def first_left_out():
    """Goes on in the midst of an epoch, and normalises."""
    net, (training, testing) = Net(), loaders()
    optimizer = sgd(net)
    for number, (images, labels) in enumerate(training):
        if not number:
            continue
        optimizer.zero_grad()
        F.cross_entropy(net((images - 0.5) / 0.25), labels).backward()
        optimizer.step()
    return net, {"wrong": [evaluate(net, testing)]}


class WithLoss(nn.Module):
    """As Hugging Face's models are: keywords, a dictionary, and the loss inside."""

    def __init__(self):
        super().__init__()
        self.net = Net()

    def forward(self, pixel_values=None, labels=None):
        scores = self.net(pixel_values)
        loss = F.cross_entropy(scores, labels) if labels is not None else None
        return {"loss": loss, "logits": scores}


@kind
def hugging_like():
    model, (training, testing) = WithLoss(), loaders()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / 8)
    losses, wrong = [], []
    for _ in range(2):
        for images, labels in training:
            loss = model(pixel_values=images, labels=labels)["loss"]
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.append(float(loss.detach()))
        model.eval()
        found = 0
        for images, labels in testing:
            with torch.no_grad():
                scores = model(pixel_values=images, labels=labels)["logits"]
            found += int((scores.argmax(1) != labels).sum())
        wrong.append(found)
        model.train()
    return model, {"losses": losses, "wrong": wrong}


@kind
def looked_at():
    """Shapes are tried out on noise, in training mode: statistics move."""
    net, (training, testing) = Net(), loaders()
    with torch.no_grad():
        net(torch.randn(2, 3, 12, 12))
    return net, train(net, sgd(net), training, testing, 1)


@kind
def loaded_later():
    """The same, and then weights of another training are loaded."""
    net, other, (training, testing) = Net(), Net(), loaders()
    net(torch.randn(2, 3, 12, 12))
    other(torch.randn(8, 3, 12, 12))
    net.load_state_dict(other.state_dict())
    return net, {**train(net, sgd(net), training, testing, 1), "mean": other.body[1].running_mean.tolist()}


@kind
def mixed_images():
    """Images are mixed by pairs: at first with a loss for each of the two labels, then with shares."""
    net, (training, testing) = Net(), loaders()
    optimizer, wrong = sgd(net), []
    for epoch in range(2):
        for images, labels in training:
            optimizer.zero_grad()
            others = labels.roll(1)
            scores = net(0.6 * images + 0.4 * images.roll(1, 0))
            if epoch:
                shares = 0.6 * F.one_hot(labels, 10) + 0.4 * F.one_hot(others, 10)
                loss = F.cross_entropy(scores, 0.9 * shares + 0.01)
            else:
                loss = 0.6 * F.cross_entropy(scores, labels) + 0.4 * F.cross_entropy(scores, others)
            loss.backward()
            optimizer.step()
        wrong.append(evaluate(net, testing))
    return net, {"wrong": wrong}


class OwnNorm(nn.Module):
    """Written by hand: neither epsilon nor momentum has a name."""

    def __init__(self, count):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(count))
        self.register_buffer("running_mean", torch.zeros(count))

    def forward(self, x):
        if self.training:
            with torch.no_grad():
                self.running_mean.lerp_(x.mean((0, 2, 3)), 0.1)
        mean = x.mean((0, 2, 3)) if self.training else self.running_mean
        return (x - mean[:, None, None]) * self.weight[:, None, None]


class LossAlone(nn.Module):
    """Gives nothing but its loss."""

    def __init__(self):
        super().__init__()
        self.net = Net()
        self.net.body[1] = OwnNorm(8)

    def forward(self, images, labels):
        return F.cross_entropy(self.net(images), labels)


class WithoutRate(torch.optim.Optimizer):
    def __init__(self, parameters):
        super().__init__(parameters, {"momentum": 0})

    @torch.no_grad()
    def step(self):
        for one in self.param_groups[0]["params"]:
            one.sub_(one.grad, alpha=0.05)


@kind
def unusual():
    """What is absent or no number elsewhere: a rate, scores, a norm's settings, a finite loss."""
    model, (training, testing) = LossAlone(), loaders()
    optimizer = WithoutRate(model.parameters())
    for number, (images, labels) in enumerate(training):
        optimizer.zero_grad()
        for one in model.parameters():
            nn.utils.clip_grad_norm_(one, 1.0)
        loss = model(images, labels)
        (loss * (float("inf") if not number else 1)).backward()
        if number:
            optimizer.step()
    torch.save({"epoch": 1, "is_best": True, "best": float("nan")}, io.BytesIO())
    return model, {}


@kind
def made_anew():
    """A loader for each epoch; its subset has more indices than there is room for."""
    net, (training, testing) = Net(), loaders()
    subset = torch.utils.data.Subset(training.dataset, [i % 128 for i in range(96)])
    optimizer, wrong = sgd(net), []
    for _ in range(2):
        for images, labels in DataLoader(subset, 32, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(net(images), labels).backward()
            optimizer.step()
        wrong.append(evaluate(net, DataLoader(testing.dataset, 32)))
    for images, _ in DataLoader(torch.utils.data.Subset(training.dataset, [0] * 1_300_000), 32):
        break
    return net, {"wrong": wrong}


@kind
def remade():
    """An optimiser for each epoch, of a loader that draws of a part of its data set."""
    net, (training, testing) = Net(), loaders()
    sampler, losses = torch.utils.data.SubsetRandomSampler(range(96)), []
    for epoch in range(3):
        optimizer = sgd(net, 0.05 / (1 + epoch))
        for images, labels in DataLoader(training.dataset, 32, sampler=sampler):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    return net, {"losses": losses, "wrong": [evaluate(net, testing)]}


@kind
def fused():
    """A fused optimiser leaves out a step that overflows by itself."""
    net, (training, testing) = Net(), loaders()
    optimizer = torch.optim.SGD(net.parameters(), 0.05, 0.9, weight_decay=1e-4, fused=True)
    scaler, skipped = torch.amp.GradScaler("cpu", init_scale=256.0), 0
    for number, (images, labels) in enumerate(training):
        scaler.scale(F.cross_entropy(net(images), labels)).backward()
        if number == 1:
            net.head.bias.grad.fill_(float("inf"))
            skipped += 1
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    return net, {"skipped": skipped, "wrong": [evaluate(net, testing)]}


class WithFeatures(Net):
    """Gives its features too, and before its scores."""

    def forward(self, x):
        features = self.body(x).mean((2, 3))
        return features, self.head(features)


@kind
def features():
    net, (training, testing), wrong = WithFeatures(), loaders(), []
    optimizer = sgd(net)
    for _ in range(2):
        for images, labels in training:
            optimizer.zero_grad()
            F.cross_entropy(net(images)[1], labels).backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            wrong.append(sum(int((net(x)[1].argmax(1) != y).sum()) for x, y in testing))
        net.train()
    return net, {"wrong": wrong}


class Sharp(torch.optim.Optimizer):
    """As SAM is written: two backward passes a step, the first of them at weights near by."""

    def __init__(self, parameters):
        super().__init__(parameters, {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4})
        self.base = torch.optim.SGD(self.param_groups, 0.05, 0.9)

    @torch.no_grad()
    def moved(self, by):
        for one in self.param_groups[0]["params"]:
            one.add_(by * torch.sign(self.state[one].setdefault("first", one.grad)))
        self.zero_grad()


@kind
def sharp():
    net, (training, testing) = Net(), loaders()
    optimizer = Sharp(net.parameters())
    for images, labels in training:
        optimizer.state.clear()
        F.cross_entropy(net(images), labels).backward()
        optimizer.moved(0.001)
        F.cross_entropy(net(images), labels).backward()
        with torch.no_grad():
            for one in net.parameters():
                one.sub_(0.001 * torch.sign(optimizer.state[one]["first"]))
        optimizer.base.step()
        optimizer.zero_grad()
    return net, {"wrong": [evaluate(net, testing)]}


@kind
def penalised():
    net, (training, _) = Net(), loaders()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    images, labels = next(iter(training))
    scale, kernels = nn.Parameter(torch.zeros(())), [p for p in net.parameters() if p.dim() > 1]
    optimizer.add_param_group({"params": [scale]})
    net.scale = scale
    losses = (
        # Parameters that are no kernels, above scores that nothing holds.
        lambda scores: F.cross_entropy(scores * net.scale.exp(), labels) * (-net.scale).exp() + net.scale,
        lambda scores: F.cross_entropy(scores, labels, label_smoothing=0.1),
        lambda scores: 0.3 * F.cross_entropy(scores, labels) + 0.7 * F.cross_entropy(scores, labels.flip(0)),
        lambda scores: F.cross_entropy(scores, labels) + 1e-5 * sum(torch.trace(p.flatten(1) @ p.flatten(1).T) for p in kernels),
        lambda scores: 1e-5 * sum(p.square().sum() for p in kernels)
        + torch.stack([F.cross_entropy(scores[i % 32], labels[i % 32]) for i in range(600)]).mean(),
    )
    for loss in losses:
        optimizer.zero_grad()
        loss(net(images)).backward()
        optimizer.step()
    return net, {}


@kind
def gone_on():
    """As from a checkpoint; then the optimizer is made anew, which is no other beginning."""
    net, (training, testing) = Net(), loaders()
    buffers = {i: {"momentum_buffer": torch.ones_like(p)} for i, p in enumerate(net.parameters())}
    saved = {"state": buffers, "param_groups": sgd(net).state_dict()["param_groups"]}
    counted = []
    for _ in range(2):
        optimizer = sgd(net)
        optimizer.load_state_dict(saved)
        counted.append(train(net, optimizer, training, testing, epochs=1))
        saved = optimizer.state_dict()
    return net, {name: counted[0][name] + counted[1][name] for name in ("losses", "wrong")}


@kind
def softmax_far_below():
    """Between softmax and loss stands a temperature; gradients are cleared in the wrong line."""
    net, (training, testing) = Net(), loaders()
    optimizer = sgd(net)
    for images, labels in [*training, *training]:
        scores = net(images).softmax(1) / 0.1
        F.cross_entropy(scores, labels).backward()
        optimizer.zero_grad()
        optimizer.step()
    return net, {"wrong": [evaluate(net, testing)]}


class Slow(TensorDataset):
    """Images that take their time."""

    def __getitem__(self, index):
        time.sleep(0.001)
        return super().__getitem__(index)


class BusyStream:
    @staticmethod
    def query():
        return False


@kind
def slow_loader():
    """Times its loader itself; in the second epoch a GPU seems to compute beside it."""
    training, testing = (DataLoader(Slow(*one.dataset.tensors), 32) for one in loaders())
    net = Net()
    optimizer, waited, kept = sgd(net), [], (torch.cuda.is_initialized, torch.cuda.current_stream)
    for epoch in range(2):
        if epoch == 1:
            torch.cuda.is_initialized, torch.cuda.current_stream = lambda: True, BusyStream
        waited.append(0)
        batches = iter(training)
        while True:
            asked = time.perf_counter()
            images, labels = next(batches, (None, None))
            if images is None:
                break
            waited[-1] += time.perf_counter() - asked
            optimizer.zero_grad()
            F.cross_entropy(net(images), labels).backward()
            time.sleep(0.02)
            optimizer.step()
        torch.cuda.is_initialized, torch.cuda.current_stream = kept
        evaluate(net, testing)
    return net, {"waited": waited}


def run(function):
    torch.manual_seed(11)
    net, counted = function()
    bits = [one.detach().numpy().tobytes() for one in net.state_dict().values()]
    return bits, counted


def main(folder, names):
    torch.set_num_threads(1)
    for name in names or KINDS:
        plain, _ = run(KINDS[name])
        pytorch_recorder.start(f"{folder}/{name}")
        seen, counted = run(KINDS[name])
        pytorch_recorder.stop()
        print(json.dumps({"name": name, "same": plain == seen, **counted}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
