"""The Python side of pixel-ops.sh: Pillow and torchvision on the image that the C++ side wrote.

usage: pixel_ops.py time HEIGHT WIDTH SAMPLES FOLDER      compares each result with FOLDER/<operation>.raw, then times; one JSON object
       pixel_ops.py report LABEL ROUNDS_FILE              lines "cpp {json}" and "python {json}", in turn -> Markdown rows

For each operation the fastest of several ways counts: torchvision.transforms.functional as a recipe calls it, and bare Pillow.
"""
import json
import math
import statistics
import sys
import time

BLUR_TOLERANCE = 1  # sums in another order; all other operations must agree exactly


def operations(image):
    from PIL import Image, ImageEnhance, ImageOps
    from torchvision.transforms import functional as F
    from torchvision.transforms import InterpolationMode as Mode

    width, height = image.size
    black = (0, 0, 0)
    ops = {}
    for name, mode, resample in (("nearest", Mode.NEAREST, Image.NEAREST), ("bilinear", Mode.BILINEAR, Image.BILINEAR), ("bicubic", Mode.BICUBIC, Image.BICUBIC)):
        def shear(x, y, mode=mode):
            return lambda: F.affine(image, 0.0, [0, 0], 1.0, [x, y], mode, None, [0, 0])

        def bare_shear(x, y, resample=resample):
            matrix = F._get_inverse_affine_matrix([0, 0], 0.0, [0, 0], 1.0, [x, y])
            return lambda: image.transform((width, height), Image.AFFINE, matrix, resample, fillcolor=black)

        ops["shear_x_" + name] = [shear(15.0, 0.0), bare_shear(15.0, 0.0)]
        ops["shear_y_" + name] = [shear(0.0, -15.0), bare_shear(0.0, -15.0)]
        ops["rotate_" + name] = [lambda mode=mode: F.rotate(image, 27, mode), lambda resample=resample: image.rotate(27, resample, fillcolor=black)]

    def translate(x, y):
        return [lambda: F.affine(image, 0.0, [x, y], 1.0, [0.0, 0.0]),
                lambda: image.transform((width, height), Image.AFFINE, (1.0, 0.0, -x, 0.0, 1.0, -y), Image.NEAREST, fillcolor=black)]

    ops["translate_x"], ops["translate_y"] = translate(30, 0), translate(0, -30)
    for name, function, enhancer in (("brightness", F.adjust_brightness, ImageEnhance.Brightness), ("color", F.adjust_saturation, ImageEnhance.Color),
                                     ("contrast", F.adjust_contrast, ImageEnhance.Contrast), ("sharpness", F.adjust_sharpness, ImageEnhance.Sharpness)):
        for way, factor in (("up", 1.27), ("down", 0.73)):
            ops[f"{name}_{way}"] = [lambda f=function, v=factor: f(image, v), lambda e=enhancer, v=factor: e(image).enhance(v)]
    ops["posterize"] = [lambda: F.posterize(image, 4), lambda: ImageOps.posterize(image, 4)]
    ops["solarize"] = [lambda: F.solarize(image, 128), lambda: ImageOps.solarize(image, 128)]
    ops["autocontrast"] = [lambda: F.autocontrast(image), lambda: ImageOps.autocontrast(image)]
    ops["equalize"] = [lambda: F.equalize(image), lambda: ImageOps.equalize(image)]
    ops["invert"] = [lambda: F.invert(image), lambda: ImageOps.invert(image)]
    ops["hue"] = [lambda: F.adjust_hue(image, 0.1)]
    ops["grayscale_3"] = [lambda: F.to_grayscale(image, 3), lambda: image.convert("L").convert("RGB")]
    ops["gaussian_blur_5"] = [lambda: F.gaussian_blur(image, [5, 5], [1.5, 1.5])]
    ops["gaussian_blur_23"] = [lambda: F.gaussian_blur(image, [23, 23], [3.3, 3.3])]
    # What the bare forms spare themselves, where the table is known beforehand.
    table = {"posterize": [v & 0xF0 for v in range(256)], "solarize": [v if v < 128 else 255 - v for v in range(256)], "invert": list(range(255, -1, -1))}
    for name, values in table.items():
        ops[name].append(lambda values=values * 3: image.point(values))
    return ops


def median_ns(call, samples):
    def timed(repeats):
        begin = time.thread_time_ns()
        for _ in range(repeats):
            call()
        return time.thread_time_ns() - begin

    repeats = max(1, min(100000, int(2e6 / (timed(3) / 3))))
    return statistics.median(timed(repeats) / repeats for _ in range(samples))


def run(height, width, samples, folder):
    import numpy as np
    import torch
    from PIL import Image

    torch.set_num_threads(1)
    read = lambda name: np.fromfile(f"{folder}/{name}.raw", dtype=np.uint8).reshape(height, width, 3)
    image = Image.fromarray(read("image"))
    times, worst = {}, {}
    for name, calls in operations(image).items():
        mine = read(name).astype(int)
        for call in calls:
            difference = int(np.abs(np.asarray(call()).astype(int) - mine).max())
            if difference > (BLUR_TOLERANCE if name.startswith("gaussian") else 0):
                sys.exit(f"{name}: the two sides do not compute the same, they differ by up to {difference}")
            worst[name] = max(worst.get(name, 0), difference)
        times[name] = min(median_ns(call, samples) for call in calls)
    print(json.dumps({"ops": times, "largest_difference": worst}))


def report(label, path):
    rounds = {"cpp": [], "python": []}
    with open(path) as lines:
        for line in lines:
            side, text = line.split(" ", 1)
            rounds[side].append(json.loads(text)["ops"])
    show = lambda values, digits: f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"
    ratios = {}
    for name in rounds["cpp"][0]:
        mine = [r[name] / 1e3 for r in rounds["cpp"]]
        theirs = [r[name] / 1e3 for r in rounds["python"]]
        ratios[name] = [c / p for c, p in zip(mine, theirs)]
        print(f"| {name}, {label} | {show(mine, 1)} | {show(theirs, 1)} | {show(ratios[name], 2)} |")
    mean = math.exp(statistics.mean(math.log(statistics.median(r)) for r in ratios.values()))
    print(f"| geometric mean, {label} | | | {mean:.2f} |")


if __name__ == "__main__":
    if sys.argv[1] == "time":
        run(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    else:
        report(sys.argv[2], sys.argv[3])
