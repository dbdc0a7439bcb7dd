"""From detections to average precision, and from the runs of a study to tables with intervals."""
