"""/hull and /phase_diagram (also /phase_diagram_second, of the second cell, and /phase_diagram_beside, of another run)."""

from .schema import Bool, Float, Group, Int, Text, attribute, coordinate, error_of, part, results_group, variable

T, TX = ("temperature_K",), ("temperature_K", "x")
BOUNDARY, INVARIANT, SPINODAL = ("boundary",), ("invariant",), ("spinodal",)


@results_group
class Hull(Group):
    """The lower convex hull of F(T, x) at every temperature."""

    temperature_K: Float = coordinate("K", "temperature")
    x: Float = coordinate("1", "ions per formula unit")
    energy_above_hull_eV: Float = variable(TX, "eV/fu", "free energy above the lower convex hull of F(T, x); nan: not trusted")
    energy_above_hull_eV_error: Float = error_of("energy_above_hull_eV")
    on_hull: Bool = variable(TX, "1", "on the hull within two standard errors")


@results_group
class Boundaries(Group):
    """Points on the boundaries of two-phase regions: two, the low-x and the high-x side, for each region at each temperature."""

    temperature_K: Float = variable(BOUNDARY, "K", "temperature of the boundary point")
    x: Float = variable(
        BOUNDARY,
        "1",
        "composition of the phase: mean of its peak in P(n) where the peaks of both phases have equal weight; "
        "up to layout 6 a vertex of the hull",
    )
    x_error: Float = variable(
        BOUNDARY, "1", "standard error of boundary_x, with half of boundary_x_finite_size as far as this exceeds its own error"
    )
    x_fit_uncertainty: Float | None = variable(
        BOUNDARY, "1", "standard deviation of boundary_x over draws of the effective cluster interactions", default=None
    )
    x_finite_size: Float | None = variable(
        BOUNDARY, "1", "x of this boundary in /phase_diagram_second, less x here; nan: it is not there", default=None
    )
    region: Int = variable(BOUNDARY, "1", "number of the two-phase region")
    side: Int = variable(BOUNDARY, "1", "0: low-x side, 1: high-x side of the region")
    height_eV: Float = variable(
        BOUNDARY,
        "eV/fu",
        "barrier between the two phases, kT ln(p_max / p_min) of the whole cell per formula unit; "
        "nan: the region is from the grand potentials of both phases",
    )
    trusted: Bool = variable(
        BOUNDARY,
        "1",
        "F is trusted at both ends of the region and at most compositions inside; since layout 6 others are left out",
    )


@results_group
class Invariants(Group):
    """Points where two-phase regions begin, end, meet or part."""

    kind: Text = variable(INVARIANT, "1", "what happens there")
    temperature_K: Float = variable(INVARIANT, "K", "temperature of the invariant point")
    temperature_K_error: Float = error_of("temperature_K")
    temperature_K_interpolation: Float | None = variable(
        INVARIANT, "K", "part of invariant_temperature_K_error by the interpolation between temperatures", default=None
    )
    temperature_K_size: Float | None = variable(
        INVARIANT, "K", "part of invariant_temperature_K_error by the size of the cell; nan: not known", default=None
    )
    temperature_K_fit_uncertainty: Float | None = variable(
        INVARIANT,
        "K",
        "standard deviation of invariant_temperature_K over draws of the effective cluster interactions; "
        "nan: most draws have no such point within 80 K",
        default=None,
    )
    x: Float = variable((*INVARIANT, "of_three"), "1", "composition of the low, middle and high phase; nan: there is none")
    x_error: Float = error_of("x")
    found: Float = variable(INVARIANT, "1", "share of the bootstrap resamples that show it nearby")
    height_vanishes_K: Float = variable(
        (*INVARIANT, "of_two"),
        "K",
        "closing, opening: at invariant_temperature_K the region is no longer resolved, as its free-energy barrier is lower than "
        "5 kT in the whole cell or than the noise; the extrapolated barrier vanishes between these two temperatures "
        "(infinite: it does not decrease; nan: other kinds, or not known)",
    )
    trusted: Bool = variable(INVARIANT, "1", "all regions that meet here are trusted; since layout 6 others are left out")


@results_group
class Spinodals(Group):
    """Compositions where F of this cell loses its convexity inside a two-phase region."""

    temperature_K: Float = variable(SPINODAL, "K", "temperature")
    x: Float = variable(
        SPINODAL,
        "1",
        "limit of stability of this cell: where its F loses convexity, "
        "between the boundary and the spinodal of the homogeneous solution",
    )
    x_error: Float = error_of("x")
    region: Int = variable(SPINODAL, "1", "number of the two-phase region")
    side: Int = variable(SPINODAL, "1", "0: low-x side, 1: high-x side")


@results_group
class PhaseDiagram(Group):
    """Two-phase regions, invariant points, spinodals and single-phase fields, at sampled temperatures and between."""

    temperature_K: Float = coordinate("K", "temperatures of the diagram: sampled ones and those between")
    sampled_temperature_K: Float = coordinate("K", "temperatures that were sampled")
    x: Float = coordinate("1", "ions per formula unit")
    trusted: Bool = variable(
        ("sampled_temperature_K", "x"), "1", "as in /canonical, and in no two-phase region that is not trusted"
    )
    n_two_phase_regions: Int = variable(T, "1", "number of trusted two-phase regions; 0: one phase at every trusted x")
    region_name: Text = variable(("region",), "1", "name of each two-phase region")
    phase_name: Text = variable(("phase",), "1", "name of each single-phase field")
    phase_number: Int = variable(("sampled_temperature_K", "x"), "1", "number of the single-phase field; -1: two, or not trusted")
    boundary: Boundaries = part("boundary_")
    invariant: Invariants = part("invariant_")
    spinodal: Spinodals = part("spinodal_")
    not_resolved: str = attribute("what the diagram cannot show")
    kind: str = attribute("which equilibrium: coherent or incoherent")
    title: str | None = attribute("whose diagram it is; in /phase_diagram_second and /phase_diagram_beside", default=None)
    fingerprint: str | None = attribute("fingerprint of the other run; in /phase_diagram_beside", default=None)
