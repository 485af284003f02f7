"""Give a fleet a number of instances, until its scaling decides otherwise.

FLEET is web or workers, INSTANCES a number within what was deployed; other limits are a deployment's setting.
"""

import click

from anb import commands
from ops.account.desk import Desk
from ops.account.groups import WEB, WORKERS
from ops.dependencies import CommandFailed


@click.command("scale", help=__doc__)
@click.argument("fleet", metavar="FLEET", type=click.Choice([WEB, WORKERS]))
@click.argument("instances", metavar="INSTANCES", type=click.IntRange(min=0))
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@commands.json_option
@click.pass_obj
def command(desk: Desk, *, fleet: str, instances: int, dry_run: bool, as_json: bool) -> int:
    """Ask a fleet's group for so many instances."""
    group = desk.fleets.described()[fleet]
    least, most, wanted = group["MinSize"], group["MaxSize"], group["DesiredCapacity"]
    if not least <= instances <= most:
        raise CommandFailed(
            f"{fleet} has {least} to {most} instances: other limits are deployed, as with make deploy "
            f"SETTINGS={fleet}={least}-{max(most, instances)}"
        )
    if not dry_run:
        desk.account.client("autoscaling").set_desired_capacity(
            AutoScalingGroupName=group["AutoScalingGroupName"], DesiredCapacity=instances, HonorCooldown=False
        )
    if as_json:
        commands.print_json({"fleet": fleet, "wanted_before": wanted, "wanted": instances, "changed": not dry_run})
    else:
        print(f"{'would ask' if dry_run else 'asked'} for {instances} instances of {fleet} instead of {wanted}")
    return commands.DONE
