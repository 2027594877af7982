"""Python's side of loader.sh.

usage: loader.py best FOLDER SIZE THREADS                 the best number of workers of each form, as JSON
       loader.py time FOLDER SIZE THREADS BEST SECONDS    one round of both forms, as JSON
       loader.py enlarge FOLDER OUT BITS COUNT            COUNT photographs of 4000 x 3000 at about BITS bits a pixel
       loader.py report LABEL ROUNDS
"""
import io
import json
import os
import statistics
import sys
import time

import torch

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH = 16  # as bench-loader


def dataset(form, folder, size):
    import torchvision
    from torchvision import transforms as v1
    from torchvision.transforms import v2

    if form == "pillow":
        return torchvision.datasets.ImageFolder(
            folder, v1.Compose([v1.RandomResizedCrop(size), v1.RandomHorizontalFlip(), v1.ToTensor(), v1.Normalize(MEAN, STD)]))

    def read(path):
        return torchvision.io.decode_jpeg(torchvision.io.read_file(path), torchvision.io.ImageReadMode.RGB)

    steps = v2.Compose([v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    return torchvision.datasets.ImageFolder(folder, steps, loader=read)


def rate(form, folder, size, workers, seconds):
    """Images a second for about so long, from when each worker has delivered its first batch. The folder is shown as often as it takes."""
    images = dataset(form, folder, size)
    least = 4 * max(workers, 1) * BATCH
    images = torch.utils.data.ConcatDataset([images] * -(-100_000 // len(images)))
    loader = torch.utils.data.DataLoader(images, batch_size=BATCH, shuffle=True, num_workers=workers)
    seen, begin = 0, time.perf_counter()
    for i, (batch, _) in enumerate(loader):
        if i < workers:
            begin = time.perf_counter()
            continue
        seen += len(batch)
        elapsed = time.perf_counter() - begin
        if elapsed >= seconds and seen >= least:
            return seen / elapsed


def enlarge(folder, out, bits, count):
    import numpy as np
    from PIL import Image

    paths = sorted(os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names if name.lower().endswith((".jpg", ".jpeg")))
    random = np.random.default_rng(1)
    width, height = 4000, 3000
    quality = None
    for i in range(count):
        image = Image.open(paths[i * len(paths) // count]).convert("RGB").resize((width, height), Image.BICUBIC)
        noisy = np.asarray(image, np.int16) + random.normal(0, 6, (height, width, 1)).astype(np.int16)
        image = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))

        def encoded(at):
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=at)
            return buffer.getvalue()

        if quality is None:  # the quality that gives about so many bits, found on the first photograph
            quality = min(range(5, 100, 3), key=lambda at: abs(len(encoded(at)) * 8 / (width * height) - bits))
        path = os.path.join(out, f"class{i % 2}")
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, f"{i:03d}.jpg"), "wb") as file:
            file.write(encoded(quality))


def report(label, path):
    fettle, python = [], []
    for line in open(path):
        row = json.loads(line)
        (fettle if "loader" in row else python).append(row)
    ours = [row["loader"]["median"] for row in fettle]
    show = lambda values, digits=0: f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"
    cells = [label, show(ours), show([row["share_of_decode"]["median"] for row in fettle], 2)]
    cells += [show([row[form]["rate"] for row in python]) + f", {python[0][form]['workers']} workers" for form in ("pillow", "tensors")]
    cells += [show([o / row[form]["rate"] for o, row in zip(ours, python)], 2) for form in ("pillow", "tensors")]
    print("| " + " | ".join(cells) + " |")


def main():
    command, *arguments = sys.argv[1:]
    if command == "enlarge":
        folder, out, bits, count = arguments
        return enlarge(folder, out, float(bits), int(count))
    if command == "report":
        return report(*arguments)
    folder, size, threads, *rest = arguments
    torch.set_num_threads(int(threads))
    if command == "best":
        tried = sorted({0, int(threads) // 2, int(threads), 2 * int(threads)})
        print(json.dumps({form: max(tried, key=lambda workers: rate(form, folder, int(size), workers, 2)) for form in ("pillow", "tensors")}))
    else:
        best = json.load(open(rest[0]))
        print(json.dumps({form: {"workers": workers, "rate": rate(form, folder, int(size), workers, float(rest[1]) / 2)} for form, workers in best.items()}))


if __name__ == "__main__":
    main()
