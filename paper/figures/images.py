"""Pictures of images: a grid of them with captions, and a confusion table in colors."""

from collections.abc import Sequence
import math

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
import numpy as np

from common.files import replacing

SIDE = 1.5  # inches of an image in a grid
ROOM = 0.45  # inches below it for a caption of two lines


def grid(images: Sequence[np.ndarray], captions: Sequence[str], columns: int = 5) -> Figure:
    """Draw images (height, width, 3) uint8 RGB side by side, each with its caption below it."""
    rows = math.ceil(len(images) / columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(SIDE * columns, (SIDE + ROOM) * rows), squeeze=False, layout='constrained'
    )
    for axis in axes.flat:
        axis.axis('off')
    for axis, image, caption in zip(axes.flat, images, captions):
        axis.imshow(image, interpolation='nearest')
        axis.text(0.5, -0.04, caption, transform=axis.transAxes, ha='center', va='top', fontsize=8, parse_math=False)
    return figure


def confusion(table: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw a confusion table (classes, classes); each row shows where the images of one class went, in percent."""
    from sklearn.metrics import ConfusionMatrixDisplay  # here, because it takes a while

    shares = 100 * table / np.maximum(1, table.sum(axis=1, keepdims=True))
    size = max(4.0, 0.5 * len(classes)) if len(classes) <= 20 else 10.0
    figure, axis = plt.subplots(figsize=(size + 1, size), layout='constrained')
    display = ConfusionMatrixDisplay(shares, display_labels=classes)
    display.plot(ax=axis, cmap='Blues', values_format='.1f', include_values=len(classes) <= 20, xticks_rotation=90)
    axis.set(xlabel='taken for', ylabel='class')
    axis.tick_params(labelsize=8 if len(classes) <= 20 else 4)
    display.im_.set_clim(0, 100)
    display.im_.colorbar.set_label('% of the class')
    return figure


def write(figure: Figure, path: str) -> None:
    """Write a PNG, as a whole or not at all."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format='png', dpi=100)
    plt.close(figure)
