"""A folder with XML files of VOC -> its Layout: splits by folders, or by lists in ImageSets."""

import re
import unicodedata
from xml.etree import ElementTree

from glimpse.data.layout_files import CLASS_FILES, SPLITS, Layout, first_of, folders_of_splits, split_of, text_of
from glimpse.data.text_files import decoded_xml, read_bytes
from glimpse.errors import GlimpseError


def voc_layout(root):
    """The Layout of a folder with XML files of VOC, None where it holds none.

    Raises:
        GlimpseError: where two lists of one split name different images.
    """
    parts = {split: _xml_part(folder) for split, folder in folders_of_splits(root).items()}
    parts = {split: part for split, part in parts.items() if part}
    whole = None if parts else _xml_part(root)
    if not parts and not whole:
        return None
    splits = {split: {"images": images, "annotations": xml, "lists": None} for split, (images, xml) in parts.items()}
    if whole:
        images, xml = whole
        of_folders = {split: {"images": (folders_of_splits(images)).get(split, images), "annotations": folder,
                              "lists": None} for split, folder in folders_of_splits(xml).items() if _has_xml(folder)}
        of_lists = {split: {"images": images, "annotations": xml, "lists": path}
                    for split, path in _image_sets(root / "ImageSets" / "Main").items()}
        splits = of_lists or of_folders or {"train": {"images": images, "annotations": xml, "lists": None}}
    file = first_of(root / name for name in CLASS_FILES)
    classes = file or _names_in({arguments["annotations"] for arguments in splits.values()})
    told_by = next(iter(splits.values()))["annotations"]
    # Paths are given whole, so that the root has no say.
    return Layout("VOC", told_by, {split: {"root": root, "classes": classes if file is None else file.resolve(),
                                           **{name: path and path.resolve() for name, path in arguments.items()}}
                                   for split, arguments in splits.items()})


def _xml_part(folder):
    """(folder of the images, folder of the XML files) of a folder, None where it holds no annotation of VOC."""
    xml = first_of(each for each in (folder / "Annotations", folder / "annotations", folder) if _has_xml(each))
    images = xml and first_of([*(folder / name for name in ("JPEGImages", "images", "Images")), folder])
    return xml and ((images, xml) if xml != folder else (folder, folder))


def _has_xml(folder):
    """Whether a folder, or one in an Annotations, holds annotations of VOC."""
    files = folder.glob("*.xml") if folder.name.lower() != "annotations" else folder.rglob("*.xml")
    return any("<annotation" in text_of(path) for path, _ in zip(files, range(5)))


def _image_sets(folder):
    """{split: list of its images}. A list of a class, as cat_train, stands for a missing one of the split."""
    files = {path.stem: path for path in sorted(folder.glob("*.txt"), reverse=True)}
    splits = {split: files[name] for split, names in SPLITS.items() for name in names if name in files}
    of_classes = [(split, path) for stem, path in files.items() if (split := split_of(stem)) and split not in splits]
    for split, path in of_classes:
        other = splits.setdefault(split, path)
        if _listed(path) != _listed(other):
            raise GlimpseError(f"{path} and {other} name different images: write {folder / SPLITS[split][0]}.txt, a "
                               f"list of all images of the split {split!r}")
        splits[split] = path
    if "train" not in splits and "trainval" in files:  # the list of val is in it
        splits = {"train": files["trainval"], **{split: splits[split] for split in ("test",) if split in splits}}
    if not splits and len(files) == 1:  # CVAT's default.txt
        splits = {"train": next(iter(files.values()))}
    return {split: splits[split] for split in SPLITS if split in splits}


def _listed(path):
    """The images that the list of a class names, without its second column."""
    return {re.sub(r"\s+(-1|0|1)$", "", line.strip()) for line in text_of(path).splitlines() if line.strip()}


def _names_in(folders):
    """The names of all objects in XML files, in the order of the alphabet; what cannot be read, the reader tells of.

    Of names that differ in the coding of accents alone one is taken.
    """
    names = {}
    for folder in folders:
        for path in folder.rglob("*.xml"):
            try:
                tree = ElementTree.fromstring(decoded_xml(read_bytes(path)))
            except (OSError, ElementTree.ParseError, ValueError, LookupError, RecursionError):
                continue
            for name in ((each.findtext("name") or "").strip() for each in tree.findall("object")):
                names.setdefault(unicodedata.normalize("NFC", name), name)
    return sorted(name for name in names.values() if name)
