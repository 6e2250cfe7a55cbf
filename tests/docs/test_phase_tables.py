"""Tables of the phases and of voltage plateaus, from made-up results."""

import numpy as np

from redoxmc.engine.report.phase_tables import phase_tables, plateau_tables
from redoxmc.engine.runtime.results.electrochemistry import Plateaus, Voltage
from redoxmc.engine.runtime.results.phases import Phases

from ..helpers.blank import blank


def test_energies_above_the_hull_are_listed_where_each_phase_is_lowest() -> None:
    """A is stable at 300 K, 2 meV above the hull at x = 0.4 at 500 K, and gone above; of seven temperatures five are listed."""
    t, nan = np.linspace(300, 900, 7), np.nan
    above = np.full((2, 7, 2), nan)
    above[0] = 0.0
    above[1, :3] = [[0.001, 0.0], [0.001, 0.002], [0.002, 0.005]]
    found = blank(
        Phases, temperature_K=t, chemical_potential_eV=np.zeros(2), name=np.array(["disordered", "A"]),
        energy_above_hull_eV=above, energy_above_hull_eV_error=np.full(above.shape, 1e-4),
        x=np.full(above.shape, 0.4), stable=above == 0,
    )  # fmt: skip
    table = next(t for t in phase_tables(found) if "hull" in t.heading)
    assert list(table.columns) == ["phase", "300 K", "500 K", "600 K", "700 K", "900 K"]
    assert list(table.rows[0]) == ["disordered", *["0"] * 5]
    row = dict(zip(table.columns, table.rows[1]))
    assert row["300 K"] == "0" and row["500 K"] == "2.00 ± 0.10 (x = 0.400)" and row["900 K"] == "–"


def test_plateaus_are_listed() -> None:
    plateau = Plateaus(
        temperature_K=np.array([300.0]), x=np.array([[0.1, 0.7]]), voltage_V=np.array([3.4]), voltage_V_error=np.array([0.002])
    )
    voltage = blank(Voltage, temperature_K=np.array([300.0]), x=np.linspace(0, 1, 3), plateau=plateau, reference_energy_eV=-1.3)
    (table,) = plateau_tables(voltage)
    assert [list(row) for row in table.rows] == [["300", "0.1000", "0.7000", "3.4000 ± 0.0020"]]
    assert plateau_tables(None) == []
