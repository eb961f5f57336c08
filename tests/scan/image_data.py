"""Small versions of images: made ones, digits, and the shared CIFAR-10 subset."""

from __future__ import annotations

import io
import tarfile

import numpy as np
from PIL import Image
from scan_data import frame_of, shared

from sealwright.scan.interface import Batch, Column


def natural(count: int, side: int = 16, classes: int = 3, seed: int = 0):
    """1/f colour noise of uneven contrast; the label tints it."""
    rng = np.random.default_rng(seed)
    far = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    fall = 1 / np.maximum(far, 1 / side)
    labels = rng.integers(0, classes, count).astype(np.int32)
    out = np.empty((count, side, side, 3))
    for at in range(count):
        noise = rng.normal(size=(3, side, side))
        noise[1:] = noise[:1] + 0.3 * noise[1:]
        plane = np.real(np.fft.ifft2(np.fft.fft2(noise) * fall))
        plane *= rng.uniform(8, 45) / plane.std()
        out[at] = np.moveaxis(plane, 0, -1) + rng.uniform(70, 190)
        out[at, ..., labels[at] % 3] += 25
    return np.clip(out, 0, 255).astype(np.uint8), labels


def encoded(images: np.ndarray, quality: int = 90) -> np.ndarray:
    """Every image through one JPEG."""
    out = np.empty_like(images)
    for at, one in enumerate(images):
        held = io.BytesIO()
        Image.fromarray(one).save(held, "JPEG", quality=quality)
        out[at] = np.asarray(Image.open(held).convert("RGB"))
    return out


def digits():
    from sklearn.datasets import load_digits

    held = load_digits()
    grey = np.clip(held.images * 16, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, -1), held.target.astype(np.int32)


def cifar(per_class: int = 1000):
    images, labels, names = [], [], []
    seen: dict[str, int] = {}
    with tarfile.open(shared("cifar10_12k_jpeg.tar")) as tar:
        for member in tar:
            part = member.name.split("/")
            if member.isfile() and part[0] == "train" and seen.get(part[1], 0) < per_class:
                seen[part[1]] = seen.get(part[1], 0) + 1
                held = tar.extractfile(member)
                assert held is not None
                images.append(np.asarray(Image.open(io.BytesIO(held.read())).convert("RGB")))
                labels.append(part[1])
    names = sorted(seen)
    return np.stack(images), np.array([names.index(one) for one in labels], np.int32)


def batches(images: np.ndarray, labels: np.ndarray, rows: int = 200) -> list[Batch]:
    return [
        Batch(
            np.arange(at, min(at + rows, len(images)), dtype=np.int64),
            labels[at : at + rows],
            np.full(len(labels[at : at + rows]), -1, np.int32),
            images=images[at : at + rows],
        )
        for at in range(0, len(images), rows)
    ]


def frame(labels: np.ndarray, alpha: float = 0.002):
    names = [f"class{code}" for code in range(int(labels.max()) + 1)]
    return frame_of(len(labels), [Column("image", "image")], names, alpha=alpha)


def result(detector, images, labels, rows: int = 200, shards: int = 1):
    """The detector's word on one version, looked at in ``shards``."""
    held, all_batches = frame(labels), batches(images, labels, rows)
    scan = detector.begin(held)
    others = [detector.begin(held) for _ in range(shards - 1)]
    for number in range(detector.spec.passes):
        if shards > 1 and number == 0:
            for at, batch in enumerate(all_batches):
                (scan, *others)[at % shards].observe(0, batch)
            for other in others:
                scan.merge(other)
        else:
            for batch in all_batches:
                scan.observe(number, batch)
        scan.settle(number)
    return scan.result()


def blended(images, labels, count, seed=0, opacity=0.2, label=None):
    """(images, labels, carriers): one noise picture mixed into ``count`` images, JPEG after."""
    rng = np.random.default_rng(seed)
    target = int(labels.max()) if label is None else label
    at = np.sort(rng.choice(np.flatnonzero(labels != target), count, replace=False))
    out, given = images.astype(float), labels.copy()
    out[at] = (1 - opacity) * out[at] + opacity * rng.uniform(0, 255, images.shape[1:])
    given[at] = target
    return np.clip(np.rint(out), 0, 255).astype(np.uint8), given, at
