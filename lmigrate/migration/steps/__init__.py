"""A migration's table of contents."""

from lmigrate.migration.steps.base import Step
from lmigrate.migration.steps.check_destination import CheckDestination
from lmigrate.migration.steps.check_source import CheckSource
from lmigrate.migration.steps.complete import Complete
from lmigrate.migration.steps.grant_volumes import GrantVolumes
from lmigrate.migration.steps.migrate import Migrate
from lmigrate.migration.steps.post_at_destination import PostAtDestination
from lmigrate.migration.steps.post_at_source import PostAtSource
from lmigrate.migration.steps.pre_live_migration import PreLiveMigration
from lmigrate.migration.steps.revoke_volumes import RevokeVolumes
from lmigrate.migration.steps.select_destination import SelectDestination

STEPS: tuple[Step, ...] = (
    SelectDestination(),  # conductor    choose the host, reserve on it
    CheckDestination(),  # destination   can it take the guest?  leave a probe
    CheckSource(),  # source             can the guest leave?  what moves with it?
    GrantVolumes(),  # storage           the destination may reach the guest's volumes
    PreLiveMigration(),  # destination   directory, disks, secrets
    Migrate(),  # source                 the move
    PostAtDestination(),  # destination  proof, instance.host, make it at home
    PostAtSource(),  # source            undefine, remove the copied disks
    RevokeVolumes(),  # storage          the source may not any more
    Complete(),  # conductor             close the books
)

BY_NAME = {step.name: step for step in STEPS}
_ORDER = {step.name: position for position, step in enumerate(STEPS)}


def step_of(row_name: str) -> Step:
    """The step of a row of the journal: ``grant_volumes.san1`` is GrantVolumes for the backend san1."""
    return BY_NAME[row_name.partition(".")[0]]


def is_before_move(row_name: str) -> bool:
    """Whether the guest has certainly not begun to move when this step runs."""
    return _ORDER[step_of(row_name).name] < _ORDER["migrate"]
