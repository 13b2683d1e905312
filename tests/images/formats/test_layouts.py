"""Each data set in its exact layout (names as its authors pack them), small."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from burnish.errors import BurnishError
from burnish.images.dataset import GOOD
from burnish.images.formats.base import Item

MARK = np.zeros((32, 32), np.uint8)
MARK[4:9, 10:20] = 255
EMPTY = np.zeros((32, 32), np.uint8)


def marked(item: Item) -> np.ndarray:
    mask = item.mask()
    assert mask is not None
    return mask


def kinds(items: dict[str, Item]) -> dict[str, str]:
    return {name: item.kind for name, item in items.items()}


def test_mvtec(tree: Callable, items: Callable, picture: Callable) -> None:
    root = tree({
        "screw/readme.txt": "words",
        "screw/train/good/000.png": picture(1),
        "screw/test/good/000.png": picture(2),
        "screw/test/scratch/000.png": picture(3),
        "screw/test/scratch/001.JPG": picture(4),
        "screw/ground_truth/scratch/000_mask.png": MARK,
    })  # fmt: skip
    found, notes = items(root, "mvtec")
    assert [(i.source, i.split, i.kind, i.stem, i.part) for i in found.values()] == [
        ("screw/train/good/000.png", "train", GOOD, "000", ""),
        ("screw/test/good/000.png", "test", GOOD, "000", ""),
        ("screw/test/scratch/000.png", "test", "scratch", "000", ""),
        ("screw/test/scratch/001.JPG", "test", "scratch", "001", ""),
    ]
    assert np.array_equal(marked(found["screw/test/scratch/000.png"]), MARK > 0)
    assert found["screw/test/scratch/001.JPG"].mask() is None
    assert notes == ["1 defective images have no mask in the source: screw/test/scratch/001.JPG"]
    first = found["screw/train/good/000.png"]
    assert first.data() == (root / first.source).read_bytes()


def test_mvtec_without_a_folder_above_and_with_train_twice(
    tree: Callable, items: Callable, picture: Callable
) -> None:
    root = tree({"train/train/good/a.png": picture(1), "train/test/x/b.png": picture(2)})
    found, _ = items(root, "mvtec")
    assert kinds(found) == {"train/train/good/a.png": GOOD, "train/test/x/b.png": "x"}


def test_trees_whose_last_folders_have_the_same_name_are_told_by_their_paths(
    tree: Callable, items: Callable, picture: Callable
) -> None:
    root = tree({f"{above}/bottle/train/good/0.png": picture(n)
                 for n, above in enumerate(("v1", "v2"))})  # fmt: skip
    with pytest.raises(BurnishError, match=r"2 classes of mvtec: v1/bottle, v2/bottle; choose"):
        items(root, "mvtec")
    for path in ("v1/bottle", "v2/bottle"):
        found, _ = items(root, "mvtec", category=path)
        assert list(found) == [f"{path}/train/good/0.png"]


def test_a_tree_at_the_top_is_chosen_by_a_dot(
    tree: Callable, items: Callable, picture: Callable
) -> None:
    root = tree({"train/good/0.png": picture(1), "old/backup/train/good/1.png": picture(2)})
    with pytest.raises(BurnishError, match=r"mvtec: \., backup \(\. is the source itself\);"):
        items(root, "mvtec")
    found, notes = items(root, "mvtec", category=".")
    assert list(found) == ["train/good/0.png"]
    assert "1 images lie outside train and test and are not used: old/backup" in notes[0]
    for name in ("backup", "old/backup"):
        found, _ = items(root, "mvtec", category=name)
        assert list(found) == ["old/backup/train/good/1.png"]


def test_mvtec_takes_any_name_of_good_for_good(
    tree: Callable, items: Callable, picture: Callable
) -> None:
    root = tree({"train/good/0.png": picture(1), "test/OK/1.png": picture(2),
                 "test/defect-free/2.png": picture(3), "test/dent/3.png": picture(4)})  # fmt: skip
    found, notes = items(root, "mvtec")
    assert kinds(found) == {"train/good/0.png": GOOD, "test/OK/1.png": GOOD,
                            "test/defect-free/2.png": GOOD, "test/dent/3.png": "dent"}  # fmt: skip
    assert notes == ["1 defective images have no mask in the source: test/dent/3.png"]


def test_mpdd_wants_a_class(tree: Callable, items: Callable, picture: Callable) -> None:
    files = {}
    for number, part in enumerate(("bracket_black", "connector", "metal_plate")):
        files[f"MPDD/{part}/train/good/000.png"] = picture(number)
        files[f"MPDD/{part}/test/scratches/000.png"] = picture(10 + number)
        files[f"MPDD/{part}/ground_truth/scratches/000_mask.png"] = MARK
    root = tree(files)
    with pytest.raises(
        BurnishError, match=r"3 classes of mpdd: bracket_black, connector, metal_pl"
    ):
        items(root, "mpdd")
    with pytest.raises(BurnishError, match=r"no class 'conector'.*Did you mean 'connector'\?"):
        items(root, "mpdd", category="conector")
    found, _ = items(root, "mpdd", category="connector")
    assert kinds(found) == {
        "MPDD/connector/train/good/000.png": GOOD,
        "MPDD/connector/test/scratches/000.png": "scratches",
    }
    assert np.array_equal(marked(found["MPDD/connector/test/scratches/000.png"]), MARK > 0)


def test_btad(tree: Callable, items: Callable, picture: Callable) -> None:
    above = "BTech_Dataset_transformed/"
    root = tree({
        above + "01/train/ok/0000.bmp": picture(1),
        above + "01/test/ok/0001.bmp": picture(2),
        above + "01/test/ko/0000.bmp": picture(3),
        above + "01/ground_truth/ko/0000.png": MARK,  # 01 has its masks as PNG, 03 as BMP
        above + "03/train/ok/0000.bmp": picture(4),
        above + "03/test/ko/0001.bmp": picture(5),
        above + "03/ground_truth/ko/0001.bmp": MARK,
    })  # fmt: skip
    for category, name in (("01", "01/test/ko/0000.bmp"), ("03", "03/test/ko/0001.bmp")):
        found, notes = items(root, "btad", category=category)
        item = found[above + name]
        assert (item.kind, item.split, notes) == ("ko", "test", [])
        assert np.array_equal(marked(item), MARK > 0)
    found, _ = items(root, "btad", category="01")
    assert found[above + "01/train/ok/0000.bmp"].kind == GOOD
    assert len(found) == 3


def visa_files(picture: Callable) -> dict:
    small = np.where(MARK, 3, 0).astype(np.uint8)  # VisA numbers its defects
    return {
        "candle/Data/Images/Normal/0000.JPG": picture(1),
        "candle/Data/Images/Normal/0001.JPG": picture(2),
        "candle/Data/Images/Anomaly/000.JPG": picture(3),
        "candle/Data/Masks/Anomaly/000.png": small,
        "candle/image_anno.csv": "image,label,mask\n",
        "pcb1/Data/Images/Normal/0000.JPG": picture(4),
        "pcb1/Data/Images/Anomaly/000.JPG": picture(5),
        "pcb1/Data/Masks/Anomaly/000.png": small,
    }


def test_visa_with_its_split(tree: Callable, items: Callable, picture: Callable) -> None:
    root = tree(visa_files(picture) | {
        "split_csv/1cls.csv": "object,split,label,image,mask\n"
        "candle,test,normal,candle/Data/Images/Normal/0000.JPG,\n"
        "candle,train,normal,candle/Data/Images/Normal/0001.JPG,\n"
        "candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,candle/Data/Masks/Anomaly/000.png\n"
    })  # fmt: skip
    found, notes = items(root, "visa", category="candle")
    assert {item.stem: (item.kind, item.split) for item in found.values()} == {
        "0001": (GOOD, "train"), "0000": (GOOD, "test"), "000": ("anomaly", "test"),
    }  # fmt: skip
    assert np.array_equal(marked(found["candle/Data/Images/Anomaly/000.JPG"]), MARK > 0)
    assert notes == []
    with pytest.raises(BurnishError, match="2 classes of visa: candle, pcb1"):
        items(root, "visa")
    # pcb1 is not in the table
    found, notes = items(root, "visa", category="pcb1")
    assert found == {}
    assert "2 images are not in split_csv/1cls.csv" in notes[0]


def test_visa_without_a_split(tree: Callable, items: Callable, picture: Callable) -> None:
    found, _ = items(tree(visa_files(picture)), "visa", category="candle")
    assert {item.split for item in found.values()} == {""}
    assert len(found) == 3


def test_kolektor(tree: Callable, items: Callable, picture: Callable) -> None:
    root = tree({
        "KolektorSDD/kos01/Part0.jpg": picture(1),
        "KolektorSDD/kos01/Part0_label.bmp": EMPTY,
        "KolektorSDD/kos01/Part1.jpg": picture(2),
        "KolektorSDD/kos01/Part1_label.bmp": MARK,
        "KolektorSDD/kos02/Part0.jpg": picture(3),
        "KolektorSDD/kos03/Part0.jpg": picture(4),
        "KolektorSDD/kos03/Part0_label.bmp": b"junk",
    })  # fmt: skip
    found, _ = items(root, "kolektor")
    first, second, third, fourth = found.values()
    assert (first.kind, first.part, first.stem) == (GOOD, "kos01", "kos01_Part0")
    assert (second.kind, second.part, second.stem) == ("crack", "kos01", "kos01_Part1")
    assert np.array_equal(marked(second), MARK > 0)
    with pytest.raises(BurnishError, match="no label file"):
        third.data()
    with pytest.raises(BurnishError, match="label cannot be read"):
        fourth.data()


def test_kolektor2(tree: Callable, items: Callable, picture: Callable) -> None:
    root = tree({
        "test/20000.png": picture(1), "test/20000_GT.png": EMPTY,
        "test/20001.png": picture(2), "test/20001_GT.png": MARK,
        "train/10000.png": picture(3), "train/10000_GT.png": EMPTY,
    })  # fmt: skip
    found, _ = items(root, "kolektor2")
    assert [(i.source, i.kind, i.split) for i in found.values()] == [
        ("train/10000.png", GOOD, "train"),
        ("test/20000.png", GOOD, "test"),
        ("test/20001.png", "defect", "test"),
    ]
    assert np.array_equal(marked(found["test/20001.png"]), MARK > 0)


def test_magnetic_tile(tree: Callable, items: Callable, picture: Callable) -> None:
    files = {}
    for kind, number in (("Free", 100), ("Crack", 300), ("Free", 850), ("Blowhole", 1401)):
        stem = f"MagneticTile/MT_{kind}/Imgs/exp1_num_{number}"
        files[f"{stem}.jpg"] = picture(number)
        files[f"{stem}.png"] = EMPTY if kind == "Free" else MARK
    found, notes = items(tree(files), "magnetic-tile")
    # 100, 300 and 850 are at most 550 apart, 1401 is 551 further on
    assert [(i.stem, i.kind, i.part) for i in found.values()] == [
        ("exp1_num_100", GOOD, "series000100"),
        ("exp1_num_300", "crack", "series000100"),
        ("exp1_num_850", GOOD, "series000100"),
        ("exp1_num_1401", "blowhole", "series001401"),
    ]
    assert found["MagneticTile/MT_Free/Imgs/exp1_num_100.jpg"].mask() is None
    assert "2 exposure series from 4" in notes[0]
    _, notes = items(tree(files), "magnetic-tile", part=re.compile(r"num_(\d+)"))
    assert "give way to --part" in notes[0]


def test_rsdd(tree: Callable, items: Callable, picture: Callable) -> None:
    mask = np.zeros((100, 20), np.uint8)
    mask[45:52, 3:9] = 255
    kind_1, kind_2 = "RSDDs dataset/Type-I RSDDs dataset/", "RSDDs dataset/Type-II RSDDs dataset/"
    root = tree({
        kind_1 + "Rail surface images/rail_1.jpg": picture(1, 100, 20),
        kind_1 + "GroundTruth/rail_1.jpg": mask,
        kind_1 + "Rail surface images/rail_2.jpg": picture(2, 100, 20),
        kind_2 + "Rail surface images/rail_1.jpg": picture(3, 100, 20),
        kind_2 + "GroundTruth/rail_1.jpg": mask,
    })  # fmt: skip
    with pytest.raises(BurnishError, match="Type-I RSDDs dataset, Type-II RSDDs dataset"):
        items(root, "rsdd")
    found, _ = items(root, "rsdd", category="Type-I RSDDs dataset")
    first = {i.stem: i for i in found.values() if "rail_1" in i.source}
    assert {stem: item.kind for stem, item in first.items()} == {
        "rail_1_0000": GOOD, "rail_1_0020": GOOD, "rail_1_0040": "defect", "rail_1_0060": GOOD,
        "rail_1_0080": GOOD,
    }  # fmt: skip
    assert {item.part for item in first.values()} == {kind_1 + "Rail surface images/rail_1.jpg"}
    assert (marked(first["rail_1_0040"]) ^ (mask[40:60] > 0)).mean() < 0.03  # a JPEG's borders
    with pytest.raises(BurnishError, match="no file in GroundTruth"):
        found[kind_1 + "Rail surface images/rail_2.jpg"].data()


def test_yolo_boxes_and_polygons(tree: Callable, items: Callable, picture: Callable) -> None:
    root = tree({
        "data.yaml": "train: images/train\nval: images/val\nnc: 2\nnames:\n  0: pit\n  1: 'dent'\n",
        "images/train/a.png": picture(1, 40, 80),
        # a box of 16 x 8 px around (20, 20), and a triangle in the right half
        "labels/train/a.txt": "0 0.25 0.5 0.2 0.2\n1 0.6 0.1 0.9 0.1 0.9 0.9\n",
        "images/train/b.png": picture(2, 40, 80),
        "images/val/c.png": picture(3, 40, 80),
        "labels/val/c.txt": "",
        "images/val/d.png": picture(4, 40, 80),
        "labels/val/d.txt": "0 20 20 8 8\n",
    })  # fmt: skip
    found, notes = items(root, "yolo", window=40)
    assert {i.stem: (i.kind, i.split) for i in found.values() if "#" in i.source} == {
        "a_0000_0000": ("pit", "train"), "a_0000_0040": ("dent", "train"),
        "b_0000_0000": (GOOD, "train"), "b_0000_0040": (GOOD, "train"),
        "c_0000_0000": (GOOD, "test"), "c_0000_0040": (GOOD, "test"),
    }  # fmt: skip
    box = np.zeros((40, 40), bool)
    box[16:24, 12:28] = True
    assert np.array_equal(marked(found["images/train/a.png#0,0,40,40"]), box)
    triangle = marked(found["images/train/a.png#40,0,40,40"])
    assert triangle.sum() == pytest.approx(24 * 32 / 2, abs=32)
    assert found["images/train/a.png#0,0,40,40"].part == "images/train/a.png"
    assert any("1 frames have no label file" in note for note in notes)
    with pytest.raises(BurnishError, match=r"d\.txt, line 1, has values outside 0 \.\.\. 1"):
        found["images/val/d.png"].data()


def test_yolo_as_roboflow_packs_it_and_as_darknet_does(
    tree: Callable, items: Callable, picture: Callable
) -> None:
    root = tree({
        "train/images/a.jpg": picture(1), "train/labels/a.txt": "1 .5 .5 .5 .5",
        "valid/images/b.jpg": picture(2), "valid/labels/b.txt": "",
        "data.yaml": "train: ../train/images\nnc: 2\nnames: ['head', \"hole\"]  # two\n",
    })  # fmt: skip
    found, _ = items(root, "yolo")
    assert [(i.kind, i.split, i.stem) for i in found.values()] == [
        ("hole", "train", "a_0000"), (GOOD, "test", "b_0000"),
    ]  # fmt: skip
    for path in root.rglob("*.yaml"):
        path.unlink()
    (root / "classes.txt").write_text("x\ny\n")
    (root / "c.jpg").write_bytes((root / "train/images/a.jpg").read_bytes())
    for folder in ("train", "valid"):
        for path in sorted((root / folder).rglob("*.*")):
            path.rename(root / path.name)
    found, _ = items(root, "yolo")
    assert {i.source.split("#")[0]: (i.kind, i.split) for i in found.values()} == {
        "a.jpg": ("y", ""), "b.jpg": (GOOD, ""), "c.jpg": (GOOD, ""),
    }  # fmt: skip


@pytest.mark.parametrize(
    "line",
    ["0 .5 .5 .5", "x .5 .5 .5 .5", "7 .5 .5 .5 .5", "0 nan .5 .5 .5", "0 .1 .1 .2 .2 .3 .3 .4",
     "-1 .5 .5 .5 .5", "0 1.008 .5 .004 .2"],
)  # fmt: skip
def test_yolo_lines_that_mean_nothing_leave_the_frame_out(
    tree: Callable, items: Callable, picture: Callable, line: str
) -> None:
    root = tree({"images/a.png": picture(1), "labels/a.txt": line, "classes.txt": "pit\n"})
    found, _ = items(root, "yolo")
    with pytest.raises(BurnishError, match=r"images/a\.png: its label labels/a\.txt, line 1"):
        found["images/a.png"].data()


def test_yolo_says_what_it_does_not_use_and_reads_classes_as_floats(
    tree: Callable, items: Callable, picture: Callable
) -> None:
    root = tree({
        "images/a.png": picture(1), "labels/a.txt": "2.0 .5 .5 .5 .5",
        "more/b.png": picture(2), "labels/c.txt": "0 .5 .5 .5 .5",
    })  # fmt: skip
    found, notes = items(root, "yolo", window=0)
    assert kinds(found) == {"images/a.png": "class2"}
    assert "1 images lie outside images and are not used: more/b.png" in notes
    assert "1 label files have no image and are not used: labels/c.txt" in notes
    root = tree({"labels/classes.txt": "pit\n", "labels/a.txt": "0.5 .5 .5 .5 .5"})
    found, notes = items(root, "yolo", window=0)
    assert "1 label files have no image and are not used: labels/c.txt" in notes
    with pytest.raises(BurnishError, match=r"a\.txt, line 1, names class 0\.5; there are 1"):
        found["images/a.png"].data()


def coco_json(**changes: object) -> str:
    return json.dumps({
        "images": [{"id": 7, "file_name": "a.png", "width": 80, "height": 40},
                   {"id": 8, "file_name": "b.png", "width": 80, "height": 40}],
        "categories": [{"id": 3, "name": "pit"}, {"id": 9, "name": "dent"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 9, "bbox": [12, 16, 16, 8]},
            {"id": 2, "image_id": 7, "category_id": 3, "bbox": [50, 5, 20, 10],
             "segmentation": [[50, 5, 70, 5, 70, 15, 50, 15], [41, 30, 44, 30, 44, 33, 41, 33]]},
        ],
    } | changes)  # fmt: skip


def test_coco(tree: Callable, items: Callable, picture: Callable) -> None:
    root = tree({
        "annotations/instances_train2017.json": coco_json(),
        "annotations/instances_val2017.json": coco_json(annotations=[]),
        "train2017/a.png": picture(1, 40, 80), "train2017/b.png": picture(2, 40, 80),
        "val2017/a.png": picture(3, 40, 80), "val2017/z.png": picture(4, 40, 80),
    })  # fmt: skip
    found, notes = items(root, "coco", window=40)
    assert {i.source: (i.kind, i.split) for i in found.values()} == {
        "train2017/a.png#0,0,40,40": ("dent", "train"),
        "train2017/a.png#40,0,40,40": ("pit", "train"),
        "train2017/b.png#0,0,40,40": (GOOD, "train"),
        "train2017/b.png#40,0,40,40": (GOOD, "train"),
        "val2017/a.png#0,0,40,40": (GOOD, "test"),
        "val2017/a.png#40,0,40,40": (GOOD, "test"),
    }
    box, polygons = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    box[16:24, 12:28] = True
    polygons[5:15, 10:30] = polygons[30:33, 1:4] = True
    assert np.array_equal(marked(found["train2017/a.png#0,0,40,40"]), box)
    assert np.array_equal(marked(found["train2017/a.png#40,0,40,40"]), polygons)
    assert "1 images named in the JSON are not there: b.png" in notes
    assert "1 images stand in no JSON file and are not used: val2017/z.png" in notes


def test_coco_run_lengths_beside_the_images(
    tree: Callable, items: Callable, picture: Callable
) -> None:
    crowd = {"id": 1, "image_id": 7, "category_id": 3, "iscrowd": 1, "bbox": [0, 0, 1, 1],
             "segmentation": {"size": [9, 13], "counts": "m05400MM03300000000`0"}}  # fmt: skip
    image = {"id": 7, "file_name": "a.jpg", "width": 13, "height": 9}
    root = tree({
        "train/_annotations.coco.json": coco_json(images=[image], annotations=[crowd]),
        "train/a.jpg": picture(1, 9, 13),
    })  # fmt: skip
    found, _ = items(root, "coco", window=0)
    (item,) = found.values()
    wanted = np.zeros((9, 13), bool)
    wanted[2:7, 3:11] = True
    wanted[4, 5] = False
    assert np.array_equal(marked(item), wanted)
    assert (item.kind, item.split) == ("pit", "")  # train alone is no split


@pytest.mark.parametrize(
    "shape",
    [{"bbox": [1, 2]}, {"segmentation": [[1, 2, 3]]}, {"bbox": [float("nan"), 0, 1, 1]},
     {"segmentation": {"size": [9, 9], "counts": "05"}}, {"segmentation": 5}, {}],
)  # fmt: skip
def test_coco_annotations_that_mean_nothing_leave_the_frame_out(
    tree: Callable, items: Callable, picture: Callable, shape: dict
) -> None:
    mark = {"id": 4, "image_id": 7, "category_id": 3} | shape
    root = tree({"x.json": coco_json(annotations=[mark]), "a.png": picture(1, 40, 80)})
    found, _ = items(root, "coco")
    with pytest.raises(BurnishError, match=r"^a\.png: "):
        found["a.png"].data()


@pytest.mark.parametrize("far", [1e308, -1e308, 1.1e9, float("inf"), float("nan")])
@pytest.mark.parametrize(
    "shape", [lambda far: {"segmentation": [[far, far, -far, far, -far, -far]]},
              lambda far: {"segmentation": [[1, 1, 9, 1, 9, 9], [far, 5, 20, far, 30, -far]]},
              lambda far: {"bbox": [5, -far, 9, far]}]
)  # fmt: skip
def test_coco_coordinates_that_no_image_has_are_named(
    tree: Callable, items: Callable, picture: Callable, shape: Callable, far: float
) -> None:
    """Differences of 1e308 are infinite: such a polygon had ended in a traceback."""
    mark = {"id": 4, "image_id": 7, "category_id": 3} | shape(far)
    root = tree({"x.json": coco_json(annotations=[mark]), "a.png": picture(1, 40, 80)})
    found, _ = items(root, "coco")
    why = r"^a\.png: its annotation 4 in x\.json cannot be read: \S+ is no coordinate in px$"
    with pytest.raises(BurnishError, match=why):
        found["a.png"].data()


@pytest.mark.parametrize(
    ("shape", "why"),
    [({"segmentation": {"size": [9, 9], "counts": "05"}}, ": run lengths for 9 x 9 px, it has"),
     ({"segmentation": {"size": [40, 80], "counts": [5]}}, ": run lengths that sum to 5 px"),
     ({"segmentation": {"size": [40, 80], "counts": [1e999]}}, ": run lengths that are no numbers"),
     ({"segmentation": {"size": [40, 80]}}, " has no 'counts'"), ({}, " has no 'bbox'"),
     ({"bbox": ["a", 0, 1, 1]}, " cannot be read: could not convert string to float: 'a'")],
)  # fmt: skip
def test_coco_annotations_are_named_whatever_is_wrong_with_them(
    tree: Callable, items: Callable, picture: Callable, shape: dict, why: str
) -> None:
    mark = {"id": 4, "image_id": 7, "category_id": 3} | shape
    root = tree({"x.json": coco_json(annotations=[mark]), "a.png": picture(1, 40, 80)})
    found, _ = items(root, "coco")
    with pytest.raises(BurnishError, match=r"^a\.png: its annotation 4 in x\.json" + why):
        found["a.png"].data()


@pytest.mark.parametrize(
    "shape",
    [{"bbox": [100, 5, 20, 20]}, {"bbox": [-30, 5, 20, 20]},
     {"segmentation": [[-9, -9, -5, -9, -5, -5]], "bbox": [5, 5, 9, 9]},
     {"segmentation": {"size": [40, 80], "counts": [3200]}, "bbox": [5, 5, 9, 9]}],
)  # fmt: skip
@pytest.mark.parametrize("window", [0, 40])
def test_coco_annotations_that_mark_no_pixel_make_no_image_good(
    tree: Callable, items: Callable, picture: Callable, shape: dict, window: int
) -> None:
    inside = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [12, 16, 16, 8]}
    mark = {"id": 4, "image_id": 7, "category_id": 3} | shape
    root = tree({"x.json": coco_json(annotations=[inside, mark]), "a.png": picture(1, 40, 80)})
    found, _ = items(root, "coco", window=window)
    with pytest.raises(BurnishError, match=r"a\.png: its annotation 4 .*no pixel of its 80 x 40"):
        found["a.png"].data()


def test_coco_ids_are_matched_as_text_or_refused(
    tree: Callable, items: Callable, picture: Callable
) -> None:
    files = {"a.png": picture(1, 40, 80), "b.png": picture(2, 40, 80)}
    marks = [{"id": 1, "image_id": "8", "category_id": 3.0, "bbox": [12, 16, 16, 8]}]
    root = tree(files | {"x.json": coco_json(annotations=marks)})
    found, _ = items(root, "coco", window=0)
    assert kinds(found) == {"a.png": GOOD, "b.png": "pit"}
    lost = [marks[0] | {"image_id": 99}]
    with pytest.raises(BurnishError, match=r"x\.json: 1 annotations have an image_id .*\(99\)"):
        items(tree({"x.json": coco_json(annotations=lost)}), "coco")
    images = [{"id": 8, "file_name": "a.png"}, {"id": "8", "file_name": "b.png"}]
    with pytest.raises(BurnishError, match=r"x\.json: a\.png and b\.png have the same id, 8"):
        items(tree({"x.json": coco_json(images=images, annotations=marks)}), "coco")


@pytest.mark.parametrize("shape", [{}, {"segmentation": [[0.1, 0.1, 0.9, 0.1, 0.9, 0.9]]}])
def test_coco_coordinates_in_fractions_are_refused(
    tree: Callable, items: Callable, picture: Callable, shape: dict
) -> None:
    box = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [0.1, 0.1, 0.2, 0.2]} | shape
    root = tree({"x.json": coco_json(annotations=[box, box]), "a.png": picture(1, 40, 80)})
    with pytest.raises(BurnishError, match=r"x\.json: all .* lie in 0 \.\.\. 1, as fractions"):
        items(root, "coco")
    mixed = [box, box | {"bbox": [0, 0, 1, 2], "segmentation": []}]
    found, _ = items(tree({"x.json": coco_json(annotations=mixed)}), "coco", window=0)
    assert found["a.png"].kind == "pit"


def test_coco_images_that_stand_in_it_more_than_once_show_what_any_entry_says(
    tree: Callable, items: Callable, picture: Callable
) -> None:
    size = {"width": 80, "height": 40}
    images = [{"id": n, "file_name": "a.png"} | size for n in (7, 50)]
    pit = {"id": 1, "image_id": 50, "category_id": 3, "bbox": [12, 16, 16, 8]}
    crack = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [50, 5, 20, 10]}
    root = tree({
        "a.png": picture(1, 40, 80), "b.png": picture(2, 40, 80),
        "pit.json": coco_json(images=images, annotations=[pit]),
        "crack.json": coco_json(
            images=[{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
            categories=[{"id": 3, "name": "crack"}],  # another kind than 3 in pit.json
            annotations=[crack, crack | {"image_id": 2}],
        ),
    })  # fmt: skip
    found, notes = items(root, "coco", window=40)
    assert kinds(found) == {
        "a.png#0,0,40,40": "pit", "a.png#40,0,40,40": "crack",
        "b.png#0,0,40,40": GOOD, "b.png#40,0,40,40": "crack",
    }  # fmt: skip
    assert marked(found["a.png#0,0,40,40"]).sum() == 16 * 8
    assert notes == [
        "1 images stand in the JSON more than once; they show what any entry says: a.png"
    ]


def test_coco_files_that_are_broken(tree: Callable, items: Callable, picture: Callable) -> None:
    keys = '"images" "annotations" "categories"'
    for text in ("{" + keys, '{"images": 3, "annotations": 0, "categories": []}'):
        root = tree({"x.json": text, "a.png": picture(1, 40, 80)})
        with pytest.raises(BurnishError, match=r"x\.json is not a COCO file"):
            items(root, "coco")
    wrong = [{"id": 7, "file_name": "a.png", "width": 60, "height": 40}]
    found, _ = items(tree({"x.json": coco_json(images=wrong)}), "coco")
    with pytest.raises(BurnishError, match=r"the JSON says it has 60 x 40 px; it has 80 x 40"):
        found["a.png"].data()


def test_severstal(tree: Callable, items: Callable, picture: Callable) -> None:
    root = tree({
        # pixels count from 1 down the columns of 4 rows
        "train.csv": "ImageId,ClassId,EncodedPixels\na.jpg,1,2 2\na.jpg,3,9 4 15 1\n"
        "gone.jpg,1,1 1\nc.jpg,2,one two\nd.jpg,2,30 9\n",
        "train_images/a.jpg": picture(1, 4, 8), "train_images/b.jpg": picture(2, 4, 8),
        "train_images/c.jpg": picture(3, 4, 8), "train_images/d.jpg": picture(4, 4, 8),
        "test_images/e.jpg": picture(5, 4, 8),
        "sample_submission.csv": "ImageId,EncodedPixels,ClassId\ne.jpg,1 1,1\n",
    })  # fmt: skip
    found, notes = items(root, "severstal")
    wanted = np.zeros((4, 8), bool)
    wanted[1:3, 0] = wanted[:, 2] = wanted[2, 3] = True
    assert found["train_images/a.jpg"].kind == "class3"  # 5 px against 2
    assert np.array_equal(marked(found["train_images/a.jpg"]), wanted)
    assert (found["train_images/b.jpg"].kind, found["train_images/b.jpg"].mask()) == (GOOD, None)
    with pytest.raises(BurnishError, match=r"run lengths in train\.csv are no numbers"):
        found["train_images/c.jpg"].data()
    with pytest.raises(BurnishError, match="leaves the image of 8 x 4"):
        found["train_images/d.jpg"].mask()
    assert "1 images of train.csv are not in train_images: gone.jpg" in notes
    assert any("test_images/e.jpg" in note for note in notes)


def test_severstal_rows_of_one_image_and_class_are_joined(
    tree: Callable, items: Callable, picture: Callable
) -> None:
    root = tree({
        "train.csv": "ImageId,ClassId,EncodedPixels\na.jpg,1,1 5\na.jpg,1,20 7\na.jpg,2,9 8\n",
        "train_images/a.jpg": picture(1, 4, 8),
    })  # fmt: skip
    found, _ = items(root, "severstal")
    assert found["train_images/a.jpg"].kind == "class1"  # 12 px against 8
    assert np.flatnonzero(marked(found["train_images/a.jpg"]).T).tolist() == [
        *range(5), *range(8, 16), *range(19, 26),
    ]  # fmt: skip


def test_severstal_as_it_was_first_published(
    tree: Callable, items: Callable, picture: Callable
) -> None:
    root = tree({
        "train.csv": "ImageId_ClassId,EncodedPixels\na_1.jpg_1,\na_1.jpg_2,1 3\nb.jpg_1,\n",
        "train_images/a_1.jpg": picture(1, 4, 8), "train_images/b.jpg": picture(2, 4, 8),
    })  # fmt: skip
    found, _ = items(root, "severstal")
    assert kinds(found) == {"train_images/a_1.jpg": "class2", "train_images/b.jpg": GOOD}


def test_csv(tree: Callable, items: Callable, picture: Callable) -> None:
    root = tree({
        "set/labels.csv": "Path;Label;Kind;Mask;Part;Split\n"
        "img/a.png;OK;;;P1;train\n"
        "img/b.png;1;pit;masks/b.png;P2;val\n"
        "img/c.png;dent;;;P3;test\n"
        "img/gone.png;ok;;;;\n"
        "../../../etc/passwd;ok;;;;\n"
        "img/a.png;NG;;;;\n"
        "img/d.png;;;;;\n",
        "set/img/a.png": picture(1), "set/img/b.png": picture(2), "set/img/c.png": picture(3),
        "set/img/d.png": picture(4), "set/img/e.png": picture(5), "set/masks/b.png": MARK,
    })  # fmt: skip
    found, notes = items(root, "csv")
    assert [(i.stem, i.kind, i.part, i.split) for i in list(found.values())[:3]] == [
        ("a", GOOD, "P1", "train"), ("b", "pit", "P2", "test"), ("c", "dent", "P3", "test"),
    ]  # fmt: skip
    assert np.array_equal(marked(found["set/img/b.png"]), MARK > 0)
    for name, why in (("img/gone.png", "line 5 names it, but it is not there"),
                      ("../../../etc/passwd", "line 6 names it, but it is not there"),
                      ("set/img/d.png", "line 8 gives it no label")):  # fmt: skip
        with pytest.raises(BurnishError, match=why):
            found[name].data()
    assert any("more than once" in note and "set/img/a.png" in note for note in notes)
    assert any("not in set/labels.csv and not used: set/img/e.png" in note for note in notes)


@pytest.mark.parametrize(
    ("label", "kind", "wanted"),
    [("defect-free", "", GOOD), ("Free", "", GOOD), ("0.0", "nan", GOOD), ("ok", "good", GOOD),
     ("1.0", "", "defect"), ("1.0", "none", "defect"), ("1", "pit", "pit"), ("0.5", "", "0.5"),
     ("ok", "scratch", None), ("bad", "normal", None)],
)  # fmt: skip
def test_csv_labels(
    tree: Callable, items: Callable, picture: Callable, label: str, kind: str, wanted: str | None
) -> None:
    root = tree({"a.png": picture(1), "t.csv": f"path,label,kind\na.png,{label},{kind}\n"})
    found, _ = items(root, "csv")
    if wanted is None:
        with pytest.raises(BurnishError, match=rf"line 2 gives it the label {label} .* {kind}"):
            found["a.png"].data()
    else:
        assert found["a.png"].kind == wanted


def test_csv_mistakes(tree: Callable, items: Callable, picture: Callable) -> None:
    root = tree({"a.png": picture(1), "one.csv": "path,label,split\na.png,ok,both\n"})
    with pytest.raises(BurnishError, match=r"one\.csv, line 2: the split 'both' is neither"):
        items(root, "csv")
    root = tree({"two.csv": "path,label\na.png,ok,what,is,this\n"})
    with pytest.raises(BurnishError, match=r"several tables fit \(one\.csv, two\.csv\).*--table"):
        items(root, "csv")
    with pytest.raises(BurnishError, match=r"two\.csv, line 2 has more fields"):
        items(root, "csv", table="two.csv")
    with pytest.raises(BurnishError, match=r"--table three\.csv: no such file"):
        items(root, "csv", table="three.csv")
    root = tree({"three.csv": "file,class\n"})
    with pytest.raises(BurnishError, match=r"three\.csv: its columns are \['class', 'file'\]"):
        items(root, "csv", table="three.csv")


def test_folder_by_name(tree: Callable, items: Callable, picture: Callable) -> None:
    root = tree({
        "shop/OK/day1/001.png": picture(1), "shop/OK/day2/001.png": picture(2),
        "shop/scratch/001.png": picture(3), "shop/dent/002.jpg": picture(4),
        "shop/ground_truth/scratch/001_mask.png": MARK,
        "shop/notes.txt": "",
    })  # fmt: skip
    found, notes = items(root, "folder")
    assert {i.source: (i.kind, i.stem) for i in found.values()} == {
        "shop/OK/day1/001.png": (GOOD, "day1_001"), "shop/OK/day2/001.png": (GOOD, "day2_001"),
        "shop/scratch/001.png": ("scratch", "001"), "shop/dent/002.jpg": ("dent", "002"),
    }  # fmt: skip
    assert np.array_equal(marked(found["shop/scratch/001.png"]), MARK > 0)
    assert notes == ["1 defective images have no mask in the source: dent/002.jpg"]


def test_folder_with_masks_beside_the_images(
    tree: Callable, items: Callable, picture: Callable
) -> None:
    root = tree({
        "good/0.png": picture(1), "good/0_mask.png": EMPTY, "good/1_mask.png": picture(2),
        "scratch/0.jpg": picture(3), "scratch/0_mask.png": MARK,
        "scratch/1.png": picture(4), "scratch/1_GT.png": MARK,
    })  # fmt: skip
    found, notes = items(root, "folder")
    assert kinds(found) == {
        "good/0.png": GOOD, "good/1_mask.png": GOOD,  # of no image
        "scratch/0.jpg": "scratch", "scratch/1.png": "scratch",
    }  # fmt: skip
    for name in ("scratch/0.jpg", "scratch/1.png"):
        assert np.array_equal(marked(found[name]), MARK > 0)
    assert not marked(found["good/0.png"]).any()
    assert notes == [
        "3 images are masks of those beside them: good/0_mask.png, scratch/0_mask.png, "
        "scratch/1_GT.png"
    ]
    found, _ = items(root, "folder", good=("good/*",))
    assert len(found) == 4


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"good": ("*_ok.png",)}, {"a_ok.png": GOOD, "b_ng.png": "defect", "c.png": "defect"}),
        ({"bad": ("*_ng.png",)}, {"a_ok.png": GOOD, "b_ng.png": "defect", "c.png": GOOD}),
        ({"good": ("*_ok.png",), "bad": ("*_ng.png",)}, {"a_ok.png": GOOD, "b_ng.png": "defect"}),
    ],
)
def test_folder_by_pattern(
    tree: Callable, items: Callable, picture: Callable, options: dict, wanted: dict
) -> None:
    root = tree({"a_ok.png": picture(1), "b_ng.png": picture(2), "c.png": picture(3)})
    found, notes = items(root, "folder", **options)
    assert kinds(found) == wanted
    assert any("neither good nor bad" in note for note in notes) == (len(wanted) == 2)


def test_folder_patterns_across_folders(tree: Callable, items: Callable, picture: Callable) -> None:
    root = tree({"top/x/good/1.png": picture(1), "top/x/bad/2.png": picture(2),
                 "top/y/good/3.png": picture(3)})  # fmt: skip
    found, _ = items(root, "folder", good=("*/good/*",))
    assert kinds(found) == {
        "top/x/good/1.png": GOOD, "top/y/good/3.png": GOOD, "top/x/bad/2.png": "x",
    }  # fmt: skip


def test_folder_mistakes(
    tree: Callable, items: Callable, picture: Callable, tmp_path: Path
) -> None:
    root = tree({"fine/1.png": picture(1), "scratch/2.png": picture(2)})
    with pytest.raises(BurnishError, match=r"images in fine \(1\), scratch \(1\).*--good GLOB"):
        items(root, "folder")
    with pytest.raises(BurnishError, match=r"--good 'okay/\*' matches no image"):
        items(root, "folder", good=("okay/*",))
    with pytest.raises(BurnishError, match=r"1 images match --good and --bad: fine/1\.png"):
        items(root, "folder", good=("fine/*",), bad=("*1.png",))
    root = tree({"good/1.png": picture(1), "loose.png": picture(2)})
    with pytest.raises(BurnishError, match="1 images lie in no sub-folder"):
        items(root, "folder")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BurnishError, match="holds no image"):
        items(tmp_path / "empty", "folder")


@pytest.mark.parametrize(
    "name",
    ["mvtec", "mpdd", "btad", "visa", "kolektor", "kolektor2", "magnetic-tile", "rsdd", "yolo",
     "coco", "severstal", "csv"],
)  # fmt: skip
def test_another_tree_is_refused_with_what_is_there(
    tree: Callable, items: Callable, picture: Callable, name: str
) -> None:
    root = tree({"holiday/beach.png": picture(1)})
    with pytest.raises(BurnishError, match=r"this is not .*: no .* in it; it holds holiday/beach"):
        items(root, name)


def test_objects_of_a_class_that_means_good_are_no_defects(
    tree: Callable, items: Callable, picture: Callable
) -> None:
    """Detectors are taught "ok" beside "scratch": a box around a good part marks nothing."""
    lines = {"a": "0 .5 .5 .5 .5\n", "b": "0 .5 .5 .9 .9\n1 .25 .25 .25 .25\n", "c": ""}
    yolo = {f"images/{name}.png": picture(i) for i, name in enumerate(lines)}
    yolo |= {f"labels/{name}.txt": text for name, text in lines.items()}
    yolo |= {"classes.txt": "OK\nscratch\n"}
    marks = [
        {"id": 1, "image_id": 0, "category_id": 0, "bbox": [8, 8, 16, 16]},
        {"id": 2, "image_id": 1, "category_id": 0, "bbox": [2, 2, 29, 29]},
        {"id": 3, "image_id": 1, "category_id": 1, "bbox": [4, 4, 8, 8]},
    ]
    content = {
        "images": [{"id": i, "file_name": f"{name}.png"} for i, name in enumerate(lines)],
        "categories": [{"id": 0, "name": "OK"}, {"id": 1, "name": "scratch"}],
        "annotations": marks,
    }
    coco = {f"coco/{name}.png": picture(i) for i, name in enumerate(lines)}
    coco |= {"coco/labels.json": json.dumps(content)}
    for kind, files, folder in (("yolo", yolo, "images"), ("coco", coco, "coco")):
        root = tree(files)
        found, notes = items(root / "coco" if kind == "coco" else root, kind, window=0)
        below = "" if kind == "coco" else f"{folder}/"
        assert {n: i.kind for n, i in found.items()} == {
            f"{below}a.png": "good", f"{below}b.png": "scratch", f"{below}c.png": "good",
        }  # fmt: skip
        mask = found[f"{below}b.png"].mask()
        assert mask is not None
        assert mask.sum() == 64
        assert "what is marked as OK is no defect, and counts as good" in notes
