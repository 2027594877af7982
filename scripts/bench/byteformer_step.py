"""The Python side of byteformer-step.sh: ByteFormer's training step in eager PyTorch, written from the paper's description, from the weights
and the bytes that the C++ side wrote. Masks are applied, so that both sides compute the same numbers.

usage: byteformer_step.py ARCH MIN:MAX KERNEL WINDOW BATCH fp32|bf16 STEPS published|rewritten FOLDER      (needs torch 2.11, safetensors)

published: batches padded to one length, embedding and Conv1d, windows by padding, rolling and partitioning, scores and softmax in full, as the
           public code does it.
rewritten: the same batches with the stem as a table and embedding_bag and attention by scaled_dot_product_attention.
"""
import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F
from safetensors.torch import load_file

CHECKED_STEPS = 3
SIZES = {"bf_tiny": (192, 12, 3), "bf_small": (384, 12, 6), "bf_base": (768, 12, 12)}


class Block(nn.Module):
    def __init__(self, width, heads, window, shift, rewritten):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.heads, self.window, self.shift, self.rewritten = heads, window, shift, rewritten

    def attend(self, x, mask):
        rows, n, width = x.shape
        q, k, v = self.qkv(x).view(rows, n, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        if self.rewritten:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=None if mask is None else mask.to(q.dtype))
        else:
            scores = (q * (width // self.heads) ** -0.5) @ k.transpose(-1, -2)
            if mask is not None:
                scores = scores + mask
            y = scores.float().softmax(-1).to(v.dtype) @ v
        return self.out(y.transpose(1, 2).reshape(rows, n, width))

    def forward(self, x, valid):
        batch, n, width = x.shape
        window, missing = self.window, -n % self.window
        x, seen = F.pad(x, (0, 0, 0, missing)), F.pad(valid, (0, missing))
        x, seen = x.roll(-self.shift, 1), seen.roll(-self.shift, 1)
        count = x.shape[1] // window
        x = x.reshape(batch * count, window, width)
        mask = torch.zeros(batch, count, 1, window).masked_fill(~seen.view(batch, count, 1, window), float("-inf"))
        if self.shift:
            mask = mask.repeat(1, 1, window, 1)
            mask[:, -1, : window - self.shift, window - self.shift :] = float("-inf")
            mask[:, -1, window - self.shift :, : window - self.shift] = float("-inf")
        mask = mask.masked_fill((mask == float("-inf")).all(-1, keepdim=True), 0)
        mask = mask.reshape(batch * count, 1, -1, window) if (mask != 0).any() else None
        x = x + self.attend(self.norm1(x), mask)
        x = x + self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return x.view(batch, count * window, width).roll(self.shift, 1)[:, :n]


class Merge(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.reduction, self.norm = nn.Linear(2 * width, width, bias=False), nn.LayerNorm(width)

    def forward(self, x, valid):
        x = x * valid[..., None]
        x, valid = F.pad(x, (0, 0, 0, x.shape[1] % 2)), F.pad(valid, (0, valid.shape[1] % 2))
        batch, n, width = x.shape
        x = x.view(batch, n // 2, 2, width).transpose(2, 3).reshape(batch, n // 2, 2 * width)
        return self.norm(self.reduction(x)), valid.view(batch, n // 2, 2).any(2)


class ByteFormer(nn.Module):
    def __init__(self, arch, kernel, window, positions, merges, rewritten):
        super().__init__()
        width, layers, heads = SIZES[arch]
        self.kernel, self.rewritten = kernel, rewritten
        self.embeddings = nn.Embedding(257, width, padding_idx=256)
        self.conv = nn.Conv1d(width, width, kernel, kernel // 2, bias=False)
        self.positions = nn.Parameter(torch.zeros(1, positions, width))
        self.blocks = nn.ModuleList(Block(width, heads, window, window // 2 * (i % 2), rewritten) for i in range(layers))
        self.merges = nn.ModuleDict({str(i): Merge(width) for i in merges})
        self.norm, self.classifier = nn.LayerNorm(width), nn.Linear(width, 1000)

    def stem(self, x):
        if not self.rewritten:
            return self.conv(self.embeddings(x).transpose(1, 2)).transpose(1, 2)
        width, k = self.conv.weight.shape[0], self.kernel
        table = torch.einsum("vc,dcj->jvd", self.embeddings.weight, self.conv.weight).reshape(k * 257, width)
        ids = x.unfold(1, k, k // 2) + 257 * torch.arange(k)
        return F.embedding_bag(ids.reshape(-1, k), table.float(), mode="sum").view(x.shape[0], -1, width)

    def forward(self, x):
        valid = (x != 256).unfold(1, self.kernel, self.kernel // 2).any(2)
        x = self.stem(x)
        x = x + self.positions[:, : x.shape[1]]
        for i, block in enumerate(self.blocks):
            x = block(x, valid)
            if str(i) in self.merges:
                x, valid = self.merges[str(i)](x, valid)
        x = self.norm(x) * valid[..., None]
        return self.classifier(x.sum(1) / valid.sum(1, keepdim=True))


def our_name(name):
    for public, ours in (("token_reduction_net", "conv"), ("pos_embed.pos_embed.pos_embed", "positions"), ("downsamplers.downsample_", "merges."), ("post_transformer_norm", "norm"),
                         ("transformer", "blocks"), ("pre_norm_mha.0", "norm1"), ("pre_norm_mha.1.qkv_proj", "qkv"), ("pre_norm_mha.1.out_proj", "out"),
                         ("pre_norm_ffn.0", "norm2"), ("pre_norm_ffn.1", "fc1"), ("pre_norm_ffn.4", "fc2")):
        name = name.replace(public, ours)
    return name


def main():
    arch, _, kernel, window, batch, precision, steps, version, folder = sys.argv[1:]
    kernel, window = int(kernel), int(window)
    start = load_file(f"{folder}/start.safetensors")
    data, offsets, labels, merges = (start.pop(f"bench.{name}") for name in ("bytes", "offsets", "labels", "merges"))
    lengths = offsets.diff()
    assert len(lengths) == int(batch)
    stride = kernel // 2
    padded = -(-int(lengths.max()) // stride) * stride - stride + kernel  # every token of the longest file
    x = torch.full((len(lengths), padded), 256, dtype=torch.int64)
    for row, begin, length in zip(x, offsets, lengths):
        row[:length] = data[begin : begin + length]
    state = {our_name(name): tensor for name, tensor in start.items()}
    state["positions"] = state["positions"][0]
    model = ByteFormer(arch, kernel, window, state["positions"].shape[1], merges.tolist(), version == "rewritten")
    model.load_state_dict(state)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, weight_decay=0.05, fused=True)
    losses, seconds = [], []
    for step in range(CHECKED_STEPS + int(steps)):
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = F.cross_entropy(model(x).float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        value = loss.item()
        took = time.perf_counter() - began
        (losses if step < CHECKED_STEPS else seconds).append(value if step < CHECKED_STEPS else took)
    print(json.dumps({"losses": losses, "seconds": seconds, "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                      "threads": torch.get_num_threads(), "torch": torch.__version__}))


main()
