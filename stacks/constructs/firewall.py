"""The optional web application firewall."""

from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

REQUESTS_PER_ADDRESS = 10_000  # in five minutes; a campus or a load generator is one address
# https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html: rules that look into
# bodies take a video's bytes for an attack, and refuse more than 8 KB; they count instead
_BODY_RULES = (
    "SizeRestrictions_BODY",
    "CrossSiteScripting_BODY",
    "GenericLFI_BODY",
    "GenericRFI_BODY",
    "EC2MetaDataSSRF_BODY",
)


def firewall(scope: Construct, id_: str, *, for_cloudfront: bool) -> wafv2.CfnWebACL:
    """Return an access list with AWS's common rules and a rate for each address.

    It stands before a distribution, or before what the region has.
    """
    acl = wafv2.CfnWebACL
    common = acl.ManagedRuleGroupStatementProperty(
        vendor_name="AWS",
        name="AWSManagedRulesCommonRuleSet",
        rule_action_overrides=[
            acl.RuleActionOverrideProperty(name=name, action_to_use=acl.RuleActionProperty(count={}))
            for name in _BODY_RULES
        ],
    )
    rate = acl.RateBasedStatementProperty(limit=REQUESTS_PER_ADDRESS, aggregate_key_type="IP")
    return acl(
        scope,
        id_,
        scope="CLOUDFRONT" if for_cloudfront else "REGIONAL",
        default_action=acl.DefaultActionProperty(allow={}),
        visibility_config=_metrics("Firewall"),
        rules=[
            acl.RuleProperty(
                name="Rate",
                priority=0,
                action=acl.RuleActionProperty(block={}),
                statement=acl.StatementProperty(rate_based_statement=rate),
                visibility_config=_metrics("Rate"),
            ),
            acl.RuleProperty(
                name="Common",
                priority=1,
                override_action=acl.OverrideActionProperty(none={}),
                statement=acl.StatementProperty(managed_rule_group_statement=common),
                visibility_config=_metrics("Common"),
            ),
        ],
    )


def _metrics(name: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=True
    )
