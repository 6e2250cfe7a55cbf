"""/order: long-range and short-range order. /dilute: single pairs of an ion and an electron in the host."""

from .schema import Bool, Float, Group, Int, Text, attribute, coordinate, error_of, part, results_group, variable

TX = ("temperature_K", "x")


@results_group
class LongRangeOrder(Group):
    """The strongest star of symmetry-equivalent waves, of the ions or of the electrons."""

    order_weight: Float = variable(TX, "1", "share of the {words} in their strongest star of waves")
    order_weight_error: Float = error_of("order_weight")
    order_parameter: Float = variable(TX, "1", "order parameter of the {words}: square root of that share beyond disorder")
    order_q: Float = variable(
        (*TX, "axis"), "1", "wave vector of the {words}, in reciprocal vectors of the cell of the structure file"
    )
    ordered: Bool = variable(TX, "1", "long-range order of the {words}; see the attribute criterion")
    separated: Bool = variable(TX, "1", "one long wave of the {words} across the cell: phases or domains side by side")
    species: str = attribute("the species that are ordered")


@results_group
class Order(Group):
    """Order over temperature and composition, from snapshots of the chains."""

    temperature_K: Float = coordinate("K", "temperature")
    x: Float = coordinate("1", "ions per formula unit")
    chains: Int = variable(TX, "1", "independent chains that were seen here")
    example: Int = variable((*TX, "place"), "1", "replica, sweep and walker of the state that represents this point; -1: none")
    ion: LongRangeOrder = part("ion_", "ions")
    electron: LongRangeOrder | None = part("electron_", "electrons", default=None)
    shell_pair: Text = variable(("shell",), "1", "the two species")
    shell_distance_A: Float = variable(("shell",), "A", "distance of the neighbours")
    shell_neighbours: Float = variable(("shell",), "1", "neighbours of a site of the first species")
    short_range_order: Float = variable(
        (*TX, "shell"),
        "1",
        "Warren-Cowley parameter; > 0: the two species attract each other, < 0: they avoid each other, 0: random",
    )
    short_range_order_error: Float = error_of("short_range_order")
    criterion: str = attribute("when a wave counts as long-range order")
    low_x: str = attribute("formula of the compound at the lowest x")
    high_x: str = attribute("formula of the compound at the highest x")

    @property
    def long_range(self) -> tuple[LongRangeOrder, ...]:
        """Of the ions, and of the electrons where there are any."""
        return (self.ion,) if self.electron is None else (self.ion, self.electron)


@results_group
class DilutePair(Group):
    """All places of one pair in the host, by shells of equal distance and energy."""

    pair: str = attribute("the two species of the pair in the {words} host")
    distance_A: Float = variable(("{part}shell",), "A", "distance of the pair in the {words} host")
    random_probability: Float = variable(("{part}shell",), "1", "share of all places of the pair")
    binding_energy_eV: Float = variable(
        ("{part}shell",), "eV", "energy of the pair above that of the one farthest apart in the cell; < 0: bound"
    )
    probability: Float = variable(
        ("temperature_K", "{part}shell"), "1", "probability of the shell, by the exact sum over all places of the pair"
    )


@results_group
class Dilute(Group):
    """One ion with its electron in the empty host (low_), one vacancy with its hole in the full one (high_)."""

    temperature_K: Float = coordinate("K", "temperature")
    low: DilutePair | None = part("low_", "empty", default=None)
    high: DilutePair | None = part("high_", "full", default=None)
