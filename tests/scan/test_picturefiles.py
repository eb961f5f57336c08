"""Image files as the worker reads them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from image_data import natural
from PIL import Image

from sealwright.scan import picturefiles, report, worker


def written(folder, count=60, name="images"):
    images, labels = natural(count, classes=2)
    (folder / name).mkdir()
    paths = []
    for at, one in enumerate(images):
        paths.append(f"{name}/{at:07d}.png")
        Image.fromarray(one).save(folder / paths[-1])
    return paths, [f"class{code}" for code in labels]


def looked(folder, paths, labels=(), sources=(), **more):
    files = {"paths": paths, "labels": list(labels), "sources": list(sources)}
    plan = {"version": 1, "modality": "image", "files": files, **more}
    (folder / "plan.json").write_text(json.dumps(plan))
    return worker.main(folder)


def rules(folder):
    made = report.decode((folder / "report.json").read_bytes())
    return {one.fact.rule for one in made.facts}


def test_labels_are_folders_and_records_count_every_file(tmp_path):
    paths, labels = written(tmp_path, 20)
    (tmp_path / paths[3]).write_bytes(b"")
    labels[5] = ""
    found = picturefiles.survey([tmp_path / one for one in paths], labels, [])
    assert (found.frame.rows, found.frame.labels) == (20, ("class0", "class1"))
    (batch,) = worker.images.batches(found.surveyed)
    assert batch.ids.tolist() == [at for at in range(20) if at != 3]
    assert batch.labels[batch.ids == 5].tolist() == [-1]
    assert {found.frame.labels[c] for c in batch.labels if c >= 0} == {"class0", "class1"}
    assert {"images.unread", "images.some-unlabelled"} <= {one.rule for one in found.facts}


def test_a_version_of_images_is_screened_by_every_detector_that_fits(tmp_path):
    paths, labels = written(tmp_path)
    assert looked(tmp_path, paths, labels) == 0
    made = report.decode((tmp_path / "report.json").read_bytes())
    assert not any(one.error for one in made.detectors)
    assert {"duplicates", "image-spectral", "image-duplicates"} <= {
        one.spec.name for one in made.detectors
    }
    assert (made.records, made.unread, made.blocks) == (60, 0, False)


@pytest.mark.parametrize("kind", ["none", "broken", "unlabelled"])
def test_versions_with_little_to_look_at_are_said_and_no_fault(tmp_path, kind):
    paths, labels = written(tmp_path, 12)
    if kind == "none":
        paths, labels = [], []
    if kind == "broken":
        for one in paths:
            (tmp_path / one).write_bytes(b"GIF89a")
    if kind == "unlabelled":
        labels = []
    assert looked(tmp_path, paths, labels, canaries=["image:patch", "image:flood"]) == 0
    made = report.decode((tmp_path / "report.json").read_bytes())
    assert not any(one.error for one in made.detectors)
    assert made.unread == (12 if kind == "broken" else 0)
    assert rules(tmp_path) & {"images.empty", "images.unlabelled"}


def test_labels_that_are_not_one_for_each_file_are_refused(tmp_path, capsys):
    paths, labels = written(tmp_path, 4)
    assert looked(tmp_path, paths, labels[:3]) == 2
    assert "one for each file" in capsys.readouterr().err


def test_a_canary_of_images_says_what_would_have_been_seen(tmp_path):
    paths, labels = written(tmp_path, 240)
    more = {"detectors": ["image-duplicates"], "canaries": ["image:flood"], "repeats": 2}
    assert looked(tmp_path, paths, labels, **more) == 0
    (seen,) = report.decode((tmp_path / "report.json").read_bytes()).canaries
    assert (seen.family, seen.detectors) == ("image:flood", ("image-duplicates",))
    assert 0 < seen.smallest <= 20
    assert np.all([one.tried <= 2 for one in seen.counts])
