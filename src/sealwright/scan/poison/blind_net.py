"""A small network that cannot see the trigger: images at 16x16, turned, moved and mirrored.

Cross-fitted: each image is judged by a network that was not shown it. It learns content, so of
a poisoned image it believes the label that the content has. Source: docs/reference/detectors.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sealwright.core.errors import MissingExtra
from sealwright.scan.poison.image_features import resized

SIDE = 16
FOLDS = 3
EPOCHS = 10
FEWEST_EPOCHS = 4
FULL = 20_000
"""Images up to which all epochs are run; beyond, fewer, so that the cost grows slowly."""
BATCH = 64
LEAST_STEPS = 80
"""Of small versions all epochs together are fewer: there are more epochs then."""
WIDTH = 24
RATE = 0.1
TURN, ZOOM, SHIFT = 0.25, 0.15, 0.2
"""Radians, share of the scale, and half-widths of the image: largest random change each way."""
ASKED = 1_000

Odds: TypeAlias = npt.NDArray[np.float32]
Told: TypeAlias = Callable[[int, int], None]


class BlindNets:
    """FOLDS networks, each trained without one part of the images."""

    def __init__(self, nets: list[Any]) -> None:
        self.nets = nets

    def judged(self, images: Odds, folds: npt.NDArray[np.int64]) -> Odds:
        """(n, 3, s, s) and the part each image belongs to → (n, classes) probabilities."""
        import torch

        parts: list[tuple[npt.NDArray[np.int64], Odds]] = []
        with torch.no_grad(), _one_thread(torch):
            for fold, net in enumerate(self.nets):
                at = np.flatnonzero(folds == fold)
                for start in range(0, len(at), ASKED):
                    some = at[start : start + ASKED]
                    x = torch.from_numpy(images[some])
                    both = net(x).softmax(1) + net(x.flip(3)).softmax(1)
                    parts.append((some, both.numpy() / 2))
        out: Odds = np.zeros((len(images), parts[0][1].shape[1] if parts else 1), np.float32)
        for some, odds in parts:
            out[some] = odds
        return out

    def features(self, images: Odds) -> Odds:
        """(n, 3, s, s) → (FOLDS, n, 8 * WIDTH): what each network's last layer is given."""
        import torch

        out = []
        with torch.no_grad(), _one_thread(torch):
            for net in self.nets:
                parts = [
                    net[:-1](torch.from_numpy(images[at : at + ASKED])).numpy()
                    for at in range(0, len(images), ASKED)
                ]
                out.append(np.concatenate(parts))
        return np.stack(out)


