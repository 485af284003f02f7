"""A mail before the month gets expensive, where the account offers budgets."""

from aws_cdk import aws_budgets as budgets
from constructs import Construct


def monthly_budget(scope: Construct, id_: str, *, mail: str, usd: int) -> budgets.CfnBudget:
    """Return a budget of so many dollars a month that warns of what has been spent and of what is forecast."""
    return budgets.CfnBudget(
        scope,
        id_,
        budget=budgets.CfnBudget.BudgetDataProperty(
            budget_type="COST",
            time_unit="MONTHLY",
            budget_limit=budgets.CfnBudget.SpendProperty(amount=usd, unit="USD"),
        ),
        notifications_with_subscribers=[
            _notice("ACTUAL", 50, mail),
            _notice("ACTUAL", 80, mail),
            _notice("FORECASTED", 100, mail),
        ],
    )


def _notice(kind: str, percent: int, mail: str) -> budgets.CfnBudget.NotificationWithSubscribersProperty:
    return budgets.CfnBudget.NotificationWithSubscribersProperty(
        notification=budgets.CfnBudget.NotificationProperty(
            notification_type=kind, comparison_operator="GREATER_THAN", threshold=percent, threshold_type="PERCENTAGE"
        ),
        subscribers=[budgets.CfnBudget.SubscriberProperty(subscription_type="EMAIL", address=mail)],
    )
