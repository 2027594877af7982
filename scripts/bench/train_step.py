"""The Python side of train-step.sh: the same step in eager PyTorch, from the weights and the batch that the C++ side wrote.

usage: train_step.py ARCH SIZE CHANNELS BATCH fp32|bf16 STEPS FOLDER      (needs torch 2.11, torchvision 0.26, timm, safetensors)
"""
import json
import resource
import sys
import time

import timm
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from safetensors.torch import load_file

CHECKED_STEPS = 5


def conv3(i, o, stride=1):
    return nn.Conv2d(i, o, 3, stride, 1, bias=False)


class Shortcut(nn.Module):
    """CIFAR ResNet's option A: every second pixel, new channels are zero on both sides."""

    def __init__(self, i, o, stride):
        super().__init__()
        self.stride, self.pad = stride, (o - i) // 2

    def forward(self, x):
        if self.stride == 1 and self.pad == 0:
            return x
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.pad, self.pad))


class BasicBlock(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = conv3(i, o, stride), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = conv3(o, o), nn.BatchNorm2d(o)
        self.downsample = Shortcut(i, o, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x), inplace=True)


class CifarResNet(nn.Module):
    def __init__(self, depth, channels):
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1, self.bn1 = conv3(channels, 16), nn.BatchNorm2d(16)
        widths = [16, 16, 32, 64]
        for stage in (1, 2, 3):
            layers = [BasicBlock(widths[stage - 1] if b == 0 else widths[stage], widths[stage], 2 if b == 0 and stage > 1 else 1) for b in range(blocks)]
            setattr(self, f"layer{stage}", nn.Sequential(*layers))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def make(arch, channels):
    if arch == "resnet20":
        return CifarResNet(20, channels)
    if arch.startswith("vit_"):
        return timm.create_model(arch, num_classes=10)
    # Dropout draws from another generator on the other side.
    return torchvision.models.get_model(arch, num_classes=10, **({"dropout": 0.0} if arch == "mobilenet_v2" else {}))


def main():
    arch, size, channels, batch, precision, steps, folder = sys.argv[1:]
    start = load_file(f"{folder}/start.safetensors")
    images = start.pop("bench.images").to(memory_format=torch.channels_last)
    labels = start.pop("bench.labels")
    assert list(images.shape) == [int(batch), int(channels), int(size), int(size)]
    model = make(arch, int(channels))
    model.load_state_dict(start)
    model = model.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, 0.9, weight_decay=5e-4, nesterov=True, fused=True)
    losses, seconds = [], []
    for step in range(CHECKED_STEPS + int(steps)):
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = F.cross_entropy(model(images).float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        value = loss.item()
        took = time.perf_counter() - began
        (losses if step < CHECKED_STEPS else seconds).append(value if step < CHECKED_STEPS else took)
    print(json.dumps({"losses": losses, "seconds": seconds, "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                      "threads": torch.get_num_threads(), "torch": torch.__version__}))


main()
