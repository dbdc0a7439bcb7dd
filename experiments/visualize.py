"""Draws what a trained run looks at: python -m experiments.visualize --run=runs/x [--image=test-00012 | --photo=FILE]

Without --image or --photo: contact sheet and strips of the best gains, the worst losses and a random draw, and the
policy's map. With one of them: strips of the most confident detections there, or of one object with --object. Each
strip is a PNG, a PDF and a GIF.
"""

import pathlib

import numpy as np
from tqdm import tqdm

from experiments.launch import check_out, exit_on_error, run_parser, start_tensorflow
from glimpse.errors import GlimpseError, whole_number
from glimpse.files import file_name_of


@exit_on_error
def main(arguments=None):
    flags = run_parser(__doc__)
    flags.add_argument("--split", default="test", help="train, validation or test")
    subject = flags.add_mutually_exclusive_group()
    subject.add_argument("--image", metavar="ID", help="only this image of the split, such as test-00012")
    subject.add_argument("--photo", metavar="FILE", help="a JPEG or PNG file instead")
    flags.add_argument("--object", type=int, metavar="N",
                       help="of the --image, its object N (1, 2, ...) from the proposal that overlaps it most")
    flags.add_argument("--detections", type=int, default=4, metavar="K",
                       help="strips to draw of an image, or of each kind of the contact sheet (default: 4)")
    flags.add_argument("--out", type=pathlib.Path, help="directory of the pictures; RUN/pictures unless given")
    flags = flags.parse_args(arguments)
    most = whole_number("--detections", flags.detections)
    out = flags.out or flags.run / "pictures"
    check_out(out)
    if flags.object is not None:
        whole_number("--object", flags.object)
        if not flags.image:
            raise GlimpseError(f"--object={flags.object} needs --image=ID, the image that the object is in")
    if flags.photo:
        from glimpse.data.image_files import probe_image
        probe_image(flags.photo)
    start_tensorflow()
    from glimpse.data.own_pictures import OwnPictures
    from glimpse.training.restore import restored
    with restored(flags.run, flags.allow_import) as (experiment, _):
        if flags.photo:
            examples = OwnPictures([flags.photo], experiment.trained_on.image_shape, experiment.framing)
            draw_image(experiment, examples, examples[0].id, most, out, annotated=False)
        elif flags.object is not None:
            draw_object(experiment, experiment.annotated(flags.split), flags.image, flags.object, out)
        elif flags.image:
            draw_image(experiment, experiment.annotated(flags.split), flags.image, most, out)
        else:
            draw_split(experiment, flags.split, most, out)
    print(f"pictures: {out}")


def draw_image(experiment, examples, image_id, most, out, annotated=True):
    """Strips of the most confident detections of one image."""
    from glimpse.evaluation.sequences import sequences_of_detections
    followed = followed_image(experiment, examples, image_id)
    sequences = sequences_of_detections(followed, most)
    if not sequences:
        raise GlimpseError(f"nothing was detected in {image_id}: no score reaches 0.01; look at another image")
    for place, sequence in enumerate(tqdm(sequences, "drawing", unit="strip", disable=None), start=1):
        draw_strip(experiment, followed.example.image, sequence, out / f"{file_name_of(image_id)}_detection{place}",
                   annotated)


def draw_object(experiment, examples, image_id, number, out):
    """The strip of one object of an image, 1, 2, ..."""
    from glimpse.evaluation.sequences import sequence_of_object
    followed = followed_image(experiment, examples, image_id)
    count = len(followed.example.boxes)
    if number > count:
        there = f"its objects are 1 to {count}" if count else "it has none"
        raise GlimpseError(f"--object={number} is not in {image_id}: {there}")
    sequence = sequence_of_object(followed, number - 1)
    if sequence is None:
        raise GlimpseError(f"no proposal overlaps object {number} of {image_id}, so there is no sequence to draw")
    draw_strip(experiment, followed.example.image, sequence, out / f"{file_name_of(image_id)}_object{number}")


def followed_image(experiment, examples, image_id):
    """The Followed of one image. Raises GlimpseError where it is not there."""
    followed = next(_follow(experiment, examples, image_id), None)
    if followed is None:
        raise GlimpseError(f"--image={image_id} is not among the {len(examples)} images, "
                           f"{examples[0].id} to {examples[len(examples) - 1].id}; name one of them")
    return followed


