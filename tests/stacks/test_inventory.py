"""What of the real templates costs money by being there."""

from pathlib import Path

from capacity.costs import Prices, standing
from capacity.inventory import Database, Inventory

ROOT = Path(__file__).parents[2]


def test_the_lab_s_instances_have_addresses_and_no_gateway(academy):
    inventory = Inventory.of(academy.assembly)

    assert {(group.instance_type, group.least, group.most) for group in inventory.groups} == {
        ("t3.small", 1, 3),
        ("t3.small", 2, 3),
    }
    assert all(group.has_addresses and group.volume_gib == 30 for group in inventory.groups)
    assert inventory.database == Database(instance_class="db.t3.micro", storage_gib=20, multi_az=False)
    assert (inventory.balancers, inventory.balancer_addresses, inventory.nat_gateways) == (1, 2, 0)


def test_production_s_instances_are_private_behind_a_gateway_in_each_zone(production):
    inventory = Inventory.of(production.assembly)

    assert not any(group.has_addresses for group in inventory.groups)
    assert (inventory.balancers, inventory.balancer_addresses, inventory.nat_gateways) == (1, 0, 2)
    assert inventory.is_distributed


def test_every_part_of_both_profiles_has_a_price(academy, production):
    for synthesis in (academy, production):
        inventory = Inventory.of(synthesis.assembly)
        instances = {group.stack: group.most for group in inventory.groups}

        assert sum(line.usd for line in standing(inventory, instances, Prices.read())) > 100


def test_the_documents_say_what_an_hour_of_the_lab_costs_at_work_and_paused(academy):
    inventory, prices = Inventory.of(academy.assembly), Prices.read()
    least = {group.stack: group.least for group in inventory.groups}
    at_work, paused = (
        f"{sum(line.usd for line in lines) / prices.hours_per_month:.2f}"
        for lines in (
            standing(inventory, least, prices),
            standing(inventory, dict.fromkeys(least, 0), prices, database_share=0),
        )
    )

    for document, phrases in {
        "docs/first-deploy.md": (f"about {at_work} USD an hour", f"about {paused} USD an hour"),
        "docs/entrega4/arquitectura.md": (f"unos {at_work} USD por hora, y en pausa {paused}".replace(".", ","),),
    }.items():
        text = " ".join((ROOT / document).read_text(encoding="utf-8").split())
        assert all(phrase in text for phrase in phrases), document
