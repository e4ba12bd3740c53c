"""How a batch is split over the devices of a job."""

from typing import NamedTuple


class Shard(NamedTuple):
    """The devices of this process among those of the whole job: `here` of `total`, from number `first`."""

    first: int = 0
    here: int = 1
    total: int = 1

    def slices(self, images: int) -> list[slice]:
        """The part of a batch of `images` images for each device of this process."""
        return split_evenly(images, self.total)[self.first : self.first + self.here]


def split_evenly(images: int, devices: int) -> list[slice]:
    """A slice of the batch for each device; their sizes differ by one image at most."""
    ends = [images * i // devices for i in range(devices + 1)]
    return [slice(*pair) for pair in zip(ends, ends[1:])]