def shrunken(images: npt.NDArray[np.uint8]) -> Odds:
    """(n, h, w, 3) uint8 → (n, 3, s, s) float32 around zero; s is at most half a side."""
    side = min(SIDE, min(images.shape[1:3]) // 2)
    planes = [resized(images[..., at].astype(np.float32), (side, side)) for at in range(3)]
    return np.ascontiguousarray(np.stack(planes, 1) / 127.5 - 1, np.float32)


def parts_of(ids: npt.NDArray[np.int64], parts: int, seed: int) -> npt.NDArray[np.int64]:
    """(n,) which of ``parts`` each record is in: by its rank, whatever the order of reading."""
    drawn = np.random.default_rng(seed).permutation(len(ids)) % parts
    out: npt.NDArray[np.int64] = np.empty(len(ids), np.int64)
    out[np.argsort(ids, kind="stable")] = drawn
    return out


_kept: dict[bytes, BlindNets] = {}
"""The last networks trained, by what they were trained on: two detectors ask for the same."""


def shared(
    images: Odds, labels: npt.NDArray[np.int64], folds: npt.NDArray[np.int64], seed: int, told: Told
) -> BlindNets:
    """As ``trained``, or what it gave for the same a moment ago."""
    digest = hashlib.sha256(f"{seed} {images.shape}".encode())
    for part in (images, labels, folds):
        digest.update(np.ascontiguousarray(part).data)
    key = digest.digest()
    if key not in _kept:
        nets = trained(images, labels, folds, seed, told)
        _kept.clear()
        _kept[key] = nets
    return _kept[key]


def trained(
    images: Odds, labels: npt.NDArray[np.int64], folds: npt.NDArray[np.int64], seed: int, told: Told
) -> BlindNets:
    """Train on (n, 3, s, s) with codes from 0. Raises: MissingExtra (torch)."""
    try:
        import torch
    except ImportError as missing:
        raise MissingExtra("screening with a model", "torch") from missing
    batches = max(1, len(images) * (FOLDS - 1) // FOLDS // BATCH)
    epochs = max(FEWEST_EPOCHS, min(EPOCHS, EPOCHS * FULL // len(images)))
    epochs = max(epochs, -(-LEAST_STEPS // batches))
    classes = int(labels.max()) + 1
    nets = []
    with torch.random.fork_rng(devices=[]), _one_thread(torch):
        for fold in range(FOLDS):
            at = np.flatnonzero(folds != fold)

            def step(done: int, start: int = fold * epochs) -> None:
                told(start + done, FOLDS * epochs)

            torch.manual_seed(seed + fold)
            net = _network(torch, classes)
            _fit(torch, net, torch.from_numpy(images[at]), torch.from_numpy(labels[at]),
                 epochs, step)  # fmt: skip
            nets.append(net.eval())
    return BlindNets(nets)


class _one_thread:
    """Sums of floats differ with the number of threads: one, and what it was before after."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch

    def __enter__(self) -> None:
        self.before = self.torch.get_num_threads()
        self.torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        self.torch.set_num_threads(self.before)


def _fit(
    torch: Any, net: Any, images: Any, labels: Any, epochs: int, step: Callable[[int], None]
) -> None:
    batches = max(1, len(images) // BATCH)
    optimiser = torch.optim.SGD(
        net.parameters(), RATE, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=epochs * batches)
    net.train()
    for epoch in range(epochs):
        order = torch.randperm(len(images))
        for at in range(batches):
            some = order[at * BATCH : (at + 1) * BATCH]
            optimiser.zero_grad()
            said = net(_moved(torch, images[some]))
            torch.nn.functional.cross_entropy(said, labels[some], label_smoothing=0.05).backward()
            optimiser.step()
            plan.step()
        step(epoch + 1)


def _moved(torch: Any, images: Any) -> Any:
    """Each image turned, scaled, shifted and perhaps mirrored: no place and no bend stays."""
    count = len(images)
    turn = (2 * torch.rand(count) - 1) * TURN
    zoom = 1 + (2 * torch.rand(count) - 1) * ZOOM
    mirror = 1 - 2 * (torch.rand(count) < 0.5).float()
    frame = torch.zeros(count, 2, 3)
    frame[:, 0, 0] = torch.cos(turn) * zoom * mirror
    frame[:, 0, 1] = -torch.sin(turn) * zoom
    frame[:, 1, 0] = torch.sin(turn) * zoom * mirror
    frame[:, 1, 1] = torch.cos(turn) * zoom
    frame[:, :, 2] = (2 * torch.rand(count, 2) - 1) * SHIFT
    grid = torch.nn.functional.affine_grid(frame, images.shape, align_corners=False)
    return torch.nn.functional.grid_sample(
        images, grid, padding_mode="reflection", align_corners=False
    )


def _network(torch: Any, classes: int) -> Any:
    nn = torch.nn
    layers: list[Any] = []
    for before, after in ((3, WIDTH), (WIDTH, 2 * WIDTH), (2 * WIDTH, 2 * WIDTH)):
        layers += [
            nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
        ]  # fmt: skip
        if after == 2 * WIDTH and before == 2 * WIDTH:
            layers.append(nn.AdaptiveAvgPool2d(2))
        else:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(8 * WIDTH, classes))
