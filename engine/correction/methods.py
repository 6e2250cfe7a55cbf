"""The methods by which free energies of the potential are found."""

from enum import StrEnum


class Method(StrEnum):
    """The values are those of the input key `methods` and of the files of walks."""

    CORRECTED = "corrected"  # chain of the potential, with proposals by the expansion
    DIRECT = "direct"  # chain of the potential, with proposals that no energy guides
    REWEIGHTED = "reweighted"  # samples of the expansion, reweighted
    ENUMERATED = "enumerated"  # all states


SAMPLED = (Method.CORRECTED, Method.DIRECT, Method.REWEIGHTED)  # by walkers; in this order they number the random streams
