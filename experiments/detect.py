"""Detects in pictures of your own: python -m experiments.detect --run=runs/x street.jpg [MORE ...]

Writes two files for each: STEM.png, the picture with what was found, and STEM.json, the same in numbers. Boxes are xyxy
in continuous pixels of the picture as it stands upright.
"""

import collections
import pathlib

from tqdm import tqdm

from experiments.launch import check_out, exit_on_error, run_parser, start_tensorflow
from glimpse.errors import GlimpseError, real_number
from glimpse.files import write_json


@exit_on_error
def main(arguments=None):
    flags = run_parser(__doc__)
    flags.add_argument("photos", nargs="+", type=pathlib.Path, metavar="PHOTO", help="a JPEG or PNG file")
    flags.add_argument("--score", type=float, default=0.5, metavar="P",
                       help="least score of what is shown (default: 0.5); nothing is detected below 0.01")
    flags.add_argument("--glimpses", action="store_true",
                       help="also show the glimpses of each detection: 2.1, 2.2, ... are those of the second one")
    flags.add_argument("--out", type=pathlib.Path, help="directory of what is written; RUN/detections unless given")
    flags = flags.parse_args(arguments)
    real_number("--score", flags.score, minimum=0, maximum=1)
    out = flags.out or flags.run / "detections"
    check_names(flags.photos, out)
    from glimpse.data.image_files import probe_image
    for photo in flags.photos:
        probe_image(photo)
    start_tensorflow()
    from glimpse.data.own_pictures import OwnPictures, read_picture
    from glimpse.evaluation.sequences import follow
    from glimpse.training.restore import restored
    from glimpse.visualization.detections import plot_detections
    from glimpse.visualization.writing import write_picture
    with restored(flags.run, flags.allow_import) as (experiment, _):
        photos = OwnPictures(flags.photos, experiment.trained_on.image_shape, experiment.framing)
        out.mkdir(parents=True, exist_ok=True)
        # One at a time: what stands beside a photo has no say in what is found in it.
        for followed in follow(experiment.detector, photos, experiment.proposals, experiment.seed, batch_size=1,
                               framing=experiment.framing):
            path = flags.photos[followed.index]
            photo = read_picture(path)
            boxes, names, scores, glimpses = found(followed, photo, flags.score, experiment.trained_on.class_names)
            shown = glimpses if flags.glimpses else None
            write_picture(out / f"{path.stem}.png", plot_detections(photo, boxes, names, scores, shown))
            write_json(out / f"{path.stem}.json", {
                "file": str(path), "width": photo.shape[1], "height": photo.shape[0], "run": str(flags.run),
                "detections": as_json(boxes, names, scores, shown)}, lasting=False)
            tqdm.write(f"{path}: {len(boxes)} detection{'s'[:len(boxes) != 1]}")
    print(f"pictures and numbers: {out}")


def check_names(photos, out):
    """Raises GlimpseError where what is to be written would replace another file, of this call or from before."""
    check_out(out)
    for stem, count in collections.Counter(photo.stem for photo in photos).items():
        if count > 1:
            same = " and ".join(str(photo) for photo in photos if photo.stem == stem)
            raise GlimpseError(f"{same} would both become {out / stem}.png; rename one, or detect in them one by one")
        for path in (out / f"{stem}.png", out / f"{stem}.json"):
            if path.exists():
                raise GlimpseError(f"{path} is there already; remove it, or name another directory with --out")


def found(followed, photo, least_score, class_names):
    """The detections of a Followed in pixels of the photo: boxes [D, 4], D names, scores [D], glimpses [D, T, 4]."""
    from glimpse.data.own_pictures import scale_of
    from glimpse.evaluation.sequences import detected_proposals
    scale = scale_of(followed.example.image, photo)
    chosen = followed.detections.scores >= least_score
    names = [class_names[label] for label in followed.detections.labels[chosen]]
    glimpses = followed.glimpses[detected_proposals(followed)[chosen]]
    return followed.detections.boxes[chosen] / scale, names, followed.detections.scores[chosen], glimpses / scale


def as_json(boxes, names, scores, glimpses=None):
    """A list of dicts, the most confident first; hundredths of a pixel are enough."""
    answers = [{"label": name, "score": round(float(score), 6), "box": boxes[place].astype(float).round(2).tolist()}
               for place, (name, score) in enumerate(zip(names, scores))]
    if glimpses is not None:
        answers = [{**answer, "glimpses": each.astype(float).round(2).tolist()}
                   for answer, each in zip(answers, glimpses)]
    return answers


if __name__ == "__main__":
    main()
