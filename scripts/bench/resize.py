"""Python's side of resize.sh.

usage: resize.py image FILE [PHOTO] | time FILE | report FETTLE PYTHON
"""
import json
import statistics
import sys
import time

import numpy as np

HEIGHT, WIDTH = 512, 384
# name: top, left, height, width, out, filter, with flip and normalisation; kernels/resize/resize_bench.cpp has the same table
FORMS = {
    "resize_whole_bilinear": (0, 0, 512, 384, 224, "BILINEAR", False),
    "resize_whole_bicubic": (0, 0, 512, 384, 224, "BICUBIC", False),
    "resize_up_bilinear": (100, 90, 120, 130, 224, "BILINEAR", False),
    "resize_up_bicubic": (100, 90, 120, 130, 224, "BICUBIC", False),
    "train_bilinear": (60, 40, 310, 280, 224, "BILINEAR", True),
    "train_bicubic": (60, 40, 310, 280, 224, "BICUBIC", True),
}
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def write_image(path, photo):
    from PIL import Image

    if photo:
        pixels = np.asarray(Image.open(photo).convert("RGB"))[:HEIGHT, :WIDTH]
        if pixels.shape != (HEIGHT, WIDTH, 3):
            sys.exit(f"resize.py: {photo} is smaller than {WIDTH} x {HEIGHT}")
    else:
        pixels = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    pixels.tofile(path)


def best_of(run, repeats=50):
    best = 1e9
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - begin)
    return best


def time_forms(path):
    import torch
    from PIL import Image
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as v1
    from torchvision.transforms.v2 import functional as v2

    torch.set_num_threads(1)
    pixels = np.fromfile(path, np.uint8).reshape(HEIGHT, WIDTH, 3)
    pil = Image.fromarray(pixels)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)  # channels-last in memory, as decode_jpeg gives it
    planar = tensor.contiguous()
    result = {}
    for name, (top, left, height, width, out, filter_name, finish) in FORMS.items():
        mode = InterpolationMode[filter_name]

        def with_pillow():
            small = pil.crop((left, top, left + width, top + height)).resize((out, out), getattr(Image.Resampling, filter_name))
            return v1.normalize(v1.to_tensor(v1.hflip(small)), MEAN, STD) if finish else small

        def with_tensors(source):
            small = v2.resized_crop(source, top, left, height, width, [out, out], mode, antialias=True)
            return v2.normalize(v2.to_dtype(v2.horizontal_flip(small), torch.float32, scale=True), MEAN, STD) if finish else small

        small = np.asarray(pil.crop((left, top, left + width, top + height)).resize((out, out), getattr(Image.Resampling, filter_name)))
        checksum = 0
        for value in small.reshape(-1).tolist():
            checksum = (checksum * 31 + value) % 1000000007
        result[name] = {"pillow": best_of(with_pillow), "tensors": best_of(lambda: with_tensors(tensor)), "planar tensors": best_of(lambda: with_tensors(planar)),
                        "checksum": checksum}
    print(json.dumps(result))


def report(fettle_path, python_path):
    import PIL

    fettle = [json.loads(line) for line in open(fettle_path)]
    python = [json.loads(line) for line in open(python_path)]
    print(f"| form | Fettle, ms | Pillow {PIL.__version__}, ms | torchvision tensors, ms | fastest of Python / Fettle | pixels |\n|---|---|---|---|---|---|")
    show = lambda values: f"{statistics.median(values) * 1e3:.3f} ({min(values) * 1e3:.3f}-{max(values) * 1e3:.3f})"
    for name in FORMS:
        ours = [r[name]["seconds"] for r in fettle]
        pillow = [r[name]["pillow"] for r in python]
        tensors = [min(r[name]["tensors"], r[name]["planar tensors"]) for r in python]
        ratios = [min(p, t) / o for p, t, o in zip(pillow, tensors, ours)]
        same = "as Pillow's" if fettle[0][name]["checksum"] == python[0][name]["checksum"] else "DIFFERENT"
        print(f"| {name} | {show(ours)} | {show(pillow)} | {show(tensors)} | {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}) | {same} |")


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    {"image": lambda path, photo="": write_image(path, photo), "time": time_forms, "report": report}[command](*arguments)
