"""What an output says beside the structures and results that ASE reads."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

RELAXATIONS = (1, 2, 3)  # IBRION
OTHER_RUNS = {
    0: "molecular dynamics",
    5: "finite differences",
    6: "finite differences",
    7: "linear response",
    8: "linear response",
}


@dataclass(frozen=True)
class Record:
    """Convergence, moments and settings of a run; one entry of `unconverged` and of `moments` per ionic step.

    unconverged: why the electrons of a step did not converge, or None; None in place of all if the output does not say.
    unfinished: why the last step is no relaxed cell, or None. moments: muB, (atoms,), (atoms, 3) if non-collinear, empty if not
    printed. settings: by name, what must be the same in all calculations of a set for their energies to be comparable.
    spin_polarised: None if the output does not say.
    """

    unconverged: tuple[str | None, ...] | None = None
    unfinished: str | None = None
    moments: tuple[NDArray[np.float64], ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    spin_polarised: bool | None = None

    def electronic_problem(self, step: int) -> str | None:
        """Why a step is not converged, or None. Of a step that ends with the file it is not known."""
        if self.unconverged is None:
            return None
        return self.unconverged[step] if step < len(self.unconverged) else "the file ends in the middle of this step"


def electronic_problem(n_electronic: int, limit: int | None, stop: str = "") -> str | None:
    """Why an ionic step of VASP is not converged. stop: the line "aborting loop ...".

    VASP 5 writes "EDIFF is reached" also when it stops at NELM, so a step with NELM electronic steps does not count.
    """
    if "not reached" in stop:
        return f"EDIFF was not reached in {n_electronic} electronic steps"
    if "hard stop" in stop:
        return f"stopped by hand after {n_electronic} electronic steps"
    return f"{n_electronic} electronic steps, and NELM = {limit}" if limit is not None and n_electronic >= limit else None


def kind_of_run(tags: dict[str, str], n_steps: int) -> tuple[bool, str | None]:
    """Whether a run of VASP relaxes, and why its last step is not a relaxed cell by the kind of the run, or None."""
    longest = int(tags.get("NSW", n_steps))
    ibrion = int(tags.get("IBRION", 2 if longest > 1 else -1))
    if longest <= 1 or ibrion == -1:
        return False, None
    if ibrion in RELAXATIONS:
        return True, None
    return False, f"{OTHER_RUNS.get(ibrion, 'not a relaxation')} (IBRION = {ibrion})"


def vasp_settings(titles: list[str], tags: dict[str, str]) -> dict[str, str]:
    """Settings on which energies of VASP depend. titles: of the POTCAR, one per species; tags: values as they are printed."""
    elements = [(t.split()[1:2] or ["?"])[0].split("_")[0].split(".")[0] for t in titles]
    found = {f"POTCAR of {e}": " ".join(t.split()) for e, t in zip(elements, titles)}
    if "ENCUT" in tags:
        found["ENCUT"] = f"{float(tags['ENCUT'].split()[0]):g} eV"
    for name in ("LEXCH", "METAGGA", "LHFCALC"):
        if name in tags:
            value = tags[name].split()[0].strip(".").upper()
            found[name] = "F" if value in ("--", "NONE", "FALSE") else value
    if "GGA" in tags:  # "--" is the functional of the POTCAR
        found["GGA"] = "PE" if tags["GGA"] == "--" and all("PBE" in t for t in titles) else tags["GGA"].upper()
    if found.get("LHFCALC", "F") == "T" and "AEXX" in tags:
        found["AEXX"] = f"{float(tags['AEXX'].split()[0]):g}"
    for e, hubbard in zip(elements, _hubbard(tags, len(elements))):
        before = found.get(f"U of {e}", hubbard)
        found[f"U of {e}"] = hubbard if before == hubbard else f"{before} and {hubbard}"  # two species of one element
    return found


def _hubbard(tags: dict[str, str], n_species: int) -> list[str]:
    """U, J and l of every species in words."""
    columns = [tags.get(name, "").split() for name in ("LDAUL", "LDAUU", "LDAUJ")]
    if tags.get("LDAU", "T").strip(".").upper().startswith("F") or not columns[0]:
        return ["U = 0"] * n_species
    words = []
    for given in zip(*(c + ["0"] * (n_species - len(c)) for c in columns)):
        momentum, u, j = (float(v) for v in given)
        used = momentum >= 0 and (u != 0 or j != 0)
        words.append(
            f"U = {u:g} eV, J = {j:g} eV (l = {momentum:g}, LDAUTYPE = {tags.get('LDAUTYPE', '2')})" if used else "U = 0"
        )
    return words
