"""/ground_states: lowest energies over many supercells."""

from .schema import Bool, Float, Group, Int, results_group, variable

ENTRY = ("entry",)


@results_group
class GroundStates(Group):
    """One entry for each count of the ion in each supercell, by x, then by energy; and the hull at T = 0."""

    x: Float = variable(ENTRY, "1", "ions per formula unit")
    energy_eV: Float = variable(ENTRY, "eV/fu", "lowest energy found at this x in this supercell")
    formation_energy_eV: Float = variable(ENTRY, "eV/fu", "the same above the line between the ends")
    energy_above_hull_eV: Float = variable(ENTRY, "eV/fu", "the same above the hull at T = 0")
    on_hull: Bool = variable(ENTRY, "1", "corner of the hull, in the smallest supercell that holds it")
    supercell: Int = variable((*ENTRY, "vector", "component"), "1", "vectors of the supercell, in cells of the structure file")
    listed: Bool = variable(ENTRY, "1", "exact: all neutral states of this x were enumerated; else annealed")
    searches_agreeing: Int = variable(ENTRY, "1", "independent annealings that found this energy; 0 where enumerated")
