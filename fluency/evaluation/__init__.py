"""What scores are worth: calibration, figures with intervals, slices, comparisons."""
