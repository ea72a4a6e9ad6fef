"""All known mistakes by name."""

from typing import Final

from simulations.mutants.coordinating import COORDINATING
from simulations.mutants.following import FOLLOWING
from simulations.mutants.looking import LOOKING
from simulations.mutants.mutant import Mutant
from simulations.mutants.offering import OFFERING
from simulations.mutants.placing import PLACING
from simulations.mutants.planning import PLANNING
from simulations.mutants.revoking import REVOKING

MUTANTS: Final[dict[str, Mutant]] = {
    mutant.name: mutant for mutant in (*COORDINATING, *PLANNING, *PLACING, *LOOKING, *FOLLOWING, *OFFERING, *REVOKING)
}
