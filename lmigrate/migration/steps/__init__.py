"""A migration's table of contents."""

from lmigrate.migration.steps.base import Step
from lmigrate.migration.steps.check_destination import CheckDestination
from lmigrate.migration.steps.check_source import CheckSource
from lmigrate.migration.steps.complete import Complete
from lmigrate.migration.steps.migrate import Migrate
from lmigrate.migration.steps.post_at_destination import PostAtDestination
from lmigrate.migration.steps.post_at_source import PostAtSource
from lmigrate.migration.steps.pre_live_migration import PreLiveMigration
from lmigrate.migration.steps.select_destination import SelectDestination

STEPS: tuple[Step, ...] = (
    SelectDestination(),  # conductor    choose the host, reserve on it
    CheckDestination(),  # destination   can it take the guest?  leave a probe
    CheckSource(),  # source             can the guest leave?  what moves with it?
    PreLiveMigration(),  # destination   directory, disks
    Migrate(),  # source                 the move
    PostAtDestination(),  # destination  proof, instance.host, make it at home
    PostAtSource(),  # source            undefine, remove the copied disks
    Complete(),  # conductor             close the books
)

BY_NAME = {step.name: step for step in STEPS}
POSITION = {step.name: position for position, step in enumerate(STEPS)}