def draw_split(experiment, split, most, out):
    """The contact sheet of a split with a strip for each of its sequences, and the policy's map."""
    from glimpse.evaluation.sequences import near_objects, seen, sequences_of_objects
    from glimpse.randomness import generator
    from glimpse.visualization.policy_map import plot_policy_map
    from glimpse.visualization.strips import plot_contact_sheet
    from glimpse.visualization.writing import write_figure
    examples, objects, sequences, near = experiment.annotated(split), 0, [], []
    for followed in _follow(experiment, examples):
        objects += int((~followed.example.difficult).sum())
        sequences += sequences_of_objects(followed)
        near.append(near_objects(followed))
    if not sequences:
        raise GlimpseError(f"--split={split}: no proposal overlaps any of its {objects} objects by half; "
                           "name another split")
    groups, rule = chosen_sequences(sequences, most, generator(experiment.seed, "contact sheet"))
    caption = caption_of(split, len(sequences), objects, rule)
    shown = {title: [(seen(examples[each.index], experiment.framing).image, each) for each in group]
             for title, group in groups.items()}
    out.mkdir(parents=True, exist_ok=True)
    write_figure(out / "contact_sheet", plot_contact_sheet(shown, experiment.trained_on.class_names, caption))
    if experiment.detector.num_glimpses > 1:
        write_figure(out / "policy_map", plot_policy_map(*(np.concatenate(parts) for parts in zip(*near))))
    strips = [(f"{title.split()[0]}{place}_{file_name_of(examples[sequence.index].id)}", image, sequence)
              for title, group in shown.items() for place, (image, sequence) in enumerate(group, start=1)]
    for name, image, sequence in tqdm(strips, "drawing", unit="strip", disable=None):
        draw_strip(experiment, image, sequence, out / name)


def caption_of(split, shown, objects, rule):
    """What the contact sheet says of the sequences of `shown` of `objects` objects, and of the rule that chose some."""
    many = (f"All {objects:,} objects" if shown == objects else
            f"{shown:,} of {objects:,} objects (the others have no proposal of IoU 0.5)")
    return (f"Sequences of glimpses on the {split} split, of each object from the proposal that overlaps it most.\n"
            f"{many}; {rule}\n"
            "P: probability of the object's class; IoU: overlap of that class's box with the object.")


def _follow(experiment, examples, image_id=None):
    from glimpse.evaluation.sequences import follow
    return follow(experiment.detector, examples, experiment.proposals, experiment.seed,
                  experiment.evaluation_batch_size,
                  experiment.framing, image_id)


def chosen_sequences(sequences, most, random):
    """Best, worst and randomly drawn, `most` of each and by gain, or by reward where one glimpse gains nothing.

    Returns:
        {title: list of GlimpseSequence}, and the rule in words.
    """
    single = len(sequences[0].glimpses) == 1
    values = np.array([each.rewards[-1] if single else each.gain for each in sequences])
    order = np.argsort(-values, kind="stable")
    drawn = random.choice(len(sequences), min(most, len(sequences)), replace=False)
    titles = ("best answers", "worst answers") if single else ("best gains", "worst losses")
    rule = ("best and worst by P × IoU, and a random draw." if single else
            "best and worst by gain, P × IoU after the last glimpse minus after the first, and a random draw.")
    places = {titles[0]: order[:most], titles[1]: order[::-1][:most], "random draw": drawn}
    return {title: [sequences[place] for place in chosen] for title, chosen in places.items()}, rule


def draw_strip(experiment, image, sequence, path, annotated=True):
    """Writes one sequence as PNG, PDF and GIF."""
    from glimpse.evaluation.sequences import pooled_glimpses
    from glimpse.visualization.strips import plot_strip
    from glimpse.visualization.writing import write_animation, write_figure
    path.parent.mkdir(parents=True, exist_ok=True)
    pooled = pooled_glimpses(experiment.detector, image, sequence.glimpses)
    frames = [plot_strip(image, sequence, pooled, experiment.trained_on.class_names, shown, annotated)
              for shown in range(1, len(sequence.glimpses) + 1)]
    write_figure(path, frames[-1])
    write_animation(path, frames)


if __name__ == "__main__":
    main()
