"""The Python side of byteformer_vs_corenet.sh: ByteFormer's stem in eager PyTorch, from the weights, bytes and results that the C++ side wrote.

usage: byteformer_vs_corenet.py time published|products|table fp32|bf16 REPEATS FOLDER KERNEL CORENET|-       one JSON object
       byteformer_vs_corenet.py report LABEL BATCH ROUNDS_FILE                                                Markdown rows

published: embedding and Conv1d, as the public module calls them (its own layers, where CORENET is a checkout of it).
products:  windows overlap by half, so that one product with both halves of the kernel and a shifted sum do.
table:     a byte takes 256 values, so that a token is a sum of KERNEL rows of a table: embedding_bag.
"""
import ctypes
import json
import os
import statistics
import sys
import time


def public_layers(root, kernel, width):
    """The embedding and the convolution of the public model, built by its own code."""
    import argparse
    import tempfile
    import types

    # The packages' own __init__ files pull in decoders and cloud clients: empty ones stand in for them, so that only leaves are read.
    sys.path.insert(0, root)
    for name in ("corenet", "corenet.data", "corenet.modeling"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [os.path.join(root, *name.split("."))]
    with tempfile.TemporaryDirectory() as empty:  # it makes folders where it is imported
        here = os.getcwd()
        os.chdir(empty)
        from corenet.modeling.models.classification.byteformer import ByteFormer
        os.chdir(here)
    settings = {"classification.n_classes": 1000, "classification.freeze_batch_norm": False, "activation.name": "gelu", "activation.inplace": False, "activation.neg_slope": 0.1,
                "normalization.name": "layer_norm", "normalization.groups": 1, "normalization.momentum": 0.1}
    of_model = {"mode": "tiny", "dropout": 0.0, "stochastic_dropout": 0.0, "norm_layer": "layer_norm", "sinusoidal_pos_emb": False, "use_pytorch_mha": False, "vocab_size": 257,
                "max_num_tokens": 50000, "conv_kernel_size": kernel, "window_sizes": [128], "window_shifts": [0, 64] * 6, "downsample": [True, True] + [False, True] * 4 + [False, False],
                "padding_index": -1, "dummy_input_token_length": 48564}
    settings.update({f"classification.byteformer.{name}": value for name, value in of_model.items()})
    model = ByteFormer(argparse.Namespace(**{f"model.{name}": value for name, value in settings.items()}))
    assert model.embeddings.weight.shape == (257, width)
    return model.embeddings, model.token_reduction_net


def resident_bytes(key):
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(key + ":"))


def measure(version, precision, repeats, folder, kernel, corenet):
    import torch
    from torch import nn
    from torch.nn import functional as F
    from safetensors.torch import load_file

    start = load_file(f"{folder}/stem.safetensors")
    kernel, stride, width = int(kernel), int(kernel) // 2, start["embedding"].shape[1]
    x = start["bytes"].int()
    batch, tokens = len(x), (x.shape[1] - kernel) // stride + 1
    if version == "published" and corenet != "-":
        embedding, convolution = public_layers(corenet, kernel, width)
    else:
        embedding, convolution = nn.Embedding(257, width, padding_idx=256), nn.Conv1d(width, width, kernel, stride, bias=False)
    embedding.load_state_dict({"weight": start["embedding"]})
    convolution.load_state_dict({"weight": start["convolution"]})
    w = convolution.weight

    def published():
        return convolution(embedding(x).permute(0, 2, 1)).permute(0, 2, 1)

    def products():
        e = embedding(x)
        rows = e.shape[1] // stride
        halves = w.view(width, width, 2, stride).permute(2, 0, 3, 1).reshape(2 * width, stride * width)
        y = F.linear(e[:, : rows * stride].reshape(batch, rows, stride * width), halves)
        return y[:, :-1, :width] + y[:, 1:, width:]

    def table():
        rows = torch.einsum("vc,dcj->jvd", embedding.weight, w).reshape(kernel * 257, width)
        ids = x.unfold(1, kernel, stride) + 257 * torch.arange(kernel, dtype=x.dtype)
        return F.embedding_bag(ids.reshape(-1, kernel), rows.float(), mode="sum").view(batch, tokens, width)

    stem = {"published": published, "products": products, "table": table}[version]
    g = start["dy"].view(batch, tokens, width)

    def forward():
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return stem()

    def forward_backward():
        embedding.weight.grad = convolution.weight.grad = None
        y = forward()
        y.backward(g.to(y.dtype))
        return y

    # Different orders of additions in fp32; in bf16 operands and results of eight bits at different places.
    tolerance = 0.03 if precision == "bf16" else 1e-4
    y, gradient = forward_backward().detach().reshape(-1, width), embedding.weight.grad[:256]
    for name, got, want in (("values", y, start["y"]), ("embedding's gradient", gradient, start["dembedding"][:256]), ("convolution's gradient", w.grad, start["dconvolution"])):
        error = ((got.float() - want.float()).abs().max() / want.float().abs().max()).item()
        if not error <= tolerance:
            sys.exit(f"{version}, {precision}: {name} differ by {error:.2g} of the largest, more than {tolerance}")
    del y, gradient, got, want
    embedding.weight.grad = convolution.weight.grad = None

    ctypes.CDLL("libc.so.6").malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as marks:
        marks.write("5")  # the high-water mark counts anew
    before = resident_bytes("VmRSS")
    forward_backward()
    result = {"peak_bytes": resident_bytes("VmHWM") - before, "threads": torch.get_num_threads(), "torch": torch.__version__}

    def seconds(work):
        work()
        took = []
        for _ in range(int(repeats)):
            began = time.perf_counter()
            work()
            took.append(time.perf_counter() - began)
        return took

    result["forward_backward"] = seconds(forward_backward)
    with torch.no_grad():
        result["forward"] = seconds(forward)
    print(json.dumps(result))


def report(label, batch, path):
    rounds = {"fettle": [], "published": [], "products": [], "table": []}
    with open(path) as lines:
        for line in lines:
            side, text = line.split(" ", 1)
            rounds[side].append(json.loads(text))
    show = lambda values, digits: f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"
    peak = {side: statistics.median(r["peak_bytes"] for r in of) / 2**20 / int(batch) for side, of in rounds.items()}
    for key, name in (("forward", "forward"), ("forward_backward", "forward + backward")):
        ms = {side: [statistics.median(r[key]) * 1e3 / int(batch) for r in of] for side, of in rounds.items()}
        for side in ("published", "products", "table"):
            ratios = [theirs / ours for ours, theirs in zip(ms["fettle"], ms[side])]
            memory = f"{peak['fettle']:.0f} / {peak[side]:.0f}" if key == "forward_backward" else ""
            print(f"| {label} | {name} | {show(ms['fettle'], 2)} | {side} | {show(ms[side], 1)} | {show(ratios, 1)} | {memory} |")


{"time": measure, "report": report}[sys.argv[1]](*sys.argv[2:])
