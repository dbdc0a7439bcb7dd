"""A step that several devices share: each a replica that computes a part of the batch; sums over all of them.

Under no strategy there is one replica, and nothing here adds an operation.
"""

import tensorflow as tf


def number():
    """How many replicas share a step."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def place():
    """Which of them this is, 0 .. number - 1: that of its images in the batch."""
    return 0 if number() == 1 else tf.distribute.get_replica_context().replica_id_in_sync_group


def total(value):
    """The sum over the replicas, of a tensor or of a list in which None stays; no gradient goes through it."""
    if number() == 1:
        return value
    values = value if isinstance(value, list) else [value]
    there = [each for each in values if each is not None]
    summed = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, there) if there else ())
    values = [each if each is None else tf.stop_gradient(next(summed)) for each in values]
    return values if isinstance(value, list) else values[0]


def take_totals(optimizer):
    """Has an optimizer take gradients that are totals already, for its clipping to see the step's own gradient.

    Keras clips the gradient of each replica, and adds up the clipped ones.
    """
    if number() > 1:
        optimizer._all_reduce_sum_gradients = list


def shares(counts):
    """The weight of the mean over each part of a batch in the mean over all of it.

    Args:
        counts: a list of scalars, how many each part of this replica holds.

    Returns:
        a list of scalars, whose mean over all parts of all replicas is 1; [1.0] for the one part of one replica.
    """
    if number() * len(counts) == 1:
        return [1.0]
    everything = total(tf.add_n(counts))
    return [tf.math.divide_no_nan(number() * len(counts) * count, everything) for count in counts]


def to_be_averaged(results):
    """Scalars {name: value} in the form in which `fit` can take the mean over the replicas.

    With several processes Keras takes one over a first axis too.
    """
    if isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy):
        return {name: tf.reshape(value, [1]) for name, value in results.items()}
    return results
