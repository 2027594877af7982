"""The Python side of byte-encodings.sh: Pillow and NumPy on the same picture.

usage: byte_encodings.py image FOLDER [PHOTO]        writes FOLDER/image.raw, RGB, 224 x 224: the middle of a photograph, or waves and noise
       byte_encodings.py time FOLDER SAMPLES         compares each result with FOLDER/<operation>.out, then times; one JSON object
       byte_encodings.py report ROUNDS_FILE          lines "cpp {json}" and "python {json}", in turn -> Markdown rows

Files are Pillow's, into memory; byte transforms are one NumPy expression each on uint8, the shortest fast way, after the same encoding.
"""
import io
import json
import statistics
import sys
import time

SIDE = 224
SEED = 2147483647


def make_image(folder, photo):
    import numpy as np
    from PIL import Image

    if photo:
        image = Image.open(photo).convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        pixels = np.asarray(image.resize((SIDE, SIDE), Image.BILINEAR, (left, top, left + side, top + side)))
    else:
        y, x, c = np.mgrid[0:SIDE, 0:SIDE, 0:3]
        noise = np.random.default_rng(7).uniform(-12, 12, (SIDE, SIDE, 3))
        pixels = np.clip(120 + 60 * np.sin(x / 31 + c) * np.cos(y / 23) + noise, 0, 255).astype(np.uint8)
    pixels.tofile(f"{folder}/image.raw")


def permutation(n):
    import torch

    return torch.randperm(n, generator=torch.Generator().manual_seed(SEED)).numpy()


def operations(pixels):
    """name -> (call that gives bytes or an array, how the results compare: equal, same bytes in another order, or only in size)"""
    import numpy as np
    from PIL import Image

    image = Image.fromarray(pixels)

    def save(kind, **options):
        def call():
            out = io.BytesIO()
            image.save(out, kind, **options)
            return out.getvalue()
        return call

    tiff = save("TIFF")
    n = len(tiff())
    phi = permutation(256).astype(np.uint8)
    kept = np.sort(permutation(n)[: n // 2])
    window = np.random.default_rng(1).permutation(1024)
    rng = np.random.default_rng(2)
    full = n // 1024 * 1024

    def after(transform):
        return lambda: transform(np.frombuffer(tiff(), np.uint8))

    def stride(x):
        rows = -(-n // 1024)
        return np.concatenate([x[i::1024] for i in range(1024)]) if rows else x

    return {
        "fhwc": (image.tobytes, "equal"),
        "fchw": (lambda: np.ascontiguousarray(pixels.transpose(2, 0, 1)), "equal"),
        "tiff": (tiff, "equal"),
        "png_0": (save("PNG", compress_level=0), "equal"),
        "png_1": (save("PNG", compress_level=1), "pixels"),
        "png_6": (save("PNG", compress_level=6), "pixels"),
        "jpeg_60": (save("JPEG", quality=60), "equal"),
        "jpeg_100": (save("JPEG", quality=100), "equal"),
        "tiff_reverse": (after(lambda x: x[::-1].copy()), "equal"),
        "tiff_cyclic_half_length": (after(lambda x: np.roll(x, n // 2)), "equal"),
        "tiff_stride": (after(stride), "equal"),
        "tiff_window_shuffle": (after(lambda x: np.concatenate([x[:full].reshape(-1, 1024)[:, window].ravel(), x[full:]])), "order"),
        "tiff_random_shuffle": (after(rng.permutation), "order"),
        "tiff_keep_half": (after(lambda x: x[kept]), "equal"),
        "tiff_noise": (after(lambda x: x + rng.integers(-5, 6, n, np.int8).view(np.uint8)), "size"),
        "tiff_phi": (after(lambda x: phi[x]), "equal"),
    }


def agree(mine, theirs, how):
    import numpy as np
    from PIL import Image

    if how == "pixels":
        return np.array_equal(np.asarray(Image.open(io.BytesIO(mine))), np.asarray(Image.open(io.BytesIO(theirs))))
    a, b = np.frombuffer(mine, np.uint8), np.frombuffer(theirs, np.uint8)
    if how == "size":
        return a.size == b.size
    return np.array_equal(np.sort(a), np.sort(b)) if how == "order" else np.array_equal(a, b)


def median_ns(call, samples):
    def timed(repeats):
        begin = time.thread_time_ns()
        for _ in range(repeats):
            call()
        return time.thread_time_ns() - begin

    repeats = max(1, min(100000, int(2e6 / (timed(3) / 3))))
    return statistics.median(timed(repeats) / repeats for _ in range(samples))


def run(folder, samples):
    import numpy as np

    pixels = np.fromfile(f"{folder}/image.raw", np.uint8).reshape(SIDE, SIDE, 3)
    times, same_bytes = {}, {}
    for name, (call, how) in operations(pixels).items():
        with open(f"{folder}/{name}.out", "rb") as file:
            mine = file.read()
        theirs = bytes(call())
        if not agree(mine, theirs, how):
            sys.exit(f"{name}: the two sides do not compute the same")
        same_bytes[name] = mine == theirs
        times[name] = median_ns(call, samples)
    print(json.dumps({"ops": times, "same_bytes": same_bytes}))


def report(path):
    rounds = {"cpp": [], "python": []}
    with open(path) as lines:
        for line in lines:
            side, text = line.split(" ", 1)
            rounds[side].append(json.loads(text))
    show = lambda values, digits: f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"
    copies = [r["ops"]["copy"] for r in rounds["cpp"]]
    for name, size in rounds["cpp"][0]["bytes"].items():
        mine = [r["ops"][name] / 1e3 for r in rounds["cpp"]]
        speed = show([size / r["ops"][name] for r in rounds["cpp"]], 2)
        share = "" if name == "copy" or size < 100000 else show([c / r["ops"][name] for c, r in zip(copies, rounds["cpp"])], 2)
        theirs = [r["ops"][name] / 1e3 for r in rounds["python"]] if name in rounds["python"][0]["ops"] else []
        other = f"{show(theirs, 1)} | {show([c / p for c, p in zip(mine, theirs)], 2)}" if theirs else "|"
        print(f"| {name} | {size} | {show(mine, 1)} | {speed} | {share} | {other} |")
    differing = [name for name, same in rounds["python"][0]["same_bytes"].items() if not same]
    print(f"\nOther bytes than Python's: {', '.join(differing) or 'none'}.")


if __name__ == "__main__":
    if sys.argv[1] == "image":
        make_image(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "")
    elif sys.argv[1] == "time":
        run(sys.argv[2], int(sys.argv[3]))
    else:
        report(sys.argv[2])
