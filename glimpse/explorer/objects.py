"""A trained network over a split -> a record for each object, and what is to be drawn of each image.

Records and images are what JSON has, rounded to what can be seen. Boxes are xyxy in pixels of the data set's image,
whatever size the network saw it in, so that those of two runs compare.
"""

import numpy as np
import tensorflow as tf

from glimpse.data.own_pictures import scale_of
from glimpse.evaluation.average_precision import evaluate
from glimpse.evaluation.errors_by_kind import errors_by_kind, outcomes_of_objects
from glimpse.evaluation.sequences import follow, sequence_of_object
from glimpse.explorer.explored import Explored, fingerprint, picture, rounded
from glimpse.geometry.overlaps import pairwise_iou
from glimpse.visualization.policy_map import MISSES, misses

LEAST_SCORE = 0.05  # of the detections that are drawn
MOST_CLASSES = 5  # whose probabilities are shown
NONE_OVERLAPS = "no proposal"  # in place of a name of MISSES


def explore(name, detector, examples, proposals, seed, class_names, batch_size=10, framing=None):
    """Follows every object of a data set.

    Args:
        name: of the run.
        detector, examples, proposals, seed, batch_size, framing: as `glimpse.evaluation.sequences.follow` takes them.
        class_names: K names.

    Returns:
        Explored. A record has "run", "image", "object" (1, 2, ...), "id" (such as "test-00185/2"), "class",
        "difficult", "box"; of the detection that decides what became of it at IoU 0.5: "outcome" (see
        `outcomes_of_objects`), "detected" (its class), "score"; and of the sequence of the proposal that overlaps it
        most: "proposal_iou", "missed" (one of MISSES), "glimpses" [T, 4], and after each of them "boxes" [T, 4],
        "iou" [T], "probability" [T] of the true class, "probabilities" of that, of background and of what was ever most
        probable, and "features" [T, h, w], the norm over channels of what was pooled. "gain" is P * IoU after the last
        glimpse minus after the first, None for T = 1; "reward" is the last P * IoU. Where no proposal overlaps the
        object, lists are empty and numbers None.
    """
    @tf.function(input_signature=[tf.TensorSpec([None, None, examples[0].image.shape[2]], tf.uint8),
                                  tf.TensorSpec([None, 4], tf.float32)])
    def norms(image, glimpses):
        return tf.norm(detector.pool_sequence(detector.shared_map(image[None]), glimpses), axis=-1)

    objects, images, prints, found, truth = [], [], [], [], []
    for followed in follow(detector, examples, proposals, seed, batch_size, framing):
        original, seen = examples[followed.index], followed.example
        scale = scale_of(seen.image, original.image)
        detections = dict(zip(("boxes", "scores", "labels"), followed.detections))
        found.append(detections)
        truth.append({"boxes": seen.boxes, "labels": seen.labels, "difficult": seen.difficult})
        prints.append(fingerprint(original, class_names))
        images.append(_image(original, seen.image, detections, scale, class_names))
        objects += [{"run": name, **record} for record in _records(followed, norms, original, scale, class_names)]
    for record, outcome in zip(objects, outcomes_of_objects(found, truth, len(class_names))):
        record |= {"outcome": outcome.name, "score": rounded(outcome.score, 4),
                   "detected": None if outcome.label is None else class_names[outcome.label]}
    followed = [record for record in objects if record["glimpses"]]
    ways = misses(*(np.float32(each).reshape(-1, 4) for each in zip(*(
        (record["glimpses"][0], record["box"]) for record in followed)))) if followed else []
    for record, way in zip(followed, ways):
        record["missed"] = MISSES[way]
    metrics = evaluate(found, truth, class_names)
    about = {"name": name, "num_glimpses": detector.num_glimpses,
             "map": {key: rounded(metrics.get(f"voc10_map@{iou}"), 4)
                     for key, iou in (("50:95", "0.50:0.95"), ("50", "0.50"))},
             "errors": errors_by_kind(found, truth, len(class_names))}
    return Explored(about, objects, images, prints)


def _image(original, seen, detections, scale, class_names):
    shown = detections["scores"] >= LEAST_SCORE
    return {
        "id": str(original.id), "width": original.image.shape[1], "height": original.image.shape[0],
        "picture": picture(seen),
        "objects": [{"class": class_names[label], "box": rounded(box), "difficult": bool(difficult)}
                    for box, label, difficult in zip(original.boxes, original.labels, original.difficult)],
        "detections": [{"class": class_names[label], "box": rounded(box), "score": rounded(score, 3)}
                       for box, label, score in zip(detections["boxes"][shown] / scale, detections["labels"][shown],
                                                    detections["scores"][shown])]}


def _records(followed, norms, original, scale, class_names):
    """The records of one image, in the order of its objects, without what became of them."""
    sequences = [sequence_of_object(followed, place) for place in range(len(original.boxes))]
    glimpses = [each.glimpses for each in sequences if each is not None]
    if glimpses:  # those of all objects at once: the feature map is computed once
        features = iter(np.split(norms(followed.example.image, np.concatenate(glimpses)).numpy(), len(glimpses)))
    for place, sequence in enumerate(sequences):
        record = {"id": f"{original.id}/{place + 1}", "image": str(original.id), "object": place + 1,
                  "class": class_names[original.labels[place]], "difficult": bool(original.difficult[place]),
                  "box": rounded(original.boxes[place]), "missed": NONE_OVERLAPS}
        if sequence is None:
            yield record | {"proposal_iou": None, "gain": None, "reward": None} | {
                name: [] for name in ("glimpses", "boxes", "iou", "probability", "probabilities", "features")}
        else:
            yield record | sequence_record(sequence, next(features), scale, class_names)


def sequence_record(sequence, features, scale, class_names):
    """What a record says of a GlimpseSequence with a truth; how its proposal misses is told of all at once.

    Args:
        sequence: in pixels of what the network saw.
        features: float [T, h, w], norms over channels of the pooled glimpses.
        scale: float32 [4], what pixels of the data set's image are multiplied by to be those of the sequence.
        class_names: K names.

    Returns:
        dict, see `explore`.
    """
    most = np.argsort(-sequence.probabilities.max(axis=0), kind="stable").tolist()
    shown = list(dict.fromkeys([1 + sequence.label, 0, *most]))[:MOST_CLASSES]
    names = ["background", *class_names]
    return {
        "proposal_iou": rounded(pairwise_iou(sequence.glimpses[:1], sequence.truth[None])[0, 0], 4),
        "gain": rounded(sequence.gain, 4) if len(sequence.glimpses) > 1 else None,
        "reward": rounded(sequence.rewards[-1], 4),
        "glimpses": rounded(sequence.glimpses / scale), "boxes": rounded(sequence.boxes / scale),
        "iou": rounded(sequence.overlaps, 4),
        "probability": rounded(sequence.probabilities[:, 1 + sequence.label], 4),
        "probabilities": [{"class": names[place], "after": rounded(sequence.probabilities[:, place], 3)}
                          for place in shown],
        "features": rounded(features)}
