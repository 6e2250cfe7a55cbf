"""A CALPHAD model as a TDB file."""

from collections.abc import Iterator
from textwrap import wrap

import numpy as np
from ase.data import atomic_masses, atomic_numbers
from numpy.typing import NDArray

from ...crystal.lattice import Species
from .calphad import CalphadModel
from .deviation import Deviation

Float = NDArray[np.float64]
WIDTH = 76
LEAST_COEFFICIENT = 1e-9
HEAT = ("", "*T", "*T*LN(T)")


def phase_name(model: CalphadModel) -> str:
    return model.unit.name.upper()


def constituents(model: CalphadModel) -> tuple[list[str], list[str], list[str]]:
    """Of the three sublattices, in the order of the file; the third is empty if the rest bears no charge."""
    s = model.sublattices
    rest = [f"VA{s.rest_charge:+d}"] if s.rest_charge else []
    return [species_name(s.ion), "VA"], [species_name(s.reduced), species_name(s.oxidised)], rest


def species_name(species: Species) -> str:
    return species.element.upper() + (f"{species.charge:+d}" if species.charge else "")


def tdb_text(model: CalphadModel, how_far: Deviation, title: str) -> str:
    return "\n".join([*_header(model, how_far, title), "", *_species(model), "", *_phase(model), "", *_parameters(model), ""])


def _header(model: CalphadModel, how_far: Deviation, title: str) -> Iterator[str]:
    s, unit = model.sublattices, model.unit
    ion, redox = unit.ion.element, s.reduced.element
    rest = "".join(f"{e}{n if n > 1 else ''}" for e, n in unit.atoms.items() if e not in (unit.home.element, redox)) or "nothing"
    charge = (
        f"a sublattice of vacancies of its charge, {s.rest_charge:+d}" if s.rest_charge else "it bears no charge and is left out"
    )
    against = f"metallic {ion}, from the input's reference energy" if model.ion_is_metal else "the line between the ends"
    low, high = model.composition
    paragraphs = [
        f"{title or unit.name}, made by RedoxMC.",
        f"{species_name(s.ion)} and vacancies on {s.ion_sites}, {species_name(s.reduced)} and {species_name(s.oxidised)} on "
        f"{s.redox_sites} site(s) per formula unit. The rest, {rest}, never changes: {charge}. "
        f"Mole fractions therefore count {ion} and {redox} only: X({ion.upper()}) = x/(x + {s.redox_sites}), "
        f"x from {low:g} to {high:g} per formula unit. Neutrality ties the electrons to the ions, and energies depend on the "
        "site fraction of the ions.",
        f"J per mole of formula units. Zero: the end at x = {low:g} and {against} "
        f"(in the run: {model.zero_eV:.6f} eV per formula unit and {model.ion_eV:.6f} eV per {ion}). "
        "Coherency strain is not included.",
        f"Ideal mixing of ions and of electrons in an infinite crystal and {model.polynomial.terms} Redlich-Kister term(s), "
        f"chosen by cross-validation ({1e3 * model.held_out_eV:.2f} meV/fu for compositions that were held out). "
        "A smooth curve rounds off ordered phases: do not take them from this database.",
        f"Deviation from the run: {how_far}.",
    ]
    for paragraph in paragraphs:
        plain = paragraph.encode("ascii", "replace").decode()
        yield from (f"$ {line}" for line in wrap(plain, WIDTH - 2))
        yield "$"
    yield "$ F at T (K): trusted points of all, RMS, largest; largest of all (meV/fu)"
    for row in how_far.rows:
        numbers = "  ".join(f"{1e3 * v:8.3f}" for v in (row.rms_eV, row.largest_eV, row.largest_of_all_eV))
        yield f"$ {row.temperature_K:10.3f}  {row.trusted:4d} of {row.points:4d}  {numbers}"
    if how_far.regions:
        yield "$"
        yield "$ Two phases at T (K): x of the run; of this model; whether the run"
        yield "$ trusts its free energies there"
    for region in how_far.regions:
        cells = "".join(f"{f'{gap[0]:.4f} to {gap[1]:.4f}' if gap else 'none':>20}" for gap in (region.run, region.model))
        yield f"$ {region.temperature_K:10.3f}{cells}  {'trusted' if region.trusted else 'not trusted'}"


def _species(model: CalphadModel) -> Iterator[str]:
    s = model.sublattices
    yield " ELEMENT /-   ELECTRON_GAS              0.0  0.0  0.0 !"
    yield " ELEMENT VA   VACUUM                    0.0  0.0  0.0 !"
    for element in sorted({s.ion.element, s.reduced.element}):
        yield f" ELEMENT {element.upper():4s} BLANK               {atomic_masses[atomic_numbers[element]]:9.4f}  0.0  0.0 !"
    for sp in (s.ion, s.reduced, s.oxidised):
        if sp.charge:
            yield f" SPECIES {species_name(sp):6s} {sp.element.upper()}1/{sp.charge:+d} !"
    if s.rest_charge:
        yield f" SPECIES VA{s.rest_charge:+d}  VA1/{s.rest_charge:+d} !"


def _phase(model: CalphadModel) -> Iterator[str]:
    lists, s = [c for c in constituents(model) if c], model.sublattices
    sites = " ".join(str(n) for n in (s.ion_sites, s.redox_sites, 1)[: len(lists)])
    yield " TYPE_DEFINITION % SEQ * !"
    yield f" PHASE {phase_name(model)}:I %  {len(lists)} {sites} !"
    yield f" CONSTITUENT {phase_name(model)}:I : {' : '.join(','.join(c) for c in lists)} : !"


def _parameters(model: CalphadModel) -> Iterator[str]:
    """The same for either redox species: energies depend on the ions' site fraction."""
    (ion, vacancy), redox, rest = constituents(model)
    pair = sorted([ion, vacancy])
    rows = _ordered(model.in_site_fractions().coefficients, ion == pair[0])
    names = ["GEMPTY", "GFULL", *(f"GMIX{k}" for k in range(len(rows) - 2))]
    low, high = (f"{t:g}" for t in model.temperature_K)
    for name, row in zip(names, rows):
        terms = [f"{c:+.12E}{h}" for c, h in zip(row, HEAT) if abs(c) > LEAST_COEFFICIENT] or ["0.0"]
        yield f" FUNCTION {name} {low}"
        yield from (f"   {term}" for term in terms)
        yield f"   ; {high} N !"
    places = [("G", vacancy, 0), ("G", ion, 0), *(("L", ",".join(pair), k) for k in range(len(rows) - 2))]
    for (kind, first, order), name in zip(places, names):
        for species in redox:
            yield f" PARAMETER {kind}({phase_name(model)},{':'.join([first, species, *rest])};{order})"
            yield f"   {low} {name}#; {high} N !"


def _ordered(coefficients: Float, ion_first: bool) -> Float:
    """Redlich-Kister's difference is of the first constituent in the alphabet minus the second: odd terms may change sign."""
    sign = np.ones(len(coefficients))
    if not ion_first:
        sign[3::2] = -1
    return sign[:, None] * coefficients
