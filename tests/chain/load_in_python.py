"""Loads a trained artifact's weights with timm and torchvision and validates them again on the data set it was trained with.

usage: load_in_python.py ARTIFACT DATA      prints {"timm": {"top1_percent": ..., "nll": ...}, "torchvision": {...}}
Exits with 77 where a library is missing, after naming it.
"""
import json
import struct
import sys

try:
    import numpy as np
    import timm
    import torch
    import torchvision
    from safetensors.torch import load_file
except ImportError as error:
    print(f"no {error.name}", file=sys.stderr)
    sys.exit(77)

artifact, data = sys.argv[1:]
with open(f"{artifact}/manifest.json") as file:
    model_facts = json.load(file)["model"]


def read_idx(path):
    with open(path, "rb") as file:
        raw = file.read()
    rank = raw[3]
    shape = struct.unpack(f">{rank}I", raw[4 : 4 + 4 * rank])
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


preprocessing = model_facts["preprocessing"]
images = torch.from_numpy(read_idx(f"{data}/t10k-images-idx3-ubyte").copy()).unsqueeze(1).float() / 255
labels = torch.from_numpy(read_idx(f"{data}/t10k-labels-idx1-ubyte").copy()).long()
assert images.shape[-1] == preprocessing["size"], "the test wants images that need no resize"
images = (images - torch.tensor(preprocessing["mean"]).view(1, -1, 1, 1)) / torch.tensor(preprocessing["std"]).view(1, -1, 1, 1)


def validate(model):
    model.eval()
    with torch.no_grad():
        logits = model(images)
    return {
        "top1_percent": (logits.argmax(1) == labels).float().mean().item() * 100,
        "nll": torch.nn.functional.cross_entropy(logits, labels).item(),
    }


from_timm = timm.create_model(f"local-dir:{artifact}", pretrained=True)
from_torchvision = getattr(torchvision.models, from_timm.default_cfg["architecture"])(num_classes=from_timm.num_classes)
channels = images.shape[1]
if channels != 3:
    from_torchvision.conv1 = torch.nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
from_torchvision.load_state_dict(load_file(f"{artifact}/model.safetensors"), strict=True)
cfg = from_timm.default_cfg
assert list(cfg["mean"]) == preprocessing["mean"] and list(cfg["std"]) == preprocessing["std"], cfg
print(json.dumps({"timm": validate(from_timm), "torchvision": validate(from_torchvision)}))
