"""Networks of torchvision, timm and, where it is there, transformers, with random weights: what Fettle reads and writes back.

usage: round_trip.py make FOLDER     writes picture.png and, a network each, NAME.safetensors and NAME.json (how Fettle has it, whose names
                                     these are, and the probabilities of its five classes for the picture)
       round_trip.py check FOLDER    compares each NAME.back.safetensors with NAME.safetensors: the same names, the same bits
"""
import json
import sys
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file

CLASSES = 5
TABLES = ("relative_position_index", "attn_mask")  # follow from the architecture


def transformers_networks():
    try:
        import transformers as hf
    except ImportError:
        return
    labels = dict(num_labels=CLASSES)
    yield "hf_resnet18", "resnet18", {}, hf.ResNetForImageClassification(
        hf.ResNetConfig(layer_type="basic", depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], **labels))
    yield "hf_vit_tiny", "vit_tiny_patch16_224", {}, hf.ViTForImageClassification(
        hf.ViTConfig(hidden_size=192, num_attention_heads=3, intermediate_size=768, layer_norm_eps=1e-6, **labels))
    yield "hf_swin_t", "swin_t", {}, hf.SwinForImageClassification(hf.SwinConfig(embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], **labels))


def networks():
    for name in ["resnet18", "resnet34", "resnet50", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "efficientnet_b1", "efficientnet_b2",
                 "efficientnet_b3", "swin_t", "swin_s"]:
        yield f"torchvision_{name}", name, {}, torchvision.models.get_model(name, num_classes=CLASSES)
    for name, width in [("mobilenet_v2", 0.5), ("mobilenet_v3_small", 0.75)]:
        yield f"torchvision_{name}_narrow", name, {"width_multiplier": width}, torchvision.models.get_model(name, num_classes=CLASSES, width_mult=width)
    for name, arch, norm in [("mobilenetv2_100", "mobilenet_v2", {}), ("mobilenetv1_100", "mobilenetv1_100", {}), ("tf_mobilenetv3_large_100", "mobilenet_v3_large", {"norm_eps": 1e-3}),
                             ("tf_efficientnet_b0", "efficientnet_b0", {"norm_eps": 1e-3})]:
        yield f"timm_{name}_same", arch, {"padding": "same", **norm}, timm.create_model(name, num_classes=CLASSES, pad_type="same")
    for name, arch, options in [("resnet18", "resnet18", {}), ("seresnet50", "seresnet50", {}), ("mobilenetv1_100", "mobilenetv1_100", {}), ("mobilenetv2_100", "mobilenet_v2", {}),
                                ("mobilenetv3_small_100", "mobilenet_v3_small", {"norm_eps": 1e-5}), ("efficientnet_b0", "efficientnet_b0", {}),
                                ("swin_tiny_patch4_window7_224", "swin_t", {}), ("vit_tiny_patch16_224", "vit_tiny_patch16_224", {})]:
        yield f"timm_{name}", arch, options, timm.create_model(name, num_classes=CLASSES)
    yield from transformers_networks()


def make(folder):
    torch.manual_seed(0)
    pixels = np.random.default_rng(0).integers(0, 256, (14, 14, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    Image.fromarray(pixels).save(folder / "picture.png")
    image = (torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.25
    for name, arch, options, model in networks():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.normal_(module.running_mean, 0, 0.1)
                torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
        model.eval()
        with torch.no_grad():
            answer = model(image)
            logits = getattr(answer, "logits", answer)
            # Spread, so that a wrong network is not near the right one by chance.
            probabilities = logits.softmax(1)[0].double()
        state = model.state_dict()
        if hasattr(model, "save_pretrained"):  # its files have other names than its modules
            model.save_pretrained(folder / name)
            state = load_file(folder / name / "model.safetensors")
        save_file({k: v.contiguous() for k, v in state.items() if not k.endswith(TABLES)}, folder / f"{name}.safetensors")
        facts = {"arch": arch, "options": options, "library": {"hf": "huggingface"}.get(name.split("_")[0], name.split("_")[0]), "probabilities": probabilities.tolist()}
        (folder / f"{name}.json").write_text(json.dumps(facts))


def check(folder):
    for path in sorted(folder.glob("*.back.safetensors")):
        back, sent = load_file(path), load_file(folder / path.name.replace(".back", ""))
        names = {k for k in back if not k.endswith(TABLES)}
        assert names == set(sent), (path.name, sorted(names ^ set(sent))[:5])
        for name in names:
            assert back[name].dtype == sent[name].dtype and torch.equal(back[name], sent[name]), (path.name, name)


{"make": make, "check": check}[sys.argv[1]](Path(sys.argv[2]))
